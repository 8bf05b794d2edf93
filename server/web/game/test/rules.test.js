// The page's rules against what the server's rules did: walk.json is written by a test of the arena.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { COOLDOWN, FIELDS, HP, LocalPlayer, Walls, X, Y, bulletWayX, bulletWayY } from '../rules.js';

const golden = JSON.parse(readFileSync(new URL('walk.json', import.meta.url), 'utf8'));

test('a player walks, slides and fires as on the server, tick by tick', () => {
  assert.ok(golden.walks.length >= 4);
  for (const { hz, start, inputs, states } of golden.walks) {
    const walls = new Walls();
    walls.set(golden.walls.flat());
    const player = new LocalPlayer(hz, walls);
    const state = new Int32Array(FIELDS.length);
    state[X] = start[0];
    state[Y] = start[1];
    state[HP] = 100;
    states.forEach((/** @type {number[]} */ expected, /** @type {number} */ at) => {
      player.step(state, Int32Array.from(inputs[at]));
      assert.deepEqual([state[X], state[Y], state[COOLDOWN]], expected, `${hz} Hz, tick ${at + 1}`);
    });
  }
});

test('a bullet goes the same whole steps as on the server', () => {
  for (const [hz, heading, x, y] of golden.bullets) {
    assert.deepEqual([bulletWayX(heading, hz), bulletWayY(heading, hz)], [x, y], `${hz} Hz, heading ${heading}`);
  }
});

test('a tick makes no garbage', () => {
  const walls = new Walls();
  walls.set(golden.walls.flat());
  const player = new LocalPlayer(30, walls);
  const state = Int32Array.of(8000, 3000, 100, 0, 0, 0, 0, 0, 0);
  const input = Int32Array.of(127, 90, 5, 1);
  const run = () => {
    for (let at = 0; at < 20_000; at += 1) player.step(state, input);
  };
  run();
  // The engine may compile or tidy up meanwhile; what a tick itself leaves is there each time.
  const left = Array.from({ length: 5 }, () => {
    const before = process.memoryUsage().heapUsed;
    run();
    return Math.abs(process.memoryUsage().heapUsed - before);
  });
  assert.ok(Math.min(...left) < 200_000, `bytes: ${left}`);
});
