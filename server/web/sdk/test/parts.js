// A pretended owner of a match in segments, each of which is a state of its own, and what is sent of them to whom.

import { Writer } from '../src/bytes.js';
import { tagOf } from '../src/frame.js';
import { FENCE, Owner } from './owner.js';

/** @typedef {import('./owner.js').Values} Values */

/** @param {Writer} out @param {number} value */
function varint(out, value) {
  for (let left = value; ; left = Math.floor(left / 128)) {
    out.u8(left >= 128 ? (left % 128) + 128 : left);
    if (left < 128) return;
  }
}

/** A section as the wire has it. @param {number} segment @param {number} form @param {number} [hash] @param {Uint8Array} [payload] */
export function section(segment, form, hash, payload) {
  const out = new Writer();
  varint(out, 4 * segment + form);
  if (hash !== undefined) out.fixed(hash, 4);
  if (payload !== undefined) {
    varint(out, payload.length);
    out.raw(payload);
  }
  return out.finish();
}

export class Parts {
  /** @param {number} [tick] */
  constructor(tick = 0) {
    this.tick = tick;
    /** @type {Map<number, Owner>} */
    this.owners = new Map();
    /** The segment that each entity is in. @type {Map<string, number>} */
    this.homes = new Map();
  }

  /** @param {number} segment */
  owner(segment) {
    const known = this.owners.get(segment) ?? new Owner(this.tick);
    this.owners.set(segment, known);
    return known;
  }

  /** Sets values of an entity, which is in this segment from the next tick on. @param {number} segment @param {string} key @param {Values} [values] */
  put(segment, key, values = {}) {
    const home = this.homes.get(key);
    if (home !== undefined && home !== segment) this.owner(home).end(key);
    this.homes.set(key, segment);
    this.owner(segment).set(key, values);
  }

  /** A tick for those who have some segments: all of these change. @param {number[]} view @param {number[]} [entering] @param {number[]} [leaving] */
  next(view, entering = [], leaving = []) {
    this.tick += 1;
    /** @type {Map<number, Uint8Array>} */
    const sections = new Map();
    for (const [segment, owner] of this.owners) {
      const frame = owner.next();
      if (view.includes(segment)) sections.set(segment, section(segment, 1, owner.replica.world.hash, frame.subarray(8)));
    }
    for (const segment of entering) sections.set(segment, this.entered(segment));
    for (const segment of leaving) sections.set(segment, section(segment, 3));
    const ordered = [...sections.keys()].sort((a, b) => a - b).map((segment) => [.../** @type {Uint8Array} */ (sections.get(segment))]);
    return Uint8Array.from([0x50, ...this.head(), ...ordered.flat()]);
  }

  head() {
    return [tagOf(FENCE), this.tick & 0xff, (this.tick >> 8) & 0xff];
  }

  /** All of a segment. @param {number} segment */
  entered(segment) {
    const owner = this.owner(segment);
    return section(segment, 2, owner.replica.world.hash, owner.snapshot().subarray(34));
  }

  /** @param {number[]} view ascending */
  view(view) {
    const out = new Writer();
    out.u8(0x51);
    out.fixed(FENCE.epoch, 8);
    out.fixed(FENCE.nonce, 8);
    out.fixed(this.tick, 8);
    out.fixed(1, 4);
    out.u8(0);
    view.forEach((segment) => out.raw(this.entered(segment)));
    return out.finish();
  }

  /** @param {number} span @param {number[]} view @param {number[]} [leaving] behind all that is in the view */
  leap(span, view, leaving = []) {
    const sections = [...view.map((segment) => this.entered(segment)), ...leaving.map((segment) => section(segment, 3))];
    return Uint8Array.from([0x52, ...this.head(), span, ...sections.flatMap((bytes) => [...bytes])]);
  }
}
