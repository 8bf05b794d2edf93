// The own player's shots, shown at once: found in what the prediction did, flown by the rules, and handed over to the
// server's bullets when these are shown. Pure; numbers are units of the game, moments milliseconds.

import { AIM, COOLDOWN, HIT_REACH, HP, SCALE, TURN, X, Y, bulletWayX, bulletWayY } from './rules.js';

const SHOTS = 16;
/** A shot that the server never shows is gone after so long. */
const LIFE_MS = 1_400;
/** How far from a shot's heading the server's bullet of it may fly: a sixteenth of a turn. */
const ASTRAY = TURN / 16;
/** What is left of the distance at a handover, per millisecond. */
const FADE = 0.988;

export class Shot {
  constructor() {
    this.live = false;
    this.fromX = 0;
    this.fromY = 0;
    this.wayX = 0;
    this.wayY = 0;
    this.heading = 0;
    this.tick = 0;
    this.born = 0;
    /** Where it is now. */
    this.x = 0;
    this.y = 0;
    /** The server's bullet that it became; -1 before. */
    this.bullet = -1;
    this.offX = 0;
    this.offY = 0;
  }
}

export class OwnShots {
  /** @param {number} hz @param {import('./rules.js').Walls} walls */
  constructor(hz, walls) {
    this.hz = hz;
    this.walls = walls;
    this.shots = Array.from({ length: SHOTS }, () => new Shot());
    this.next = 0;
    this.seenTick = -1;
    this.firedTick = -1;
  }

  forget() {
    for (const shot of this.shots) shot.live = false;
    this.seenTick = -1;
    this.firedTick = -1;
  }

  /**
   * Looks for shots in the ticks that were predicted since; calls this with each.
   * @param {{ tick: number, states: Int32Array[], stateTicks: Float64Array }} prediction @param {number} now
   * @param {(shot: Shot) => void} fired
   */
  find(prediction, now, fired) {
    const { tick, states, stateTicks } = prediction;
    if (tick < 0) return;
    const full = Math.floor((250 * this.hz + 999) / 1_000);
    const first = this.seenTick < 0 || this.seenTick > tick ? tick : this.seenTick + 1;
    for (let at = first; at <= tick; at += 1) {
      const before = states[(at - 1) % states.length];
      const state = states[at % states.length];
      if (stateTicks[at % states.length] !== at || stateTicks[(at - 1) % states.length] !== at - 1) continue;
      // A weapon that cools down as long as one can was fired in this very tick.
      if (state[COOLDOWN] !== full || state[HP] === 0 || at - this.firedTick < full) continue;
      this.firedTick = at;
      fired(this.fire(before, state[AIM], at, now));
    }
    this.seenTick = tick;
  }

  /** @param {Int32Array} from state @param {number} heading @param {number} tick @param {number} now */
  fire(from, heading, tick, now) {
    const shot = this.shots[this.next];
    this.next = (this.next + 1) % SHOTS;
    shot.live = true;
    shot.bullet = -1;
    shot.fromX = shot.x = from[X] / SCALE;
    shot.fromY = shot.y = from[Y] / SCALE;
    shot.wayX = (bulletWayX(heading, this.hz) / SCALE) * (this.hz / 1_000);
    shot.wayY = (bulletWayY(heading, this.hz) / SCALE) * (this.hz / 1_000);
    shot.heading = heading;
    shot.tick = tick;
    shot.born = now;
    shot.offX = shot.offY = 0;
    return shot;
  }

  /** Flies all that the server does not show yet. `ended` is called where one meets a wall or somebody. @param {number} now @param {(x: number, y: number) => boolean} meets @param {(shot: Shot) => void} ended */
  fly(now, meets, ended) {
    for (const shot of this.shots) {
      if (!shot.live || shot.bullet >= 0) continue;
      const age = now - shot.born;
      shot.x = shot.fromX + shot.wayX * age;
      shot.y = shot.fromY + shot.wayY * age;
      const stopped = this.walls.stops(shot.x * SCALE, shot.y * SCALE) || meets(shot.x, shot.y);
      if (stopped) ended(shot);
      if (stopped || age > LIFE_MS) shot.live = false;
    }
  }

  /**
   * The server's bullet is shown now: the shot whose heading is the nearest becomes it, of two alike the older one. An
   * input that came late may have been aimed a little further.
   * @param {number} bullet @param {number} heading @param {number} x @param {number} y
   */
  take(bullet, heading, x, y) {
    let found = null;
    let least = ASTRAY;
    for (const shot of this.shots) {
      if (!shot.live || shot.bullet >= 0) continue;
      const turned = (shot.heading - heading) & (TURN - 1);
      const astray = Math.min(turned, TURN - turned);
      if (astray > least || (astray === least && found !== null && shot.born >= found.born)) continue;
      found = shot;
      least = astray;
    }
    if (found === null) return;
    found.bullet = bullet;
    found.offX = found.x - x;
    found.offY = found.y - y;
  }

  /** The shot that became this bullet. @param {number} bullet */
  of(bullet) {
    for (const shot of this.shots) if (shot.live && shot.bullet === bullet) return shot;
    return null;
  }

  /** The server's bullet is gone. @param {number} bullet */
  end(bullet) {
    const shot = this.of(bullet);
    if (shot !== null) shot.live = false;
  }

  /** What is seen of handovers fades. @param {number} passed milliseconds */
  fade(passed) {
    const left = FADE ** passed;
    for (const shot of this.shots) {
      shot.offX *= left;
      shot.offY *= left;
    }
  }
}

/** Whether a bullet at a spot hits a body at another; in units. @param {number} x @param {number} y @param {number} bodyX @param {number} bodyY */
export function hits(x, y, bodyX, bodyY) {
  const overX = x - bodyX;
  const overY = y - bodyY;
  return overX * overX + overY * overY <= (HIT_REACH / SCALE) ** 2;
}
