// What a game sees of a match in segments: entities that come, change and go, as in any other; and how what reads it is loaded.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Connection } from '../src/connection.js';
import { Match } from '../src/match.js';
import * as message from '../src/message.js';
import { Replica } from '../src/replica.js';
import { Schema } from '../src/schema.js';
import * as segments from '../src/segments.js';
import { SCHEMA, pong, welcome } from './owner.js';
import { Parts, section } from './parts.js';
import { sockets } from './sockets.js';

/** @typedef {import('../src/match.js').MatchEvents} MatchEvents */

/** A match as player 4, who was let in; its reader comes when the test says so. @param {import('node:test').TestContext} t */
function entering(t) {
  const { made, Fake } = sockets();
  const clock = { now: 1_000 };
  const match = new Match('', { kind: 'quick', game: 'pitch' }, () => clock.now);
  /** @type {string[]} */
  const told = [];
  /** @type {(keyof MatchEvents)[]} */
  const names = ['join', 'leave', 'change', 'gap', 'reconnect', 'back', 'close'];
  names.forEach((name) => match.on(name, (...what) => told.push([name, ...what].join(' '))));
  /** @type {{ done: (module: typeof segments) => void, fail: (error: unknown) => void }[]} */
  const loads = [];
  const load = () => new Promise((done, fail) => loads.push({ done, fail }));
  const options = { urls: ['ws://a/ws'], WebSocket: Fake, random: () => 0.5, load };
  const connection = new Connection(match, /** @type {any} */ (options));
  t.after(() => connection.end());
  made[0].open();
  made[0].says(welcome(4));
  return { match, connection, made, socket: made[0], told, clock, loads };
}

/** The same, which has the view of tick 5 with the segments 0 and 1. @param {import('node:test').TestContext} t */
async function playing(t) {
  const entered = entering(t);
  const parts = new Parts(4);
  parts.put(0, 'ball:7', { x: 70 });
  parts.put(1, 'player:0', { player: 4, x: 100 });
  parts.next([]);
  entered.socket.says(parts.view([0, 1]));
  entered.loads[0].done(segments);
  await loaded();
  entered.told.length = 0;
  return { ...entered, parts };
}

/** What waits for a promise that is settled has run. */
const loaded = () => new Promise((resolve) => setImmediate(resolve));

test('frames wait in their order for what reads them, each with the moment at which it came', async (t) => {
  const { match, socket, told, loads, clock } = entering(t);
  const parts = new Parts(4);
  parts.put(0, 'player:0', { player: 4, x: 100 });
  parts.next([]);
  const early = parts.next([0]);
  socket.says(early);
  assert.deepEqual([told, loads.length], [[], 0], 'a diff before the view is nothing, and nothing is asked for');
  assert.deepEqual(socket.said.length, 1);
  socket.says(parts.view([0]));
  for (const x of [110, 120]) {
    clock.now += 33;
    parts.put(0, 'player:0', { x });
    socket.says(parts.next([0]));
  }
  socket.says(pong(0, 8));
  assert.deepEqual([told, loads.length, match.tick], [[], 1, 0]);
  const arrived = clock.now;
  clock.now += 500;
  loads[0].done(segments);
  await loaded();
  assert.deepEqual(told, ['join 4 0', 'change 6 6', 'change 7 1', 'change 8 1']);
  assert.equal(match.changedAt, arrived);
  parts.put(0, 'player:0', { x: 130 });
  socket.says(parts.next([0]));
  assert.equal(match.tick, 9, 'from now on nothing waits');
  parts.next([0]);
  socket.says(parts.next([0]));
  assert.deepEqual(told.slice(-1), ['gap missing ticks are missing after 9']);
  assert.deepEqual(socket.said.slice(-1), [message.needSnapshot()]);
  socket.says(parts.view([0]));
  assert.deepEqual([match.tick, loads.length, match.isCurrent], [11, 1, true]);
});

test('what reads them is found where it stands', async (t) => {
  const { made, Fake } = sockets();
  const match = new Match('', { kind: 'quick', game: 'pitch' }, () => 0);
  const connection = new Connection(match, { urls: ['ws://a/ws'], WebSocket: Fake });
  t.after(() => connection.end());
  const arrived = new Promise((resolve) => match.on('change', resolve));
  made[0].open();
  made[0].says(welcome(4));
  made[0].says(new Parts(4).view([]));
  assert.equal(await arrived, 4);
});

test('a reader that cannot be loaded ends the match and says so', async (t) => {
  const { socket, told, loads, match } = entering(t);
  socket.says(new Parts(4).view([]));
  loads[0].fail(new Error('no such file'));
  await loaded();
  assert.deepEqual([told, match.closed, socket.isClosed], [['close 1006 Error: no such file'], true, true]);
});

test('what waits is bounded', (t) => {
  const { socket, told, loads } = entering(t);
  socket.says(new Parts(4).view([]));
  let frames = 0;
  for (; told.length === 0 && frames < 100_000; frames += 1) socket.onmessage?.({ data: new ArrayBuffer(4_000) });
  assert.deepEqual(told, ['close 1006 too much to keep']);
  assert.ok(frames > 1_000 && frames < 10_000, `${frames} frames of 4,000 bytes`);
  assert.equal(loads.length, 1);
});

test('frames of a connection that was lost meanwhile are forgotten', async (t) => {
  const { connection, made, told, loads, clock, match } = entering(t);
  const parts = new Parts(4);
  parts.put(0, 'player:0', { player: 4 });
  parts.next([]);
  made[0].says(parts.view([0]));
  made[0].ends(1006);
  loads[0].done(segments);
  await loaded();
  assert.deepEqual([told, match.tick], [['reconnect 1'], 0]);
  clock.now += 1_000;
  connection.poll();
  made[1].open();
  made[1].says(welcome(4));
  parts.next([0]);
  made[1].says(parts.view([0]));
  loads[1].done(segments);
  await loaded();
  assert.deepEqual(told, ['reconnect 1', 'join 4 0', 'change 6 6']);
});

test('who goes from one seen segment to another goes on', async (t) => {
  const { match, socket, told, parts } = await playing(t);
  const players = match.entities('player');
  match.predict({ fields: ['x'], step: (state, input) => { state[0] += 10 * input[0]; } });
  parts.put(1, 'player:0', { x: 110 });
  socket.says(parts.next([0, 1]));
  for (const [segment, x] of [[0, 120], [1, 130], [0, 140]]) {
    parts.put(segment, 'player:0', { player: 4, x });
    socket.says(parts.next([0, 1]));
    assert.deepEqual([players.get(0, 'x'), players.previous(0, 'x'), match.me], [x, x - 10, 0]);
  }
  assert.deepEqual(told, ['change 6 1', 'change 7 1', 'change 8 1', 'change 9 1'], 'nobody came and nobody went');
  const { history } = match.smooth;
  for (const [moment, x] of [[5.5, 105], [6.5, 115], [7.25, 122.5], [8.5, 135], [9.5, 145]]) {
    history.seek(moment);
    assert.equal(players.shown(0, 'x'), x, `at ${moment}`);
  }
  // It stays there: the segment is at rest as far as its diffs know, and is not mentioned any more.
  parts.put(0, 'player:0', { x: 140 });
  parts.next([]);
  socket.says(Uint8Array.from([0x50, ...parts.head()]));
  assert.deepEqual([players.get(0, 'x'), players.previous(0, 'x')], [140, 140]);
});

test('who goes where nobody looks is gone, and comes again', async (t) => {
  const { match, socket, told, parts } = await playing(t);
  const balls = match.entities('ball');
  parts.put(1, 'player:3', { player: 9, name: 'Bo' });
  parts.put(5, 'ball:1', { x: 10 });
  socket.says(parts.next([0, 1]));
  assert.deepEqual([...balls], [7], 'a segment that is not ours is not to be seen');
  parts.put(5, 'player:3', { player: 9, name: 'Bo' });
  parts.put(5, 'ball:1', { x: 30 });
  parts.put(0, 'ball:7', { x: 60 });
  socket.says(parts.next([0, 1]));
  parts.put(5, 'ball:1', { x: 50 });
  parts.put(0, 'ball:7', { x: 60 });
  socket.says(parts.next([0, 1, 5], [5], [1]));
  assert.deepEqual([...balls].map((index) => [index, balls.get(index, 'x'), balls.previous(index, 'x')]), [[1, 50, 30], [7, 60, 60]]);
  const changes = told.filter((each) => !each.startsWith('change'));
  assert.deepEqual(changes, ['join 9 3', 'leave 9 3', 'leave 4 0', 'join 9 3']);
});

test('a client that was slow is led on in one', async (t) => {
  const { match, socket, told, parts } = await playing(t);
  const players = match.entities('player');
  for (const x of [110, 120, 130]) {
    parts.put(1, 'player:0', { x });
    parts.put(5, 'ball:2', { x });
    parts.next([]);
  }
  socket.says(parts.leap(3, [1, 5]));
  assert.deepEqual(told, ['change 8 3']);
  assert.equal(match.metrics().catchUps, 1);
  assert.deepEqual([players.get(0, 'x'), players.previous(0, 'x')], [130, 120], 'its steps are told');
  assert.deepEqual([...match.entities('ball')], [2, 7]);
  parts.put(1, 'player:0', { x: 140 });
  socket.says(parts.next([0, 1, 5]));
  assert.deepEqual([match.tick, players.previous(0, 'x'), match.metrics().gaps], [9, 130, 0]);
  parts.next([]);
  socket.says(parts.leap(1, [0, 1], [5]));
  assert.deepEqual([...match.entities('ball')], [7]);
});

test('a false hash is told, and a view cures it', async (t) => {
  const { match, socket, told, parts } = await playing(t);
  parts.put(1, 'player:0', { x: 110 });
  const lie = parts.next([1]);
  lie[5] ^= 1;
  socket.says(lie);
  assert.match(told[0], /^gap desync segment 1 /);
  assert.deepEqual([match.metrics().desyncs, match.isCurrent, match.entities('player').get(0, 'x')], [1, false, 100]);
  socket.says(parts.view([0, 1]));
  assert.deepEqual([match.isCurrent, match.metrics().snapshots, told.at(-1)], [true, 2, 'change 6 1']);
});

test('an entity in two segments is a gap, and what is shown goes on', async (t) => {
  const { match, socket, told, parts } = await playing(t);
  parts.put(9, 'ball:8', { x: 80 });
  socket.says(parts.next([0, 1], [9]));
  parts.put(9, 'ball:8', { x: 90 });
  socket.says(parts.next([0, 1, 9]));
  parts.owner(5).set('ball:7', { x: 70 });
  parts.put(9, 'ball:8', { x: 95 });
  socket.says(parts.next([0, 9], [5]));
  assert.equal(told.at(-1), 'gap broken ball:7 in two segments');
  match.smooth.history.seek(7.5);
  assert.equal(match.entities('ball').shown(8, 'x'), 95, 'as it was guessed to go on');
});

test('a thousand segments with high indexes take little memory', () => {
  const replica = new Replica(new Schema(SCHEMA));
  replica.segments = new segments.Segments(replica);
  const parts = new Parts(1);
  const count = 1_000;
  parts.put(0, 'ball:0');
  parts.next([]);
  const view = [...parts.view([0])];
  for (let segment = 1; segment <= count; segment += 1) {
    const one = new Parts(0);
    one.put(segment, `ball:${60_000 + segment}`, { x: segment });
    one.next([]);
    view.push(...one.entered(segment));
  }
  const before = process.memoryUsage().arrayBuffers;
  assert.equal(replica.apply(Uint8Array.from(view)), 'advanced', replica.why);
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.equal(replica.world.tables[1].count, count + 1);
  assert.ok(grown < 32 * 2 ** 20, `${grown} bytes`);
});

test('a frame is refused before it has filled the memory', () => {
  const replica = new Replica(new Schema(SCHEMA));
  replica.segments = new segments.Segments(replica);
  const parts = new Parts(1);
  for (let index = 0; index < 64; index += 1) parts.put(0, `${index < 32 ? 'ball' : 'player'}:${index}`);
  parts.next([]);
  const all = parts.entered(0);
  const payload = all.subarray(6);
  const { hash } = parts.owner(0).replica.world;
  const sections = Array.from({ length: 4_096 }, (_, segment) => section(segment, 2, hash, payload));
  // The 4,096th is cut off: that is never reached.
  const bytes = sections.flatMap((each) => [...each]).slice(0, -1);
  const view = parts.view([]);
  assert.equal(replica.apply(Uint8Array.from([...view, ...bytes])), 'gap');
  assert.match(replica.why, /entities$/);
});
