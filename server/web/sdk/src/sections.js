// The sections of a frame of a match in segments: docs/wire.md, section 3.1. Taken apart in place.

import { Broken } from './broken.js';
import { u32 } from './frame.js';

// What a section says of its segment.
export const CHANGED = 0;
export const PROVEN = 1;
export const ENTERED = 2;
export const LEFT = 3;

export const SEGMENTS_MAX = 4_096;

/** Takes one section after another; whatever is none is `Broken`. */
export class Sections {
  /** @param {Uint8Array} bytes @param {number} at where the first one begins */
  constructor(bytes, at) {
    this.bytes = bytes;
    this.at = at;
    this.segment = -1;
    this.form = LEFT;
    /** Hash of the segment, where it is told. @type {number | null} */
    this.hash = null;
    /** Where its payload begins; `at` is where it ends. */
    this.start = at;
  }

  /** Goes on to the next one; false behind the last. */
  next() {
    if (this.at === this.bytes.length) return false;
    const head = this.varint();
    const segment = Math.floor(head / 4);
    if (segment <= this.segment || segment >= SEGMENTS_MAX) throw new Broken(`segment ${segment} after ${this.segment}`);
    this.segment = segment;
    this.form = head & 3;
    this.hash = this.form === PROVEN || this.form === ENTERED ? u32(this.bytes, this.take(4)) : null;
    const length = this.form === LEFT ? 0 : this.varint();
    this.start = this.take(length);
    return true;
  }

  /** Passes over so many bytes; returns where they begin. @param {number} length */
  take(length) {
    if (length > this.bytes.length - this.at) throw new Broken('a section that ends too early');
    this.at += length;
    return this.at - length;
  }

  /** A number in its shortest form. What has more than 32 bits is in no frame. */
  varint() {
    let value = 0;
    for (let place = 1; place < 2 ** 35; place *= 128) {
      const byte = this.bytes[this.take(1)];
      value += (byte & 0x7f) * place;
      if (byte >= 0x80) continue;
      if (byte === 0 && place > 1) break;
      return value;
    }
    throw new Broken('a number that is too long');
  }
}
