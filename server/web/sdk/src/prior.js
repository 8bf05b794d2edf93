// The probabilities that a match's diffs are coded with, from one published prior to the next: docs/wire.md, 7.4.

import { Broken } from './broken.js';
import { Decoder, NUMBER_MODELS } from './coder.js';

/** Probability of a 0 at levels 0 to 63, in 1/65536: 65536 / (1 + e^(-level / 8)), rounded. */
const ZEROS = Uint16Array.from({ length: 64 }, (_, level) => Math.round(65_536 / (1 + Math.exp(-level / 8))));

const SIGN = 9;
const SIZE = SIGN + 3;

const coder = new Decoder();

/**
 * @typedef {object} Prior
 * @property {number} number counts the priors of a match, modulo 256
 * @property {Uint16Array} zeros probability of a 0 for each model, in 1/65536
 */

/** What every match begins with: every bit as likely as not. @param {import('./schema.js').Schema} schema @returns {Prior} */
export function firstPrior(schema) {
  return { number: 0, zeros: new Uint16Array(schema.models).fill(ZEROS[0]) };
}

/**
 * @param {import('./schema.js').Schema} schema
 * @param {Uint8Array} bytes @param {number} start @param {number} end
 * @returns {Prior}
 */
export function decodePrior(schema, bytes, start, end) {
  if (start >= end) throw new Broken('a prior without its number');
  const zeros = new Uint16Array(schema.models);
  coder.beginAdaptive(bytes, start + 1, end, SIZE + NUMBER_MODELS);
  let before = 1;
  let earlier = 1;
  for (let model = 0; model < zeros.length; model += 1) {
    const level = coder.optional(3 * before + earlier, SIGN + before, SIZE);
    if (level < -63 || level > 63) throw new Broken(`a level of ${level}`);
    zeros[model] = level < 0 ? 65_536 - ZEROS[-level] : ZEROS[level];
    earlier = before;
    before = Math.sign(level) + 1;
  }
  coder.finish();
  return { number: bytes[start], zeros };
}
