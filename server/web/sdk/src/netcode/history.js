// The last states of a match, for showing a moment between two ticks. Rings of copies: after the first round nothing
// is allocated, and asking for a value makes no garbage.

import { fit, isLinear, shortest } from '../column.js';
import { ALIVE, COMMITTED, MOVING } from '../table.js';

/** @typedef {import('../world.js').World} World */
/** @typedef {import('../table.js').Table} Table */

const SLOTS = 32;

/** The entities of one kind at one tick. */
class Copy {
  constructor() {
    this.cells = new Int32Array(0);
    this.present = new Uint8Array(0);
    this.top = 0;
  }

  /** Copies them; returns whether one of them moves. @param {Table} table */
  take(table) {
    const { ints } = table.kind;
    if (this.present.length < table.top) {
      this.present = new Uint8Array(table.flags.length);
      this.cells = new Int32Array(table.flags.length * ints);
    }
    this.present.fill(0);
    this.top = table.top;
    let flags = 0;
    for (let m = 0; m < table.count; m += 1) {
      const index = table.members[m];
      this.present[index] = 1;
      flags |= table.flags[index];
      const from = index * table.width + ints;
      for (let at = 0; at < ints; at += 1) this.cells[index * ints + at] = table.cells[from + at];
    }
    return (flags & MOVING) !== 0;
  }

  /** @param {number} index */
  has(index) {
    return index < this.top && this.present[index] === 1;
  }
}

export class History {
  /** @param {number} kinds */
  constructor(kinds) {
    this.slots = Array.from({ length: SLOTS }, () => ({ tick: -1, copies: Array.from({ length: kinds }, () => new Copy()) }));
    this.next = 0;
    /** The moment that is asked about: between these slots, or beyond the newest. */
    this.older = this.slots[0];
    this.newer = this.slots[0];
    this.part = 0;
    /** Ticks beyond the newest. */
    this.beyond = 0;
  }

  /** Until this tick everything was as it is at the newest. @param {number} tick */
  stay(tick) {
    const newest = this.slots[(this.next + SLOTS - 1) % SLOTS];
    if (newest.tick >= 0) newest.tick = tick;
  }

  /** Returns whether anything moves. @param {World} world @param {number} tick */
  take(world, tick) {
    const slot = this.slots[this.next];
    slot.tick = tick;
    let moves = false;
    for (let kind = 0; kind < world.tables.length; kind += 1) moves = slot.copies[kind].take(world.tables[kind]) || moves;
    this.next = (this.next + 1) % SLOTS;
    return moves;
  }

  forget() {
    for (const slot of this.slots) slot.tick = -1;
  }

  /** Chooses the moment that is asked about. @param {number} moment in ticks */
  seek(moment) {
    let older = this.slots[(this.next + SLOTS - 1) % SLOTS];
    let newer = older;
    for (let back = 2; back <= SLOTS && older.tick > moment; back += 1) {
      const slot = this.slots[(this.next + SLOTS - back) % SLOTS];
      if (slot.tick < 0) break;
      newer = older;
      older = slot;
    }
    this.older = older;
    this.newer = newer;
    this.beyond = newer === older ? Math.max(0, moment - older.tick) : 0;
    this.part = newer === older ? 0 : Math.max(0, (moment - older.tick) / (newer.tick - older.tick));
  }

  /** Whether the entity is there at that moment. @param {number} kind @param {number} index */
  has(kind, index) {
    return this.older.copies[kind].has(index);
  }

  /** Behind the highest index there is at that moment. @param {number} kind */
  top(kind) {
    return this.older.copies[kind].top;
  }

  /**
   * The value of an int or angle at that moment, with its fraction; of one that is held, as it was at the tick before.
   * @param {Table} table as it is now, for what is beyond the newest tick @param {number} index @param {number} at
   */
  value(table, index, at) {
    const { kind } = table;
    const older = this.older.copies[kind.number];
    const from = older.cells[index * kind.ints + at];
    if (!isLinear(kind, at) && kind.mask[at] === 0) return from;
    const newer = this.newer.copies[kind.number];
    if (this.beyond > 0) return this.guess(table, index, at, from);
    if (!newer.has(index)) return from;
    const way = shortest(kind.mask[at], newer.cells[index * kind.ints + at] - from);
    return from + way * this.part;
  }

  /** Beyond the newest tick a linear value goes on as it went. @param {Table} table @param {number} index @param {number} at @param {number} from */
  guess(table, index, at, from) {
    const { kind } = table;
    const known = index < table.top && (table.flags[index] & (ALIVE | COMMITTED)) === (ALIVE | COMMITTED);
    if (!known || !isLinear(kind, at)) return from;
    const value = from + shortest(kind.mask[at], from - table.cell(index, at, 2)) * this.beyond;
    return kind.mask[at] === 0 ? fit(kind, at, value) : value;
  }
}
