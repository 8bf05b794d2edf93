// One match as a page sees it: what happens in it, its entities, the own player, what is shown now. Knows no socket;
// the connection hands frames in and takes frames out.

import { Chat } from './chat.js';
import { Client } from './client.js';
import { Entities } from './entities.js';
import { Emitter } from './events.js';
import { closeText } from './close.js';
import { Metrics } from './netcode/metrics.js';
import { Netcode } from './netcode/netcode.js';

/** @typedef {import('./message.js').Join} Join */
/** @typedef {import('./message.js').Seat} Seat */
/** @typedef {import('./schema.js').Schema} Schema */
/** @typedef {import('./table.js').Table} Table */

/** An input: values by the names of the schema's input fields, or all of them in order. @typedef {Record<string, number> | ArrayLike<number>} Controls */

/**
 * What a page can be told with `match.on(name, listener)`.
 * @typedef {{
 *   join: [player: number, index: number],
 *   leave: [player: number, index: number],
 *   change: [tick: number, ticks: number],
 *   gap: [reason: import('./replica.js').Reason, why: string],
 *   reset: [from: number, to: number],
 *   owner: [],
 *   stall: [ms: number],
 *   reconnect: [attempt: number],
 *   back: [],
 *   chat: [line: import('./chat.js').Line],
 *   'chat-refused': [reason: import('./message.js').ChatRefusal, text: string],
 *   ended: [],
 *   close: [code: number, text: string],
 * }} MatchEvents
 */

/**
 * The shell, as a match knows it.
 * @typedef {object} Transport
 * @property {() => void} flush sends what is to be sent
 * @property {() => void} close
 * @property {() => number} backlog bytes that the network has not taken yet
 * @property {() => import('./connection.js').Socket | null} socket the connection there is, for tests of its loss
 */

/** Without news for so long, the match is stalled. */
const STALL_MS = 250;

/** @extends {Emitter<MatchEvents>} */
export class Match extends Emitter {
  /** @param {string} name of the player @param {Join} join @param {() => number} now milliseconds of a steady clock */
  constructor(name, join, now) {
    super();
    this.client = new Client(name, join);
    this.chat = new Chat(this);
    this.now = now;
    this.counted = new Metrics();
    /** @type {Netcode | null} */
    this.netcode = null;
    /** Index of each player's entity. @type {Map<number, number>} */
    this.players = new Map();
    /** @type {unknown} */
    this.playersOf = null;
    this.playersAt = -1;
    /** @type {(() => Controls | null) | null} */
    this.controls = null;
    this.values = new Int32Array(0);
    this.changedAt = Number.NaN;
    this.isStalled = false;
    /** Whether it is over for this page. */
    this.closed = false;
    /** What the shell does. @type {Transport} */
    this.transport = { flush() {}, close() {}, backlog: () => 0, socket: () => null };
    /** @type {Map<string, Entities>} */
    this.views = new Map();
  }

  /** @returns {Schema} */
  get schema() {
    if (this.client.replica === null) throw new Error('the match is not joined yet');
    return this.client.replica.schema;
  }

  /** Name of the match; it can be joined with it. */
  get id() {
    return this.client.welcome?.matchId ?? '';
  }

  /** Name of the node that this connection is on. */
  get node() {
    return this.client.welcome?.node ?? '';
  }

  get tickRate() {
    return this.client.welcome?.tickRate ?? 0;
  }

  /** The newest tick. */
  get tick() {
    return this.client.replica?.tick ?? 0;
  }

  /** Whether the newest state is one to trust: no gap, no reset, no lost connection. */
  get isCurrent() {
    return this.client.welcomed && this.client.current;
  }

  /** The player that we are; null for a spectator. */
  get player() {
    return this.client.player;
  }

  /** Index of our player's entity; -1 while it is not there. */
  get me() {
    return this.client.entity;
  }

  /** What another page needs to go on as this player, within the resume window. As secret as a password. */
  get seat() {
    const { seat } = this.client;
    return seat === null ? null : JSON.stringify({ ...seat, token: Array.from(seat.token) });
  }

  /** The entities of a kind. @param {string} kind */
  entities(kind) {
    const known = this.views.get(kind);
    if (known !== undefined) return known;
    const found = this.schema.kinds.find((each) => each.name === kind);
    if (found === undefined) throw new RangeError(`${this.schema.game} has no kind ${kind}`);
    const view = new Entities(found, {
      table: (number) => this.client.replica?.world.tables[number] ?? null,
      history: this.smooth.history,
    });
    this.views.set(kind, view);
    return view;
  }

  /** The parts of the netcode, each with its switch. */
  get smooth() {
    if (this.netcode === null) throw new Error('the match is not joined yet');
    return this.netcode;
  }

  /**
   * From now on `controls` is asked for an input as often as one is due, about once per tick; null is none.
   * @param {(() => Controls | null) | null} controls
   */
  steer(controls) {
    this.controls = controls;
  }

  /** Sends one input now; returns its number, 0 if none can be sent. @param {Controls} controls */
  input(controls) {
    this.netcode?.inputClock.align(this.now());
    return this.send(controls);
  }

  /** @param {Controls} controls */
  send(controls) {
    const { netcode, client } = this;
    if (netcode === null) return 0;
    this.fill(controls);
    const seq = client.input(this.values, netcode.shownBehind);
    if (seq === 0) return 0;
    netcode.inputSent(seq, this.values, this.now());
    // From now on a state is owed, and silence is more than that nothing moves.
    netcode.silentMs = Math.min(netcode.silentMs, netcode.inputAt - this.changedAt + netcode.clock.rtt);
    this.transport.flush();
    return seq;
  }

  /** Whole numbers within their bounds; what is not said is 0. @param {Controls} controls */
  fill(controls) {
    const { input } = this.schema;
    if (this.values.length !== input.length) this.values = new Int32Array(input.length);
    for (let at = 0; at < input.length; at += 1) {
      const { name, min, max } = input[at];
      const value = isList(controls) ? controls[at] : controls[name];
      this.values[at] = Math.min(Math.max(Math.round(Number(value) || 0), min), max);
    }
  }

  /** Predicts our own player from now on. @param {import('./netcode/prediction.js').PredictionOptions} options */
  predict(options) {
    return this.smooth.predict(options);
  }

  /** What to show of a field of our own player: predicted where it is, else as of everybody. @param {string} field */
  own(field) {
    const { prediction, predictedPart } = this.smooth;
    if (prediction?.enabled && prediction.tick >= 0 && prediction.names.has(field)) {
      return prediction.value(field, predictedPart);
    }
    return this.entities(this.schema.playerKind.name).shown(this.me, field);
  }

  /** Moves what is shown on to now: once per picture, before values are asked for. */
  frame(now = this.now()) {
    this.sendDue(now);
    this.netcode?.frame(now);
  }

  /** Asks for the inputs that are due. @param {number} now */
  sendDue(now) {
    const { netcode, controls } = this;
    if (netcode === null || controls === null || !this.isCurrent || this.me < 0) return;
    if (this.transport.backlog() > 4_096) return;
    for (let due = netcode.inputClock.due(now); due > 0; due -= 1) {
      const wanted = controls();
      if (wanted === null) netcode.inputClock.tick += 1;
      else if (this.send(wanted) === 0) return;
    }
  }

  /** The figures of a netgraph. */
  metrics(now = this.now()) {
    const { counted, netcode } = this;
    return {
      rttMs: netcode?.clock.rtt ?? 0,
      jitterMs: netcode?.clock.jitter ?? 0,
      bufferMs: netcode === null ? 0 : netcode.playout.buffer * netcode.clock.interval,
      delayMs: netcode === null ? 0 : netcode.playout.delay * netcode.clock.interval,
      tickRate: counted.ticks.rate(now, 3),
      bytesPerSecond: counted.bytes.rate(now, 3),
      stallsPerMinute: counted.stalls.rate(now, 59) * 60,
      correctionsPerSecond: counted.corrections.rate(now, 10),
      unexplainedCorrections: netcode?.prediction?.unexplained ?? 0,
      lastCorrection: netcode?.prediction?.lastError ?? 0,
      inputLeadTicks: netcode?.inputClock.lead ?? 0,
      inputErrorTicks: netcode?.inputClock.error ?? 0,
      unacknowledged: this.client.inputs.lastSeq - this.client.inputs.acknowledged,
      starvedFrames: netcode?.playout.starved ?? 0,
      catchUps: counted.catchUps,
      snapshots: counted.snapshots,
      gaps: counted.gaps,
      desyncs: this.client.desyncs,
      resets: counted.resets,
      owners: counted.owners,
      reconnects: counted.reconnects,
      inputsSentAgain: this.client.inputs.sentAgain,
    };
  }

  /** Takes the player out of the match for good. */
  leave() {
    this.client.leave();
    this.transport.flush();
  }

  /** Ends the connection; the player keeps its seat for a while, see `seat`. */
  close() {
    this.transport.close();
    this.ends(1000, 'closed by this page');
  }

  // What the connection tells.

  /** @param {Uint8Array} bytes @param {number} now @returns {import('./client.js').Event} */
  receive(bytes, now) {
    this.counted.bytes.add(now, bytes.length);
    const before = this.tick;
    const event = this.client.handle(bytes);
    const { said, replica, refused, news } = this.client;
    if (event === 'advanced' || event === 'caught-up' || event === 'snapshot') this.stateChanged(event, before, now);
    else if (event === 'welcome') this.welcomed();
    else if (event === 'chat') news.forEach((line) => this.emit(event, line));
    else if (event === 'ended') this.emit(event);
    else if (event === 'owner') {
      this.counted.owners += 1;
      this.emit(event);
    } else if (event === 'gap' && replica !== null) {
      this.counted.gaps += 1;
      this.emit(event, replica.reason, replica.why);
    } else if (event === 'reset' && said.type === event) {
      this.counted.resets += 1;
      this.netcode?.forget();
      this.emit(event, said.from, said.to);
    } else if (event === 'chat-refused' && said.type === event) {
      this.emit(event, said.reason, refused);
    }
    return event;
  }

  welcomed() {
    const { client } = this;
    if (this.netcode === null) this.netcode = new Netcode(this.schema, this.tickRate);
    else this.netcode.clock.forget();
    this.netcode.quietMs = client.welcome?.quietMs ?? 0;
    if (client.owned) this.emit('back');
  }

  /** @param {'advanced' | 'caught-up' | 'snapshot'} event @param {number} before @param {number} now */
  stateChanged(event, before, now) {
    const { client, netcode, counted } = this;
    const { replica } = client;
    if (replica === null || netcode === null) return;
    if (event === 'caught-up') counted.catchUps += 1;
    if (event === 'snapshot') counted.snapshots += 1;
    counted.ticks.add(now, Math.max(0, Math.min(replica.tick - before, event === 'snapshot' ? 1 : 255)));
    const wrong = netcode.prediction?.mispredictions ?? 0;
    // A state of an earlier tick than what was seen: time itself was set back.
    if (replica.tick < before) netcode.forget();
    netcode.stateArrived(replica, client.entity, now, event === 'advanced');
    if ((netcode.prediction?.mispredictions ?? 0) > wrong) counted.corrections.add(now);
    this.changedAt = now;
    this.isStalled = false;
    this.trackPlayers();
    this.emit('change', replica.tick, replica.tick - before);
  }

  /** Finds out who came and who went. */
  trackPlayers() {
    const { playerKind, playerField } = this.schema;
    const table = this.client.replica?.world.tables[playerKind.number];
    if (table === undefined || (this.playersOf === table && this.playersAt === table.changes)) return;
    this.playersOf = table;
    this.playersAt = table.changes;
    const there = new Map();
    for (const index of table.members.subarray(0, table.count)) {
      there.set(table.cell(index, playerKind.at[playerField], 1), index);
    }
    const were = this.players;
    this.players = there;
    for (const [player, index] of were) if (there.get(player) !== index) this.emit('leave', player, index);
    for (const [player, index] of there) if (were.get(player) !== index) this.emit('join', player, index);
  }

  /** Tells of a stall once, when it has lasted long enough. @param {number} now */
  checkStall(now) {
    if (this.isStalled || !(now - this.changedAt > STALL_MS + (this.netcode?.silentMs ?? 0))) return;
    this.isStalled = true;
    this.counted.stalls.add(now);
    this.emit('stall', now - this.changedAt);
  }

  /** The connection is lost; the next one is tried. @param {number} attempt */
  lost(attempt) {
    if (attempt === 1) this.counted.reconnects += 1;
    this.emit('reconnect', attempt);
  }

  /** There is no way back. @param {number} code @param {string} reason */
  ends(code, reason) {
    if (this.closed) return;
    this.closed = true;
    this.emit('close', code, closeText(code, reason));
  }
}


/** @param {Controls} controls @returns {controls is ArrayLike<number>} */
function isList(controls) {
  return Array.isArray(controls) || ArrayBuffer.isView(controls);
}
