// The package against a real node: TICKCAST is the program to run; without it these tests are left out.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import WebSocket from 'ws';

import { Closed, Tickcast } from '../src/index.js';

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
  assert.deepEqual(await server.games(), ['arena']);
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

  const { ticket } = match;
  match.close();
  const again = await server.resume(ticket ?? '');
  t.after(() => again.close());
  assert.deepEqual([again.player, again.me], [player, me], 'a page that was loaded anew');
  assert.ok(again.input({ aim: 5 }) > 60, 'the numbers go on');
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

test('what does not exist cannot be joined', options, async (t) => {
  const server = at(await node(t));
  await assert.rejects(server.join('nobody'), (error) => error instanceof Closed && error.code === 4504);
  await assert.rejects(server.matchInfo('nobody'), /./);
  await assert.rejects(server.createMatch({ game: 'chess' }), /./);
});
