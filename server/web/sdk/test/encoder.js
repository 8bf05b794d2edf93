// The other end of the codec, as slow and simple as it can be: a range encoder (docs/wire.md, 7.1) and what is written
// with it. Diffs are coded with the first prior, in which every bit is as likely as not.

const TOP = 1n << 48n;

export class Encoder {
  constructor() {
    this.low = 0n;
    this.range = TOP - 1n;
    /** @type {number[]} */
    this.out = [];
    /** Models that adapt; none for the first prior. @type {Map<number, { zero: number, had: number }> | null} */
    this.models = null;
  }

  static adaptive() {
    return Object.assign(new Encoder(), { models: new Map() });
  }

  /** @param {number} model @param {number | boolean} bit */
  bit(model, bit) {
    const own = this.models?.get(model) ?? { zero: 32_768, had: 0 };
    const bound = (this.range >> 16n) * BigInt(own.zero);
    if (bit) {
      this.low += bound;
      this.range -= bound;
    } else {
      this.range = bound;
    }
    this.shift();
    const step = Math.min(1 + (own.had >> 1), 5);
    const zero = bit ? own.zero - (own.zero >> step) : own.zero + ((65_535 - own.zero) >> step);
    this.models?.set(model, { zero, had: own.had + 1 });
  }

  /** @param {number} bits @param {number} value */
  raw(bits, value) {
    this.range >>= BigInt(bits);
    this.low += BigInt(value) * this.range;
    this.shift();
  }

  shift() {
    if (this.range >= 1n << 32n) return;
    this.carry();
    this.out.push(Number(this.low >> 40n), Number((this.low >> 32n) & 0xffn));
    this.low = (this.low << 16n) % TOP;
    this.range <<= 16n;
  }

  carry() {
    if (this.low < TOP) return;
    this.low -= TOP;
    for (let at = this.out.length - 1; at >= 0; at -= 1) {
      this.out[at] = (this.out[at] + 1) & 0xff;
      if (this.out[at] !== 0) break;
    }
  }

  finish() {
    const last = this.low + this.range - 1n;
    for (let kept = 0n; kept <= 6n; kept += 1n) {
      const free = (1n << (48n - 8n * kept)) - 1n;
      const point = (this.low + free) & ~free;
      if (point > last) continue;
      this.low = point;
      this.carry();
      for (let at = 0n; at < kept; at += 1n) this.out.push(Number((this.low >> (40n - 8n * at)) & 0xffn));
      break;
    }
    while (this.out.at(-1) === 0) this.out.pop();
    return Uint8Array.from(this.out);
  }

  /** @param {number} unary @param {number} models @param {number} mantissa @param {number} value */
  sized(unary, models, mantissa, value) {
    const exponent = Math.floor(Math.log2(value + 1));
    for (let e = 0; e < exponent; e += 1) this.bit(unary + Math.min(e, models - 1), 1);
    if (exponent < 32) this.bit(unary + Math.min(exponent, models - 1), 0);
    const digit = (/** @type {number} */ at) => Math.floor((value + 1) / 2 ** at) % 2;
    const model = mantissa + 3 * (Math.min(exponent, 12) - 1);
    if (exponent > 0) this.bit(model, digit(exponent - 1));
    if (exponent > 1) this.bit(model + 1 + digit(exponent - 1), digit(exponent - 2));
    for (let left = exponent - 2; left > 0;) {
      const bits = Math.min(left, 16);
      left -= bits;
      this.raw(bits, Math.floor((value + 1) / 2 ** left) % 2 ** bits);
    }
  }

  /** @param {number} base @param {number} value */
  number(base, value) {
    this.sized(base, 18, base + 18, value);
  }

  /** @param {number} differs @param {number} sign @param {number} size @param {number} value */
  optional(differs, sign, size, value) {
    this.bit(differs, value !== 0);
    if (value === 0) return;
    this.bit(sign, value < 0);
    this.number(size, Math.abs(value) - 1);
  }

  /** @param {string} value */
  text(value) {
    const bytes = new TextEncoder().encode(value);
    this.raw(8, 255 - bytes.length);
    for (const byte of bytes) this.raw(8, 255 - byte);
  }
}
