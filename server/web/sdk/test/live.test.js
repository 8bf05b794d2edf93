// The package against a real node: TICKCAST is the program to run; without it these tests are left out.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import WebSocket from 'ws';

import { Closed, Tickcast } from '../src/index.js';
import { delayed } from './delayed.js';

/** @typedef {import('../src/index.js').Match} Match */

const program = process.env.TICKCAST || undefined;
const options = { skip: program === undefined && 'TICKCAST names no program', timeout: 60_000 };
const WITHIN_MS = 20_000;

/** A node in memory mode; its address for players. @param {import('node:test').TestContext} t */
async function node(t) {
  const running = spawn(program ?? '', ['--listen', '127.0.0.1:0', '--ops-listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(async () => {
    running.kill();
    if (running.exitCode === null) await once(running, 'exit');
  });
  for await (const line of createInterface({ input: running.stdout })) {
    const url = /players +(ws:\S+)/.exec(line)?.[1];
    if (url !== undefined) return url;
  }
  return assert.fail('the node ended before it was ready');
}

/** @param {string} url @param {string} [name] */
const at = (url, name = '') => new Tickcast({ url, name, WebSocket: /** @type {any} */ (WebSocket) });

/**
 * Waits until a change of the match after which this is so.
 * @param {Match} match @param {() => boolean} so @param {string} what @returns {Promise<void>}
 */
function until(match, so, what) {
  return new Promise((resolve, reject) => {
    if (so()) return resolve();
    const end = (/** @type {() => void} */ settle) => {
      clearTimeout(timer);
      offs.forEach((off) => off());
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error(`not within ${WITHIN_MS} ms: ${what}`))), WITHIN_MS);
    const offs = [
      match.on('change', () => so() && end(resolve)),
      match.on('close', (code, text) => end(() => reject(new Error(`closed with ${code} (${text}) before ${what}`)))),
    ];
  });
}

test('plays the arena, is seen by others, and comes back as the same player', options, async (t) => {
  const server = at(await node(t), 'Zoë');
  assert.deepEqual(await server.games(), ['arena', 'swarm']);
  const created = await server.createMatch({ options: { drones: 40 } });
  const match = await server.join(created.id);
  t.after(() => match.close());
  const players = match.entities('player');
  await until(match, () => match.me >= 0, 'the player is part of the state');
  assert.equal(players.text(match.me, 'name'), 'Zoë');
  assert.ok(match.entities('drone').count === 40);

  const other = await at(server.urls[0], 'Bo').spectate(match.id);
  t.after(() => other.close());
  assert.equal(other.player, null);
  assert.equal(other.input({}), 0, 'who watches sends nothing');

  match.predict({ fields: ['x', 'y'], step: () => {} });
  match.steer(() => ({ move_x: 0, move_y: 0, aim: 77, fire: 0 }));
  await until(match, () => players.get(match.me, 'seq') > 60, 'inputs are acknowledged');
  assert.equal(match.metrics().correctionsPerSecond, 0, 'who stands still is predicted right');
  await until(other, () => other.entities('player').get(match.me, 'aim') === 77, 'the other sees the aim');
  assert.deepEqual((await server.matches()).map(({ id, players: count }) => [id, count]), [[match.id, 1]]);

  // The connection breaks; the timer of the package finds a new one.
  const { me, player } = match;
  const back = new Promise((resolve) => match.on('back', () => resolve(undefined)));
  breakConnection(match);
  await back;
  await until(match, () => match.isCurrent, 'the state is there again');
  assert.deepEqual([match.me, match.player], [me, player]);
  const { seq } = players.all(me) ?? assert.fail('gone');
  await until(match, () => players.get(match.me, 'seq') > Number(seq) + 30, 'inputs go on');

  const { seat } = match;
  match.close();
  const again = await server.resume(seat ?? '');
  t.after(() => again.close());
  assert.deepEqual([again.player, again.me], [player, me], 'a page that was loaded anew');
  const number = again.input({ aim: 5 });
  assert.ok(number > 60, 'the numbers go on');
  await until(again, () => again.entities('player').get(me, 'seq') >= number, 'it is acknowledged');
  const over = new Promise((resolve) => again.on('close', (code) => resolve(code)));
  again.leave();
  assert.equal(await over, 1000);
  await until(other, () => other.entities('player').count === 0, 'the player is gone');
  for (const each of [match, other, again]) {
    const { gaps, desyncs, resets } = each.metrics();
    assert.deepEqual({ gaps, desyncs, resets }, { gaps: 0, desyncs: 0, resets: 0 });
  }
  assert.ok((other.client.replica?.hashesChecked ?? 0) > 5);
});

/** As if the network was gone. @param {Match} match */
function breakConnection(match) {
  const socket = /** @type {any} */ (match.transport.socket());
  socket.terminate();
}

/** How the arena lets its players walk along x, in sixteenths of a unit. @param {Match} match */
function walker(match) {
  const [full, speed, radius, width] = [127, 240 * 16, 14 * 16, 1600 * 16];
  const view = match.entities('wall');
  const walls = [...view].map((wall) => view.all(wall)).map((wall) => {
    const [x, y, w, h] = ['x', 'y', 'width', 'height'].map((name) => Number(wall?.[name]));
    return { left: x - radius, top: y - radius, right: x + w + radius, bottom: y + h + radius };
  });
  return (/** @type {Int32Array} */ state, /** @type {Int32Array} */ input) => {
    const [x, y, hp] = state;
    const step = Math.sign(input[0]) * Math.floor((Math.abs(input[0]) * speed + (full * match.tickRate) / 2) / (full * match.tickRate));
    if (hp === 0) return;
    let to = Math.min(Math.max(x + step, radius), width - radius);
    for (const { left, top, right, bottom } of walls) {
      if (to > left && to < right && y > top && y < bottom) to = step > 0 ? left : right;
    }
    state[0] = to;
  };
}

test('at a round trip of 100 ms who walks is predicted right, and others are seen evenly', options, async (t) => {
  const url = await node(t);
  const far = delayed({ delay: 50, jitter: 20, seed: 5 });
  const server = new Tickcast({ url, WebSocket: /** @type {any} */ (far) });
  const match = await server.join((await server.createMatch({ options: { pickups: 0 } })).id);
  t.after(() => match.close());
  const watcher = await new Tickcast({ url, WebSocket: /** @type {any} */ (far) }).spectate(match.id);
  t.after(() => watcher.close());
  await until(match, () => match.me >= 0, 'the player is part of the state');
  const prediction = match.predict({ fields: ['x', 'y', 'hp'], smooth: ['x', 'y'], step: walker(match) });
  // Two seconds each way.
  match.steer(() => ({ move_x: Math.floor(match.tick / (2 * match.tickRate)) % 2 === 0 ? 127 : -127 }));
  const start = match.tick;
  await until(match, () => match.tick > start + 4 * match.tickRate, 'the clock is right');
  const before = [prediction.mispredictions, prediction.compared, watcher.smooth.playout.starved];
  const pictures = setInterval(() => [match, watcher].forEach((each) => each.frame()), 16);
  t.after(() => clearInterval(pictures));
  await until(match, () => match.tick > start + 14 * match.tickRate, 'it has walked to and fro');
  const wrong = prediction.mispredictions - before[0];
  const compared = prediction.compared - before[1];
  const { starved, updates, delay } = watcher.smooth.playout;
  const { rttMs, inputErrorTicks } = match.metrics();
  console.log(`RTT ${rttMs.toFixed(0)} ms, ${wrong} of ${compared} ticks predicted wrong, inputs off by ${inputErrorTicks.toFixed(2)} ticks,`
    + ` ${starved - before[2]} of ${updates} pictures starved at ${delay.toFixed(2)} intervals`);
  assert.ok(compared > 250, `${compared}`);
  // Five turns, each of which may meet its tick a little early or late.
  assert.ok(wrong <= 20, `${wrong} of ${compared} ticks`);
});

test('what is said is heard by all, also later and by a page that was loaded anew', options, async (t) => {
  const url = await node(t);
  const match = await at(url, 'Zoë').join((await at(url).createMatch({})).id);
  const other = await at(url, 'Bo').join(match.id);
  t.after(() => [match, other].forEach((each) => each.close()));
  const heard = (/** @type {Match} */ each) => each.chat.lines.map(({ name, text }) => `${name}: ${text}`);
  match.chat.send('  <b>hello</b>\u202e ');
  await until(other, () => heard(other).length === 1, 'it is heard');
  assert.ok(other.chat.send('hi') > 0);
  await until(match, () => heard(match).length === 2, 'the answer is heard');
  const said = ['Zoë: <b>hello</b>', 'Bo: hi'];
  assert.deepEqual([heard(match), heard(other)], [said, said]);

  const { seat } = match;
  match.close();
  const again = await at(url).resume(seat ?? '');
  const late = await at(url).spectate(match.id);
  t.after(() => [again, late].forEach((each) => each.close()));
  /** @type {string[]} */
  const refused = [];
  again.on('chat-refused', (reason, text) => refused.push(`${reason} ${text}`));
  for (let line = 1; line <= 6; line += 1) again.chat.send(`line ${line}`);
  const more = [...said, ...[1, 2, 3, 4, 5].map((line) => `Zoë: line ${line}`)];
  for (const each of [again, other, late]) {
    await until(each, () => heard(each).length === more.length, 'all is heard');
    assert.deepEqual(heard(each), more);
  }
  await until(again, () => refused.length === 1, 'what came too fast is told');
  assert.deepEqual(refused, ['too-fast line 6']);
});

test('what does not exist cannot be joined', options, async (t) => {
  const server = at(await node(t));
  await assert.rejects(server.join('nobody'), (error) => error instanceof Closed && error.code === 4504);
  await assert.rejects(server.matchInfo('nobody'), /./);
  await assert.rejects(server.createMatch({ game: 'chess' }), /./);
});
