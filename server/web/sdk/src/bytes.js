// Values as bytes, as control messages have them: docs/wire.md, section 4.1.

import { Broken } from './broken.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Puts values one behind another. */
export class Writer {
  constructor() {
    /** @type {number[]} */
    this.bytes = [];
  }

  /** @param {number} value */
  u8(value) {
    this.bytes.push(value);
  }

  /** An unsigned integer of any width. @param {number | bigint} value */
  uint(value) {
    const small = Number(value);
    if (small <= 250) this.fixed(value, 1);
    else if (small < 2 ** 16) this.marked(251, value, 2);
    else if (small < 2 ** 32) this.marked(252, value, 4);
    else this.marked(253, value, 8);
  }

  /** @param {number} value an i32 */
  int(value) {
    this.uint(value >= 0 ? 2 * value : -2 * value - 1);
  }

  /** @param {string} value */
  string(value) {
    const bytes = encoder.encode(value);
    this.uint(bytes.length);
    this.raw(bytes);
  }

  /** @param {Iterable<number>} bytes */
  raw(bytes) {
    this.bytes.push(...bytes);
  }

  /** @param {number} mark @param {number | bigint} value @param {number} width */
  marked(mark, value, width) {
    this.u8(mark);
    this.fixed(value, width);
  }

  /** @param {number | bigint} value @param {number} width */
  fixed(value, width) {
    let left = BigInt(value);
    for (let at = 0; at < width; at += 1) {
      this.u8(Number(left & 0xffn));
      left >>= 8n;
    }
  }

  finish() {
    return Uint8Array.from(this.bytes);
  }
}

/** Takes values one after another; whatever is not one is `Broken`. */
export class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  /** @param {number} count */
  take(count) {
    if (count > this.bytes.length - this.at) throw new Broken('the bytes end');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  u8() {
    return this.take(1)[0];
  }

  /** An unsigned integer of so many bytes at most. @param {2 | 4 | 8} width */
  big(width) {
    const first = this.u8();
    if (first <= 250) return BigInt(first);
    const own = 2 ** (first - 250);
    if (own > width) throw new Broken('a number wider than its type');
    return this.take(own).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  }

  u16() {
    return Number(this.big(2));
  }

  u32() {
    return Number(this.big(4));
  }

  /** A u64 that a double holds. */
  u64() {
    const value = Number(this.big(8));
    if (!Number.isSafeInteger(value)) throw new Broken(`${value} is more than a double holds`);
    return value;
  }

  i32() {
    const value = this.u32();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  string() {
    const bytes = this.take(this.u64());
    try {
      return decoder.decode(bytes);
    } catch {
      throw new Broken('a text that is not UTF-8');
    }
  }

  finish() {
    if (this.at < this.bytes.length) throw new Broken(`${this.bytes.length - this.at} bytes too many`);
  }
}
