// A virtual link: messages with a delay, in order, as TCP delivers them. Time is a number that tests move on.

/** Numbers from 0 to 1 that are the same each time (mulberry32). @param {number} seed */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One direction. @template T */
export class Link {
  /** @param {{ delay: number, jitter: number, random: () => number }} options milliseconds; jitter is spread evenly around the delay */
  constructor({ delay, jitter, random }) {
    this.delay = delay;
    this.jitter = jitter;
    this.random = random;
    /** @type {{ at: number, message: T }[]} */
    this.queue = [];
    this.last = 0;
    /** Nothing is delivered before this moment: a stall. */
    this.blockedUntil = 0;
  }

  /** @param {T} message @param {number} now */
  send(message, now) {
    const way = this.delay + (this.random() * 2 - 1) * this.jitter;
    this.last = Math.max(this.last, now + way, this.blockedUntil);
    this.queue.push({ at: this.last, message });
  }

  /** What has arrived by now. @param {number} now @returns {{ at: number, message: T }[]} */
  arrived(now) {
    const until = this.queue.findIndex(({ at }) => at > now || now < this.blockedUntil);
    return this.queue.splice(0, until < 0 ? this.queue.length : until);
  }
}

/** The value that so many of 100 do not exceed. @param {number[]} values @param {number} percent */
export function percentile(values, percent) {
  const sorted = values.slice().sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((sorted.length * percent) / 100) - 1)];
}
