// A game over a virtual link with seeded jitter, by stepped clocks: an owner, its link, and the netcode of one client.

import assert from 'node:assert/strict';

import { Netcode } from '../src/netcode/netcode.js';
import { Replica } from '../src/replica.js';
import { Schema } from '../src/schema.js';
import { Lifeline } from '../src/lifeline.js';
import { Link, random } from './link.js';
import { Owner, SCHEMA } from './owner.js';

export const RATE = 30;
export const INTERVAL = 1000 / RATE;
const STEP_MS = 1;
/** Pictures per second. */
export const FRAME_MS = 1000 / 60;
export const SPEED = 40;

/**
 * A game in which the one player's x grows by its input in each tick, an input stands until the next one, and a link
 * to its client. The clocks of both ends differ.
 */
export class Play {
  /** @param {{ seed?: number, delay?: number, jitter?: number, began?: number, quietMs?: number }} [options] */
  constructor({ seed = 1, delay = 50, jitter = 20, began = 12_345, quietMs = 0 } = {}) {
    const draw = random(seed);
    this.began = began;
    this.owner = new Owner(100);
    this.owner.set('player:0', { player: 4 });
    this.owner.next();
    this.replica = new Replica(new Schema(SCHEMA));
    this.netcode = new Netcode(this.replica.schema, RATE);
    this.netcode.quietMs = quietMs;
    /** Ticks that the node holds back at most; how many it does; and how many in a row have changed nothing. */
    this.heldMost = Math.max(0, Math.floor(quietMs / INTERVAL) - 1);
    this.held = 0;
    this.still = 0;
    this.frames = 0;
    this.down = new Link({ delay, jitter, random: draw });
    this.up = new Link({ delay, jitter, random: draw });
    this.lifeline = new Lifeline(began);
    this.lifeline.welcomed = true;
    /** Milliseconds since the beginning, at the server. */
    this.time = 0;
    this.startTick = this.owner.tick;
    this.ticks = 0;
    /** How long no owner ran the match, milliseconds. */
    this.paused = 0;
    this.x = 0;
    this.move = 0;
    this.seq = 0;
    this.sent = 0;
    /** Inputs that wait at the owner. @type {{ seq: number, move: number }[]} */
    this.waiting = [];
    this.credit = 0;
    this.framed = 0;
    /** What the player does; null is no input. @type {(tick: number) => number | null} */
    this.controls = () => 1;
    /** @type {(play: Play) => void} */
    this.onFrame = () => {};
    this.down.send({ frame: this.owner.snapshot() }, 0);
  }

  /** The client's clock. */
  get now() {
    return this.time + this.began;
  }

  /** The tick that the server is at, with its fraction. */
  get truth() {
    return this.startTick + (this.time - this.paused) / INTERVAL;
  }

  /** @param {number} until milliseconds since the beginning */
  run(until) {
    for (; this.time < until; this.time += STEP_MS) {
      for (const { message } of this.up.arrived(this.time)) this.hear(message);
      while ((this.ticks + 1) * INTERVAL + this.paused <= this.time) this.tick();
      for (const { message } of this.down.arrived(this.time)) this.see(message);
      this.act();
      if (this.time - this.framed >= FRAME_MS) {
        this.framed += FRAME_MS;
        this.netcode.frame(this.now);
        this.onFrame(this);
      }
    }
  }

  /** @param {any} message */
  hear(message) {
    if (message.ping) this.down.send(message, this.time);
    else this.waiting.push(message);
  }

  tick() {
    this.ticks += 1;
    // As the owner does: one each tick; ticks in which none waited are made up for, two at once. Eight may wait.
    while (this.waiting.length > 8) this.waiting.shift();
    const count = Math.min(this.waiting.length, 1 + Math.min(this.credit, 1));
    this.credit = Math.min(4, this.credit + 1 - count);
    for (const { seq, move } of this.waiting.splice(0, count)) {
      this.seq = seq;
      this.move = move;
    }
    this.x += this.move * SPEED;
    this.owner.set('player:0', { seq: this.seq, x: this.x });
    this.pass();
  }

  /** Sends the next tick, or holds it back, as a node does. */
  pass() {
    const before = this.owner.replica.world.hash;
    const frame = this.owner.next();
    const changed = frame.length > 8 || this.owner.replica.world.hash !== before;
    this.still = changed ? 0 : this.still + 1;
    if (this.still >= 3 && this.held < this.heldMost) {
      this.held += 1;
      return;
    }
    if (this.held > 0) frame[0] |= 2;
    this.held = 0;
    this.frames += 1;
    this.down.send({ frame }, this.time);
  }

  /** @param {any} message */
  see(message) {
    if (message.ping) this.netcode.clock.pong(this.lifeline.sentAt(message.ping), this.now);
    if (!message.frame) return;
    assert.equal(this.replica.apply(message.frame), 'advanced', this.replica.why);
    this.netcode.stateArrived(this.replica, 0, this.now, message.frame[0] < 0x20);
  }

  act() {
    if (this.replica.waiting) return;
    if (this.lifeline.isPingDue(this.now)) this.up.send({ ping: this.lifeline.ping(this.now) }, this.time);
    for (let due = this.netcode.inputClock.due(this.now); due > 0; due -= 1) {
      const move = this.controls(this.netcode.inputClock.tick + 1);
      if (move === null) {
        this.netcode.inputClock.tick += 1;
        continue;
      }
      this.sent += 1;
      this.netcode.inputSent(this.sent, [move], this.now);
      this.up.send({ seq: this.sent, move }, this.time);
    }
  }
}
