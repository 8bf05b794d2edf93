// The hash of an entity, word by word: MurmurHash3 x86 32-bit with seed 0 (Austin Appleby, public domain), as
// docs/wire.md, section 6.4, uses it. The hash of a state is the sum of its entities' hashes, modulo 2^32.

/** @param {number} state @param {number} word */
export function hashWord(state, word) {
  const first = Math.imul(word, 0xcc9e_2d51);
  const mixed = state ^ Math.imul((first << 15) | (first >>> 17), 0x1b87_3593);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe654_6b64) | 0;
}

/** @param {number} state @param {number} words how many there were */
export function hashEnd(state, words) {
  let h = state ^ (4 * words);
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return h ^ (h >>> 16);
}
