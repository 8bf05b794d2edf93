// Following a match makes no garbage: what is left on the heap after 10,000 ticks is what was there before.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Replica } from '../src/replica.js';
import { Schema } from '../src/schema.js';
import { Owner, SCHEMA } from './owner.js';

const PERIOD = 40;
const TICKS = 10_000;
const ENTITIES = 20;

/** Frames of a game that repeats itself: players that go to and fro, balls that come and go. */
function periodic() {
  const owner = new Owner();
  const frames = [];
  let start = owner.snapshot();
  for (let tick = 0; tick < 4 * PERIOD; tick += 1) {
    if (tick === 3 * PERIOD) start = owner.snapshot();
    const at = tick % PERIOD;
    for (let player = 0; player < ENTITIES; player += 1) {
      const x = 100 * Math.abs(at - PERIOD / 2) + ((tick * player) % 2 === 0 ? 0 : player) * (at % 3);
      owner.set(`player:${player}`, { player: player + 1, x: tick % 2 === 0 ? x : -x, aim: (at * player) & 255, name: 'Zoë' });
    }
    if (at === 5) owner.set('ball:9', { x: -7 });
    if (at === 30) owner.end('ball:9');
    const frame = owner.next();
    if (tick >= 3 * PERIOD) frames.push(frame);
  }
  return { start, frames };
}

test('no garbage per tick', () => {
  const { start, frames } = periodic();
  const replica = new Replica(new Schema(SCHEMA));
  assert.equal(replica.apply(start), 'advanced');
  const ticks = (/** @type {number} */ count) => {
    for (let tick = 0; tick < count; tick += 1) {
      const frame = frames[tick % PERIOD];
      frame[2] = replica.tick + 1;
      frame[3] = (replica.tick + 1) >> 8;
      if (replica.apply(frame) !== 'advanced') assert.fail(replica.why);
    }
  };
  ticks(TICKS);
  // A compiler at work in the background leaves something behind too, at most once.
  const grown = [1, 2, 3].map(() => {
    const before = process.memoryUsage().heapUsed;
    ticks(TICKS);
    return Math.abs(process.memoryUsage().heapUsed - before);
  });
  const perTick = Math.min(...grown) / TICKS;
  assert.ok(perTick < 16, `${perTick} bytes of garbage per tick`);
});
