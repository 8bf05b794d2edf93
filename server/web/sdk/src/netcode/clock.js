// What tick it is at the server right now, and how long a message takes. Pure: every moment is passed in, in
// milliseconds of any steady clock.
//
// A tick's arrival tells when it was, plus the way here; the least delayed of the last seconds tells it best. A ping
// tells both ways together. Both ways are taken for equally long, for nothing on the wire can tell them apart.

/** Arrivals that are looked at: those of so many milliseconds, if none is late. */
const WINDOW_MS = 4_000;
const ARRIVALS = 256;
/** With so many of them the latest one is left out, of hundreds one of each: a single stall asks for no buffer. */
const ENOUGH = 8;
/** Where nothing moves few arrive, and more than so many of them do not count when they are so old. */
const FEW = 12;
const OLD_MS = 12_000;
/** Ticks that come within so long of each other came together. */
const BURST_MS = 2;
const PONGS = 32;
/** So many arrivals in a row, each later by so many intervals than any before, are no stall: the ticks were moved. */
const MOVED_ARRIVALS = 8;
const MOVED_INTERVALS = 2;
/** Round trips that deviate more than so many mean deviations from the mean tell of a stall. */
const OUTLIER = 4;
/** The clock follows its estimate by at most this much of the time that passes. */
const SLEW = 0.05;
/** Beyond this many ticks it jumps. */
const SNAP_TICKS = 10;

export class Clock {
  /** @param {number} tickRate */
  constructor(tickRate) {
    this.interval = 1000 / tickRate;
    /** When off, the clock follows single arrivals, as if no time were lost on the way. */
    this.enabled = true;
    // Of each arrival: when, and how much later than tick 0 would have been; of those together the first and the least.
    this.times = new Float64Array(ARRIVALS);
    this.lates = new Float64Array(ARRIVALS);
    this.least = new Float64Array(ARRIVALS);
    this.arrivals = 0;
    /** How many of the last arrivals count. */
    this.kept = 0;
    this.rtts = new Float64Array(PONGS);
    this.pongs = 0;
    this.sorted = new Float64Array(ARRIVALS);
    /** Smoothed round trip and its mean deviation, milliseconds; 0 before the first pong. */
    this.rtt = 0;
    this.deviation = 0;
    /** Least lateness of the window; how much later its ticks were, the 99th of 100 and on the mean. */
    this.base = 0;
    this.jitter = 0;
    this.mean = 0;
    /** Milliseconds that the slewed clock is ahead of the plain one. */
    this.offset = Number.NaN;
    this.readAt = 0;
  }

  /**
   * A state of this tick arrived. The one that all begins with is whole, and may be of a tick that was made a while ago: it
   * tells the time until a tick comes that was faster by far.
   * @param {number} tick @param {number} now
   */
  tickArrived(tick, now) {
    const late = now - tick * this.interval;
    if (this.kept === 1 && this.base > late + MOVED_INTERVALS * this.interval) this.forget();
    const last = (this.arrivals + ARRIVALS - 1) % ARRIVALS;
    if (this.arrivals > 0 && now - this.times[last] < BURST_MS) {
      // What comes together waited together: one stall, however many ticks it holds.
      this.least[last] = Math.min(this.least[last], late);
    } else {
      const slot = this.arrivals % ARRIVALS;
      this.times[slot] = now;
      this.lates[slot] = this.least[slot] = late;
      this.arrivals += 1;
      this.kept = Math.min(this.kept + 1, ARRIVALS, Math.ceil(WINDOW_MS / this.interval));
      while (this.kept > FEW && now - this.times[(this.arrivals - this.kept) % ARRIVALS] > OLD_MS) this.kept -= 1;
    }
    this.summarize();
    if (this.wereMoved()) {
      this.kept = MOVED_ARRIVALS;
      this.summarize();
      this.offset = Number.NaN;
    }
  }

  /** Whether the last ticks come by another time table: another owner took a while to go on, or ticks were skipped. */
  wereMoved() {
    if (this.kept <= MOVED_ARRIVALS) return false;
    const limit = this.base + MOVED_INTERVALS * this.interval;
    for (let back = 1; back <= MOVED_ARRIVALS; back += 1) {
      if (this.least[(this.arrivals - back) % ARRIVALS] < limit) return false;
    }
    return true;
  }

  summarize() {
    const count = this.kept;
    let base = Infinity;
    for (let back = 1; back <= count; back += 1) {
      const at = (this.arrivals - back) % ARRIVALS;
      this.sorted[back - 1] = this.lates[at];
      base = Math.min(base, this.least[at]);
    }
    sort(this.sorted, count);
    this.base = base;
    const leftOut = Math.max(count < ENOUGH ? 0 : 1, Math.floor(count / 100));
    this.jitter = this.sorted[count - 1 - leftOut] - base;
    const most = 2 * (this.sorted[count >> 1] - base);
    let sum = 0;
    for (let at = 0; at < count; at += 1) sum += Math.min(this.sorted[at] - base, most);
    this.mean = sum / count;
  }

  /** The ticks so far tell nothing any more: the match was set back, or another connection is used. */
  forget() {
    this.arrivals = 0;
    this.kept = 0;
    this.offset = Number.NaN;
  }

  /** A ping came back. @param {number} sent @param {number} now */
  pong(sent, now) {
    const measured = now - sent;
    // An outlier is a stall, and no news of the way.
    const rtt = this.pongs === 0 ? measured : Math.min(measured, this.rtt + 3 * Math.max(this.deviation, 1));
    this.deviation += this.pongs === 0 ? measured / 4 : (Math.abs(rtt - this.rtt) - this.deviation) / 6;
    this.rtt += this.pongs === 0 ? measured : (rtt - this.rtt) / 12;
    this.rtts[this.pongs++ % PONGS] = measured;
  }

  /** The way from the server, milliseconds, without what jitter adds. */
  get way() {
    const count = Math.min(this.pongs, PONGS);
    let sum = 0;
    let used = 0;
    let least = Infinity;
    for (let at = 0; at < count; at += 1) {
      const rtt = this.rtts[at];
      least = Math.min(least, rtt);
      if (rtt > this.rtt + OUTLIER * this.deviation) continue;
      sum += rtt;
      used += 1;
    }
    // A mean round trip has the mean jitter of both ways in it; that of one way is known from the ticks.
    return used === 0 ? 0 : Math.max(0, Math.min(least, sum / used - 2 * this.mean)) / 2;
  }

  /** The tick that the server is at, with its fraction. @param {number} now */
  serverTick(now) {
    if (this.arrivals === 0) return 0;
    const slot = (this.arrivals - 1) % ARRIVALS;
    const target = this.enabled ? this.way - this.base : -this.least[slot];
    const error = target - this.offset;
    if (!this.enabled || !(Math.abs(error) < SNAP_TICKS * this.interval)) {
      this.offset = target;
    } else {
      const most = SLEW * Math.max(0, now - this.readAt);
      this.offset += Math.min(Math.max(error, -most), most);
    }
    this.readAt = now;
    return (now + this.offset) / this.interval;
  }
}

/** Sorts the first so many numbers; nearly sorted ones fast, and without garbage. @param {Float64Array} values @param {number} count */
function sort(values, count) {
  for (let at = 1; at < count; at += 1) {
    const value = values[at];
    let to = at;
    for (; to > 0 && values[to - 1] > value; to -= 1) values[to] = values[to - 1];
    values[to] = value;
  }
}
