// The inputs that the state does not show yet: kept to be sent again, because whoever should have applied them may be
// gone. docs/wire.md, section 2.3.

import { SEQ_AHEAD_MAX, SEQ_MAX } from './limits.js';

export class Inputs {
  constructor() {
    this.lastSeq = 0;
    this.acknowledged = 0;
    this.sentAgain = 0;
    /** @type {{ seq: number, frame: Uint8Array }[]} */
    this.kept = [];
  }

  /** Numbers an input and keeps it; null if it would be too far ahead. @param {(seq: number) => Uint8Array} encode */
  push(encode) {
    const seq = this.lastSeq + 1;
    if (seq - this.acknowledged > SEQ_AHEAD_MAX || seq > SEQ_MAX) return null;
    this.lastSeq = seq;
    const frame = encode(seq);
    this.kept.push({ seq, frame });
    return frame;
  }

  /** The state holds everything up to this number. @param {number} seq */
  acknowledge(seq) {
    this.acknowledged = seq;
    // A page that was loaded anew knows no number yet.
    if (seq > this.lastSeq) this.lastSeq = seq;
    while (this.kept.length > 0 && this.kept[0].seq <= seq) this.kept.shift();
  }

  /** All that are kept, as they were. */
  again() {
    this.sentAgain += this.kept.length;
    return this.kept.map((each) => each.frame);
  }
}
