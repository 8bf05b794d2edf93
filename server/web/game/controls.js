// What a person wants: keys, mouse and touch, put together into the values of an input.

import { MOVE_MAX, TURN } from './rules.js';

/** A finger that is this far from where it began means full speed; pixels. */
const STICK = 46;
/** Nearer than this the finger means nothing. */
const DEAD_ZONE = 9;

/** Keys that move, with the direction. @type {Record<string, [number, number]>} */
const MOVES = {
  KeyW: [0, -1], ArrowUp: [0, -1], KeyS: [0, 1], ArrowDown: [0, 1], KeyA: [-1, 0], ArrowLeft: [-1, 0], KeyD: [1, 0], ArrowRight: [1, 0],
};

/** The 10-bit angle of a direction. @param {number} x @param {number} y */
export function angleOf(x, y) {
  return Math.round((Math.atan2(y, x) / (2 * Math.PI)) * TURN) & (TURN - 1);
}

/** A direction as whole numbers of at most full speed. @param {Int32Array} values @param {number} x @param {number} y length at most 1 */
export function setMove(values, x, y) {
  const length = Math.hypot(x, y);
  const shorter = length > 1 ? 1 / length : 1;
  values[0] = Math.trunc(x * shorter * MOVE_MAX);
  values[1] = Math.trunc(y * shorter * MOVE_MAX);
}

/** A finger on the screen that works like a stick. */
export class Stick {
  constructor() {
    this.pointer = -1;
    this.fromX = 0;
    this.fromY = 0;
    this.x = 0;
    this.y = 0;
  }

  /** @param {number} pointer @param {number} x @param {number} y */
  begin(pointer, x, y) {
    this.pointer = pointer;
    this.fromX = this.x = x;
    this.fromY = this.y = y;
  }

  /** @param {number} x @param {number} y */
  move(x, y) {
    this.x = x;
    this.y = y;
    // The stick comes along when the finger goes further than it reaches.
    const [overX, overY] = [x - this.fromX, y - this.fromY];
    const far = Math.hypot(overX, overY);
    if (far > STICK * 1.6) {
      this.fromX = x - (overX / far) * STICK * 1.6;
      this.fromY = y - (overY / far) * STICK * 1.6;
    }
  }

  get isHeld() {
    return this.pointer >= 0;
  }

  /** Whether it is pushed somewhere. */
  get isPushed() {
    return this.isHeld && Math.hypot(this.x - this.fromX, this.y - this.fromY) > DEAD_ZONE;
  }

  get pushX() {
    return (this.x - this.fromX) / STICK;
  }

  get pushY() {
    return (this.y - this.fromY) / STICK;
  }
}

export class Controls {
  /** @param {HTMLCanvasElement} canvas @param {(key: string) => boolean} command told of keys that are no game keys; whether it was one */
  constructor(canvas, command) {
    this.canvas = canvas;
    this.command = command;
    /** @type {Set<string>} */
    this.keys = new Set();
    // Until the mouse is moved it points to the right of the middle.
    this.mouseX = window.innerWidth / 2 + 80;
    this.mouseY = window.innerHeight / 2;
    this.mouseFires = false;
    this.usesTouch = false;
    this.left = new Stick();
    this.right = new Stick();
    /** A tap fires once, even if it is over before the next input. */
    this.tapped = false;
    this.aim = 0;
    this.values = new Int32Array(4);
    this.abort = new AbortController();
    this.listen();
  }

  listen() {
    const { signal } = this.abort;
    window.addEventListener('keydown', (event) => this.keyDown(event), { signal });
    window.addEventListener('keyup', (event) => this.keys.delete(event.code), { signal });
    window.addEventListener('blur', () => this.release(), { signal });
    const { canvas } = this;
    canvas.addEventListener('pointerdown', (event) => this.pointerDown(event), { signal });
    window.addEventListener('pointermove', (event) => this.pointerMove(event), { signal });
    window.addEventListener('pointerup', (event) => this.pointerUp(event), { signal });
    window.addEventListener('pointercancel', (event) => this.pointerUp(event), { signal });
    canvas.addEventListener('contextmenu', (event) => event.preventDefault(), { signal });
  }

  end() {
    this.abort.abort();
  }

  release() {
    this.keys.clear();
    this.mouseFires = false;
    this.left.pointer = this.right.pointer = -1;
  }

  /** @param {KeyboardEvent} event */
  keyDown(event) {
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    // What is pressed with the keyboard is pressed, and fires no shot and opens no chat.
    if (isPressable(event.target) && (event.code === 'Space' || event.code === 'Enter')) return;
    if (event.code in MOVES || event.code === 'Space') {
      this.keys.add(event.code);
      if (event.code === 'Space' && !event.repeat) this.tapped = true;
      event.preventDefault();
    } else if (!event.repeat && this.command(event.code)) {
      event.preventDefault();
    }
  }

  /** @param {PointerEvent} event */
  pointerDown(event) {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    event.preventDefault();
    if (event.pointerType !== 'touch') {
      this.usesTouch = false;
      this.moveMouse(event);
      if (event.button === 0) this.mouseFires = this.tapped = true;
      return;
    }
    this.usesTouch = true;
    const stick = event.clientX < window.innerWidth / 2 ? this.left : this.right;
    if (!stick.isHeld) stick.begin(event.pointerId, event.clientX, event.clientY);
    if (stick === this.right) this.tapped = true;
  }

  /** @param {PointerEvent} event */
  pointerMove(event) {
    if (event.pointerType !== 'touch') {
      this.moveMouse(event);
      return;
    }
    for (const stick of [this.left, this.right]) {
      if (stick.pointer === event.pointerId) stick.move(event.clientX, event.clientY);
    }
  }

  /** @param {PointerEvent} event */
  pointerUp(event) {
    if (event.pointerType !== 'touch') this.mouseFires = false;
    for (const stick of [this.left, this.right]) if (stick.pointer === event.pointerId) stick.pointer = -1;
  }

  /** @param {PointerEvent} event */
  moveMouse(event) {
    this.mouseX = event.clientX;
    this.mouseY = event.clientY;
  }

  get moveX() {
    return this.left.isPushed ? this.left.pushX : this.keyed(0);
  }

  get moveY() {
    return this.left.isPushed ? this.left.pushY : this.keyed(1);
  }

  /** @param {number} axis */
  keyed(axis) {
    let sum = 0;
    for (const code of this.keys) sum += MOVES[code]?.[axis] ?? 0;
    return Math.sign(sum);
  }

  /** Where the weapon points, when the own player is drawn at this place. @param {number} x @param {number} y */
  look(x, y) {
    if (this.right.isPushed) this.aim = angleOf(this.right.pushX, this.right.pushY);
    else if (!this.usesTouch) this.aim = angleOf(this.mouseX - x, this.mouseY - y);
    else if (!this.right.isHeld && this.left.isPushed) this.aim = angleOf(this.left.pushX, this.left.pushY);
    return this.aim;
  }

  get fires() {
    return this.mouseFires || this.keys.has('Space') || this.right.isPushed;
  }

  /** The input for the next tick: move_x, move_y, aim, fire. */
  input() {
    setMove(this.values, this.moveX, this.moveY);
    this.values[2] = this.aim;
    this.values[3] = this.fires || this.tapped ? 1 : 0;
    this.tapped = false;
    return this.values;
  }
}

/** @param {EventTarget | null} target */
function isPressable(target) {
  return target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement;
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
