// When to make the next input, and for which tick of the server it is meant. The owner applies an input with the tick
// that follows its arrival, so inputs are made ahead of the server by the way there. How far ahead is right is told by
// the acknowledgements: the state of tick t says which input was the last one applied by then. Pure.

/** The clock of inputs runs at most this much faster or slower than the server's. */
const SLEW = 0.05;
const SNAP_TICKS = 10;
/** How much of an input's error counts for the mean, and for the lead. */
const FOLLOW = 0.1;
const CORRECT = 0.02;
/** Inputs that one call may ask for: after a pause the past is not made up for. */
const DUE_MAX = 4;
/** Of a match that shows nothing new for this much longer than the round trip, no further ticks are counted on. */
const STALLED_MS = 500;
const KEPT = 128;

export class InputClock {
  /** @param {import('./clock.js').Clock} clock */
  constructor(clock) {
    this.clock = clock;
    /** When off, the lead is the way there and half a tick, whatever is acknowledged. */
    this.feedback = true;
    /** What acknowledgements add to the lead, in ticks. */
    this.correction = 0;
    /** Ticks that it is ahead of the server; slewed. */
    this.lead = Number.NaN;
    this.at = 0;
    /** The tick that the last input is for. */
    this.tick = 0;
    this.ticks = new Float64Array(KEPT);
    this.acknowledged = 0;
    /** The newest tick of the server. */
    this.newest = 0;
    /** Mean error of inputs, in ticks: positive when they come too late. */
    this.error = 0;
  }

  /** The state is at this tick. @param {number} tick */
  arrived(tick) {
    this.newest = tick;
  }

  /** Begins anew: another connection, or another state. */
  forget() {
    this.lead = Number.NaN;
    this.correction = 0;
  }

  /** How many inputs to make now, at most one for each tick. @param {number} now */
  due(now) {
    const { way, mean, interval } = this.clock;
    // The middle of the tick before which it has to be there.
    const wanted = (way + mean) / interval + 0.5 + this.correction;
    const error = wanted - this.lead;
    if (Math.abs(error) <= SNAP_TICKS) {
      const step = (SLEW * Math.max(0, now - this.at)) / interval;
      this.lead += Math.min(Math.max(error, -step), step);
    } else {
      this.lead = wanted;
    }
    if (!Number.isFinite(this.lead)) this.lead = wanted;
    this.at = now;
    const most = this.newest + (2 * way + STALLED_MS) / interval;
    const tick = Math.floor(Math.min(this.clock.serverTick(now) + this.lead, most));
    if (tick - this.tick > DUE_MAX || this.tick - tick > SNAP_TICKS) this.tick = tick - 1;
    return Math.max(0, tick - this.tick);
  }

  /** One input will be sent that nobody asked for: it is for the tick that is due. @param {number} now */
  align(now) {
    this.tick += Math.max(0, this.due(now) - 1);
  }

  /** An input was sent; returns the tick that it is for. @param {number} seq */
  sent(seq) {
    this.tick += 1;
    this.ticks[seq % KEPT] = this.tick;
    return this.tick;
  }

  /**
   * The state of this tick has this input applied. `depth` are the inputs that waited at the owner, where the schema
   * has a field for it; then one shall wait.
   * @param {number} seq @param {number} tick @param {number} [depth]
   */
  applied(seq, tick, depth) {
    if (seq === this.acknowledged) return;
    this.acknowledged = seq;
    const late = depth === undefined ? tick - this.ticks[seq % KEPT] : 1 - depth;
    if (!(Math.abs(late) < SNAP_TICKS)) return;
    this.error += (late - this.error) * FOLLOW;
    if (this.feedback) this.correction = Math.min(Math.max(this.correction + late * CORRECT, -4), 16);
  }
}
