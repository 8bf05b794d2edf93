// The local player without waiting for the server: its rules run here too, and are set right by what the server says.
// The page gives the rules as a pure function over the very integers of the state. What was guessed wrong is corrected
// at once in the simulation, and only on the screen smoothly. Pure.

import { shortest } from '../column.js';

/** @typedef {import('../table.js').Table} Table */

/**
 * One tick of the local player: changes `state`, the values of the fields in their order, in place. It may depend on
 * nothing but these two: what the server keeps besides must be among the fields. Of a tick without an input, `input`
 * is the one before.
 * @callback Step
 * @param {Int32Array} state @param {Int32Array} input @returns {void}
 */

/**
 * @typedef {object} PredictionOptions
 * @property {string[]} fields the fields of the player's entity that `step` knows
 * @property {string[]} [smooth] those of them that the player moves: their corrections are counted and shown smoothly;
 *   all by default
 * @property {Step} step
 * @property {number} [snap] a correction of more than this, in steps of the field, is shown at once
 * @property {number} [decayMs] after so long half of a correction is left to be seen
 */

const KEPT = 128;

export class Prediction {
  /** @param {import('../schema.js').Kind} kind of the player's entity @param {number} inputs fields of an input @param {PredictionOptions} options */
  constructor(kind, inputs, { fields, smooth = fields, step, snap = Infinity, decayMs = 60 }) {
    this.enabled = true;
    this.step = step;
    this.snap = snap;
    this.decayMs = decayMs;
    this.places = fields.map((name) => {
      const f = kind.field(name);
      if (kind.fields[f].type === 'text') throw new RangeError(`${name} is a text, which is not predicted`);
      return kind.at[f];
    });
    this.masks = this.places.map((at) => kind.mask[at]);
    this.names = new Map(fields.map((name, at) => [name, at]));
    this.smooth = fields.map((name) => smooth.includes(name));
    const { length } = fields;
    /** The newest guess. */
    this.state = new Int32Array(length);
    /** The guess of each of the last ticks. */
    this.states = Array.from({ length: KEPT }, () => new Int32Array(length));
    this.stateTicks = new Float64Array(KEPT).fill(-1);
    this.inputs = Array.from({ length: KEPT }, () => new Int32Array(inputs));
    this.inputTicks = new Float64Array(KEPT).fill(-1);
    this.input = new Int32Array(inputs);
    /** Tick of the newest guess; -1 before the first state. */
    this.tick = -1;
    this.firstSeq = 1;
    this.lastSeq = 0;
    this.acknowledged = 0;
    // The last two guesses and what is still to be seen of corrections.
    this.before = new Int32Array(length);
    this.offsets = new Float64Array(length);
    this.scratch = new Int32Array(length);
    /** Guesses that were compared with the server's state, those that were wrong, and by how much the last was. */
    this.compared = 0;
    this.mispredictions = 0;
    this.lastError = 0;
    /** Tick of the last state. */
    this.reconciled = -1;
    /** Ticks that the server did with the very input they were guessed with, and those of them that were wrong: no input
     * came early or late, but `step` does something else than the server, or something else moved the player. */
    this.judged = 0;
    this.unexplained = 0;
  }

  /** Begins anew with the next state. */
  forget() {
    this.tick = -1;
    this.offsets.fill(0);
    this.stateTicks.fill(-1);
  }

  /** An input is on its way, meant for this tick. @param {number} seq @param {number} tick @param {ArrayLike<number>} values */
  predict(seq, tick, values) {
    if (seq !== this.lastSeq + 1) this.firstSeq = seq;
    this.lastSeq = seq;
    const slot = seq % KEPT;
    for (let at = 0; at < values.length; at += 1) this.inputs[slot][at] = values[at];
    this.inputTicks[slot] = tick;
    if (this.tick < 0 || !this.enabled) return;
    if (tick <= this.tick) this.rewind(tick - 1);
    this.advance(tick);
  }

  /** The server is not as far as was thought: what was guessed beyond this tick does not count. @param {number} tick */
  rewind(tick) {
    const slot = tick % KEPT;
    if (this.stateTicks[slot] !== tick) return;
    this.scratch.set(this.states[slot]);
    for (let later = tick + 1; later <= this.tick; later += 1) this.stateTicks[later % KEPT] = -1;
    for (let at = 0; at < this.offsets.length; at += 1) {
      this.offsets[at] += shortest(this.masks[at], this.state[at] - this.scratch[at]);
    }
    this.state.set(this.scratch);
    this.before.set(this.scratch);
    this.tick = tick;
  }

  /** Goes on to this tick. @param {number} tick */
  advance(tick) {
    if (tick - this.tick > KEPT) this.tick = tick - KEPT;
    while (this.tick < tick) {
      this.tick += 1;
      this.before.set(this.state);
      this.step(this.state, this.inputFor(this.tick));
      const slot = this.tick % KEPT;
      this.states[slot].set(this.state);
      this.stateTicks[slot] = this.tick;
    }
  }

  /** The newest input that is meant for this tick or one before. @param {number} tick */
  inputFor(tick) {
    let found = this.input;
    const oldest = Math.max(this.firstSeq, this.lastSeq - KEPT + 1, 1);
    for (let seq = this.lastSeq; seq >= oldest; seq -= 1) {
      if (seq > this.acknowledged && this.inputTicks[seq % KEPT] > tick) continue;
      found = this.inputs[seq % KEPT];
      break;
    }
    return found;
  }

  /** Whether a tick was guessed with what this input wants. @param {number} tick @param {number} seq */
  wasGuessedWith(tick, seq) {
    if (seq < this.firstSeq || seq > this.lastSeq || seq <= this.lastSeq - KEPT) return false;
    const guessed = this.inputFor(tick);
    const applied = this.inputs[seq % KEPT];
    for (let at = 0; at < applied.length; at += 1) if (guessed[at] !== applied[at]) return false;
    return true;
  }

  /**
   * The server's state of a tick: sets the simulation right.
   * @param {Table} table @param {number} index of the player's entity @param {number} tick @param {number} seq the last input in it
   */
  reconcile(table, index, tick, seq) {
    const judges = tick === this.reconciled + 1 && this.wasGuessedWith(tick, seq);
    this.reconciled = tick;
    if (seq > this.acknowledged || this.tick < 0) this.acknowledged = seq;
    const known = this.stateTicks[tick % KEPT] === tick;
    const guess = this.states[tick % KEPT];
    let same = known;
    let wrong = 0;
    for (let at = 0; at < this.places.length; at += 1) {
      const value = table.cell(index, this.places[at], 1);
      const error = Math.abs(shortest(this.masks[at], value - guess[at]));
      if (error !== 0) same = false;
      if (known && this.smooth[at] && error > wrong) wrong = error;
      this.scratch[at] = value;
    }
    if (known) this.compared += 1;
    if (known && judges) this.judged += 1;
    if (wrong > 0) {
      if (judges) this.unexplained += 1;
      this.mispredictions += 1;
      this.lastError = wrong;
    }
    if (same) return;
    this.replay(tick);
  }

  /** From the server's state on everything that is under way runs again. @param {number} tick */
  replay(tick) {
    const { tick: to, offsets } = this;
    // Whoever was not ahead has guessed nothing that could be corrected.
    const ahead = to > tick;
    for (let at = 0; at < offsets.length; at += 1) offsets[at] += this.state[at];
    this.before.set(ahead ? this.scratch : this.state);
    if (to < 0) this.before.set(this.scratch);
    this.state.set(this.scratch);
    this.tick = tick;
    this.states[tick % KEPT].set(this.state);
    this.stateTicks[tick % KEPT] = tick;
    if (ahead) this.advance(to);
    for (let at = 0; at < offsets.length; at += 1) {
      const offset = shortestPart(this.masks[at], offsets[at] - this.state[at]);
      offsets[at] = !ahead || !this.smooth[at] || Math.abs(offset) > this.snap ? 0 : offset;
    }
  }

  /** What is seen of corrections fades. @param {number} passed milliseconds */
  fade(passed) {
    const left = 2 ** (-passed / this.decayMs);
    for (let at = 0; at < this.offsets.length; at += 1) {
      this.offsets[at] = Math.abs(this.offsets[at]) < 0.01 ? 0 : this.offsets[at] * left;
    }
  }

  /**
   * What to show of a field: between the last two guesses, with what is left of corrections.
   * @param {string} name @param {number} part of the tick that has passed, 0 to 1
   */
  value(name, part) {
    const at = this.names.get(name);
    if (at === undefined) throw new RangeError(`${name} is not predicted`);
    const from = this.before[at];
    return from + shortest(this.masks[at], this.state[at] - from) * part + this.offsets[at];
  }
}

/** The short way round, with fractions. @param {number} mask @param {number} way */
function shortestPart(mask, way) {
  if (mask === 0) return way;
  const turn = mask + 1;
  return way - turn * Math.round(way / turn);
}
