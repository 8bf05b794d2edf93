// What frames mean to a client, what it sends again, and what it says to be the same player on another connection.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Broken } from '../src/broken.js';
import { Client } from '../src/client.js';
import * as message from '../src/message.js';
import { Owner, TOKEN, control, pong, reconnect, reset, welcome } from './owner.js';

/** A client that was let in and holds the state of tick 5, in which it is player 4. */
function playing() {
  const owner = new Owner(4);
  owner.set('player:0', { player: 4, name: 'Zoë' });
  owner.next();
  const client = new Client('Zoë', { kind: 'match', matchId: 'm1' });
  assert.deepEqual(client.transmit.shift(), message.hello('Zoë', { kind: 'match', matchId: 'm1' }));
  assert.equal(client.handle(welcome(4)), 'welcome');
  assert.equal(client.input([1]), 0, 'no input before the state');
  assert.equal(client.handle(owner.snapshot()), 'snapshot');
  return { client, owner };
}

/** What a client says. @param {Client} client */
const said = (client) => client.transmit.splice(0);

test('a client follows a match', () => {
  const { client, owner } = playing();
  owner.set('ball:3', { x: -50 });
  owner.set('player:0', { x: 10, aim: 200 });
  assert.equal(client.handle(owner.next()), 'advanced');
  const diff = owner.next();
  assert.equal(client.handle(diff), 'advanced');
  assert.equal(client.handle(diff), 'nothing', 'it is there already');
  owner.end('ball:3');
  assert.equal(client.handle(owner.next()), 'advanced');
  const tables = client.replica?.world.tables ?? [];
  assert.deepEqual([tables[0].count, tables[1].count, client.replica?.tick], [1, 0, 8]);
  assert.equal(client.handle(pong(9, 8)), 'pong');
  assert.equal(client.handle(control(3).finish()), 'ended');
  assert.deepEqual(said(client), []);
});

test('a gap is asked about once', () => {
  const { client, owner } = playing();
  owner.next();
  const after = owner.next();
  assert.equal(client.handle(after), 'gap');
  assert.equal(client.replica?.reason, 'missing');
  assert.equal(client.handle(owner.next()), 'nothing');
  assert.deepEqual(said(client), [message.needSnapshot()]);
  assert.equal(client.handle(owner.snapshot()), 'snapshot');
  const lie = owner.next();
  lie[4] ^= 1;
  assert.equal(client.handle(lie), 'gap');
  assert.equal(client.desyncs, 1);
  const broken = owner.snapshot();
  broken[25] ^= 1;
  assert.equal(client.handle(broken), 'gap', 'asked again when a snapshot is unusable');
  assert.deepEqual(said(client), [message.needSnapshot(), message.needSnapshot()]);
});

test('a reset waits for the snapshot', () => {
  const { client, owner } = playing();
  assert.equal(client.handle(reset(5, 3)), 'reset');
  assert.deepEqual(client.said, { type: 'reset', from: 5, to: 3 });
  assert.equal(client.handle(owner.next()), 'nothing');
  assert.equal(client.handle(new Owner(3).snapshot()), 'snapshot', 'an earlier tick');
  assert.deepEqual([client.replica?.tick, said(client)], [3, []]);
});

/** @param {Client} client @param {number} count */
function send(client, count) {
  for (let input = 0; input < count; input += 1) client.input([(client.inputs.lastSeq % 3) - 1]);
}

/** @param {number} from @param {number} to */
function inputs(from, to) {
  return Array.from({ length: to - from + 1 }, (_, at) => message.input(from + at, 5, 0, [((from + at - 1) % 3) - 1]));
}

test('a resumed player is the same and says again what is not acknowledged', () => {
  const { client, owner } = playing();
  send(client, 5);
  assert.deepEqual(said(client), inputs(1, 5));
  client.ping(9);
  client.resume();
  const seat = { matchId: 'm1', player: 4, token: TOKEN };
  const { fence, tick } = client.replica ?? assert.fail('there is a state');
  const resume = message.hello('Zoë', { kind: 'resume', seat, shown: { fence, tick }, attempt: 1 });
  assert.deepEqual(said(client), [resume], 'nothing of the last connection');
  assert.equal(client.input([0]), 0, 'only pings before the welcome');
  assert.throws(() => client.handle(owner.snapshot()), Broken);
  assert.equal(client.handle(welcome(4, { token: TOKEN.map((byte) => byte + 1) })), 'welcome');
  assert.throws(() => client.handle(welcome(4)), Broken);
  assert.equal(client.input([0]), 0, 'it would overtake those that are sent again');
  owner.set('player:0', { seq: 3 });
  owner.next();
  assert.equal(client.handle(owner.snapshot()), 'snapshot');
  assert.deepEqual(said(client), inputs(4, 5));
  assert.equal(client.inputs.sentAgain, 2);
  assert.equal(client.input([0]), 6);
  client.resume();
  assert.equal(client.seat?.token[0], TOKEN[0] + 1, 'the newest token');
});

test('a player who is not yet part of the state sends no input', () => {
  const owner = new Owner(4);
  const client = new Client('Zoë', { kind: 'match', matchId: 'm1' });
  client.handle(welcome(4));
  client.handle(owner.snapshot());
  said(client);
  assert.equal(client.input([1]), 0, 'nobody would take it');
  owner.set('player:0', { player: 4 });
  client.handle(owner.next());
  assert.equal(client.input([1]), 1, 'and no number is missing');
  assert.equal(said(client).length, 1);
});

test('only the same place is resumed; who was never let in joins again', () => {
  const { client } = playing();
  client.resume();
  assert.throws(() => client.handle(welcome(5)), Broken);
  const fresh = new Client('', { kind: 'quick', game: 'g' });
  fresh.resume();
  assert.deepEqual(said(fresh), [message.hello('', { kind: 'quick', game: 'g' })]);
  const watcher = new Client('', { kind: 'match', matchId: 'm1' });
  watcher.handle(welcome(null));
  watcher.resume();
  assert.deepEqual(said(watcher), [message.hello('', { kind: 'spectate', matchId: 'm1' })]);
});

test('a page that was loaded anew goes on as the same player', () => {
  const { owner } = playing();
  const seat = { matchId: 'm1', player: 4, token: TOKEN };
  const shown = { fence: { epoch: 0n, nonce: 0n }, tick: 0 };
  const client = new Client('', { kind: 'resume', seat, shown, attempt: message.COUNT_LOST });
  client.handle(welcome(4));
  owner.set('player:0', { seq: 41 });
  owner.next();
  client.handle(owner.snapshot());
  said(client);
  assert.equal(client.input([1]), 42, 'the numbers go on');
});

test('a new owner, and one that lost inputs, is told them again', () => {
  const { client, owner } = playing();
  send(client, 2);
  said(client);
  assert.equal(client.handle(owner.announce(8n)), 'owner');
  assert.deepEqual(said(client), inputs(1, 2));
  assert.equal(client.handle(owner.announce(8n)), 'owner');
  assert.deepEqual(said(client), inputs(1, 2), 'the same fence: it lost some');
  owner.next();
  assert.equal(client.handle(owner.snapshot()), 'snapshot');
  assert.deepEqual(said(client), [], 'the same owner');
  owner.announce(9n);
  owner.next();
  assert.equal(client.handle(owner.snapshot()), 'snapshot');
  assert.deepEqual(said(client), inputs(1, 2));
});

test('64 inputs may be without acknowledgement', () => {
  const { client, owner } = playing();
  send(client, 70);
  assert.equal(said(client).length, 64);
  owner.set('player:0', { seq: 1 });
  client.handle(owner.next());
  assert.equal(client.input([0]), 65);
  assert.throws(() => client.input([2]), RangeError);
  assert.throws(() => client.input([]), RangeError);
});

test('a node that stops says where to go', () => {
  const { client } = playing();
  assert.equal(client.handle(reconnect(2500, 'ws://b:1/ws')), 'reconnect');
  assert.deepEqual(client.said, { type: 'reconnect', withinMs: 2500, url: 'ws://b:1/ws' });
});
