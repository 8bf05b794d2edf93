// Reads bits of known probability, and the numbers and texts that they make up: docs/wire.md, sections 7.1 to 7.3.
// Range and code have 48 bits: exact in a double, which is why the wire has them.

import { Broken } from './broken.js';
import { ENTITIES_MAX, TEXT_BYTES_MAX } from './limits.js';

const TOP = 2 ** 48 - 1;
/** Below this range two more bytes come in. */
const RANGE_MIN = 2 ** 32;
const HALF = 32_768;
const EXPONENT_MAX = 32;
const MANTISSAS = 12;

const UNARY = 18;
/** Models of a number: its exponent's, then its mantissa's. */
export const NUMBER_MODELS = UNARY + 3 * MANTISSAS;

/**
 * A text of the state: for people, and as the words that its hash is made of (length in bytes, then the bytes).
 * @typedef {{ readonly value: string, readonly words: Int32Array }} Text
 */

/** @type {Text} */
export const EMPTY_TEXT = { value: '', words: new Int32Array(1) };

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const textBytes = new Uint8Array(TEXT_BYTES_MAX);

/**
 * One reader serves many streams: beginning anew makes no garbage. Models are either those of a prior, which stay
 * as they are, or a set of its own that starts at one half and adapts.
 */
export class Decoder {
  constructor() {
    /** @type {Uint8Array} */
    this.bytes = new Uint8Array(0);
    this.start = 0;
    this.at = 0;
    this.end = 0;
    // Never whole at first, so that engines keep both as doubles.
    this.code = 0.5;
    this.range = 0.5;
    /** Probability of a 0 for each model, in 1/65536. @type {Uint16Array} */
    this.zeros = new Uint16Array(0);
    this.adapts = false;
    this.own = new Uint16Array(0);
    /** How many bits each model of its own has had. */
    this.had = new Uint8Array(0);
  }

  /**
   * Begins a stream with probabilities that stay.
   * @param {Uint8Array} bytes @param {number} start @param {number} end @param {Uint16Array} zeros
   */
  begin(bytes, start, end, zeros) {
    this.bytes = bytes;
    this.start = start;
    this.at = start;
    this.end = end;
    this.zeros = zeros;
    this.adapts = false;
    this.range = TOP;
    this.code = this.pair() * 2 ** 32 + this.pair() * 65_536 + this.pair();
  }

  /**
   * Begins a stream with so many models that adapt.
   * @param {Uint8Array} bytes @param {number} start @param {number} end @param {number} models
   */
  beginAdaptive(bytes, start, end, models) {
    if (this.own.length < models) {
      this.own = new Uint16Array(models);
      this.had = new Uint8Array(models);
    }
    this.own.fill(HALF);
    this.had.fill(0);
    this.begin(bytes, start, end, this.own);
    this.adapts = true;
  }

  /** The next two bytes; behind the end are zeros, as many as are asked for. */
  pair() {
    const { bytes, at, end } = this;
    this.at = at + 2;
    if (at + 1 < end) return (bytes[at] << 8) | bytes[at + 1];
    return at < end ? bytes[at] << 8 : 0;
  }

  refill() {
    // Only bytes that no encoder wrote let the code pass the range.
    const low = this.code < RANGE_MIN ? this.code : this.code % RANGE_MIN;
    this.code = low * 65_536 + this.pair();
    this.range *= 65_536;
  }

  /** @param {number} model @returns {0 | 1} */
  bit(model) {
    const zero = this.zeros[model];
    const { code } = this;
    let { range } = this;
    const bound = Math.floor(range / 65_536) * zero;
    /** @type {0 | 1} */
    let bit = 0;
    if (code < bound) {
      range = bound;
    } else {
      bit = 1;
      this.code = code - bound;
      range -= bound;
    }
    this.range = range;
    if (range < RANGE_MIN) this.refill();
    if (this.adapts) this.adapt(model, zero, bit);
    return bit;
  }

  /** @param {number} model @param {number} zero @param {number} bit */
  adapt(model, zero, bit) {
    const had = this.had[model];
    const shift = had < 8 ? 1 + (had >> 1) : 5;
    if (had < 8) this.had[model] = had + 1;
    this.own[model] = bit === 1 ? zero - (zero >> shift) : zero + ((65_535 - zero) >> shift);
  }

  /** Up to 16 bits, each as likely as not. @param {number} bits */
  raw(bits) {
    this.range = Math.floor(this.range / (1 << bits));
    const value = Math.min(Math.floor(this.code / this.range), (1 << bits) - 1);
    this.code -= value * this.range;
    if (this.range < RANGE_MIN) this.refill();
    return value;
  }

  /**
   * A number of 0 to 2^33 - 2.
   * @param {number} unary first model of its exponent @param {number} unaryModels how many there are
   * @param {number} mantissa first model of its highest bits
   */
  sized(unary, unaryModels, mantissa) {
    const last = unary + unaryModels - 1;
    let exponent = 0;
    let model = unary;
    while (exponent < EXPONENT_MAX && this.bit(model) === 1) {
      exponent += 1;
      if (model < last) model += 1;
    }
    if (exponent === 0) return 0;
    model = mantissa + 3 * ((exponent < MANTISSAS ? exponent : MANTISSAS) - 1);
    const first = this.bit(model);
    if (exponent === 1) return 1 + first;
    let coded = 2 * (2 + first) + this.bit(model + 1 + first);
    let left = exponent - 2;
    while (left > 0) {
      const bits = left < 16 ? left : 16;
      left -= bits;
      coded = coded * (1 << bits) + this.raw(bits);
    }
    return coded - 1;
  }

  /** A number by a set of number models. @param {number} base */
  number(base) {
    return this.sized(base, UNARY, base + UNARY);
  }

  /** The index of an entity in an ascending list. @param {number} base @param {number} before the last one, or -1 */
  index(base, before) {
    const index = before + 1 + this.number(base);
    if (index >= ENTITIES_MAX) throw new Broken(`entity index ${index}`);
    return index;
  }

  /**
   * A difference that may be 0.
   * @param {number} differs @param {number} sign @param {number} size a set of number models
   */
  optional(differs, sign, size) {
    return this.bit(differs) === 0 ? 0 : this.difference(sign, size);
  }

  /** A difference that is not 0. @param {number} sign @param {number} size a set of number models */
  difference(sign, size) {
    const negative = this.bit(sign);
    const amount = this.number(size) + 1;
    return negative === 1 ? -amount : amount;
  }

  /** So that few bytes cannot claim many entities. */
  mark() {
    if (this.raw(1) !== 1) throw new Broken('an entity without its mark');
  }

  /** @param {number} bytesMax @returns {Text} */
  text(bytesMax) {
    const length = 255 - this.raw(8);
    if (length > bytesMax) throw new Broken(`a text of ${length} bytes`);
    const words = new Int32Array(1 + Math.ceil(length / 4));
    words[0] = length;
    for (let at = 0; at < length; at += 1) {
      const byte = 255 - this.raw(8);
      textBytes[at] = byte;
      words[1 + (at >> 2)] |= byte << (8 * (at & 3));
    }
    try {
      return { value: utf8.decode(textBytes.subarray(0, length)), words };
    } catch {
      throw new Broken('a text that is not UTF-8');
    }
  }

  /** Refuses bytes that were not needed, and an end that is not the shortest. */
  finish() {
    if (this.at < this.end) throw new Broken(`${this.end - this.at} bytes too many`);
    if (this.end > this.start && this.bytes[this.end - 1] === 0) throw new Broken('ends with a zero byte');
  }
}
