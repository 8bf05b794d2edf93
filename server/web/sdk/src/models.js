// The numbering of the models that diffs are coded with: docs/wire.md, section 7.5.

import { NUMBER_MODELS } from './coder.js';

// Models of a kind, counted from its first one.
export const GONE = 192;
export const WOKEN_COUNT = GONE + 2;
export const WOKEN_GAP = WOKEN_COUNT + NUMBER_MODELS;
export const BORN_COUNT = WOKEN_GAP + NUMBER_MODELS;
export const BORN_GAP = BORN_COUNT + NUMBER_MODELS;
export const KIND_MODELS = BORN_GAP + NUMBER_MODELS;

// Models of an integer or angle, counted from its first one.
export const SIGN = 81;
export const EXPONENT = SIGN + 27;
/** How many models an exponent has in each context. */
export const EXPONENT_MODELS = 12;
export const MANTISSA = EXPONENT + 32 * EXPONENT_MODELS;
export const BIRTH = MANTISSA + 36;
export const INT_MODELS = BIRTH + 2 + NUMBER_MODELS;
/** Models of a text: whether it changes. */
export const TEXT_MODELS = 3;

/** Kinds with at most this many entities have a flag for each; larger ones only for those that move. */
export const SMALL_KIND = 32;

/** Digits of an amount: 0 for 0, 1 for 1, 2 for 2 and 3. @param {number} amount not negative */
export function bits(amount) {
  return amount > 0xffff_ffff ? 33 : 32 - Math.clz32(amount);
}

/** @param {number} last greatest number of bits @param {number[]} limits class n goes up to limits[n] */
function byBits(last, limits) {
  return Uint8Array.from({ length: last + 1 }, (_, width) => limits.filter((limit) => width > limit).length);
}

/** Class of an echo that is not negative, by its bits; of a negative one it is one more. */
export const ECHO = byBits(34, [0, 1, 2, 4]).map((place) => Math.max(0, 2 * place - 1));
/** Class of a step by its bits. */
export const PACE = byBits(34, [0, 3]);
/** Class of the widest residual beside, by its bits. */
export const BESIDE = byBits(34, [0, 2, 5]);
