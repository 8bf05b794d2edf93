// The entities of one kind. Each has a row at its index: four blocks of integers (now, and those of the last three
// ticks), and texts now and at the last tick. A decoder writes *now*; `advance` makes that the next tick. Rows grow
// with the greatest index that was used; a tick makes no garbage.

import { isLinear } from './column.js';
import { EMPTY_TEXT } from './coder.js';
import { hashEnd, hashWord } from './hash.js';

/** @typedef {import('./schema.js').Kind} Kind */
/** @typedef {import('./coder.js').Text} Text */

// What is known of a row.
/** There with the changes since the last tick. */
export const ALIVE = 1;
/** There at the last tick. */
export const COMMITTED = 2;
const DIRTY = 4;
/** The next tick differs from this one even if nothing is said about the entity. */
export const MOVING = 8;

const ROWS_MIN = 16;

export class Table {
  /** @param {Kind} kind */
  constructor(kind) {
    this.kind = kind;
    this.linear = Uint8Array.from(kind.codeAt, (_, at) => (isLinear(kind, at) ? 1 : 0));
    this.width = 4 * kind.ints;
    this.cells = new Int32Array(0);
    this.flags = new Uint8Array(0);
    this.hashes = new Int32Array(0);
    /** @type {Text[]} */
    this.textNow = [];
    /** @type {Text[]} */
    this.textLast = [];
    /** Behind the highest index that was used. */
    this.top = 0;
    /** Indexes of the last tick's entities, ascending; `count` of them. */
    this.members = new Uint16Array(0);
    this.count = 0;
    /** Indexes that changed since the last tick. */
    this.dirty = new Uint16Array(0);
    this.dirtyCount = 0;
    /** Entities that are there with the changes since the last tick. */
    this.alive = 0;
    /** How many times somebody came or went. */
    this.changes = 0;
  }

  /** Whether the entity is there. @param {number} index */
  has(index) {
    return index < this.top && (this.flags[index] & COMMITTED) !== 0;
  }

  /** The value of an int or angle by its place among them: now (0), at the last tick (1), or before (2, 3). @param {number} index @param {number} at @param {number} block */
  cell(index, at, block) {
    return this.cells[index * this.width + block * this.kind.ints + at];
  }

  /** @param {number} index */
  grow(index) {
    if (index < this.flags.length) return;
    const rows = Math.max(ROWS_MIN, 2 ** Math.ceil(Math.log2(index + 1)));
    /** @template {Int32Array | Uint8Array | Uint16Array} T @param {T} old @param {T} larger */
    const copied = (old, larger) => (larger.set(old), larger);
    this.cells = copied(this.cells, new Int32Array(rows * this.width));
    this.flags = copied(this.flags, new Uint8Array(rows));
    this.hashes = copied(this.hashes, new Int32Array(rows));
    this.members = copied(this.members, new Uint16Array(rows));
    this.dirty = copied(this.dirty, new Uint16Array(rows));
    for (let text = this.textNow.length; text < rows * this.kind.texts; text += 1) {
      this.textNow.push(EMPTY_TEXT);
      this.textLast.push(EMPTY_TEXT);
    }
  }

  /** Says that the values now may be others. @param {number} index */
  touch(index) {
    if ((this.flags[index] & DIRTY) !== 0) return;
    this.flags[index] |= DIRTY;
    this.dirty[this.dirtyCount] = index;
    this.dirtyCount += 1;
  }

  /** A newborn; its values are still to be set. @param {number} index not in use */
  spawn(index) {
    this.grow(index);
    if (index >= this.top) this.top = index + 1;
    this.flags[index] |= ALIVE;
    this.alive += 1;
    this.touch(index);
  }

  /** @param {number} index */
  despawn(index) {
    this.flags[index] &= ~ALIVE;
    this.alive -= 1;
    this.touch(index);
  }

  /** Makes the values now those of the next tick; returns by how much the sum of hashes grew. */
  advance() {
    let grown = 0;
    let changed = false;
    for (let at = 0; at < this.dirtyCount; at += 1) {
      const index = this.dirty[at];
      grown = (grown - this.hashes[index]) | 0;
      const there = this.flags[index] & (ALIVE | COMMITTED);
      if (there !== (ALIVE | COMMITTED)) changed = true;
      if (there === ALIVE) this.settle(index);
      if ((there & ALIVE) !== 0) this.commit(index);
      else this.leave(index);
      grown = (grown + this.hashes[index]) | 0;
    }
    this.dirtyCount = 0;
    if (changed) this.renewMembers();
    return grown;
  }

  /** @param {number} index */
  leave(index) {
    this.flags[index] = 0;
    this.hashes[index] = 0;
    const { texts } = this.kind;
    for (let text = index * texts; text < (index + 1) * texts; text += 1) {
      this.textNow[text] = this.textLast[text] = EMPTY_TEXT;
    }
  }

  /** A newborn was always as it is. @param {number} index */
  settle(index) {
    const { cells } = this;
    const { ints } = this.kind;
    const base = index * this.width;
    for (let at = base; at < base + ints; at += 1) {
      cells[at + ints] = cells[at + 2 * ints] = cells[at];
    }
  }

  /** Shifts an entity's ticks by one; finds out its hash, and whether it moves. @param {number} index */
  commit(index) {
    const { cells, linear, kind } = this;
    const { ints, texts } = kind;
    const base = index * this.width;
    let moving = 0;
    let state = hashWord(0, (kind.number << 16) | index);
    let words = 1 + ints;
    for (let at = 0; at < ints; at += 1) {
      const cell = base + at;
      const now = cells[cell];
      const last = cells[cell + ints];
      const prior = cells[cell + 2 * ints];
      cells[cell + ints] = now;
      cells[cell + 2 * ints] = last;
      cells[cell + 3 * ints] = prior;
      if (now !== last || (last !== prior && linear[at] === 1)) moving = MOVING;
      state = hashWord(state, now);
    }
    for (let text = index * texts; text < (index + 1) * texts; text += 1) {
      const now = this.textNow[text];
      this.textLast[text] = now;
      const of = now.words;
      for (let at = 0; at < of.length; at += 1) state = hashWord(state, of[at]);
      words += of.length;
    }
    this.hashes[index] = hashEnd(state, words);
    this.flags[index] = ALIVE | COMMITTED | moving;
  }

  renewMembers() {
    const { flags, members } = this;
    let count = 0;
    let top = 0;
    for (let index = 0; index < this.top; index += 1) {
      if ((flags[index] & COMMITTED) !== 0) {
        members[count] = index;
        count += 1;
        top = index + 1;
      }
    }
    this.count = count;
    this.top = top;
    this.changes += 1;
  }

  /** Takes every change since the last tick back. */
  rollBack() {
    const { cells } = this;
    const { ints, texts } = this.kind;
    for (let at = 0; at < this.dirtyCount; at += 1) {
      const index = this.dirty[at];
      const base = index * this.width;
      cells.copyWithin(base, base + ints, base + 2 * ints);
      for (let text = index * texts; text < (index + 1) * texts; text += 1) this.textNow[text] = this.textLast[text];
      const flags = this.flags[index] & ~(DIRTY | ALIVE);
      this.flags[index] = (flags & COMMITTED) !== 0 ? flags | ALIVE : 0;
    }
    this.dirtyCount = 0;
    this.alive = this.count;
  }

  /** Gives an entity another past, in which these were its steps. @param {number} index @param {number} at @param {number} prior @param {number} older */
  restorePast(index, at, prior, older) {
    const { ints } = this.kind;
    const cell = index * this.width + at;
    this.cells[cell + 2 * ints] = prior;
    this.cells[cell + 3 * ints] = older;
    const last = this.cells[cell + ints];
    if (last !== prior || (prior !== older && this.linear[at] === 1)) this.flags[index] |= MOVING;
  }

  /** Forgets every tick but the last: nothing moves. */
  forgetPast() {
    const { ints } = this.kind;
    for (let m = 0; m < this.count; m += 1) {
      const index = this.members[m];
      const base = index * this.width;
      this.cells.copyWithin(base + 2 * ints, base + ints, base + 2 * ints);
      this.cells.copyWithin(base + 3 * ints, base + ints, base + 2 * ints);
      this.flags[index] &= ~MOVING;
    }
  }
}
