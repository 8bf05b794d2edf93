// Reads the whole state: docs/wire.md, section 7.6.

import { absolute, before, isLinear } from './column.js';
import { Decoder, NUMBER_MODELS } from './coder.js';
import { TEXT } from './schema.js';
import { World } from './world.js';

/** @typedef {import('./table.js').Table} Table */

const KIND = 2 * NUMBER_MODELS;
/** Models of a value, of a step and of a bend. */
const VALUE = 3 + NUMBER_MODELS;

const coder = new Decoder();

/**
 * @param {import('./schema.js').Schema} schema @param {Uint8Array} bytes @param {number} start @param {number} end
 * @param {World} [world] in which nothing is
 */
export function decodeSnapshot(schema, bytes, start, end, world = new World(schema)) {
  const models = schema.kinds.reduce((sum, kind) => sum + KIND + 3 * VALUE * kind.fields.length, 0);
  coder.beginAdaptive(bytes, start, end, models);
  /** @type {(() => void)[]} */
  const pasts = [];
  let base = 0;
  for (const table of world.tables) {
    const count = coder.number(base);
    let index = -1;
    for (let read = 0; read < count; read += 1) {
      index = coder.index(base + NUMBER_MODELS, index);
      coder.mark();
      table.spawn(index);
      readEntity(table, index, base + KIND, pasts);
    }
    base += KIND + 3 * VALUE * table.kind.fields.length;
  }
  coder.finish();
  world.checkCount();
  world.advance();
  for (const restore of pasts) restore();
  return world;
}

/** @param {Table} table @param {number} index @param {number} base @param {(() => void)[]} pasts */
function readEntity(table, index, base, pasts) {
  const { kind } = table;
  for (let f = 0; f < kind.codes.length; f += 1) {
    const at = kind.at[f];
    if (kind.codes[f] === TEXT) {
      table.textNow[index * kind.texts + at] = coder.text(kind.bytesMax[at]);
      continue;
    }
    const model = base + 3 * VALUE * f;
    const value = readValue(model, 0);
    const step = readValue(model + VALUE, value);
    const last = absolute(kind, at, value);
    const prior = before(kind, at, last, step);
    const bend = isLinear(kind, at) ? readValue(model + 2 * VALUE, step) : 0;
    const older = isLinear(kind, at) ? before(kind, at, prior, step + bend) : prior;
    table.cells[index * table.width + at] = last;
    // The rows' past is known only once they are committed.
    if (prior !== last || older !== last) pasts.push(() => table.restorePast(index, at, prior, older));
  }
}

/** @param {number} base @param {number} after the number before */
function readValue(base, after) {
  return coder.optional(base + (after === 0 ? 0 : 1), base + 2, base + 3);
}
