// Leads a world over several ticks at once: docs/wire.md, section 7.7.

import { Broken } from './broken.js';
import { displaced, fit, isLinear, shortest } from './column.js';
import { Decoder, NUMBER_MODELS } from './coder.js';
import { readBirth } from './diff.js';
import { ENTITIES_MAX } from './limits.js';
import { TEXT } from './schema.js';
import { MOVING } from './table.js';

/** @typedef {import('./schema.js').Kind} Kind */
/** @typedef {import('./table.js').Table} Table */
/** @typedef {import('./world.js').World} World */

/** Over how many ticks it leads, and how many steps before the first are known. @typedef {{ span: number, known: number }} Leap */

const GONE = 8;
const BORN_COUNT = GONE + 1;
const BORN_GAP = BORN_COUNT + NUMBER_MODELS;
const SIZE = BORN_GAP + NUMBER_MODELS;
const KIND = SIZE + NUMBER_MODELS;
const SIGN = 3;
const BIRTH = SIGN + 1;
const FIELD = BIRTH + 2 + NUMBER_MODELS;

const coder = new Decoder();

/**
 * Applies it to a world without changes since its last tick. Of bytes that are refused nothing stays.
 * @param {World} world @param {Leap} leap @param {Uint8Array} bytes @param {number} start @param {number} end
 */
export function applyCatchUp(world, leap, bytes, start, end) {
  const models = world.schema.kinds.reduce((sum, kind) => sum + KIND + FIELD * kind.fields.length, 0);
  coder.beginAdaptive(bytes, start, end, models);
  try {
    let base = 0;
    for (const table of world.tables) {
      readTable(table, leap, base);
      base += KIND + FIELD * table.kind.fields.length;
    }
    coder.finish();
    world.checkCount();
  } catch (error) {
    world.rollBack();
    throw error;
  }
  world.advance();
  if (leap.span > 1) world.forgetPast();
}

/** @param {Table} table @param {Leap} leap @param {number} base */
function readTable(table, leap, base) {
  let neighbours = 0;
  for (let m = 0; m < table.count; m += 1) {
    const index = table.members[m];
    const moves = (table.flags[index] & MOVING) !== 0;
    const changed = coder.bit(base + (moves ? 4 : 0) + neighbours);
    neighbours = ((neighbours << 1) | changed) & 3;
    if (changed === 1 && coder.bit(base + GONE) === 1) {
      table.despawn(index);
    } else if (changed === 1 || moves) {
      readFields(table, index, leap, base, changed === 1);
    }
  }
  const count = coder.number(base + BORN_COUNT);
  if (count > ENTITIES_MAX) throw new Broken(`${count} entities born`);
  const first = Int32Array.from(table.kind.codes, (_, f) => base + KIND + FIELD * f);
  let index = -1;
  for (let born = 0; born < count; born += 1) {
    index = coder.index(base + BORN_GAP, index);
    readBirth(coder, table, index, first, BIRTH);
  }
}

/** @param {Table} table @param {number} index @param {Leap} leap @param {number} base @param {boolean} mentioned */
function readFields(table, index, leap, base, mentioned) {
  const { kind } = table;
  table.touch(index);
  let before = 0;
  for (let f = 0; f < kind.codes.length; f += 1) {
    const model = base + KIND + FIELD * f;
    const differs = mentioned ? coder.bit(model + (before & 1) + (before >> 1)) : 0;
    before = ((before << 1) | differs) & 3;
    const at = kind.at[f];
    if (kind.codes[f] === TEXT) {
      if (differs === 1) table.textNow[index * kind.texts + at] = coder.text(kind.bytesMax[at]);
      continue;
    }
    const guess = guessAfter(table, index, at, leap);
    const residual = differs === 1 ? coder.difference(model + SIGN, base + SIZE) : 0;
    table.cells[index * table.width + at] = displaced(kind, at, guess, residual);
  }
}

/** A linear field goes on at the mean of its known steps. @param {Table} table @param {number} index @param {number} at @param {Leap} leap */
function guessAfter(table, index, at, { span, known }) {
  const { kind } = table;
  const last = table.cell(index, at, 1);
  if (known === 0 || !isLinear(kind, at)) return last;
  const mask = kind.mask[at];
  const prior = table.cell(index, at, 2);
  const step = shortest(mask, last - prior);
  const way = known === 1 ? step * span : Math.trunc(((step + shortest(mask, prior - table.cell(index, at, 3))) * span) / 2);
  return fit(kind, at, last + way);
}
