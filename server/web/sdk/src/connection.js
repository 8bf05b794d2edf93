// The shell of a match: sockets and timers. Opens the next connection when the last one is lost, and decides nothing
// that could be decided without a socket.

import { mayComeBack } from './close.js';
import { VIEW } from './frame.js';
import { Lifeline, Retry } from './lifeline.js';
import { SUBPROTOCOL } from './limits.js';

/** @typedef {import('./match.js').Match} Match */
/** @typedef {import('./replica.js').Replica} Replica */

/**
 * As much of a WebSocket as is needed; that of browsers, of Node 22 and of the package ws have it.
 * @typedef {object} Socket
 * @property {string} binaryType
 * @property {number} readyState
 * @property {number} bufferedAmount
 * @property {((event: any) => void) | null} onopen
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 * @property {(data: any) => void} send
 * @property {(code?: number, reason?: string) => void} close
 */

/** A ticket, or what asks the game's backend for one: each is good once. @typedef {string | (() => string | Promise<string>)} Tickets */

/** @typedef {new (url: string, protocols?: string | string[]) => Socket} SocketType */

/**
 * @typedef {object} ConnectionOptions
 * @property {string[]} urls of nodes; after a loss the next one is tried
 * @property {SocketType} [WebSocket] what to connect with; by default what the browser or Node has
 * @property {number} [reconnectMs] for how long to try to come back; 0 never tries
 * @property {Tickets} [ticket] what a connection shows that is no player's next one
 * @property {() => number} [random] from 0 to 1
 * @property {() => Promise<typeof import('./segments.js')>} [load] what reads matches in segments, which few pages need
 */

const TIMER_MS = 8;
/** How much may wait for what reads it, and what a frame counts besides its bytes. */
const HELD_MAX = 2 ** 25;
const HELD_FRAME = 2 ** 10;
const OPEN = 1;

/** What to connect with. @param {SocketType} [given] @returns {SocketType} */
export function socketType(given) {
  const own = /** @type {SocketType | undefined} */ (/** @type {any} */ (globalThis).WebSocket);
  const found = given ?? own;
  if (found === undefined) {
    throw new Error('no WebSocket: install the package ws and pass it, new Tickcast({ url, WebSocket })');
  }
  return found;
}

export class Connection {
  /** @param {Match} match @param {ConnectionOptions} options */
  constructor(match, { urls, WebSocket, ticket = '', reconnectMs = 10_000, random = Math.random,
    load = () => import('./segments.js') }) {
    this.match = match;
    this.urls = urls;
    this.type = socketType(WebSocket);
    this.ticket = ticket;
    this.isOver = false;
    this.now = match.now;
    this.random = random;
    this.load = load;
    /** Frames that wait, and room for more. @type {{ bytes: Uint8Array, now: number }[] | null} */
    this.held = null;
    this.room = 0;
    this.retry = new Retry(reconnectMs);
    this.opened = 0;
    /** @type {Socket | null} */
    this.socket = null;
    /** One that is being opened while there still is another. @type {Socket | null} */
    this.moving = null;
    this.lifeline = new Lifeline(this.now());
    /** When to open the next connection, and where to. */
    this.next = { at: Infinity, url: '' };
    match.transport = { flush: () => this.flush(), close: () => this.end(), backlog: () => this.socket?.bufferedAmount ?? 0, socket: () => this.socket };
    this.timer = setInterval(() => this.poll(), TIMER_MS);
    this.open('');
  }

  /** Opens the next connection. @param {string} url empty for the next one of ours */
  open(url) {
    this.next.at = Infinity;
    this.admit((ticket) => {
      if (ticket) this.match.client.show(ticket);
      this.take(this.make(url));
    }, (error) => this.finish(1006, `${error}`));
  }

  /**
   * Goes on with a ticket: at once where none is needed, as by a player who has a seat, or where it is there.
   * @param {(ticket: string) => void} then @param {(error: unknown) => void} failed
   */
  admit(then, failed) {
    const { ticket, match } = this;
    /** @param {string} shown */
    const go = (shown) => {
      try {
        if (!this.isOver) then(shown);
      } catch (error) {
        failed(error);
      }
    };
    if (match.client.seat !== null) go('');
    else if (typeof ticket === 'string') go(ticket);
    else Promise.resolve().then(ticket).then(go, (error) => this.isOver || failed(error));
  }

  /** @param {string} url */
  make(url) {
    const to = url || this.urls[this.opened % this.urls.length];
    this.opened += 1;
    const socket = new this.type(to, [SUBPROTOCOL]);
    socket.binaryType = 'arraybuffer';
    socket.onerror = () => {};
    return socket;
  }

  /** From now on this one is used. @param {Socket} socket */
  take(socket) {
    this.drop();
    this.socket = socket;
    this.lifeline = new Lifeline(this.now());
    socket.onopen = () => this.flush();
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = (event) => this.closed(event.code, event.reason);
  }

  /** Goes on elsewhere once that is open; until then, and if it never is, the match is followed here. @param {string} url */
  move(url) {
    this.next.at = Infinity;
    this.admit((ticket) => {
      const socket = this.make(url);
      this.moving = socket;
      socket.onopen = () => {
        this.moving = null;
        this.match.client.resume();
        if (ticket) this.match.client.show(ticket);
        this.take(socket);
        this.flush();
      };
    }, () => {}); // Where we are will say when it ends.
  }

  /** @param {unknown} data */
  receive(data) {
    const now = this.now();
    this.lifeline.heard = now;
    if (data instanceof ArrayBuffer) this.hear(new Uint8Array(data), now);
    this.flush();
  }

  /** @param {Uint8Array} bytes @param {number} now when they came */
  hear(bytes, now) {
    const { replica } = this.match.client;
    if (bytes[0] === VIEW && replica?.segments === null && this.held === null) this.hold(replica);
    if (this.held !== null) {
      this.held.push({ bytes, now });
      this.room -= bytes.length + HELD_FRAME;
      if (this.room < 0) this.finish(1006, 'too much to keep');
      return;
    }
    try {
      const event = this.match.receive(bytes, now);
      const { said } = this.match.client;
      if (event === 'welcome') {
        this.lifeline.welcomed = true;
        this.retry.succeeded();
      } else if (event === 'pong' && said.type === event) {
        const sent = this.lifeline.sentAt(said.nonce);
        if (!Number.isNaN(sent)) this.match.netcode?.clock.pong(sent, now);
      } else if (event === 'reconnect' && said.type === event) {
        // The node is about to stop: a random moment, so that not all come to the next one at once.
        this.next = { at: now + said.withinMs * this.random(), url: said.url };
      }
    } catch (error) {
      // The server does what it must not do; to go on would be to guess.
      this.finish(1002, `${error}`);
    }
  }

  /** Loads what reads a match in segments; until it is there frames wait, in their order. @param {Replica} replica */
  hold(replica) {
    /** @type {{ bytes: Uint8Array, now: number }[]} */
    const held = [];
    this.held = held;
    this.room = HELD_MAX;
    this.load().then(({ Segments }) => {
      if (this.held !== held) return;
      this.held = null;
      replica.segments = new Segments(replica);
      for (const { bytes, now } of held) if (!this.isOver) this.hear(bytes, now);
      this.flush();
    }).catch((error) => this.held === held && this.finish(1006, `${error}`));
  }

  poll() {
    const now = this.now();
    const { match, lifeline, socket } = this;
    if (now >= this.next.at) {
      if (socket !== null) {
        this.move(this.next.url);
      } else {
        match.client.resume();
        this.open(this.next.url);
      }
      return;
    }
    if (socket === null) return;
    if (lifeline.isLost(now)) {
      this.closed(1006, 'nothing was heard any more');
      return;
    }
    if (lifeline.isPingDue(now)) match.client.ping(lifeline.ping(now));
    match.sendDue(now);
    match.checkStall(now);
    this.flush();
  }

  flush() {
    const { transmit } = this.match.client;
    while (transmit.length > 0 && this.socket?.readyState === OPEN) this.socket.send(transmit.shift());
  }

  /** @param {number} code @param {string} reason */
  closed(code, reason) {
    this.drop();
    const wait = mayComeBack(code) ? this.retry.next(this.now(), this.random()) : -1;
    if (wait < 0) {
      this.finish(code, reason);
      return;
    }
    this.next = { at: this.now() + wait, url: '' };
    this.match.client.replica?.invalidate();
    this.match.lost(this.retry.tries);
  }

  drop() {
    if (this.socket !== null) release(this.socket);
    if (this.moving !== null) release(this.moving);
    this.socket = this.moving = this.held = null;
  }

  end() {
    this.isOver = true;
    clearInterval(this.timer);
    this.next.at = Infinity;
    this.drop();
  }

  /** @param {number} code @param {string} reason */
  finish(code, reason) {
    this.end();
    this.match.ends(code, reason);
  }
}

/** Ends a socket without hearing of it any more. @param {Socket} socket */
function release(socket) {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close();
}
