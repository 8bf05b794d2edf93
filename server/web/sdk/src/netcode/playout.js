// Which moment of the match to show: a little in the past, so that the tick behind it has always arrived, and no
// further than that. Pure; moments are milliseconds of the clock's clock.

/** Intervals by which more is shown late than the lateness of ticks asks for. */
const MARGIN = 0.15;
/** The delay gets shorter by this much of the time that passes: one quiet second tells little. */
const SHORTER = 0.02;
/** Time runs faster by this much for each tick that the moment is behind, and slower when it is ahead, within bounds. */
const GAIN = 0.1;
const FASTER_MAX = 0.1;
const SLOWER_MAX = 0.04;
/** While there is no tick behind the moment, what is shown is a guess: it waits for the ticks sooner than it is smooth. */
const SLOWER_MAX_STARVED = 0.5;
/** Further away than this, in ticks, the moment jumps. */
const SNAP_TICKS = 10;

export class Playout {
  /** @param {import('./clock.js').Clock} clock */
  constructor(clock) {
    this.clock = clock;
    /** When off, the newest tick is shown as soon as it is there. */
    this.interpolates = true;
    /** When off, what is behind the newest tick is never guessed. */
    this.extrapolates = true;
    /** How far it may be guessed, milliseconds; then everything stands still. */
    this.extrapolateMs = 150;
    /** The newest tick that arrived; -1 before the first. */
    this.newest = -1;
    /** Until when the state is as it is while nothing comes: later than that tick where nothing moves. */
    this.known = -1;
    /** The moment that is shown, in ticks. */
    this.tick = 0;
    this.at = 0;
    /** When tick 0 would be shown, milliseconds. */
    this.level = 0;
    /** Updates that found no tick behind the moment, and all of them. */
    this.starved = 0;
    this.updates = 0;
    this.jumps = 0;
  }

  /** The state is at this tick now. @param {number} tick @param {number} [known] and as it is until this one, if nothing comes */
  arrived(tick, known = tick) {
    this.newest = tick;
    this.known = known;
  }

  /** What was shown is not true any more. */
  forget() {
    this.newest = -1;
  }

  /** How far what is shown is behind the least delayed tick, in ticks. */
  get delay() {
    return this.updates === 0 ? 0 : (this.level - this.clock.base) / this.clock.interval;
  }

  /** Ticks that what is shown is behind the newest one; negative while it is guessed. */
  get behind() {
    return this.newest < 0 ? 0 : this.newest - this.tick;
  }

  /** Ticks that what is shown is behind what is known; where that is more than has arrived, as many as are wanted. */
  get buffer() {
    return this.known > this.newest ? Math.min(this.known - this.tick, this.delay) : this.behind;
  }

  /** Moves on to now; returns the moment to show, in ticks. @param {number} now */
  update(now) {
    const { clock, newest, known } = this;
    if (newest < 0) return this.tick;
    const passed = Math.max(0, now - this.at) / clock.interval;
    const first = this.updates === 0;
    this.at = now;
    this.updates += 1;
    // As a moment, and not as so much after the base: what moves the base does not move what is shown.
    const wanted = clock.base + clock.jitter + (1 + MARGIN) * clock.interval;
    this.level = first ? wanted : Math.max(wanted, this.level - passed * clock.interval * SHORTER);
    const target = this.interpolates ? (now - this.level) / clock.interval : newest;
    const behind = target - this.tick - passed;
    if (first || !this.interpolates || Math.abs(behind) > SNAP_TICKS) {
      if (!first && this.interpolates) this.jumps += 1;
      this.tick = target;
    } else {
      const slower = this.tick > known ? SLOWER_MAX_STARVED : SLOWER_MAX;
      this.tick += passed + passed * Math.min(FASTER_MAX, Math.max(-slower, behind * GAIN));
    }
    if (this.tick > known && this.interpolates) this.starved += 1;
    const most = known + (this.extrapolates ? this.extrapolateMs / clock.interval : 0);
    if (this.tick > most) this.tick = most;
    return this.tick;
  }
}
