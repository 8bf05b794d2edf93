// The goals of the netcode over a virtual link with seeded jitter, RTT 100 ms, each way 20 ms more or
// less, unless said otherwise.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Netcode } from '../src/netcode/netcode.js';
import { Replica } from '../src/replica.js';
import { Schema } from '../src/schema.js';
import { percentile } from './link.js';
import { FENCE, Owner, SCHEMA } from './owner.js';
import { FRAME_MS, INTERVAL, Play, RATE, SPEED } from './play.js';

/** A local player that goes by its input. */
const MOVER = {
  fields: ['x'],
  /** @param {Int32Array} state @param {Int32Array} input */
  step(state, input) {
    state[0] += input[0] * SPEED;
  },
};

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

test('after 3 s the clock is right to 5 ms at the 95th of 100', () => {
  const errors = SEEDS.flatMap((seed) => {
    const play = new Play({ seed });
    /** @type {number[]} */
    const found = [];
    play.onFrame = () => {
      if (play.time > 3_000) found.push(Math.abs(play.netcode.clock.serverTick(play.now) - play.truth) * INTERVAL);
    };
    play.run(13_000);
    return found;
  });
  const p95 = percentile(errors, 95);
  assert.ok(p95 < 5, `${p95} ms`);
  console.log(`clock error p50 ${percentile(errors, 50).toFixed(2)} ms, p95 ${p95.toFixed(2)} ms`);
});

test('without the clock the error is the way and the jitter', () => {
  const play = new Play();
  play.netcode.clock.enabled = false;
  play.run(4_000);
  const error = (play.truth - play.netcode.clock.serverTick(play.now)) * INTERVAL;
  assert.ok(error > 30, `${error} ms`);
});

test('no picture without a tick behind it, at no more than 2.5 intervals of delay', () => {
  let starved = 0;
  let updates = 0;
  for (const seed of SEEDS) {
    const play = new Play({ seed });
    play.run(3_000);
    const { playout } = play.netcode;
    const before = [playout.starved, playout.updates];
    play.onFrame = () => assert.ok(playout.delay <= 2.5, `${playout.delay} intervals`);
    play.run(33_000);
    starved += playout.starved - before[0];
    updates += playout.updates - before[1];
  }
  console.log(`${starved} of ${updates} pictures without a tick behind them`);
  assert.ok(starved / updates <= 0.01, `${starved} of ${updates}`);
});

test('who has just joined sees ticks and not guesses within half a second', () => {
  let starved = 0;
  let updates = 0;
  for (const seed of SEEDS) {
    const play = new Play({ seed, jitter: 40 });
    play.run(500);
    const { playout } = play.netcode;
    const before = [playout.starved, playout.updates];
    play.run(3_000);
    starved += playout.starved - before[0];
    updates += playout.updates - before[1];
  }
  console.log(`${starved} of ${updates} pictures without a tick behind them, from 0.5 to 3 s after the join`);
  assert.ok(starved / updates <= 0.02, `${starved} of ${updates}`);
});

test('what is shown goes evenly', () => {
  const play = new Play();
  const table = play.replica.world.tables[0];
  /** @type {number[]} */
  const seen = [];
  play.run(3_000);
  play.onFrame = () => seen.push(play.netcode.history.value(table, 0, table.kind.at[table.kind.field('x')]));
  play.run(10_000);
  const steps = seen.slice(1).map((value, at) => value - seen[at]);
  const even = (SPEED * FRAME_MS) / INTERVAL;
  assert.ok(steps.every((step) => Math.abs(step - even) < even * 0.25), `${Math.min(...steps)} to ${Math.max(...steps)}`);
});

test('a player that moves steadily is never predicted wrong', () => {
  for (const seed of SEEDS) {
    const play = new Play({ seed });
    const prediction = play.netcode.predict(MOVER);
    play.run(3_000);
    const before = prediction.mispredictions;
    play.run(33_000);
    assert.equal(prediction.mispredictions - before, 0);
    assert.ok(prediction.compared > 800, `${prediction.compared}`);
    assert.ok(prediction.tick - play.replica.tick >= 3, 'and it is ahead by the round trip');
  }
});

test('one that turns now and then is predicted right but where jitter moved the turn, and corrections fade', () => {
  const play = new Play();
  const prediction = play.netcode.predict(MOVER);
  play.controls = (tick) => [1, 0, -1][Math.floor(tick / 15) % 3];
  play.run(3_000);
  const before = [prediction.mispredictions, prediction.compared];
  /** @type {number[]} */
  const seen = [];
  play.onFrame = () => seen.push(prediction.value('x', play.netcode.predictedPart));
  play.run(33_000);
  const wrong = (prediction.mispredictions - before[0]) / (prediction.compared - before[1]);
  assert.ok(wrong < 0.05, `${wrong} of the ticks`);
  const jumps = seen.slice(1).map((value, at) => Math.abs(value - seen[at]));
  assert.ok(Math.max(...jumps) <= 2 * SPEED, `a picture jumps by ${Math.max(...jumps)}`);
  play.controls = () => 0;
  play.run(35_000);
  assert.equal(prediction.value('x', 1), play.x, 'at rest it is where the server has it');
});

test('a wrong guess that no late input explains is told from one by jitter', () => {
  const unexplained = (/** @type {number} */ speed, /** @type {number} */ seed) => {
    const play = new Play({ seed });
    /** @type {import('../src/netcode/prediction.js').Step} */
    const step = (state, input) => { state[0] += input[0] * speed; };
    const prediction = play.netcode.predict({ fields: ['x'], step });
    play.controls = (tick) => [1, 0, -1][Math.floor(tick / 5) % 3];
    play.run(20_000);
    assert.ok(prediction.judged > 500, `${prediction.judged}`);
    return [prediction.unexplained, prediction.mispredictions];
  };
  const right = SEEDS.map((seed) => unexplained(SPEED, seed));
  assert.ok(right.some(([, wrong]) => wrong > 0), 'jitter moved turns');
  assert.deepEqual(right.map(([none]) => none), SEEDS.map(() => 0));
  assert.ok(unexplained(SPEED + 1, 1)[0] > 300, 'another rule');
});

test('prediction that is switched off follows the server', () => {
  const play = new Play();
  const prediction = play.netcode.predict(MOVER);
  prediction.enabled = false;
  play.run(5_000);
  assert.equal(prediction.mispredictions, 0);
  assert.equal(prediction.state[0], play.replica.world.tables[0].cell(0, 2, 1));
});

test('inputs are applied in the tick that they are said to be for, and hardly wait', () => {
  for (const [delay, jitter] of [[20, 0], [50, 20], [75, 30], [150, 10]]) {
    const play = new Play({ delay, jitter });
    play.run(10_000);
    let waited = 0;
    let frames = 0;
    play.onFrame = () => {
      waited += play.waiting.length;
      frames += 1;
    };
    play.run(40_000);
    const { error } = play.netcode.inputClock;
    assert.ok(Math.abs(error) < 0.3, `${error} ticks at ${delay} ms`);
    assert.ok(waited / frames < 2, `${waited / frames} inputs wait at ${delay} ms`);
  }
});

test('what a stall left waiting at the owner is worked off', () => {
  const play = new Play();
  play.run(10_000);
  play.up.blockedUntil = play.time + 400;
  play.run(play.time + 500);
  const after = play.waiting.length;
  play.run(play.time + 20_000);
  assert.ok(after >= 3, `${after} waited after the stall`);
  assert.ok(play.waiting.length <= 2, `${play.waiting.length} still wait`);
  assert.ok(Math.abs(play.netcode.inputClock.error) < 0.3, `${play.netcode.inputClock.error}`);
});

test('a field input_buffer tells at once that inputs wait longer than they need', () => {
  const corrected = (/** @type {number} */ waiting, feedback = true) => {
    const { inputClock } = new Play().netcode;
    inputClock.feedback = feedback;
    inputClock.correction = 3;
    for (let ticks = 0; ticks < 2_000 / INTERVAL; ticks += 1) {
      const seq = inputClock.acknowledged + 1;
      inputClock.applied(seq, inputClock.sent(seq), waiting);
    }
    return inputClock.correction;
  };
  assert.ok(corrected(1) > 2.7, 'just in time: slowly later');
  assert.ok(corrected(2) < 1.1, 'one to spare: later soon');
  assert.equal(corrected(2, false), 3, 'switched off');
});

test('after a stall of 3 s the client is current within a round trip and two ticks', () => {
  for (const seed of SEEDS) {
    const play = new Play({ seed });
    const prediction = play.netcode.predict(MOVER);
    play.run(10_000);
    const until = play.time + 3_000;
    play.down.blockedUntil = until;
    play.up.blockedUntil = until;
    play.run(until);
    play.run(until + 100 + 2 * INTERVAL);
    const behind = play.truth - play.netcode.playout.tick;
    // The way, the delay that jitter asks for, and a picture.
    const allowed = (30 + FRAME_MS) / INTERVAL + 2.5;
    assert.ok(behind <= allowed, `what is shown is ${behind} ticks behind the server`);
    assert.ok(play.truth - play.replica.tick <= 70 / INTERVAL + 1);
    assert.ok(prediction.tick >= play.truth - 1, 'the own player is ahead again');
  }
});

test('half a second after another owner took a while to go on, all is as before', () => {
  for (const pause of [120, 800, 2_500]) {
    const play = new Play();
    const prediction = play.netcode.predict(MOVER);
    play.run(10_000);
    play.paused = pause;
    play.run(10_000 + pause + 50 + 500);
    const { clock, playout } = play.netcode;
    const error = Math.abs(clock.serverTick(play.now) - play.truth);
    assert.ok(error <= 2, `after ${pause} ms the clock is wrong by ${error} ticks`);
    play.run(play.time + 2_000);
    const later = Math.abs(clock.serverTick(play.now) - play.truth) * INTERVAL;
    assert.ok(later < 8, `and 2 s later by ${later} ms`);
    const behind = play.truth - playout.tick;
    assert.ok(behind > 1 && behind < 5, `what is shown is ${behind} ticks behind the server`);
    const ahead = prediction.tick - play.truth;
    assert.ok(ahead > 0 && ahead < 6, `the own player is ${ahead} ticks ahead of the server`);
  }
});

test('what is guessed beyond the newest tick ends, and then all stands still', () => {
  const play = new Play();
  play.run(5_000);
  const table = play.replica.world.tables[0];
  const value = () => play.netcode.history.value(table, 0, 2);
  play.down.blockedUntil = Infinity;
  play.run(5_400);
  const { playout } = play.netcode;
  const most = playout.newest + playout.extrapolateMs / INTERVAL;
  assert.equal(playout.tick, most);
  const frozen = value();
  assert.ok(Math.abs(frozen - table.cell(0, 2, 1) - (SPEED * playout.extrapolateMs) / INTERVAL) < 1e-6);
  play.run(6_000);
  assert.equal(value(), frozen);
  playout.extrapolates = false;
  play.run(6_100);
  assert.equal(value(), table.cell(0, 2, 1), 'switched off: the newest tick');
});

test('interpolation that is switched off shows the newest tick', () => {
  const play = new Play();
  play.netcode.playout.interpolates = false;
  play.run(2_000);
  play.netcode.frame(play.now);
  assert.equal(play.netcode.playout.tick, play.replica.tick);
});

test('angles go the short way round, and what is held stays until its tick', () => {
  const owner = new Owner(10);
  owner.set('player:0', { player: 1, aim: 250, x: 0 });
  owner.next();
  const replica = new Replica(new Schema(SCHEMA));
  replica.apply(owner.snapshot());
  const netcode = new Netcode(replica.schema, RATE);
  netcode.stateArrived(replica, -1, 0);
  owner.set('player:0', { aim: 4, x: 10 });
  replica.apply(owner.next());
  netcode.stateArrived(replica, -1, INTERVAL);
  netcode.history.seek(11.5);
  const table = replica.world.tables[0];
  assert.equal(netcode.history.value(table, 0, 3), 255);
  assert.equal(netcode.history.value(table, 0, 2), 5);
  assert.equal(netcode.history.value(table, 0, 0), 1, 'an id is nothing to mix');
  assert.equal(FENCE.epoch, 2n);
});
