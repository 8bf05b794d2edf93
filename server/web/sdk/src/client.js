// The client's half of its connections, without a socket: frames in, events and frames out. One connection after the
// other: `resume` begins the next one, and inputs that got lost with the last one are sent again. docs/wire.md, 2.2.

import { Broken } from './broken.js';
import { Talk } from './chat.js';
import { OWNER, SERVER_CONTROL, SNAPSHOT, VIEW } from './frame.js';
import { Inputs } from './inputs.js';
import * as message from './message.js';
import { Replica } from './replica.js';
import { Schema } from './schema.js';

/** @typedef {import('./message.js').Join} Join */

/**
 * What a frame meant. `snapshot`, `advanced` and `caught-up`: the state is another one, where ticks that changed nothing may
 * lie before what `advanced`; `owner`: another owner goes on
 * from the very state that we have; `chat`: `news` has lines; `nothing`: no news.
 * @typedef {'welcome' | 'snapshot' | 'advanced' | 'caught-up' | 'owner' | 'nothing' | 'gap' | 'reset' | 'pong' | 'ended' | 'reconnect'
 *   | 'chat' | 'chat-refused'} Event
 */

export class Client {
  /**
   * Begins with a hello in `transmit`.
   * @param {string} name @param {Join} join
   */
  constructor(name, join) {
    this.name = name;
    this.join = join;
    this.inputs = new Inputs();
    this.talk = new Talk(join);
    /** The lines that the last `chat` told. @type {import('./chat.js').Line[]} */
    this.news = [];
    /** What the last `chat-refused` did not say. */
    this.refused = '';
    /** What the last welcome told. @type {import('./message.js').Welcome | null} */
    this.welcome = null;
    /** @type {Replica | null} */
    this.replica = null;
    /** The last good state's position, over all connections. @type {message.Position} */
    this.shown = { fence: { epoch: 0n, nonce: 0n }, tick: 0 };
    /** How often this player has resumed; a page that was loaded anew does not know. */
    this.attempts = join.kind === 'resume' ? join.attempt : 0;
    /** This connection was let in. */
    this.welcomed = false;
    /** The first state of a resumed connection is still to come. */
    this.resuming = join.kind === 'resume';
    /** Where the last hello asks for. */
    this.asked = join;
    /** Frames to send, in this order. @type {Uint8Array[]} */
    this.transmit = [message.hello(name, join)];
    /** The last message besides the welcome. @type {import('./message.js').ServerMessage} */
    this.said = { type: 'ended' };
    /** Index of our player's entity, remembered because a search looks at every player; -1 while it is not there. */
    this.entity = -1;
    /** Whether there was a state before. */
    this.owned = false;
    /** Of all connections. */
    this.desyncs = 0;
  }

  /** The player that we are; null for a spectator, and before the welcome. */
  get player() {
    return this.welcome?.player ?? null;
  }

  /** What shows on another connection that we are this player; null for a spectator. @returns {message.Seat | null} */
  get seat() {
    if (this.welcome === null) return this.join.kind === 'resume' ? this.join.seat : null;
    const { matchId, player, token } = this.welcome;
    return player === null ? null : { matchId, player, token };
  }

  /** Whether the replica holds a state that is true. */
  get current() {
    return this.replica !== null && !this.replica.waiting;
  }

  /**
   * The connection is gone or about to be: begins the next one. Asks for the same place, or joins again if it was
   * never let in. Nothing of what was to be sent remains; the state waits for a snapshot.
   */
  resume() {
    this.replica?.invalidate();
    this.transmit.length = 0;
    this.welcomed = false;
    /** @type {Join} */
    let join = this.join;
    if (this.welcome !== null) {
      this.resuming = this.talk.waits = true;
      this.attempts = Math.min(this.attempts + 1, message.COUNT_LOST);
      const { seat, shown, attempts } = this;
      join = seat === null
        ? { kind: 'spectate', matchId: this.welcome.matchId } : { kind: 'resume', seat, shown, attempt: attempts };
    }
    this.asked = join;
    this.transmit.push(message.hello(this.name, join));
  }

  /** Lets the hello that is still to be sent show a ticket. @param {string} ticket */
  show(ticket) {
    this.transmit[0] = message.hello(this.name, this.asked, ticket);
  }

  /**
   * Sends an input: one value for each input field of the schema. Returns its number; 0 while none can be sent: before
   * the state is there and the player is part of it, as a spectator, and when 64 are not acknowledged.
   * @param {ArrayLike<number>} values
   * @param {number} [behind] how far the picture that the player is shown is behind the state, in 256ths of a tick
   */
  input(values, behind = 0) {
    const { replica } = this;
    if (replica === null || !this.welcomed || this.resuming || !this.owned || this.player === null) return 0;
    if (!replica.schema.admits(values)) throw new RangeError(`not an input of this game: ${Array.from(values)}`);
    // Nobody would take the first ones, and those behind them would wait for them.
    if (this.inputs.lastSeq === 0 && this.entity < 0) return 0;
    const frame = this.inputs.push((seq) => message.input(seq, replica.tick, behind, values));
    if (frame === null) return 0;
    this.transmit.push(frame);
    return this.inputs.lastSeq;
  }

  /**
   * Says something; kept until it is heard, and said again on the next connection. Returns its number, 0 if nothing can
   * be said. @param {import('./chat.js').To} to @param {string} text
   */
  say(to, text) {
    if (this.player === null) return 0;
    const { seq } = this.talk.say(to, text);
    if (this.welcomed && !this.talk.waits) this.transmit.push(message.chat(seq, to, text));
    return seq;
  }

  /** @param {number} nonce a u32 */
  ping(nonce) {
    this.transmit.push(message.ping(nonce));
  }

  leave() {
    this.transmit.push(message.leave());
  }

  /** Takes in a frame; `Broken` if a server must not send it. @param {Uint8Array} bytes @returns {Event} */
  handle(bytes) {
    if (bytes[0] === SERVER_CONTROL) return this.handleMessage(message.decodeServerMessage(bytes));
    const { replica } = this;
    if (replica === null || !this.welcomed) throw new Broken('state before the welcome');
    const { tick, fence, waiting } = replica;
    const isSnapshot = bytes[0] === SNAPSHOT || bytes[0] === VIEW;
    const progress = replica.apply(bytes);
    if (progress === 'gap') {
      if (waiting && !isSnapshot) return 'nothing';
      if (replica.reason === 'desync') this.desyncs += 1;
      this.transmit.push(message.needSnapshot());
      return 'gap';
    }
    if (replica.waiting) return 'nothing';
    this.shown.fence = replica.fence;
    this.shown.tick = replica.tick;
    const announced = bytes[0] === OWNER;
    const changed = announced || (isSnapshot && this.owned && !replica.isOwner(fence));
    this.owned = true;
    if (progress === 'advanced') this.acknowledge();
    if (this.resuming || changed) {
      this.resuming = false;
      this.transmit.push(...this.inputs.again());
    }
    if (progress === 'nothing') return announced ? 'owner' : 'nothing';
    if (isSnapshot) return 'snapshot';
    return bytes[0] < SNAPSHOT || replica.tick === tick + 1 ? 'advanced' : 'caught-up';
  }

  /** Finds our player's entity, and which of our inputs the state includes. */
  acknowledge() {
    const { player, replica } = this;
    if (player === null || replica === null) return;
    const { playerKind, playerField, seqField } = replica.schema;
    const table = replica.world.tables[playerKind.number];
    const playerAt = playerKind.at[playerField];
    const known = this.entity >= 0 && table.has(this.entity) && table.cell(this.entity, playerAt, 1) === player;
    if (!known) {
      this.entity = -1;
      for (let m = 0; m < table.count; m += 1) {
        if (table.cell(table.members[m], playerAt, 1) === player) this.entity = table.members[m];
      }
    }
    if (this.entity >= 0) this.inputs.acknowledge(table.cell(this.entity, playerKind.at[seqField], 1));
  }

  /** @param {message.ServerMessage} said @returns {Event} */
  handleMessage(said) {
    if (said.type === 'welcome') return this.handleWelcome(said);
    this.said = said;
    if (said.type === 'chat') return this.hear([said.line]);
    if (said.type === 'chat-history') return this.handleHistory(said.lines);
    if (said.type === 'chat-refused') {
      this.refused = this.talk.refused(said.seq);
      // What was said already was heard, or is behind what is kept.
      return said.reason === 'repeated' ? 'nothing' : said.type;
    }
    if (said.type === 'reset') {
      this.replica?.invalidate();
      this.talk.setBack(said.to);
    }
    return said.type;
  }

  /** @param {message.ChatLine[]} lines @returns {Event} */
  hear(lines) {
    this.news = this.talk.hear(lines, this.player);
    return this.news.length > 0 ? 'chat' : 'nothing';
  }

  /** What was said before we came. @param {message.ChatLine[]} lines */
  handleHistory(lines) {
    const event = this.hear(lines);
    if (this.talk.waits) this.transmit.push(...this.talk.again());
    this.talk.waits = false;
    return event;
  }

  /** @param {message.Welcome} welcome @returns {Event} */
  handleWelcome(welcome) {
    if (this.welcomed) throw new Broken('a second welcome');
    const expected = this.welcome ?? (this.join.kind === 'resume' ? this.join.seat : welcome);
    if (expected.matchId !== welcome.matchId || expected.player !== welcome.player) {
      throw new Broken('a welcome to another place');
    }
    const schema = this.replica !== null && this.welcome?.schema === welcome.schema
      ? this.replica.schema : new Schema(welcome.schema);
    this.replica = new Replica(schema);
    this.welcome = welcome;
    this.welcomed = true;
    this.entity = -1;
    return 'welcome';
  }
}
