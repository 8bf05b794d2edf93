// The own player's shots, what is told between pictures, effects and controls: the parts of a match without a canvas.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Stick, angleOf, setMove } from '../controls.js';
import { Effects } from '../effects.js';
import { Frames } from '../frames.js';
import { News } from '../news.js';
import { COOLDOWN, FIELDS, HP, LocalPlayer, SCALE, Walls, X, Y } from '../rules.js';
import { OwnShots } from '../shots.js';

const HZ = 30;

/** A prediction that runs the rules, as the SDK's does. */
function predicting() {
  const walls = new Walls();
  const player = new LocalPlayer(HZ, walls);
  const prediction = { tick: 100, states: Array.from({ length: 128 }, () => new Int32Array(FIELDS.length)), stateTicks: new Float64Array(128).fill(-1) };
  const state = new Int32Array(FIELDS.length);
  state[X] = 400 * SCALE;
  state[Y] = 300 * SCALE;
  state[HP] = 100;
  const keep = () => {
    prediction.states[prediction.tick % 128].set(state);
    prediction.stateTicks[prediction.tick % 128] = prediction.tick;
  };
  keep();
  const step = (/** @type {number[]} */ input) => {
    player.step(state, Int32Array.from(input));
    prediction.tick += 1;
    keep();
  };
  return { prediction, step, state, walls };
}

test('each shot is found once, in the tick in which it is fired', () => {
  const { prediction, step, walls } = predicting();
  const shots = new OwnShots(HZ, walls);
  /** @type {number[]} */
  const ticks = [];
  shots.find(prediction, 0, () => assert.fail('nobody fired'));
  for (let at = 0; at < 40; at += 1) {
    step([0, 0, 256, at >= 3 && at < 30 ? 1 : 0]);
    // Two pictures per tick, sometimes one per two ticks.
    if (at % 5 !== 0) for (let times = 0; times < 2; times += 1) shots.find(prediction, at * 33, (shot) => ticks.push(shot.tick));
  }
  assert.deepEqual(ticks, [104, 112, 120, 128]);
});

test('a shot flies as the rules say until the bullet of the server is shown, and from there without a jump', () => {
  const { prediction, step, walls } = predicting();
  const shots = new OwnShots(HZ, walls);
  shots.find(prediction, 0, () => {});
  step([0, 0, 0, 1]);
  shots.find(prediction, 1_000, () => {});
  const never = () => false;
  shots.fly(1_000 + 200, never, () => assert.fail('nothing is in its way'));
  const [shot] = shots.shots;
  assert.ok(Math.abs(shot.x - (400 + 120)) < 1e-6 && shot.y === 300, '600 units per second');
  shots.take(7, 0, 500, 300);
  assert.equal(shots.of(7), shot);
  assert.equal(500 + shot.offX, shot.x, 'it is drawn where it was');
  shots.fade(300);
  assert.ok(Math.abs(shot.offX) < 1);
  shots.end(7);
  assert.equal(shots.of(7), null);
});

test('a bullet that a late input aimed a little further is no second one', () => {
  const { prediction, step, walls } = predicting();
  const shots = new OwnShots(HZ, walls);
  shots.find(prediction, 0, () => {});
  for (let tick = 0; tick < 12; tick += 1) {
    step([0, 0, 10, 1]);
    shots.find(prediction, tick, () => {});
  }
  const [older, newer] = shots.shots;
  assert.ok(older.live && newer.live);
  shots.take(7, 300, 400, 300);
  assert.equal(shots.of(7), null, 'of another heading altogether');
  shots.take(8, 1023, 400, 300);
  assert.equal(shots.of(8), older);
  shots.take(9, 10, 400, 300);
  assert.equal(shots.of(9), newer);
});

test('a shot ends at a wall and at whom it meets', () => {
  const { prediction, step, walls } = predicting();
  walls.set([450 * SCALE, 0, 490 * SCALE, 960 * SCALE]);
  const shots = new OwnShots(HZ, walls);
  shots.find(prediction, 0, () => {});
  step([0, 0, 0, 1]);
  shots.find(prediction, 0, () => {});
  let ended = 0;
  for (let now = 0; now < 300; now += 16) shots.fly(now, () => false, () => (ended += 1));
  assert.equal(ended, 1);
});

/** @param {object} given */
function body(given) {
  return { index: 0, player: 1, name: '', color: '', isMe: false, isBot: false, x: 0, y: 0, aim: 0, hp: 100, score: 0, deaths: 0, respawn: 0, cooldown: 0, ...given };
}

/** A scene with so much in it. @param {object} given @returns {any} */
function scene(given) {
  const list = (/** @type {any[]} */ items = []) => ({ items, count: items.length });
  const { players, bullets, drones, pickups, round } = /** @type {any} */ (given);
  return { players: list(players), bullets: list(bullets), drones: list(drones), pickups: list(pickups), round: round ?? { phase: 0, number: 1 } };
}

/** A newspaper that keeps what it is told. */
function press() {
  /** @type {string[]} */
  const told = [];
  const tell = (/** @type {string} */ what) => (/** @type {any[]} */ ...about) => void told.push([what, ...about.map((each) => each?.player ?? each?.index ?? each)].join(' '));
  const news = new News({
    hit: tell('hit'), healed: tell('healed'), died: tell('died'), came: tell('came'), fired: tell('fired'), burst: tell('burst'), drone: tell('drone'), fetched: tell('fetched'), round: tell('round'),
  });
  return { news, take: () => told.splice(0) };
}

test('hits, deaths and who did it are found between two pictures', () => {
  const { news, take } = press();
  const one = (/** @type {object} */ more) => body({ index: 0, player: 11, ...more });
  const two = (/** @type {object} */ more) => body({ index: 1, player: 22, ...more });
  news.compare(scene({ players: [one({}), two({ hp: 50 })] }));
  assert.deepEqual(take(), ['came 11', 'came 22']);
  news.compare(scene({ players: [one({}), two({ hp: 25 })] }));
  assert.deepEqual(take(), ['hit 22 25']);
  news.compare(scene({ players: [one({ score: 10 }), two({ hp: 0 })] }));
  assert.deepEqual(take(), ['hit 22 25', 'died 22 11']);
  news.compare(scene({ players: [one({ score: 10 }), two({ hp: 0 })] }));
  assert.deepEqual(take(), []);
  news.compare(scene({ players: [one({ score: 10 }), two({ hp: 100 })] }));
  assert.deepEqual(take(), ['came 22'], 'to come back is not to be healed');
  news.compare(scene({ players: [one({ score: 0 }), two({ hp: 100 })], round: { phase: 0, number: 2 } }));
  assert.deepEqual(take(), ['round 2 0']);
});

test('bullets come and go; an index that is used again is another bullet', () => {
  const { news, take } = press();
  const bullet = (/** @type {object} */ more) => ({ index: 3, x: 5, y: 6, heading: 1, turn: 163, owner: 9, ...more });
  news.compare(scene({}));
  news.compare(scene({ bullets: [bullet({})] }));
  assert.deepEqual(take(), ['fired 3']);
  news.compare(scene({ bullets: [bullet({ x: 9 })] }));
  assert.deepEqual(take(), []);
  news.compare(scene({ bullets: [bullet({ owner: 8 })] }));
  assert.deepEqual(take(), ['burst 9 6 1 3', 'fired 3']);
  news.compare(scene({}));
  assert.deepEqual(take(), ['burst 5 6 1 3']);
});

test('after a break in the story nothing is made up', () => {
  const { news, take } = press();
  news.compare(scene({ players: [body({ hp: 100 })] }));
  take();
  news.forget();
  news.compare(scene({ players: [body({ hp: 25 })] }));
  assert.deepEqual(take(), ['came 1']);
});

test('effects are as many as there is room for, and all end', () => {
  const effects = new Effects();
  for (let at = 0; at < 100; at += 1) effects.burst(0, 0, 40, 300, '#fff');
  effects.ring(0, 0, 1, 9, 0.5, '#fff');
  effects.number(0, 0, '-25', '#fff');
  assert.equal(effects.particles.length, 400);
  for (let at = 0; at < 60; at += 1) effects.update(0.016);
  assert.ok([...effects.particles, ...effects.rings, ...effects.numbers].every((each) => each.left <= 0));
  effects.calm = true;
  effects.burst(0, 0, 40, 300, '#fff');
  assert.ok(effects.particles.every((each) => each.left <= 0), 'nothing flies for who wants no motion');
});

test('a move is at most full speed in whole numbers, an aim is 10 bits', () => {
  const values = new Int32Array(4);
  setMove(values, 1, 1);
  assert.ok(Math.hypot(values[0], values[1]) <= 127 && values[0] === values[1] && values[0] >= 89);
  setMove(values, -1, 0);
  assert.deepEqual([values[0], values[1]], [-127, 0]);
  assert.deepEqual([angleOf(1, 0), angleOf(0, 1), angleOf(-1, 0), angleOf(0, -1)], [0, 256, 512, 768]);
});

test('a stick is pushed beyond its dead zone and comes along with the finger', () => {
  const stick = new Stick();
  assert.ok(!stick.isPushed);
  stick.begin(4, 100, 100);
  stick.move(104, 100);
  assert.ok(stick.isHeld && !stick.isPushed);
  stick.move(500, 100);
  assert.ok(stick.isPushed && stick.pushX > 1 && stick.pushX < 2);
});

test('the 95th of 100 pictures', () => {
  const frames = new Frames();
  for (let ms = 1; ms <= 100; ms += 1) frames.add(ms);
  assert.equal(frames.p95(), 96);
  frames.reset();
  assert.deepEqual([frames.p95(), frames.count], [0, 0]);
});

test('the weapon of the own player waits for its cooldown', () => {
  const { step, state } = predicting();
  step([0, 0, 0, 1]);
  assert.equal(state[COOLDOWN], 8);
  for (let at = 0; at < 7; at += 1) step([0, 0, 0, 1]);
  assert.equal(state[COOLDOWN], 1);
  step([0, 0, 0, 1]);
  assert.equal(state[COOLDOWN], 8);
});
