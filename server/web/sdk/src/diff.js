// Applies the diff of a tick to a world: docs/wire.md, section 7.5. The working memory is shared by all worlds, for
// nothing here waits.

import { Broken } from './broken.js';
import { absolute, displaced, shortest } from './column.js';
import { Decoder } from './coder.js';
import { ENTITIES_MAX, FIELDS_MAX } from './limits.js';
import * as models from './models.js';
import { BESIDE, ECHO, PACE, SMALL_KIND, bits } from './models.js';
import { ANGLE_HOLD, LINEAR, TEXT } from './schema.js';
import { ALIVE, COMMITTED, MOVING } from './table.js';

/** @typedef {import('./table.js').Table} Table */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./prior.js').Prior} Prior */

const coder = new Decoder();
// How the ints and angles of the entity at hand moved in the last tick.
const guesses = new Int32Array(FIELDS_MAX);
const steps = new Float64Array(FIELDS_MAX);
const echoes = new Float64Array(FIELDS_MAX);
/** Which of its texts change. */
const texts = new Uint8Array(FIELDS_MAX);

/**
 * Applies a diff to a world without changes since its last tick. Of bytes that are refused nothing stays.
 * @param {World} world @param {Prior} prior @param {Uint8Array} bytes @param {number} start @param {number} end
 */
export function applyDiff(world, prior, bytes, start, end) {
  coder.begin(bytes, start, end, prior.zeros);
  try {
    for (const table of world.tables) {
      readFlags(table);
      if (table.count > SMALL_KIND) readWoken(table);
      readBorn(table);
    }
    coder.finish();
    world.checkCount();
  } catch (error) {
    world.rollBack();
    throw error;
  }
  world.advance();
}

/** Entities with a flag each. @param {Table} table */
function readFlags(table) {
  const { members, flags, count } = table;
  const changed = table.kind.base;
  const small = count <= SMALL_KIND;
  let neighbours = 0;
  for (let m = 0; m < count; m += 1) {
    const index = members[m];
    const moves = (flags[index] & MOVING) !== 0;
    if (!small && !moves) continue;
    const context = find(table, index);
    const bit = coder.bit(changed + context + neighbours);
    neighbours = ((neighbours << 1) | bit) & 3;
    if (bit === 1) readEntity(table, index, models.GONE);
    else if (moves) goOn(table, index);
  }
}

/** Entities that lay still and are mentioned. @param {Table} table */
function readWoken(table) {
  const { base } = table.kind;
  const count = coder.number(base + models.WOKEN_COUNT);
  if (count > table.count) throw new Broken(`${count} entities woken`);
  let index = -1;
  for (let woken = 0; woken < count; woken += 1) {
    index = coder.index(base + models.WOKEN_GAP, index);
    const still = table.has(index) && (table.flags[index] & MOVING) === 0;
    if (!still) throw new Broken(`${table.kind.name}:${index} does not lie still`);
    find(table, index);
    readEntity(table, index, models.GONE + 1);
  }
}

/**
 * Finds out how an entity moved, what it is guessed to do next, and the context of the flag whether it does.
 * @param {Table} table @param {number} index
 */
function find(table, index) {
  const { cells, kind } = table;
  const { ints, codeAt, mask, min, max } = kind;
  const last = index * table.width + ints;
  let surprised = 0;
  let moving = 0;
  let widest = 0;
  for (let at = 0; at < ints; at += 1) {
    const value = cells[last + at];
    const prior = cells[last + ints + at];
    const code = codeAt[at];
    let step = value - prior;
    let guess = value;
    let echo = step;
    if (code === LINEAR) {
      const before = prior - cells[last + 2 * ints + at];
      guess = value + step;
      if (guess < min[at]) guess = min[at];
      else if (guess > max[at]) guess = max[at];
      let guessed = prior + before;
      if (guessed < min[at]) guessed = min[at];
      else if (guessed > max[at]) guessed = max[at];
      echo = value - guessed;
    } else if (code >= ANGLE_HOLD) {
      step = shortest(mask[at], step);
      echo = step;
      if (code > ANGLE_HOLD) {
        guess = (value + step) & mask[at];
        echo = shortest(mask[at], value - 2 * prior + cells[last + 2 * ints + at]);
      }
    }
    guesses[at] = guess;
    steps[at] = step;
    echoes[at] = echo;
    if (step !== 0) moving = 1;
    if (echo !== 0) {
      surprised += 1;
      const amount = echo < 0 ? -echo : echo;
      if (amount > widest) widest = amount;
    }
  }
  const width = widest > 15 ? 5 : bits(widest);
  return (((surprised > 3 ? 3 : surprised) * 2 + moving) * 6 + width) * 4;
}

/** Nothing was said: the entity goes on as it went. @param {Table} table @param {number} index */
function goOn(table, index) {
  const { cells } = table;
  const now = index * table.width;
  for (let at = 0; at < table.kind.ints; at += 1) cells[now + at] = guesses[at];
  table.touch(index);
}

/** One that is mentioned. @param {Table} table @param {number} index @param {number} gone model of whether it goes */
function readEntity(table, index, gone) {
  if (coder.bit(table.kind.base + gone) === 1) table.despawn(index);
  else readFields(table, index);
}

/** @param {Table} table @param {number} index */
function readFields(table, index) {
  const { cells, kind } = table;
  const { codes, at: places, models: first } = kind;
  const now = index * table.width;
  const lastField = codes.length - 1;
  let before = 0;
  let some = 0;
  let widest = 0;
  let changedTexts = 0;
  table.touch(index);
  for (let f = 0; f <= lastField; f += 1) {
    const only = f === lastField && some === 0;
    const context = first[f] + (before & 1) + (before >> 1);
    const at = places[f];
    let differs = 1;
    if (codes[f] === TEXT) {
      if (!only) differs = coder.bit(context);
      texts[at] = differs;
      changedTexts |= differs;
    } else {
      const echo = echoes[at];
      const width = bits(echo < 0 ? -echo : echo);
      const echoClass = ECHO[width] + (echo < 0 ? 1 : 0);
      const step = steps[at];
      if (!only) differs = coder.bit(context + (echoClass * 3 + PACE[bits(step < 0 ? -step : step)]) * 3);
      if (differs === 1) {
        const direction = step < 0 ? 0 : step > 0 ? 2 : 1;
        const negative = coder.bit(first[f] + models.SIGN + echoClass * 3 + direction);
        const exponent = (width < 7 ? width : 7) * 4 + BESIDE[widest];
        const unary = first[f] + models.EXPONENT + exponent * models.EXPONENT_MODELS;
        const size = 1 + coder.sized(unary, models.EXPONENT_MODELS, first[f] + models.MANTISSA);
        const wide = bits(size);
        if (wide > widest) widest = wide;
        cells[now + at] = displaced(kind, at, guesses[at], negative === 1 ? -size : size);
      } else {
        cells[now + at] = guesses[at];
      }
    }
    before = ((before << 1) | differs) & 3;
    some |= differs;
  }
  if (changedTexts === 1) readTexts(table, index);
}

/** @param {Table} table @param {number} index */
function readTexts(table, index) {
  const { kind } = table;
  for (let at = 0; at < kind.texts; at += 1) {
    if (texts[at] === 1) table.textNow[index * kind.texts + at] = coder.text(kind.bytesMax[at]);
  }
}

/** @param {Table} table */
function readBorn(table) {
  const { kind } = table;
  const count = coder.number(kind.base + models.BORN_COUNT);
  if (count > ENTITIES_MAX) throw new Broken(`${count} entities born`);
  let index = -1;
  for (let born = 0; born < count; born += 1) {
    index = coder.index(kind.base + models.BORN_GAP, index);
    readBirth(coder, table, index, kind.models, models.BIRTH);
  }
}

/**
 * A newborn: each int and angle as its difference from the default, with models that stand side by side.
 * @param {Decoder} coder @param {Table} table @param {number} index
 * @param {Int32Array} first models of each field @param {number} birth where in them those of a birth are
 */
export function readBirth(coder, table, index, first, birth) {
  const { kind } = table;
  coder.mark();
  if (index < table.top && (table.flags[index] & (ALIVE | COMMITTED)) !== 0) {
    throw new Broken(`a birth of ${kind.name}:${index}, which is there`);
  }
  table.spawn(index);
  for (let f = 0; f < kind.codes.length; f += 1) {
    const at = kind.at[f];
    if (kind.codes[f] === TEXT) {
      table.textNow[index * kind.texts + at] = coder.text(kind.bytesMax[at]);
    } else {
      const model = first[f] + birth;
      table.cells[index * table.width + at] = absolute(kind, at, coder.optional(model, model + 1, model + 2));
    }
  }
}
