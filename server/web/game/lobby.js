// Before a match: the visitor's name, the button to play, and the matches that run.

import { element, make, say } from './element.js';
import { GAMES, bestMatch, matchOf } from './words.js';

/** @typedef {import('../sdk/src/index.js').Tickcast} Tickcast */
/** @typedef {Awaited<ReturnType<Tickcast['matches']>>[number]} MatchInfo */

const REFRESH_MS = 1_500;
const SHOWN = 12;
/** How far one sees in fog. */
const FOG_UNITS = 350;
const NAME_KEY = 'tickcast-name';

/** What a visitor may choose. @typedef {{ play: () => void, join: (id: string) => void, watch: (id: string) => void }} Choices */

export class Lobby {
  /** @param {Tickcast} server @param {Choices} choices @param {{ name: string, match: string, game: string }} asked */
  constructor(server, choices, asked) {
    this.server = server;
    this.choices = choices;
    this.nameField = element('name', HTMLInputElement);
    this.game = element('game', HTMLSelectElement);
    this.bots = element('bots', HTMLInputElement);
    this.fog = element('fog', HTMLInputElement);
    this.id = element('join-id', HTMLInputElement);
    this.list = element('matches', HTMLUListElement);
    this.none = element('no-matches', HTMLElement);
    this.ticketField = element('ticket', HTMLInputElement);
    /** Only those with a ticket come in, and who plays where is not for everybody to see. */
    this.isClosed = false;
    this.nameField.value = asked.name || stored() || '';
    this.id.value = asked.match;
    this.game.value = asked.game;
    this.game.onchange = () => this.chosen();
    this.chosen();
    this.timer = 0;
    element('enter', HTMLFormElement).onsubmit = (event) => {
      event.preventDefault();
      choices.play();
    };
    element('by-id', HTMLFormElement).onsubmit = (event) => {
      event.preventDefault();
      this.withId(choices.join);
    };
    element('spectate', HTMLButtonElement).onclick = () => this.withId(choices.watch);
  }

  get name() {
    const name = this.nameField.value.trim();
    try {
      localStorage.setItem(NAME_KEY, name);
    } catch {
      // Without storage the name is asked for again.
    }
    return name || 'Anonymous';
  }

  /** What the visitor was given to come in with. It is in no address, and not kept. */
  get ticket() {
    return this.ticketField.value.trim();
  }

  /** Asks for a ticket: for a first one, or for another one, for each is good once. */
  askTicket() {
    element('with-ticket', HTMLElement).hidden = false;
    this.ticketField.value = '';
  }

  /** The list of matches is only for the game's backend: asks for a ticket in place of it. */
  close() {
    this.isClosed = true;
    element('with-ticket', HTMLElement).hidden = false;
    // Nor does a page make matches there.
    element('with-bots', HTMLElement).hidden = true;
    say(this.none, 'This server lets players in with a ticket, and does not list its matches.');
  }

  /** @param {(id: string) => void} act */
  withId(act) {
    const id = matchOf(this.id.value);
    if (id === '') this.id.focus();
    else act(id);
  }

  /** In the swarm one sees what is near in any case. */
  chosen() {
    element('in-fog', HTMLElement).hidden = this.game.value !== 'arena';
  }

  /** The id of a match to play in: one that has a place, or a new one with bots. Who wants fog gets a match with fog. */
  async findMatch() {
    const game = this.game.value;
    const fog = game === 'arena' && this.fog.checked;
    const best = fog ? null : bestMatch(await this.server.matches(), game);
    if (best !== null) return best.id;
    const bots = Math.min(Math.max(Math.round(Number(this.bots.value)) || 0, 0), 16);
    /** @type {Record<string, number>} */
    const options = { bots };
    if (fog) options.fog = FOG_UNITS;
    return (await this.server.createMatch({ game, options })).id;
  }

  show() {
    this.hide();
    const refresh = async () => {
      try {
        this.tell(await this.server.matches());
      } catch (error) {
        this.list.replaceChildren();
        if (needsTicket(error)) this.close();
        else say(this.none, 'The server does not answer.');
        this.none.hidden = false;
      }
    };
    void refresh();
    this.timer = window.setInterval(() => document.hidden || refresh(), REFRESH_MS);
  }

  hide() {
    window.clearInterval(this.timer);
  }

  /** @param {MatchInfo[]} matches */
  tell(matches) {
    const ours = matches.filter((match) => GAMES.includes(match.game)).sort((a, b) => b.players - a.players);
    const known = new Map([...this.list.children].map((item) => [/** @type {HTMLElement} */ (item).dataset.match, item]));
    const items = ours.slice(0, SHOWN).map((match) => {
      const item = known.get(match.id) ?? this.item(match);
      const fill = item.querySelector('.fill');
      if (fill !== null) say(fill, `${match.players} of ${match.players_max}`);
      return item;
    });
    const same = items.length === this.list.children.length && items.every((item, at) => this.list.children[at] === item);
    if (!same) this.list.replaceChildren(...items);
    say(this.none, 'None yet. Play, and there is one.');
    this.none.hidden = items.length > 0;
  }

  /** @param {MatchInfo} match */
  item({ id, game }) {
    const item = make('li', '');
    item.dataset.match = id;
    const join = make('button', '', 'Join');
    join.onclick = () => this.choices.join(id);
    const watch = make('button', '', 'Watch');
    watch.onclick = () => this.choices.watch(id);
    item.append(make('span', 'id', id), make('span', 'game', game), make('span', 'fill'), watch, join);
    return item;
  }
}

/** Whether the list of matches is only for those with a key. @param {any} error */
function needsTicket(error) {
  return error?.status === 401 || error?.status === 403;
}

function stored() {
  try {
    return localStorage.getItem(NAME_KEY);
  } catch {
    return null;
  }
}
