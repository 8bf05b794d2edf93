// The shell: what is done when connections come, go silent, break, and are told to move. Time is a number.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Connection, socketType } from '../src/connection.js';
import { Match } from '../src/match.js';
import * as message from '../src/message.js';
import { Owner, TOKEN, control, pong, reconnect, reset, welcome } from './owner.js';
import { sockets } from './sockets.js';

/** @typedef {import('../src/match.js').MatchEvents} MatchEvents */

const URLS = ['ws://a/ws', 'ws://b/ws'];
const SEAT = { matchId: 'm1', player: 4, token: TOKEN };

/** A match as player 4, whose state has been there since tick 5. @param {import('node:test').TestContext} t */
function playing(t, { quietMs = 0 } = {}) {
  const { made, Fake } = sockets();
  const clock = { now: 1_000 };
  const match = new Match('Zoë', { kind: 'quick', game: 'pitch' }, () => clock.now);
  /** @type {string[]} */
  const told = [];
  /** @param {keyof MatchEvents} name */
  const note = (name) => match.on(name, (...what) => told.push([name, ...what].join(' ')));
  /** @type {(keyof MatchEvents)[]} */
  const names = ['join', 'leave', 'gap', 'reset', 'owner', 'stall', 'reconnect', 'back', 'ended', 'close'];
  names.forEach(note);
  const options = { urls: URLS, WebSocket: Fake, random: () => 0.5 };
  const connection = new Connection(match, options);
  t.after(() => connection.end());
  const owner = new Owner(4);
  owner.set('player:0', { player: 4, name: 'Zoë' });
  owner.next();
  const [socket] = made;
  socket.open();
  assert.deepEqual(socket.said.shift(), message.hello('Zoë', { kind: 'quick', game: 'pitch' }));
  socket.says(welcome(4, { quietMs }));
  socket.says(owner.snapshot());
  /** Time passes. @param {number} ms */
  const pass = (ms) => {
    clock.now += ms;
    connection.poll();
  };
  return { match, connection, owner, made, socket, told, clock, pass };
}

/** Number and last value of each input that the client said. @param {Uint8Array[]} said */
function inputsIn(said) {
  return said.filter((frame) => frame[1] === 1).map((frame) => {
    const zigzag = frame[frame.length - 1];
    return [frame[2], zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2];
  });
}

test('a page sees who comes and goes', (t) => {
  const { match, owner, socket, told } = playing(t);
  assert.deepEqual([socket.url, socket.protocols, socket.binaryType], ['ws://a/ws', ['tickcast.v5'], 'arraybuffer']);
  owner.set('player:3', { player: 9, name: 'Bo', x: 160 });
  socket.says(owner.next());
  owner.end('player:3');
  socket.says(owner.next());
  assert.deepEqual(told, ['join 4 0', 'join 9 3', 'leave 9 3']);
  assert.deepEqual([match.id, match.node, match.player, match.me, match.tickRate, match.tick], ['m1', 'n1', 4, 0, 30, 7]);
});

test('entities by the names of their fields', (t) => {
  const { match, owner, socket } = playing(t);
  const players = match.entities('player');
  owner.set('player:0', { x: 320, aim: 7 });
  socket.says(owner.next());
  owner.set('player:0', { x: 352 });
  socket.says(owner.next());
  assert.deepEqual([...players], [0]);
  assert.deepEqual([players.count, players.has(0), players.has(1), players.has(70_000)], [1, true, false, false]);
  assert.deepEqual([players.get(0, 'x'), players.previous(0, 'x'), players.scale('x')], [352, 320, 16]);
  assert.deepEqual([players.text(0, 'name'), players.get(5, 'x'), players.text(5, 'name')], ['Zoë', 0, '']);
  assert.deepEqual(players.all(0), { player: 4, seq: 0, x: 352, aim: 7, name: 'Zoë' });
  assert.equal(players.all(1), null);
  assert.throws(() => players.get(0, 'name'), /use text/);
  assert.throws(() => players.get(0, 'y'), /no field y/);
  assert.throws(() => match.entities('wall'), /no kind wall/);
  assert.equal(match.entities('player'), players);
});

test('inputs are whole numbers within their bounds, and acknowledged', (t) => {
  const { match, owner, socket } = playing(t);
  assert.equal(match.input({ move: 0.6 }), 1);
  assert.equal(match.input([-7]), 2);
  assert.equal(match.input({}), 3);
  assert.deepEqual(inputsIn(socket.said), [[1, 1], [2, -1], [3, 0]]);
  assert.equal(match.metrics().unacknowledged, 3);
  owner.set('player:0', { seq: 2 });
  socket.says(owner.next());
  assert.equal(match.metrics().unacknowledged, 1);
});

test('steering sends about one input per tick, and none into a stalled connection', (t) => {
  const { match, owner, socket, pass } = playing(t);
  let asked = 0;
  match.steer(() => ({ move: (asked += 1) % 2 }));
  for (let ms = 0; ms < 1_000; ms += 8) {
    if (ms % 32 === 0) socket.says(owner.next());
    pass(8);
  }
  assert.ok(asked > 27 && asked < 37, `${asked} inputs in a second`);
  socket.bufferedAmount = 10_000;
  const before = asked;
  pass(100);
  assert.equal(asked, before);
  match.steer(null);
});

test('silence is asked about with pings, and ends the connection', (t) => {
  const { match, socket, made, told, pass } = playing(t);
  pass(150);
  assert.deepEqual(socket.said, [message.ping(1)]);
  socket.says(pong(1, 5));
  assert.equal(match.metrics().rttMs, 0);
  pass(150);
  pass(80);
  socket.says(pong(2, 5));
  assert.ok(match.metrics().rttMs > 0);
  pass(4_900);
  assert.equal(socket.isClosed, false);
  pass(200);
  assert.equal(socket.isClosed, true);
  assert.deepEqual(told.slice(-2), ['stall 300', 'reconnect 1']);
  assert.equal(match.isCurrent, false);
  pass(200);
  assert.equal(made[1].url, 'ws://b/ws', 'another node');
});

test('a stall is told once, and again after the next state', (t) => {
  const { match, owner, socket, told, pass } = playing(t);
  pass(251);
  pass(100);
  assert.deepEqual(told, ['join 4 0', 'stall 251']);
  socket.says(owner.next());
  pass(100);
  pass(200);
  assert.deepEqual(told.slice(2), ['stall 300']);
  assert.ok(match.isStalled);
});

test('where nothing moves a silence is no stall until the node would have broken it', (t) => {
  const { match, owner, socket, told, pass } = playing(t, { quietMs: 1000 });
  pass(1_200);
  assert.deepEqual(told, ['join 4 0']);
  const held = owner.next();
  assert.equal(held.length, 8, 'which tells nothing, and is not sent');
  const frame = owner.next();
  frame[0] |= 2;
  socket.says(frame);
  assert.deepEqual([match.tick, match.metrics().catchUps], [owner.tick, 0]);
  pass(1_249);
  assert.deepEqual(told, ['join 4 0']);
  pass(2);
  assert.deepEqual(told.splice(0), ['join 4 0', 'stall 1251']);
  owner.set('player:0', { x: 5 });
  socket.says(owner.next());
  pass(260);
  assert.deepEqual(told, ['stall 260'], 'while something moves every tick comes');
});

test('who does something where nothing moves is told soon that no state comes', (t) => {
  const { match, socket, told, pass } = playing(t, { quietMs: 4000 });
  pass(150);
  socket.says(pong(1, 5));
  pass(1_850);
  const { rttMs } = match.metrics();
  assert.ok(match.input({ move: 1 }) > 0);
  pass(250 + Math.floor(rttMs));
  assert.deepEqual(told, ['join 4 0'], 'the answer may be on its way');
  match.input({ move: 0 });
  pass(100);
  assert.match(told.splice(1)[0], /^stall 2\d\d\d$/, 'and a second input puts it off no further');
});

test('who wants no input in a tick does not make up for it later', (t) => {
  const { match, owner, socket, pass } = playing(t);
  let moves = false;
  match.steer(() => (moves ? { move: 1 } : null));
  for (let ms = 0; ms < 1_000; ms += 8) {
    if (ms % 32 === 0) socket.says(owner.next());
    if (ms === 960) moves = true;
    pass(8);
  }
  const inputs = inputsIn(socket.said).length;
  assert.ok(inputs >= 1 && inputs <= 2, `${inputs} inputs in 40 ms`);
});

test('a lost connection is resumed as the same player, and inputs are said again', (t) => {
  const { match, owner, socket, made, told, pass } = playing(t);
  match.input([1]);
  socket.ends(1006);
  assert.equal(made.length, 1, 'not at once');
  pass(149);
  assert.equal(made.length, 1);
  pass(2);
  made[1].ends(1006);
  pass(301);
  made[2].open();
  const { shown } = match.client;
  assert.deepEqual(made[2].said.splice(0), [message.hello('Zoë', { kind: 'resume', seat: SEAT, shown, attempt: 2 })]);
  assert.equal(match.isCurrent, false);
  assert.equal(match.entities('player').get(0, 'player'), 4, 'the last state can still be shown');
  made[2].says(welcome(4));
  made[2].says(owner.snapshot());
  assert.deepEqual(inputsIn(made[2].said), [[1, 1]]);
  assert.deepEqual(told.slice(1), ['reconnect 1', 'reconnect 2', 'back']);
  assert.equal(match.isCurrent, true);
  assert.equal(match.metrics().reconnects, 1);
});

test('after ten seconds it is over', (t) => {
  const { made, told, pass } = playing(t);
  made[0].ends(4004, 'nothing heard');
  for (let waited = 0; waited < 12_000; waited += 250) {
    pass(250);
    if (!made[made.length - 1].isClosed) made[made.length - 1].ends(1006);
  }
  assert.equal(told[told.length - 1], 'close 1006 the connection broke');
  assert.ok(made.length > 5 && made.length < 12, `${made.length} tries`);
});

test('codes that invite nobody end it at once', (t) => {
  const { match, made, told, socket, pass } = playing(t);
  socket.says(control(3).finish());
  socket.ends(4511);
  assert.deepEqual(told.slice(1), ['ended', 'close 4511 the match is over']);
  pass(5_000);
  assert.equal(made.length, 1);
  assert.equal(match.closed, true);
});

test('a node that stops is left at a random moment, for the one it names, and not before that is open', (t) => {
  const { match, owner, made, socket, told, pass } = playing(t);
  socket.says(reconnect(1_000, 'ws://c/ws'));
  pass(400);
  socket.says(owner.next());
  assert.equal(made.length, 1);
  pass(101);
  assert.deepEqual([made[1].url, socket.isClosed], ['ws://c/ws', false]);
  socket.says(owner.next());
  assert.equal(match.tick, 7, 'it is followed until then');
  made[1].open();
  assert.equal(socket.isClosed, true);
  assert.equal(socket.said.some((frame) => frame[1] === 4), false, 'without Leave');
  const { shown } = match.client;
  assert.equal(shown.tick, 7);
  assert.deepEqual(made[1].said, [message.hello('Zoë', { kind: 'resume', seat: SEAT, shown, attempt: 1 })]);
  made[1].says(welcome(4));
  made[1].says(owner.snapshot());
  assert.deepEqual(told.filter((each) => !each.startsWith('stall')), ['join 4 0', 'back']);
});

test('when the next one never opens, the match is followed until the end, and then another is tried', (t) => {
  const { made, socket, told, pass } = playing(t);
  socket.says(reconnect(100, ''));
  pass(51);
  assert.equal(made[1].url, 'ws://b/ws');
  socket.ends(4001);
  assert.equal(made[1].isClosed, true);
  pass(151);
  assert.deepEqual([made[2].url, told[told.length - 1]], ['ws://a/ws', 'reconnect 1']);
});

test('a reset is told, and time goes on from there', (t) => {
  const { match, socket, told } = playing(t);
  const earlier = new Owner(2);
  earlier.set('player:0', { player: 4 });
  earlier.next();
  socket.says(reset(5, 3));
  socket.says(earlier.snapshot());
  assert.deepEqual(told, ['join 4 0', 'reset 5 3']);
  match.frame();
  assert.equal(match.tick, 3);
  assert.equal(match.smooth.playout.newest, 3);
});

test('gaps and owners are told', (t) => {
  const { match, owner, socket, told } = playing(t);
  owner.next();
  socket.says(owner.next());
  socket.says(owner.snapshot());
  socket.says(owner.announce(8n));
  assert.deepEqual(told, ['join 4 0', 'gap missing ticks are missing after 5', 'owner']);
  assert.deepEqual([match.metrics().gaps, match.metrics().owners, match.metrics().snapshots], [1, 1, 2]);
});

test('a server that breaks the contract is left', (t) => {
  const { socket, told } = playing(t);
  socket.says(Uint8Array.of(2, 9));
  assert.equal(socket.isClosed, true);
  assert.match(told[1], /^close 1002 Broken: message 9/);
});

test('leaving and closing', (t) => {
  const { match, socket, told, pass } = playing(t);
  match.leave();
  assert.deepEqual(socket.said, [message.leave()]);
  match.close();
  assert.deepEqual([socket.isClosed, told[1]], [true, 'close 1000 closed by this page']);
  pass(10_000);
  assert.equal(match.closed, true);
});

test('a kept seat lets another page go on', (t) => {
  const { match } = playing(t);
  assert.deepEqual(JSON.parse(match.seat ?? ''), { ...SEAT, token: Array.from(TOKEN) });
});

test('without a WebSocket it is said what to do', () => {
  const own = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
  Object.defineProperty(globalThis, 'WebSocket', { value: undefined, configurable: true });
  assert.throws(() => socketType(), /install the package ws and pass it/);
  if (own === undefined) Reflect.deleteProperty(globalThis, 'WebSocket');
  else Object.defineProperty(globalThis, 'WebSocket', own);
});

test('what is shown of the own player is predicted, of others a little in the past', (t) => {
  const { match, owner, socket, clock } = playing(t);
  match.predict({ fields: ['x'], step: (state, input) => { state[0] += 32 * input[0]; } });
  const tick = () => {
    clock.now += 1000 / 30;
    owner.set('player:0', { x: match.entities('player').get(0, 'x') + 32 });
    socket.says(owner.next());
  };
  for (let ticks = 0; ticks < 10; ticks += 1) tick();
  match.frame();
  const shown = match.entities('player').shown(0, 'x');
  const newest = match.entities('player').get(0, 'x');
  assert.ok(shown < newest && shown > newest - 3 * 32, `${shown} of ${newest}`);
  match.input([1]);
  clock.now += 1000 / 30;
  match.frame();
  assert.ok(match.own('x') > newest - 1, `${match.own('x')} of ${newest}`);
  assert.equal(match.own('aim'), 0, 'what is not predicted is as of everybody');
  match.smooth.prediction && (match.smooth.prediction.enabled = false);
  assert.equal(match.own('x'), match.entities('player').shown(0, 'x'));
});

/** @param {import('node:test').TestContext} t @param {import('../src/message.js').Join} join @param {import('../src/connection.js').Tickets} ticket */
function arriving(t, join, ticket) {
  const { made, Fake } = sockets();
  const match = new Match('Zoë', join, () => 0);
  const ends = new Promise((resolve) => match.on('close', (code, text) => resolve(`${code} ${text}`)));
  const connection = new Connection(match, { urls: URLS, WebSocket: Fake, ticket, random: () => 0.5 });
  t.after(() => connection.end());
  return { made, match, connection, ends };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a ticket is shown in the hello of a player, who needs no other to come back', (t) => {
  const join = /** @type {const} */ ({ kind: 'quick', game: '' });
  const { made, match, connection } = arriving(t, join, 'a-ticket');
  made[0].open();
  assert.deepEqual(made[0].said, [message.hello('Zoë', join, 'a-ticket')]);
  made[0].says(welcome(4));
  made[0].ends(4000);
  match.client.resume();
  connection.open('');
  made[1].open();
  const { shown } = match.client;
  assert.deepEqual(made[1].said, [message.hello('Zoë', { kind: 'resume', seat: SEAT, shown, attempt: 1 })]);
});

test('a ticket is asked for as often as one is needed', async (t) => {
  const join = /** @type {const} */ ({ kind: 'spectate', matchId: 'm1' });
  let asked = 0;
  const { made, match, connection } = arriving(t, join, async () => `ticket-${asked += 1}`);
  assert.equal(made.length, 0, 'no server waits for a ticket');
  await turn();
  made[0].open();
  assert.deepEqual(made[0].said, [message.hello('Zoë', join, 'ticket-1')]);
  made[0].says(welcome(null));
  made[0].ends(4000);
  match.client.resume();
  connection.open('');
  await turn();
  made[1].open();
  assert.deepEqual(made[1].said, [message.hello('Zoë', join, 'ticket-2')]);
  // The node asks to go elsewhere: the next one is shown there, and until then nothing changes here.
  connection.move('ws://c/ws');
  await turn();
  assert.equal(made[2].url, 'ws://c/ws');
  made[2].open();
  assert.deepEqual(made[2].said, [message.hello('Zoë', join, 'ticket-3')]);
});

test('a backend that gives no ticket is the end, with its reason', async (t) => {
  const { made, ends } = arriving(t, { kind: 'quick', game: '' }, () => Promise.reject(new Error('log in first')));
  assert.equal(await ends, '1006 Error: log in first');
  assert.equal(made.length, 0);
});

test('who leaves while a ticket is under way opens no connection', async (t) => {
  const { made, connection } = arriving(t, { kind: 'quick', game: '' }, async () => 'late');
  connection.end();
  await turn();
  assert.equal(made.length, 0);
});
