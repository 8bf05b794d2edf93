// When to make the next input, and which tick of the server it will be applied in. The owner applies one input per
// tick, those that wait in their order; so what counts is that each is there when its tick comes, and that no more wait
// than have to. How it was is told by the acknowledgements: the state of tick t says which input was the last by then.
// Pure.

/** The clock of inputs runs at most this much faster or slower than the server's. */
const SLEW = 0.05;
const SNAP_TICKS = 10;
/** How long before its tick an input shall be there, in ticks, if nothing delays it. */
const EARLY = 0.6;
/** What a late input adds to that, and what a second takes away again; the bounds of it. */
const LATE_ADDS = 0.1;
const SECOND_TAKES = 0.1;
/** What a second takes away where the owner tells that there was always a second input waiting. */
const SECOND_TAKES_SPARE = 1;
const CORRECTION_MIN = -0.5;
const CORRECTION_MAX = 6;
/** So many acknowledgements in a row that are off to one side tell that inputs wait longer, or shorter, for good. */
const RUN = 4;
/** How much one acknowledgement counts in the mean error. */
const FOLLOW = 0.1;
/** Inputs that one call may ask for: after a pause the past is not made up for. */
const DUE_MAX = 4;
/** Of a match that shows nothing new for this much longer than the round trip, no further ticks are counted on. */
const STALLED_MS = 500;
const KEPT = 128;

export class InputClock {
  /** @param {import('./clock.js').Clock} clock */
  constructor(clock) {
    this.clock = clock;
    /** When off, inputs are made as early as the clock says, whatever is acknowledged. */
    this.feedback = true;
    /** What acknowledgements add to how early inputs are made, in ticks. */
    this.correction = 0;
    /** How many ticks later than at this clock's own tick inputs are applied. */
    this.shift = 0;
    this.run = 0;
    /** Ticks that this clock is ahead of the server; slewed. */
    this.lead = Number.NaN;
    this.at = 0;
    /** This clock's tick of the last input. */
    this.tick = 0;
    this.ticks = new Float64Array(KEPT).fill(Number.NaN);
    this.acknowledged = 0;
    /** The newest tick that the server is known to be at, or may be while it is silent. */
    this.newest = 0;
    /** Mean error of the ticks that inputs were thought to be for: positive when they come later. */
    this.error = 0;
  }

  /** The state is at this tick, or may be. @param {number} tick */
  arrived(tick) {
    this.newest = tick;
  }

  /** Begins anew: another state. */
  forget() {
    this.lead = Number.NaN;
    this.correction = 0;
    this.shift = 0;
  }

  /** How many inputs to make now, at most one for each tick. @param {number} now */
  due(now) {
    const { way, mean, interval } = this.clock;
    const wanted = (way + 2 * mean) / interval + EARLY + this.correction - this.shift;
    const error = wanted - this.lead;
    if (Math.abs(error) <= SNAP_TICKS) {
      const step = (SLEW * Math.max(0, now - this.at)) / interval;
      this.lead += Math.min(Math.max(error, -step), step);
    } else {
      this.lead = wanted;
    }
    this.at = now;
    const most = this.newest + (2 * way + STALLED_MS) / interval;
    const tick = Math.floor(Math.min(this.clock.serverTick(now) + this.lead, most));
    if (!(Math.abs(tick - this.tick) <= SNAP_TICKS)) this.tick = tick - 1;
    if (tick - this.tick > DUE_MAX) this.tick = tick - DUE_MAX;
    return Math.max(0, tick - this.tick);
  }

  /** One input will be sent that nobody asked for: it is for the tick that is due. @param {number} now */
  align(now) {
    this.tick += Math.max(0, this.due(now) - 1);
  }

  /** An input was sent; returns the tick that it will be applied in. @param {number} seq */
  sent(seq) {
    this.tick += 1;
    this.ticks[seq % KEPT] = this.tick;
    return this.tick + this.shift;
  }

  /**
   * The state of this tick has this input applied. `waiting` is the least number of inputs that waited at the owner
   * lately, where the schema has the field `input_buffer` for it; 0 or 1 where it has not.
   * @param {number} seq @param {number} tick @param {number} [waiting]
   */
  applied(seq, tick, waiting = 0) {
    if (seq === this.acknowledged) return;
    this.acknowledged = seq;
    const error = tick - this.ticks[seq % KEPT] - this.shift;
    if (!(Math.abs(error) <= 2 * SNAP_TICKS)) return;
    this.error += (error - this.error) * FOLLOW;
    if (this.feedback) {
      const late = Math.min(Math.max(error, 0), 1);
      const taken = ((waiting > 1 ? SECOND_TAKES_SPARE : SECOND_TAKES) * this.clock.interval) / 1000;
      this.correction = Math.min(Math.max(this.correction - taken + late * LATE_ADDS, CORRECTION_MIN), CORRECTION_MAX);
    }
    const side = Math.sign(error);
    this.run = side !== 0 && side === Math.sign(this.run) ? this.run + side : side;
    if (Math.abs(this.run) < RUN) return;
    this.shift += error;
    this.run = 0;
  }
}
