// The arena's rules as far as a player's own screen needs them at once: walking, the weapon's cooldown, the flight of a
// bullet. The same whole numbers as server/src/games/arena.rs and arena/geometry.rs; test/walk.json, which the
// server's own rules write, holds the two together. Pure, and without garbage: spots are two numbers of an array.

/** Steps per unit. */
export const SCALE = 16;
/** The arena's map, from 0, 0. A match tells its own by the bounds of a player's place. */
export const ARENA_X = 1600 * SCALE;
export const ARENA_Y = 960 * SCALE;
export const BODY_RADIUS = 14 * SCALE;
export const HIT_REACH = 16 * SCALE;
export const HP_MAX = 100;
export const COOLDOWN_MS = 250;
export const RESPAWN_MS = 3_000;
export const MOVE_MAX = 127;
/** A full turn of an angle. */
export const TURN = 1024;

const PLAYER_SPEED = 240 * SCALE;
const BULLET_SPEED = 600 * SCALE;
const DIRECTION_LENGTH = 16_384;

/** Sine of every 64th part of a quarter turn, times the length of a direction. */
const SINES = [
  0, 402, 804, 1205, 1606, 2006, 2404, 2801, 3196, 3590, 3981, 4370, 4756, 5139, 5520, 5897, 6270, 6639, 7005, 7366, 7723,
  8076, 8423, 8765, 9102, 9434, 9760, 10080, 10394, 10702, 11003, 11297, 11585, 11866, 12140, 12406, 12665, 12916, 13160,
  13395, 13623, 13842, 14053, 14256, 14449, 14635, 14811, 14978, 15137, 15286, 15426, 15557, 15679, 15791, 15893, 15986,
  16069, 16143, 16207, 16261, 16305, 16340, 16364, 16379, 16384,
];

/** Ticks that take at least this long. @param {number} ms @param {number} hz */
export function ticks(ms, hz) {
  return Math.floor((ms * hz + 999) / 1_000);
}

/** The whole number nearest to a quotient, alike to both sides of 0. @param {number} dividend @param {number} divisor positive */
export function divideRound(dividend, divisor) {
  return Math.trunc((dividend + Math.sign(dividend) * Math.trunc(divisor / 2)) / divisor);
}

/** @param {number} angle */
function sine(angle) {
  const turned = angle & (TURN - 1);
  const quarter = turned >> 8;
  const part = quarter % 2 === 0 ? turned & 255 : 256 - (turned & 255);
  const index = part >> 2;
  const next = SINES[Math.min(index + 1, SINES.length - 1)];
  const size = SINES[index] + Math.trunc(((next - SINES[index]) * (part & 3)) / 4);
  return quarter < 2 ? size : -size;
}

/** Way of one tick on each axis, of a bullet with this heading. @param {number} heading @param {number} hz */
export function bulletWayX(heading, hz) {
  return divideRound(sine(heading + TURN / 4) * BULLET_SPEED, DIRECTION_LENGTH * hz);
}

/** @param {number} heading @param {number} hz */
export function bulletWayY(heading, hz) {
  return divideRound(sine(heading) * BULLET_SPEED, DIRECTION_LENGTH * hz);
}

/** A match's map and its walls: four numbers each, left, top, right, bottom, in steps and in the order of their entities. */
export class Walls {
  /** @param {number} [mapX] @param {number} [mapY] */
  constructor(mapX = ARENA_X, mapY = ARENA_Y) {
    this.mapX = mapX;
    this.mapY = mapY;
    this.edges = new Int32Array(0);
  }

  /** @param {ArrayLike<number>} edges */
  set(edges) {
    this.edges = Int32Array.from(edges);
  }

  get count() {
    return this.edges.length / 4;
  }

  /** Whether a square around a spot overlaps this wall. @param {number} wall @param {number} x @param {number} y @param {number} radius */
  overlaps(wall, x, y, radius) {
    const { edges } = this;
    const at = wall * 4;
    return edges[at] < x + radius && x - radius < edges[at + 2] && edges[at + 1] < y + radius && y - radius < edges[at + 3];
  }

  /** Whether a spot is within a wall or outside of the map. @param {number} x @param {number} y */
  stops(x, y) {
    if (x < 0 || y < 0 || x > this.mapX || y > this.mapY) return true;
    for (let wall = 0; wall < this.count; wall += 1) {
      if (this.overlaps(wall, x, y, 0)) return true;
    }
    return false;
  }

  /**
   * Moves a body: walls and the border stop it on one axis and let it slide on the other.
   * @param {Int32Array} state x and y at 0 and 1 @param {number} wayX @param {number} wayY
   */
  slide(state, wayX, wayY) {
    const { edges } = this;
    const y = state[1];
    let x = Math.min(Math.max(state[0] + wayX, BODY_RADIUS), this.mapX - BODY_RADIUS);
    for (let wall = 0; wall < this.count; wall += 1) {
      if (this.overlaps(wall, x, y, BODY_RADIUS)) x = wayX > 0 ? edges[wall * 4] - BODY_RADIUS : edges[wall * 4 + 2] + BODY_RADIUS;
    }
    let down = Math.min(Math.max(y + wayY, BODY_RADIUS), this.mapY - BODY_RADIUS);
    for (let wall = 0; wall < this.count; wall += 1) {
      if (this.overlaps(wall, x, down, BODY_RADIUS)) down = wayY > 0 ? edges[wall * 4 + 1] - BODY_RADIUS : edges[wall * 4 + 3] + BODY_RADIUS;
    }
    state[0] = x;
    state[1] = down;
  }
}

/** The fields of a player that its own screen knows in advance, in the order of a state of `LocalPlayer`. */
export const FIELDS = ['x', 'y', 'hp', 'cooldown', 'respawn', 'move_x', 'move_y', 'aim', 'fire'];
export const X = 0;
export const Y = 1;
export const HP = 2;
export const COOLDOWN = 3;
const RESPAWN = 4;
const MOVE_X = 5;
const MOVE_Y = 6;
export const AIM = 7;
const FIRE = 8;

/** One tick of the own player. */
export class LocalPlayer {
  /** @param {number} hz @param {Walls} walls */
  constructor(hz, walls) {
    this.hz = hz;
    this.walls = walls;
    /** Whether the round goes on; in a break nobody fires. */
    this.playing = true;
    this.cooldown = ticks(COOLDOWN_MS, hz);
    this.step = this.step.bind(this);
  }

  /** @param {Int32Array} state changed in place @param {Int32Array} input move_x, move_y, aim, fire */
  step(state, input) {
    state[COOLDOWN] = Math.max(0, state[COOLDOWN] - 1);
    // Where the dead come back is the server's to choose.
    if (state[HP] === 0) state[RESPAWN] = Math.max(0, state[RESPAWN] - 1);
    state[MOVE_X] = input[0];
    state[MOVE_Y] = input[1];
    state[AIM] = input[2];
    state[FIRE] = input[3];
    if (state[HP] === 0) return;
    if (this.playing && state[FIRE] === 1 && state[COOLDOWN] === 0) state[COOLDOWN] = this.cooldown;
    this.walk(state, input[0], input[1]);
  }

  /** A vector longer than full speed is shortened to it. @param {Int32Array} state @param {number} moveX @param {number} moveY */
  walk(state, moveX, moveY) {
    const full = Math.max(Math.floor(Math.sqrt(moveX * moveX + moveY * moveY)), MOVE_MAX) * this.hz;
    this.walls.slide(state, divideRound(moveX * PLAYER_SPEED, full), divideRound(moveY * PLAYER_SPEED, full));
  }
}

/** Ticks until this one at which a round or a break ends; the field has its low 31 bits. @param {number} endsAt @param {number} tick that is shown */
export function ticksLeft(endsAt, tick) {
  const left = (endsAt - Math.floor(tick % 2 ** 31)) & 0x7fffffff;
  return left < 2 ** 30 ? left : 0;
}
