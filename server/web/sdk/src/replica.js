// A copy of a match's state that follows its frames: docs/wire.md, section 8. Pure: frames in, what they did out.
// A gap has one cure, a snapshot. A replica that was caught up knows the values of its tick only; two catch-ups of
// one tick each teach it the steps before, and then it reads diffs again.

import { Broken } from './broken.js';
import { applyCatchUp } from './catch_up.js';
import { applyDiff } from './diff.js';
import { OWNER, PRIOR, SNAPSHOT, fenceAt, needs, tagOf, tickAt, u16, u32 } from './frame.js';
import { decodePrior, firstPrior } from './prior.js';
import { decodeSnapshot } from './snapshot.js';
import { World } from './world.js';

/** @typedef {import('./schema.js').Schema} Schema */
/** @typedef {import('./frame.js').Fence} Fence */

/** What a frame did: the replica is at its tick now; it was not news; the replica needs a snapshot. @typedef {'advanced' | 'nothing' | 'gap'} Progress */

/**
 * Why there is a gap: ticks are missing, the frame is another owner's, the state has not the owner's hash, the frame
 * could not be read, too little is known after a catch-up, the diff is coded with another prior, or an earlier gap is
 * still open.
 * @typedef {'missing' | 'owner' | 'desync' | 'broken' | 'cold' | 'prior' | 'waiting'} Reason
 */

const STEPS_KNOWN_MAX = 2;

export class Replica {
  /** An empty one, which waits for a snapshot. @param {Schema} schema */
  constructor(schema) {
    this.schema = schema;
    this.world = new World(schema);
    this.prior = firstPrior(schema);
    /** @type {Fence} */
    this.fence = { epoch: 0n, nonce: 0n };
    this.tag = tagOf(this.fence);
    this.tick = 0;
    /** Steps before the tick that are known. */
    this.known = 0;
    this.waiting = true;
    /** Why there was a gap, and what exactly, for people. @type {Reason} */
    this.reason = 'waiting';
    this.why = '';
    this.hashesChecked = 0;
    /** What reads a match in segments, where that was loaded. @type {import('./segments.js').Segments | null} */
    this.segments = null;
  }

  /** The state is of no use until the next snapshot. */
  invalidate() {
    this.waiting = true;
  }

  /** Takes in a state frame. @param {Uint8Array} bytes @returns {Progress} */
  apply(bytes) {
    try {
      return (this.segments ?? this).read(bytes);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      return this.gap('broken', error.message);
    }
  }

  /** @param {Reason} reason @param {string} [why] @returns {Progress} */
  gap(reason, why = reason) {
    this.waiting = true;
    this.reason = reason;
    this.why = why;
    return 'gap';
  }

  /** @param {Uint8Array} bytes @returns {Progress} */
  read(bytes) {
    needs(bytes, 1);
    const kind = bytes[0];
    // 0x10 and 0x11, or 0x13 behind quiet ticks; and the bits of the prior.
    if ((kind & 0xf2) === 0x10 || (kind & 0xf3) === 0x13) return this.readDiff(bytes);
    if ((kind & 0xfe) === 0x30) return this.readCatchUp(bytes);
    if (kind === PRIOR) return this.readPrior(bytes);
    if (kind === SNAPSHOT) return this.readSnapshot(bytes);
    if (kind === OWNER) return this.readOwner(bytes);
    throw new Broken(`a frame of kind ${kind}`);
  }

  /** Whether a frame that leads over so many ticks follows on this tick. @param {Uint8Array} bytes @param {number} span @param {number} [most] @returns {Progress} */
  order(bytes, span, most = span) {
    if (this.waiting) return this.gap('waiting');
    if (bytes[1] !== this.tag) return this.gap('owner', `a frame of another owner after tick ${this.tick}`);
    const ahead = (u16(bytes, 2) - this.tick) & 0xffff;
    if (ahead >= span && ahead <= most) return 'advanced';
    if (ahead === 0 || ahead >= 0x8000) return 'nothing';
    return this.gap('missing', `ticks are missing after ${this.tick}`);
  }

  /** @param {Uint8Array} bytes @returns {Progress} */
  readDiff(bytes) {
    const hashed = bytes[0] & 1;
    const start = 4 + 4 * hashed;
    needs(bytes, start);
    const order = this.order(bytes, 1, bytes[0] & 2 ? 0x7fff : 1);
    if (order !== 'advanced') return order;
    if (this.known < STEPS_KNOWN_MAX) return this.gap('cold', 'a diff too early after a catch-up');
    if (((bytes[0] >> 2) & 3) !== (this.prior.number & 3)) return this.gap('prior', `not prior ${this.prior.number}`);
    applyDiff(this.world, this.prior, bytes, start, bytes.length);
    this.tick += (u16(bytes, 2) - this.tick) & 0xffff;
    return hashed === 1 ? this.check(u32(bytes, 4)) : 'advanced';
  }

  /** @param {Uint8Array} bytes @returns {Progress} */
  readCatchUp(bytes) {
    const hashed = bytes[0] & 1;
    const start = 5 + 4 * hashed;
    needs(bytes, start);
    const span = bytes[4];
    if (span === 0) throw new Broken('a catch-up over no tick');
    const order = this.order(bytes, span);
    if (order !== 'advanced') return order;
    applyCatchUp(this.world, { span, known: this.known }, bytes, start, bytes.length);
    this.tick += span;
    this.known = span === 1 ? Math.min(this.known + 1, STEPS_KNOWN_MAX) : 0;
    return hashed === 1 ? this.check(u32(bytes, 5)) : 'advanced';
  }

  /** @param {Uint8Array} bytes @returns {Progress} */
  readPrior(bytes) {
    needs(bytes, 4);
    const order = this.order(bytes, 0);
    if (order !== 'advanced') return order;
    this.prior = decodePrior(this.schema, bytes, 4, bytes.length);
    return 'nothing';
  }

  /** @param {Uint8Array} bytes @returns {Progress} */
  readSnapshot(bytes) {
    needs(bytes, 33);
    const fence = fenceAt(bytes, 1);
    const tick = tickAt(bytes, 17);
    const start = 33 + u32(bytes, 29);
    needs(bytes, start);
    // One of the very tick that the replica was caught up to teaches it the steps before.
    const teaches = tick === this.tick && this.known < STEPS_KNOWN_MAX;
    if (!this.waiting && this.isOwner(fence) && tick <= this.tick && !teaches) return 'nothing';
    const prior = decodePrior(this.schema, bytes, 33, start);
    this.world = decodeSnapshot(this.schema, bytes, start, bytes.length);
    this.prior = prior;
    this.known = STEPS_KNOWN_MAX;
    this.waiting = false;
    this.rebase(fence, tick);
    return this.check(u32(bytes, 25));
  }

  /** @param {Uint8Array} bytes @returns {Progress} */
  readOwner(bytes) {
    if (bytes.length !== 25) throw new Broken(`an OWNER of ${bytes.length} bytes`);
    if (this.waiting) return this.gap('waiting');
    const tick = tickAt(bytes, 17);
    if (tick !== this.tick) return this.gap('owner', `another owner goes on after ${tick}, not ${this.tick}`);
    this.rebase(fenceAt(bytes, 1), tick);
    return 'nothing';
  }

  /** @param {Fence} fence */
  isOwner(fence) {
    return fence.epoch === this.fence.epoch && fence.nonce === this.fence.nonce;
  }

  /** @param {Fence} fence @param {number} tick */
  rebase(fence, tick) {
    this.fence = fence;
    this.tag = tagOf(fence);
    this.tick = tick;
  }

  /** @param {number} expected @returns {Progress} */
  check(expected) {
    this.hashesChecked += 1;
    if (this.world.hash === expected) return 'advanced';
    return this.gap('desync', `hash ${this.world.hash.toString(16)} at tick ${this.tick}, the owner's is ${expected.toString(16)}`);
  }
}
