// The game page: from its address to a match and back. Holds which state the page is in; everything else is elsewhere.

import { Closed, Tickcast } from '../sdk/src/index.js';
import { Chat } from './chat.js';
import { element, say } from './element.js';
import { Game } from './game.js';
import { Hud } from './hud.js';
import { Lobby } from './lobby.js';
import { Netgraph } from './netgraph.js';
import { Painter } from './paint.js';
import { Line, socketsOver } from './sim.js';
import { asked, link, stateAfter, wordsAfter } from './words.js';

/** @typedef {import('../sdk/src/index.js').Match} Match */
/** @typedef {import('./words.js').State} State */
/** @typedef {import('./words.js').Shown} Shown */

/** For how long a page tries to come back: a seat is kept for 10 s, and a match may change its node meanwhile. */
const RECONNECT_MS = 15_000;
const NOTICE_MS = 6_000;
/** How often another match is looked for when the one that was found has filled up meanwhile. */
const TRIES = 3;
const SEAT = 'tickcast-seat';

class Page {
  constructor() {
    this.asked = asked(window.location.search);
    this.line = Object.assign(new Line(), { delay: this.asked.delay, jitter: this.asked.jitter, stall: this.asked.stall });
    this.server = new Tickcast({ WebSocket: socketsOver(this.line), reconnectMs: RECONNECT_MS, ticket: () => this.lobby.ticket });
    /** @type {State} */
    this.state = 'lobby';
    /** @type {Match | null} */
    this.match = null;
    /** @type {Game | null} */
    this.game = null;
    /** The match that was last entered or asked for. */
    this.lastId = this.asked.match;
    /** Counts attempts to enter: what an older one comes to is of no interest. */
    this.attempt = 0;
    const [play, join, watch] = [() => void this.play(), (/** @type {string} */ id) => void this.join(id), (/** @type {string} */ id) => void this.watch(id)];
    this.lobby = new Lobby(this.server, { play, join, watch }, this.asked);
    const calm = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.parts = {
      painter: new Painter(element('arena', HTMLCanvasElement)),
      hud: new Hud((player) => this.game?.spectator?.follow(player)),
      netgraph: new Netgraph(this.line),
      chat: new Chat(),
      calm,
    };
    this.noticeTimer = 0;
    this.listen();
  }

  listen() {
    element('leave', HTMLButtonElement).onclick = () => this.leave();
    element('back', HTMLButtonElement).onclick = () => this.goBack();
    element('again', HTMLButtonElement).onclick = () => {
      this.lastId = '';
      void this.play();
    };
    element('watch', HTMLButtonElement).onclick = () => void this.watch(this.lastId);
    const share = element('share', HTMLAnchorElement);
    share.onclick = (event) => {
      event.preventDefault();
      void this.share(share.href);
    };
    for (const [id, part] of /** @type {const} */ ([['use-prediction', 'prediction'], ['use-interpolation', 'playout']])) {
      const box = element(id, HTMLInputElement);
      box.onchange = () => this.setSwitch(part, box.checked);
    }
  }

  /** @param {'prediction' | 'playout'} part @param {boolean} on */
  setSwitch(part, on) {
    const smooth = this.match?.smooth;
    if (smooth === undefined) return;
    if (part === 'playout') smooth.playout.interpolates = on;
    else if (smooth.prediction !== null) smooth.prediction.enabled = on;
  }

  /** What the address asks for. */
  begin() {
    const { match, spectate, autoplay } = this.asked;
    const seat = seatOf(match);
    if (match !== '') element('play', HTMLButtonElement).textContent = spectate ? 'Watch this match' : 'Join this match';
    if (seat !== null && !spectate) void this.resume(seat);
    else if (match !== '' && spectate) void this.watch(match);
    else if (autoplay) void this.play();
    else this.toLobby();
  }

  /** @param {State} state @param {string} [title] @param {string} [text] */
  show(state, title = '', text = '') {
    this.state = state;
    document.body.dataset.state = state;
    say(element('status-title', HTMLElement), title);
    say(element('status-text', HTMLElement), text);
    if (state === 'lobby') this.lobby.show();
    else this.lobby.hide();
    document.title = state === 'playing' ? 'playing · tickcast arena' : 'tickcast arena';
  }

  toLobby() {
    this.show('lobby');
  }

  /** Plays in the match of the address, else in any, against bots if nobody else is there. */
  async play() {
    if (this.lastId !== '' && this.asked.match === this.lastId) {
      await (this.asked.spectate ? this.watch(this.lastId) : this.join(this.lastId));
      return;
    }
    if (this.lobby.isClosed) {
      await this.tryEnter(() => this.server.quickPlay({ name: this.lobby.name }), 'Going where the ticket leads');
      return;
    }
    const attempt = this.connecting('Looking for a match');
    for (let tries = 1; ; tries += 1) {
      try {
        const id = await this.lobby.findMatch();
        if (attempt !== this.attempt) return;
        this.lastId = id;
        await this.enter(() => this.server.join(id, { name: this.lobby.name }), attempt);
        return;
      } catch (error) {
        const full = error instanceof Closed && error.code === 4505;
        if (full && tries < TRIES) continue;
        this.failed(error, attempt);
        return;
      }
    }
  }

  /** @param {string} id */
  async join(id) {
    const seat = seatOf(id);
    if (seat !== null) return this.resume(seat);
    this.lastId = id;
    return this.tryEnter(() => this.server.join(id, { name: this.lobby.name }), `Joining ${id}`);
  }

  /** @param {string} id */
  async watch(id) {
    this.lastId = id;
    return this.tryEnter(() => this.server.spectate(id, { name: this.lobby.name }), `Opening ${id}`);
  }

  /** The page was loaded anew: the same player again, if its place is still kept. @param {string} seat */
  async resume(seat) {
    const { matchId } = JSON.parse(seat);
    this.lastId = matchId;
    const attempt = this.connecting(`Back to ${matchId}`);
    try {
      await this.enter(() => this.server.resume(seat), attempt);
    } catch {
      keepSeat(null);
      if (attempt === this.attempt) await this.join(matchId);
    }
  }

  /** @param {() => Promise<Match>} entering @param {string} title */
  async tryEnter(entering, title) {
    const attempt = this.connecting(title);
    try {
      await this.enter(entering, attempt);
    } catch (error) {
      this.failed(error, attempt);
    }
  }

  /** @param {string} title */
  connecting(title) {
    this.endGame();
    this.attempt += 1;
    this.show('connecting', title, 'Connecting to the server.');
    return this.attempt;
  }

  /** @param {() => Promise<Match>} entering @param {number} attempt */
  async enter(entering, attempt) {
    const match = await entering();
    if (attempt !== this.attempt) {
      match.close();
      return;
    }
    // Whoever looks on and loses the connection needs another one.
    this.lobby.ticketField.value = '';
    this.match = match;
    this.lastId = match.id;
    this.game = new Game(match, this.parts);
    this.follow(match);
    const spectates = match.player === null;
    keepSeat(match.seat);
    history.replaceState(null, '', `/?match=${encodeURIComponent(match.id)}${spectates ? '&spectate=1' : ''}`);
    element('share', HTMLAnchorElement).href = link(window.location.origin, match.id);
    this.inMatch();
  }

  inMatch() {
    if (this.match?.player === null) this.show('spectating', 'Watching');
    else this.show('playing', 'Playing');
  }

  /** @param {Match} match */
  follow(match) {
    const ours = (/** @type {() => void} */ act) => {
      if (this.match === match) act();
    };
    match.on('reconnect', () => ours(() => this.show('reconnecting', 'Reconnecting', 'The connection was lost. Your place is kept.')));
    match.on('change', () => ours(() => {
      if (this.state !== 'reconnecting' || !match.isCurrent) return;
      this.game?.forget();
      this.inMatch();
    }));
    match.on('owner', () => ours(() => this.notice('owner', 'Another server runs this match now.')));
    match.on('gap', (reason) => ours(() => reason === 'desync' && this.notice('gap', 'This page saw something else than the server. It was set right.')));
    match.on('reset', (from, to) => ours(() => {
      this.game?.forget();
      const seconds = Math.max(0, from - to) / match.tickRate;
      this.notice('reset', `The match was set back by ${seconds.toFixed(1)} s: the server lost what happened since.`);
    }));
    match.on('close', (code, text) => ours(() => this.closed(code, text, match.seat === null ? 'nothing' : 'seat')));
  }

  /** @param {number} code @param {string} text @param {Shown} shown */
  closed(code, text, shown) {
    keepSeat(null);
    this.endGame();
    const words = wordsAfter(code, text, shown);
    const state = stateAfter(code, shown);
    this.show(state, words.title, words.text);
    if (state === 'ticket') this.lobby.askTicket();
  }

  /** @param {unknown} error @param {number} attempt */
  failed(error, attempt) {
    if (attempt !== this.attempt) return;
    if (error instanceof Closed) this.closed(error.code, error.message, this.lobby.ticket === '' ? 'nothing' : 'ticket');
    else this.show('lost', 'Cannot connect', `The server cannot be reached, or refused: ${error instanceof Error ? error.message : error}.`);
  }

  /** To the lobby; from a match that wants another ticket with that match still asked for. */
  goBack() {
    if (this.state !== 'ticket') return this.leave();
    this.toLobby();
    this.lobby.ticketField.focus();
  }

  /** Leaves for good, or gives up an attempt. */
  leave() {
    const { match } = this;
    this.attempt += 1;
    this.endGame();
    if (match !== null && !match.closed) {
      if (match.player !== null) match.leave();
      match.close();
    }
    keepSeat(null);
    this.asked.match = this.lastId = '';
    element('play', HTMLButtonElement).textContent = 'Play';
    history.replaceState(null, '', '/');
    this.toLobby();
  }

  endGame() {
    this.game?.end();
    this.game = null;
    this.match = null;
  }

  /** @param {string} kind @param {string} text */
  notice(kind, text) {
    const place = element('notice', HTMLElement);
    // A match that was set back mostly has another owner too; the former is what a player has to know.
    if (kind === 'owner' && !place.hidden && place.dataset.kind === 'reset') return;
    place.dataset.kind = kind;
    say(place, text);
    place.hidden = false;
    window.clearTimeout(this.noticeTimer);
    this.noticeTimer = window.setTimeout(() => {
      place.hidden = true;
    }, NOTICE_MS);
  }

  /** @param {string} address */
  async share(address) {
    try {
      await navigator.clipboard.writeText(address);
      this.notice('share', 'Link copied: whoever opens it joins this match.');
    } catch {
      this.notice('share', `Send this link: ${address}`);
    }
  }
}

/** The seat of this tab for a match, if it played there. @param {string} match */
function seatOf(match) {
  try {
    const seat = sessionStorage.getItem(SEAT);
    return seat !== null && JSON.parse(seat).matchId === match ? seat : null;
  } catch {
    return null;
  }
}

/** @param {string | null} seat */
function keepSeat(seat) {
  try {
    if (seat === null) sessionStorage.removeItem(SEAT);
    else sessionStorage.setItem(SEAT, seat);
  } catch {
    // Without storage a page that is loaded anew is a new player.
  }
}

const page = new Page();

/** For tests and the console. */
const handle = {
  get state() {
    return page.state;
  },
  get connection() {
    return page.match;
  },
  get frames() {
    return page.game?.frames ?? null;
  },
  get corrections() {
    return page.game?.corrections ?? 0;
  },
  metrics: () => page.match?.metrics() ?? null,
  me: () => (page.game === null || page.game.match.me < 0 ? null : page.game.tell(page.game.match.me)),
  players: () => (page.game === null ? [] : [...page.game.match.entities('player')].map((index) => page.game?.tell(index))),
  bullets: () => (page.game === null ? [] : [...page.game.match.entities('bullet')].map((index) => page.game?.match.entities('bullet').all(index))),
};
Object.assign(window, { tickcast: handle });
page.begin();
