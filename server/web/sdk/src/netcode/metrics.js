// How the connection and the netcode do, for a netgraph. Pure.

/** Counts of the last minute, by seconds. */
class Recent {
  constructor() {
    this.seconds = new Float64Array(60);
    this.last = 0;
    this.began = Number.NaN;
  }

  /** @param {number} now */
  move(now) {
    const second = Math.floor(now / 1000);
    if (Number.isNaN(this.began)) {
      this.began = now;
      this.last = second;
    }
    for (let passed = Math.min(60, second - this.last); passed > 0; passed -= 1) this.seconds[(second - passed + 1) % 60] = 0;
    this.last = Math.max(this.last, second);
  }

  /** @param {number} now @param {number} [amount] */
  add(now, amount = 1) {
    this.move(now);
    this.seconds[this.last % 60] += amount;
  }

  /** Per second, over the whole seconds of the last `span` that have passed. @param {number} now @param {number} span */
  rate(now, span) {
    this.move(now);
    let sum = 0;
    for (let back = 1; back <= span; back += 1) sum += this.seconds[(this.last - back + 60) % 60];
    return sum / Math.max(1, Math.min(span, this.last - Math.floor(this.began / 1000)));
  }
}

export class Metrics {
  constructor() {
    this.bytes = new Recent();
    this.ticks = new Recent();
    this.stalls = new Recent();
    this.corrections = new Recent();
    // Since the match was joined.
    this.catchUps = 0;
    this.snapshots = 0;
    this.gaps = 0;
    this.resets = 0;
    this.reconnects = 0;
    this.owners = 0;
  }
}
