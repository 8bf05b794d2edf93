// The parts of the netcode put together for one match. Pure; the shell says what arrives and when.

import { Clock } from './clock.js';
import { History } from './history.js';
import { InputClock } from './input_clock.js';
import { Playout } from './playout.js';
import { Prediction } from './prediction.js';

/** @typedef {import('../replica.js').Replica} Replica */

export class Netcode {
  /** @param {import('../schema.js').Schema} schema @param {number} tickRate */
  constructor(schema, tickRate) {
    this.schema = schema;
    this.clock = new Clock(tickRate);
    this.playout = new Playout(this.clock);
    this.history = new History(schema.kinds.length);
    this.inputClock = new InputClock(this.clock);
    /** @type {Prediction | null} */
    this.prediction = null;
    const buffer = schema.playerKind.fieldOf.get('input_buffer');
    /** Place of the field that tells how many inputs wait at the owner, if the game has it. */
    this.bufferAt = buffer === undefined ? -1 : schema.playerKind.at[buffer];
    this.framed = Number.NaN;
    this.inputAt = 0;
    /** For how long the server holds ticks back that change nothing, and how long it may be silent now. */
    this.quietMs = 0;
    this.silentMs = 0;
  }

  /** @param {import('./prediction.js').PredictionOptions} options */
  predict(options) {
    this.prediction = new Prediction(this.schema.playerKind, this.schema.input.length, options);
    return this.prediction;
  }

  /**
   * The state is another one. @param {Replica} replica @param {number} entity of our player, or -1 @param {number} now
   * @param {boolean} [goesOn] the ticks since the last one that arrived, if there are any, have changed nothing
   */
  stateArrived(replica, entity, now, goesOn = false) {
    const { tick, world } = replica;
    this.clock.tickArrived(tick, now);
    if (goesOn) this.history.stay(tick - 1);
    this.silentMs = this.history.take(world, tick) ? 0 : this.quietMs;
    const known = tick + this.silentMs / this.clock.interval;
    this.playout.arrived(tick, known);
    this.inputClock.arrived(known);
    if (entity < 0) return;
    const { playerKind, seqField } = this.schema;
    const table = world.tables[playerKind.number];
    const seq = table.cell(entity, playerKind.at[seqField], 1);
    const waiting = this.bufferAt < 0 ? 0 : table.cell(entity, this.bufferAt, 1);
    this.inputClock.applied(seq, tick, waiting);
    this.prediction?.reconcile(table, entity, tick, seq);
  }

  /** Nothing that was seen leads to what comes: the match was set back. */
  forget() {
    this.clock.forget();
    this.playout.forget();
    this.history.forget();
    this.inputClock.forget();
    this.prediction?.forget();
  }

  /** An input was sent; the local player goes on with it. @param {number} seq @param {ArrayLike<number>} values @param {number} now */
  inputSent(seq, values, now) {
    const tick = this.inputClock.sent(seq);
    this.inputAt = now;
    this.prediction?.predict(seq, tick, values);
  }

  /** Chooses the moment that is shown from now on. @param {number} now */
  frame(now) {
    this.history.seek(this.playout.update(now));
    if (!Number.isNaN(this.framed)) this.prediction?.fade(Math.max(0, now - this.framed));
    this.framed = now;
  }

  /** How far the shown moment is behind the newest tick, as an input tells it: in 256ths of a tick. */
  get shownBehind() {
    return Math.min(0xffff, Math.max(0, Math.round(this.playout.behind * 256) || 0));
  }

  /** How much of the newest guessed tick has passed, 0 to 1. */
  get predictedPart() {
    return Math.min(1, Math.max(0, (this.framed - this.inputAt) / this.clock.interval));
  }
}
