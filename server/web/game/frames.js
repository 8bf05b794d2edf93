// What the page's own script costs per picture, as tests and the netgraph ask for it. Pure.

const KEPT = 1_024;

export class Frames {
  constructor() {
    this.times = new Float64Array(KEPT);
    this.count = 0;
  }

  /** @param {number} ms */
  add(ms) {
    this.times[this.count % KEPT] = ms;
    this.count += 1;
  }

  reset() {
    this.count = 0;
  }

  /** The time that 95 of 100 pictures do not exceed, milliseconds. */
  p95() {
    return this.part(0.95);
  }

  /** @param {number} part */
  part(part) {
    const sorted = this.times.slice(0, Math.min(this.count, KEPT)).sort();
    return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  }
}
