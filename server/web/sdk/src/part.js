// The entities of one segment, packed: memory follows the entities that there are, not their indexes, for a match may have
// thousands of segments. Never changed; a section makes another one.

import { EMPTY_TEXT } from './coder.js';
import { ALIVE, COMMITTED, MOVING } from './table.js';

/** @typedef {import('./coder.js').Text} Text */
/** @typedef {import('./table.js').Table} Table */
/** @typedef {import('./world.js').World} World */

/** Ticks of which values are kept. */
const TICKS = 3;

/**
 * The entities of one kind: their indexes, ascending, and of each the values of the last three ticks, its texts and its hash.
 * @typedef {{ members: Uint16Array, cells: Int32Array, texts: Text[], hashes: Int32Array }} Pack
 */

export class Part {
  /** What stands in a world. @param {World} bench */
  constructor(bench) {
    this.packs = bench.tables.map(packed);
    this.count = this.packs.reduce((sum, { members }) => sum + members.length, 0);
    this.hash = bench.hash;
    /** Whether the next tick is another one even if nothing is said. */
    this.moves = bench.tables.some(({ members, flags, count }) => {
      for (let m = 0; m < count; m += 1) if ((flags[members[m]] & MOVING) !== 0) return true;
      return false;
    });
  }

  /** Puts everything into a world that has nothing. @param {World} bench */
  unpack(bench) {
    bench.hash = this.hash;
    this.packs.forEach(({ members, cells, texts, hashes }, kind) => {
      const table = bench.tables[kind];
      const { ints, texts: each } = table.kind;
      const last = members.length - 1;
      if (last < 0) return;
      table.grow(members[last]);
      table.top = members[last] + 1;
      table.members.set(members);
      table.count = table.alive = members.length;
      for (let m = 0; m <= last; m += 1) {
        const index = members[m];
        table.flags[index] = ALIVE | COMMITTED;
        table.hashes[index] = hashes[m];
        const from = m * TICKS * ints;
        const to = index * table.width;
        for (let at = 0; at < ints; at += 1) {
          table.cells[to + at] = table.cells[to + ints + at] = cells[from + at];
          table.restorePast(index, at, cells[from + ints + at], cells[from + 2 * ints + at]);
        }
        for (let text = 0; text < each; text += 1) {
          table.textNow[index * each + text] = table.textLast[index * each + text] = texts[m * each + text];
        }
      }
    });
  }

  /** Takes everything out of a world again that was packed or unpacked. @param {World} bench */
  clear(bench) {
    bench.hash = 0;
    this.packs.forEach(({ members }, kind) => {
      const table = bench.tables[kind];
      const { texts } = table.kind;
      for (const index of members) {
        table.flags[index] = table.hashes[index] = 0;
        table.textNow.fill(EMPTY_TEXT, index * texts, (index + 1) * texts);
        table.textLast.fill(EMPTY_TEXT, index * texts, (index + 1) * texts);
      }
      table.count = table.alive = table.top = 0;
    });
  }

  /** Calls this with each entity and its place among those of its kind. @param {(kind: number, index: number, place: number) => void} each */
  forEach(each) {
    for (let kind = 0; kind < this.packs.length; kind += 1) {
      const { members } = this.packs[kind];
      for (let m = 0; m < members.length; m += 1) each(kind, members[m], m);
    }
  }

  /** Gives an entity of another table the values that it has here. @param {Table} table @param {number} index @param {number} place */
  show(table, index, place) {
    const { cells, texts } = this.packs[table.kind.number];
    const { ints, texts: each } = table.kind;
    for (let at = 0; at < ints; at += 1) table.cells[index * table.width + at] = cells[place * TICKS * ints + at];
    for (let text = 0; text < each; text += 1) table.textNow[index * each + text] = texts[place * each + text];
  }

  /** And the past that it has here. @param {Table} table @param {number} index @param {number} place */
  remind(table, index, place) {
    const { cells } = this.packs[table.kind.number];
    const { ints } = table.kind;
    const from = place * TICKS * ints;
    table.flags[index] = ALIVE | COMMITTED;
    for (let at = 0; at < ints; at += 1) table.restorePast(index, at, cells[from + ints + at], cells[from + 2 * ints + at]);
  }
}

/** @type {Pack} */
const NONE = { members: new Uint16Array(0), cells: new Int32Array(0), texts: [], hashes: new Int32Array(0) };

/** @param {Table} table @returns {Pack} */
function packed({ kind, count, members: from, cells: all, hashes: known, textLast, width }) {
  if (count === 0) return NONE;
  const { ints, texts: each } = kind;
  const members = from.slice(0, count);
  const cells = new Int32Array(count * TICKS * ints);
  const hashes = new Int32Array(count);
  const texts = [];
  for (let m = 0; m < count; m += 1) {
    const index = members[m];
    hashes[m] = known[index];
    for (let at = 0; at < TICKS * ints; at += 1) cells[m * TICKS * ints + at] = all[index * width + ints + at];
    for (let text = index * each; text < (index + 1) * each; text += 1) texts.push(textLast[text]);
  }
  return { members, cells, texts, hashes };
}
