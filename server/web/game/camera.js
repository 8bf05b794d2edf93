// Where the picture looks: follows somebody smoothly, looks ahead to where they aim, stays near the map. Pure; numbers
// are units of the game, and pixels of the page for the screen.

import { ARENA_X, ARENA_Y, SCALE } from './rules.js';

/** So much of the map is seen at once, whatever the shape of the screen; in square units. */
const AREA = 1_000 * 620;
/** How much beyond the border of the map may be seen. */
const MARGIN = 60;
/** Part of half a screen by which the picture is ahead of a player who aims. */
const AHEAD = 0.22;
const FOLLOW_PER_SECOND = 9;

export class Camera {
  /** @param {number} [mapX] the map's size in steps @param {number} [mapY] */
  constructor(mapX = ARENA_X, mapY = ARENA_Y) {
    /** Size of the map. */
    this.mapWidth = mapX / SCALE;
    this.mapHeight = mapY / SCALE;
    this.x = this.mapWidth / 2;
    this.y = this.mapHeight / 2;
    /** Pixels per unit. */
    this.scale = 1;
    this.width = 1;
    this.height = 1;
    this.settled = false;
    // A hit shakes it.
    this.shake = 0;
    this.shakeX = 0;
    this.shakeY = 0;
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    this.scale = Math.min(1.7, Math.max(0.6, Math.sqrt((this.width * this.height) / AREA)));
  }

  /** The next look at somebody jumps there. */
  cut() {
    this.settled = false;
  }

  /**
   * Goes on towards a spot. @param {number} x @param {number} y @param {number} aimX direction to look ahead, length 0 to 1
   * @param {number} aimY @param {number} seconds
   */
  follow(x, y, aimX, aimY, seconds) {
    const ahead = (AHEAD * Math.min(this.width, this.height)) / (2 * this.scale);
    const toX = this.fit(x + aimX * ahead, this.width, this.mapWidth);
    const toY = this.fit(y + aimY * ahead, this.height, this.mapHeight);
    const part = this.settled ? 1 - Math.exp(-seconds * FOLLOW_PER_SECOND) : 1;
    this.x += (toX - this.x) * part;
    this.y += (toY - this.y) * part;
    this.settled = true;
  }

  /** @param {number} at @param {number} pixels @param {number} size of the map */
  fit(at, pixels, size) {
    const half = pixels / this.scale / 2;
    const least = half - MARGIN;
    const most = size - half + MARGIN;
    return least > most ? size / 2 : Math.min(Math.max(at, least), most);
  }

  /** @param {number} seconds @param {number} random -1 to 1 @param {number} other -1 to 1 */
  quake(seconds, random, other) {
    this.shake = Math.max(0, this.shake - seconds * 26);
    this.shakeX = random * this.shake;
    this.shakeY = other * this.shake;
  }

  /** @param {number} x */
  screenX(x) {
    return (x - this.x - this.shakeX) * this.scale + this.width / 2;
  }

  /** @param {number} y */
  screenY(y) {
    return (y - this.y - this.shakeY) * this.scale + this.height / 2;
  }

  /** Whether a spot with something of this size around it can be seen. @param {number} x @param {number} y @param {number} size */
  sees(x, y, size) {
    return Math.abs(x - this.x) < this.width / this.scale / 2 + size && Math.abs(y - this.y) < this.height / this.scale / 2 + size;
  }
}
