// Ticks that change nothing are held back: what a client shows then, and when it begins to move again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Clock } from '../src/netcode/clock.js';
import { FRAME_MS, INTERVAL, Play, SPEED } from './play.js';

const QUIET_MS = 4_000;
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
/** How far the picture goes on where something moves by `SPEED` each tick. */
const EVEN = (SPEED * FRAME_MS) / INTERVAL;

/** A game in which somebody else moves until 3 s, stands until 6 s and somewhat, and moves on. @param {number} seed @param {number} quietMs */
function rests(seed, quietMs) {
  const play = new Play({ seed, quietMs });
  play.controls = () => null;
  const pass = play.pass.bind(play);
  let x = 0;
  const begins = 6_000 + 97 * seed;
  play.pass = () => {
    if (play.time < 3_000 || play.time >= begins) x += SPEED;
    play.owner.set('player:1', { player: 5, x });
    pass();
  };
  const at = play.replica.schema.playerKind.at[play.replica.schema.playerKind.field('x')];
  const shown = () => play.netcode.history.value(play.replica.world.tables[0], 1, at);
  return { play, begins, shown };
}

test('quiet for three seconds and then not: nothing jumps, stands still or is shown later', () => {
  for (const seed of SEEDS) {
    const { play, begins, shown } = rests(seed, QUIET_MS);
    const { playout, clock } = play.netcode;
    play.run(3_600);
    const [delay, starved, frames, at] = [playout.delay, playout.starved, play.frames, shown()];
    play.onFrame = () => {
      assert.equal(shown(), at, 'it stands');
      assert.ok(play.netcode.playout.buffer > 0, 'and nothing is missing');
    };
    play.run(begins);
    assert.ok(play.frames - frames <= 4, `${play.frames - frames} frames`);
    const wrong = Math.abs(clock.serverTick(play.now) - play.truth) * INTERVAL;
    assert.ok(wrong < 10, `the clock is wrong by ${wrong} ms`);
    /** @type {number[]} */
    const seen = [];
    play.onFrame = () => seen.push(shown());
    play.run(begins + 2_000);
    assert.ok(Math.abs(playout.delay - delay) * INTERVAL < 20, `${delay} intervals, then ${playout.delay}`);
    assert.ok(playout.starved - starved <= 2, `${playout.starved - starved} pictures without a tick behind them`);
    assert.equal(playout.jumps, 0);
    const steps = seen.slice(1).map((value, index) => value - seen[index]);
    const moving = steps.slice(steps.findIndex((step) => step > 0));
    assert.ok(moving.length > 100, `it moves for ${moving.length} pictures`);
    assert.ok(moving.every((step) => step <= EVEN * 1.25), `a jump of ${Math.max(...moving) / EVEN}`);
    assert.ok(moving.slice(1).every((step) => step >= EVEN * 0.75), `a step of ${Math.min(...moving.slice(1)) / EVEN}`);
  }
});

test('it is shown to begin as late as by a node that holds nothing back', () => {
  const begun = (/** @type {number} */ quietMs) => SEEDS.map((seed) => {
    const { play, begins, shown } = rests(seed, quietMs);
    play.run(begins);
    const before = shown();
    let late = Number.NaN;
    play.onFrame = () => {
      if (Number.isNaN(late) && shown() > before) late = play.time - begins;
    };
    play.run(begins + 1_000);
    return late;
  });
  const mean = (/** @type {number[]} */ values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [held, sent] = [mean(begun(QUIET_MS)), mean(begun(0))];
  assert.ok(Math.abs(held - sent) < 10, `${held} ms, and ${sent} ms where every tick is sent`);
});

test('a snapshot of a tick that was made long before tells the time until a tick comes', () => {
  const clock = new Clock(30);
  const late = 500;
  clock.tickArrived(100, 100 * INTERVAL + late);
  assert.equal(clock.base, late);
  for (const tick of [115, 120, 128]) clock.tickArrived(tick, tick * INTERVAL + 5);
  assert.equal(clock.base, 5);
  assert.ok(clock.jitter < 1, `${clock.jitter} ms`);
  const at = 129 * INTERVAL;
  assert.ok(Math.abs(clock.serverTick(at) - (at - 5) / INTERVAL) < 0.01);
  // One that was a little faster than the first is no reason to forget that one.
  const even = new Clock(30);
  [30, 0, 20].forEach((slow, tick) => even.tickArrived(tick, tick * INTERVAL + slow));
  assert.ok(even.jitter > 20, `${even.jitter} ms`);
});

test('where little arrives a stall is forgotten in time', () => {
  const clock = new Clock(30);
  let tick = 0;
  for (; tick < 60; tick += 1) clock.tickArrived(tick, tick * INTERVAL + (tick % 20 === 0 ? 400 : 5));
  assert.ok(clock.jitter > 350, `${clock.jitter} ms`);
  for (; tick < 60 + 15 * 30; tick += 30) clock.tickArrived(tick, tick * INTERVAL + 5);
  assert.ok(clock.jitter < 1, `${clock.jitter} ms 15 s later`);
  assert.ok(clock.kept >= 12, 'and by as many as tell a stall from jitter');
});

test('a client that is not told takes the silence for a stall', () => {
  const { play, begins } = rests(1, QUIET_MS);
  play.netcode.quietMs = 0;
  play.run(3_600);
  const { starved } = play.netcode.playout;
  play.run(begins);
  assert.ok(play.netcode.playout.starved - starved > 50, 'so this would be seen');
});

test('a real silence in a quiet match ends: what is known goes no further than was promised', () => {
  const { play } = rests(1, QUIET_MS);
  play.run(4_000);
  play.down.blockedUntil = Infinity;
  play.run(5_000 + QUIET_MS);
  const { playout } = play.netcode;
  assert.equal(playout.tick, playout.newest + (QUIET_MS + playout.extrapolateMs) / INTERVAL);
});

test('who begins to play after a rest is predicted at once, and right', () => {
  for (let later = 0; later < QUIET_MS; later += 111) {
    const play = new Play({ quietMs: QUIET_MS });
    /** @type {import('../src/netcode/prediction.js').Step} */
    const step = (state, input) => { state[0] += input[0] * SPEED; };
    const prediction = play.netcode.predict({ fields: ['x'], step });
    play.controls = () => (play.time < 3_000 ? Number(play.time < 2_500) : null);
    play.run(3_600);
    const [frames, wrong] = [play.frames, prediction.mispredictions];
    play.run(6_000 + later);
    assert.ok(play.frames - frames <= 5, `${play.frames - frames} frames while nobody does anything`);
    play.controls = () => 1;
    /** @type {number[]} */
    const seen = [];
    play.onFrame = () => seen.push(prediction.value('x', play.netcode.predictedPart));
    play.run(play.time + 2_000);
    const steps = seen.slice(1).map((value, at) => value - seen[at]);
    const began = steps.findIndex((each) => each > 0);
    assert.ok(began >= 0 && began < 6, `it moves with picture ${began}`);
    assert.ok(steps.every((each) => each >= 0 && each <= 2 * SPEED), `steps of ${Math.min(...steps)} to ${Math.max(...steps)}`);
    assert.ok(prediction.mispredictions - wrong <= 1, `${prediction.mispredictions - wrong} wrong guesses`);
  }
});
