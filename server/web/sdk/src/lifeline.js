// How long a connection may be silent, and how it is tried to get the next one: docs/wire.md, sections 2.1 and 9.2.
// Pure; moments are milliseconds of one steady clock.

/** Pings after the welcome that come soon, so that the clock is right soon; then one each second. */
const PINGS_SOON = 24;
const PING_SOON_MS = 100;
const PING_MS = 1_000;
/** After so long without anything the connection is as good as broken. */
export const SILENCE_MS = 5_000;
const WELCOME_MS = 10_000;

/** The signs of life of one connection. */
export class Lifeline {
  /** @param {number} now */
  constructor(now) {
    this.began = now;
    this.heard = now;
    this.welcomed = false;
    this.pings = 0;
    this.pinged = now;
    /** When each ping went out, by the low bits of its nonce. */
    this.sent = new Float64Array(16);
  }

  /** Whether a ping is due. @param {number} now */
  isPingDue(now) {
    return this.welcomed && now - this.pinged >= (this.pings < PINGS_SOON ? PING_SOON_MS : PING_MS);
  }

  /** A ping goes out; returns its nonce. @param {number} now */
  ping(now) {
    this.pings += 1;
    this.pinged = now;
    this.sent[this.pings % this.sent.length] = now;
    return this.pings;
  }

  /** When the ping with this nonce went out; NaN if that is not known. @param {number} nonce */
  sentAt(nonce) {
    return nonce <= this.pings && nonce > this.pings - this.sent.length ? this.sent[nonce % this.sent.length] : Number.NaN;
  }

  /** Whether it is as good as broken. @param {number} now */
  isLost(now) {
    return now - this.heard > SILENCE_MS || (!this.welcomed && now - this.began > WELCOME_MS);
  }
}

const WAIT_MS_FIRST = 250;
const WAIT_MS_MAX = 2_000;

/** The waits between the tries to come back. */
export class Retry {
  /** @param {number} forMs for how long it is tried */
  constructor(forMs) {
    this.forMs = forMs;
    this.tries = 0;
    this.began = 0;
  }

  /** The last connection is there. */
  succeeded() {
    this.tries = 0;
  }

  /** How long to wait before the next try; -1 when there is no more. @param {number} now @param {number} random 0 to 1 */
  next(now, random) {
    if (this.tries === 0) this.began = now;
    const wait = Math.min(WAIT_MS_FIRST * 2 ** this.tries, WAIT_MS_MAX) * (0.2 + 0.8 * random);
    this.tries += 1;
    return now + wait - this.began > this.forMs ? -1 : wait;
  }
}
