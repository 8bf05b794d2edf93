// What a page says and hears: each line once, over all connections, and in words why one is not said.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Reader } from '../src/bytes.js';
import { Client } from '../src/client.js';
import { Match } from '../src/match.js';
import * as message from '../src/message.js';
import { Owner, TOKEN, chatHistory, chatLine, chatRefused, line, reset, welcome } from './owner.js';

const ME = 4;
const [TOO_FAST, REPEATED] = [2, 6];

/** @param {Client} client */
function enter(client) {
  client.handle(welcome(ME));
  client.handle(new Owner(4).snapshot());
  client.transmit.length = 0;
}

/** A match as player 4, and what its page is told. */
function playing() {
  const match = new Match('Zoë', { kind: 'match', matchId: 'm1' }, () => 0);
  enter(match.client);
  /** @type {unknown[]} */
  const told = [];
  match.on('chat', ({ number, to, player, name, text }) => told.push([number, to, player, name, text].join(' ')));
  match.on('chat-refused', (reason, text) => told.push([reason, text].join(' ')));
  const says = (/** @type {Uint8Array} */ frame) => match.receive(frame, 0);
  return { match, client: match.client, told, says };
}

/** @param {Client} client */
const sent = (client) => client.transmit.splice(0);

test('what is said is numbered, and heard when it comes back', () => {
  const { match, client, told, says } = playing();
  says(chatHistory([]));
  assert.equal(match.chat.send('hello'), 1);
  assert.equal(match.chat.send('left!', 'team'), 2);
  assert.deepEqual(sent(client), [message.chat(1, 'everyone', 'hello'), message.chat(2, 'team', 'left!')]);
  says(chatLine(line(7, { from: ME, seq: 1, name: 'Zoë', text: 'hello' })));
  says(chatLine(line(8, { team: 2 })));
  says(chatLine(line(8, { team: 2 })));
  assert.deepEqual(told, ['7 everyone 4 Zoë hello', '8 team 9 Bo line 8'], 'each once');
  assert.deepEqual(client.talk.kept.map(({ seq }) => seq), [2]);
});

test('what was said before we came is told, and kept for who asks later', () => {
  const { match, told, says } = playing();
  says(chatHistory([line(3), line(4)]));
  says(chatLine(line(5)));
  assert.deepEqual(told, ['3', '4', '5'].map((each) => `${each} everyone 9 Bo line ${each}`));
  for (let number = 6; number < 200; number += 1) says(chatLine(line(number)));
  assert.deepEqual([match.chat.lines.length, match.chat.lines[0].number], [64, 136]);
});

test('what was not heard is said again after a resume, behind what was said before', () => {
  const { match, client, told, says } = playing();
  for (const text of ['one', 'two', 'three']) match.chat.send(text);
  says(chatLine(line(1, { from: ME, seq: 1 })));
  client.resume();
  assert.equal(match.chat.send('four'), 4);
  sent(client);
  enter(client);
  assert.equal(match.chat.send('five'), 5);
  assert.deepEqual(sent(client), [], 'it would overtake those that are said again');
  says(chatHistory([line(1, { from: ME, seq: 1 }), line(2, { from: ME, seq: 2 }), line(3)]));
  assert.deepEqual(sent(client), [['three', 3], ['four', 4], ['five', 5]].map(([text, seq]) => message.chat(Number(seq), 'everyone', String(text))));
  assert.equal(told.length, 3, 'what was told before is not told again');
  says(chatRefused(3, REPEATED));
  assert.equal(told.length, 3, 'no news for a person');
  assert.equal(match.chat.send('six'), 6);
  assert.deepEqual(sent(client), [message.chat(6, 'everyone', 'six')]);
});

test('why something is not said is told with what it was', () => {
  const { match, client, told, says } = playing();
  match.chat.send('one');
  match.chat.send('two');
  says(chatRefused(2, TOO_FAST));
  assert.deepEqual(told, ['too-fast two']);
  client.resume();
  sent(client);
  enter(client);
  says(chatHistory([]));
  assert.deepEqual(sent(client), [message.chat(1, 'everyone', 'one')]);
  assert.throws(() => says(chatRefused(1, 8)), /refusal 8/);
});

test('after a reset lines that were not said are gone, and others may have their numbers', () => {
  const { match, told, says } = playing();
  says(chatHistory([line(1), line(2), line(3)]));
  says(reset(9, 1));
  assert.deepEqual(match.chat.lines.map(({ number }) => number), [1]);
  says(chatHistory([line(1), line(2, { text: 'another' })]));
  assert.deepEqual(told.slice(3), ['2 everyone 9 Bo another']);
});

test('a page that was loaded anew counts on, whatever the one before it has counted', () => {
  const shown = { fence: { epoch: 0n, nonce: 0n }, tick: 0 };
  const seat = { matchId: 'm1', player: ME, token: TOKEN };
  const client = new Client('', { kind: 'resume', seat, shown, attempt: message.COUNT_LOST, said: 1_790_000_000 });
  enter(client);
  const first = client.say('everyone', 'back');
  assert.equal(first, 1_790_000_001);
  assert.deepEqual(sent(client), []);
  client.handle(chatHistory([line(1, { from: ME, seq: 3 })]));
  assert.deepEqual(sent(client), [message.chat(first, 'everyone', 'back')]);
  client.handle(chatLine(line(2, { from: ME, seq: 4_000_000_000 })));
  assert.equal(client.say('everyone', 'more'), 4_000_000_001);
});

test('who looks on, or is not in yet, says nothing', () => {
  const client = new Client('', { kind: 'spectate', matchId: 'm1' });
  assert.equal(client.say('everyone', 'hello'), 0);
  client.handle(welcome(null));
  assert.equal(client.say('everyone', 'hello'), 0);
  client.handle(chatHistory([line(1)]));
  assert.deepEqual([client.news.length, client.talk.kept], [1, []]);
});

test('a text of any length makes a frame that a server answers in words', () => {
  const { match, client } = playing();
  match.chat.send('ë'.repeat(100_000));
  const [frame] = sent(client);
  assert.ok(frame.length < 1_024);
  const reader = new Reader(frame.subarray(4));
  assert.equal(reader.string(), 'ë'.repeat(240), 'cut at a whole character, and still too long');
  for (let count = 0; count < 100; count += 1) match.chat.send(`${count}`);
  assert.deepEqual(client.talk.kept.map(({ text }) => text), ['95', '96', '97', '98', '99'], 'bounded');
});

test('lines that no server tells break the contract', () => {
  const { says } = playing();
  assert.throws(() => says(chatLine(line(1, { text: '' }))), /no such length/);
  assert.throws(() => says(chatLine(line(1, { text: 'x'.repeat(241) }))), /no such length/);
  assert.throws(() => says(chatLine(line(1, { name: 'x'.repeat(25) }))), /no such length/);
  assert.throws(() => says(chatHistory(Array.from({ length: 65 }, (_, at) => line(at + 1)))), /65 lines/);
});
