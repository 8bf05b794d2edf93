// The arithmetic of one int or angle, by its place among those of its kind: docs/wire.md, section 6.2. Sums have up
// to 35 bits, which a double holds.

import { Broken } from './broken.js';
import { ANGLE_LINEAR, LINEAR } from './schema.js';

/** @typedef {import('./schema.js').Kind} Kind */

/** @param {Kind} kind @param {number} at */
export function isLinear(kind, at) {
  const code = kind.codeAt[at];
  return code === LINEAR || code === ANGLE_LINEAR;
}

/** The nearest value within the bounds; of an angle, around the circle. @param {Kind} kind @param {number} at @param {number} value */
export function fit(kind, at, value) {
  const mask = kind.mask[at];
  if (mask !== 0) return value & mask;
  const min = kind.min[at];
  if (value < min) return min;
  const max = kind.max[at];
  return value > max ? max : value;
}

/** The way between two values; of an angle the short one. @param {number} mask 0 for an int @param {number} way */
export function shortest(mask, way) {
  if (mask === 0) return way;
  const half = (mask + 1) >> 1;
  return ((way + half) & mask) - half;
}

/** The value at this difference from a guess. @param {Kind} kind @param {number} at @param {number} guess @param {number} residual */
export function displaced(kind, at, guess, residual) {
  const mask = kind.mask[at];
  const value = guess + residual;
  if (mask !== 0) {
    if (shortest(mask, residual) !== residual) throw new Broken('the long way round');
    return value & mask;
  }
  if (value < kind.min[at] || value > kind.max[at]) throw new Broken('a value beyond its bounds');
  return value;
}

/** A value that was written as its difference from the default. @param {Kind} kind @param {number} at @param {number} difference */
export function absolute(kind, at, difference) {
  const value = kind.initial[at] + difference;
  if (value < kind.min[at] || value > kind.max[at]) throw new Broken('a value beyond its bounds');
  return value;
}

/** The value from which this step led here. @param {Kind} kind @param {number} at @param {number} value @param {number} step */
export function before(kind, at, value, step) {
  const mask = kind.mask[at];
  if (mask === 0) return displaced(kind, at, value, -step);
  if (shortest(mask, step) !== step) throw new Broken('the long way round');
  return (value - step) & mask;
}
