// The headers of state frames: docs/wire.md, section 3. Read in place; no object is made for a tick.

import { Broken } from './broken.js';

export const CLIENT_CONTROL = 0x01;
export const SERVER_CONTROL = 0x02;
export const SNAPSHOT = 0x20;
export const OWNER = 0x21;
export const PRIOR = 0x22;
export const SEGMENTS = 0x50;
export const VIEW = 0x51;
export const LEAP = 0x52;

/** @param {Uint8Array} bytes @param {number} at */
export function u16(bytes, at) {
  return bytes[at] | (bytes[at + 1] << 8);
}

/** @param {Uint8Array} bytes @param {number} at */
export function u32(bytes, at) {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
}

/** @param {Uint8Array} bytes @param {number} at */
function u64(bytes, at) {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);
}

/** A tick; those beyond 2^53, nine million years at 30 Hz, are refused. @param {Uint8Array} bytes @param {number} at */
export function tickAt(bytes, at) {
  const tick = Number(u64(bytes, at));
  if (!Number.isSafeInteger(tick)) throw new Broken(`tick ${tick}`);
  return tick;
}

/** @param {Uint8Array} bytes @param {number} length */
export function needs(bytes, length) {
  if (bytes.length < length) throw new Broken(`a frame of ${bytes.length} bytes`);
}

/**
 * One ownership of a match by a node.
 * @typedef {{ readonly epoch: bigint, readonly nonce: bigint }} Fence
 */

/** @param {Uint8Array} bytes @param {number} at @returns {Fence} */
export function fenceAt(bytes, at) {
  return { epoch: u64(bytes, at), nonce: u64(bytes, at + 8) };
}

/** The byte that stands for a fence. @param {Fence} fence */
export function tagOf({ epoch, nonce }) {
  let mixed = BigInt.asUintN(64, epoch * 0x9e37_79b9_7f4a_7c15n) ^ nonce;
  for (let half = 32n; half >= 8n; half >>= 1n) mixed ^= mixed >> half;
  return Number(mixed & 0xffn);
}
