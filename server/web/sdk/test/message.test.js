// Control messages against the golden files.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Broken } from '../src/broken.js';
import { Reader, Writer } from '../src/bytes.js';
import { tagOf, fenceAt, tickAt, u16, u32 } from '../src/frame.js';
import * as message from '../src/message.js';
import { examples, hex } from './golden.js';

test('control.hex: what a client says', () => {
  let said = 0;
  for (const { name, told, bytes } of examples('control.hex')) {
    if (told.ClientMessage === undefined) continue;
    said += 1;
    assert.equal(hex(encode(told.ClientMessage)), hex(bytes), name);
  }
  assert.ok(said >= 10, `${said}`);
});

/** @param {any} told */
function encode(told) {
  if (told === 'NeedSnapshot') return message.needSnapshot();
  if (told === 'Leave') return message.leave();
  if (told.Chat) return message.chat(told.Chat.seq, told.Chat.to === 'Team' ? 'team' : 'everyone', told.Chat.text);
  if (told.Ping) return message.ping(told.Ping.nonce);
  if (told.Input) return message.input(told.Input.seq, told.Input.seen, told.Input.behind, told.Input.values);
  return message.hello(told.Hello.name, joinOf(told.Hello.join), told.Hello.ticket);
}

/** @param {any} told @returns {message.Join} */
function joinOf({ Quick, Match, Spectate, Resume }) {
  if (Quick) return { kind: 'quick', game: Quick.game };
  if (Match) return { kind: 'match', matchId: Match };
  if (Spectate) return { kind: 'spectate', matchId: Spectate };
  const { fence, tick } = Resume.shown;
  const shown = { fence: { epoch: BigInt(fence.epoch), nonce: BigInt(fence.nonce) }, tick };
  const seat = { matchId: Resume.match_id, player: Resume.player, token: Uint8Array.from(Resume.token) };
  return { kind: 'resume', seat, shown, attempt: Resume.attempt };
}

test('control.hex: what a server says', () => {
  let said = 0;
  for (const { name, told, bytes } of examples('control.hex')) {
    if (told.ServerMessage === undefined) continue;
    said += 1;
    assert.deepEqual(shown(message.decodeServerMessage(bytes)), told.ServerMessage, name);
  }
  assert.ok(said >= 7, `${said}`);
});

/** A message as the golden files write it. @param {message.ServerMessage} said */
function shown(said) {
  if (said.type === 'pong') return { Pong: { nonce: said.nonce, tick: said.tick } };
  if (said.type === 'reset') return { Reset: { from: said.from, to: said.to } };
  if (said.type === 'ended') return 'Ended';
  if (said.type === 'reconnect') return { Reconnect: { within_ms: said.withinMs, url: said.url } };
  if (said.type === 'chat') return { Chat: said.line };
  if (said.type === 'chat-history') return { ChatHistory: said.lines };
  if (said.type === 'chat-refused') return { ChatRefused: { seq: said.seq, reason: camel(said.reason) } };
  const { node, session, matchId, player, tickRate, schema, token, quietMs } = said;
  const role = player === null ? 'Spectator' : { Player: player };
  const resume = Array.from(token);
  return { Welcome: {
    protocol: 5, node, session: Number(session), match_id: matchId, role, tick_rate: tickRate, schema, resume, quiet_ms: quietMs,
  } };
}

/** @param {string} words with dashes between them */
function camel(words) {
  return words.split('-').map((word) => word[0].toUpperCase() + word.slice(1)).join('');
}

test('numbers.hex: the control coding, in both directions', () => {
  let read = 0;
  for (const { name, told, bytes } of examples('numbers.hex')) {
    if (told.coding !== 'control') continue;
    read += 1;
    assert.deepEqual(readValue(told.type, new Reader(bytes)), told.value, name);
    const out = new Writer();
    // In JSON the widest numbers are not exact.
    putValue(told.type, out, told.type === 'u64' ? new Reader(bytes).big(8) : told.value);
    assert.equal(hex(out.finish()), hex(bytes), name);
  }
  assert.ok(read > 20, `${read}`);
});

/** @param {string} type @param {Reader} reader */
function readValue(type, reader) {
  if (type === 'string') return reader.string();
  if (type === 'u8') return reader.u8();
  if (type === 'u16') return reader.u16();
  if (type === 'u32') return reader.u32();
  if (type === 'u64') return Number(reader.big(8));
  if (type === 'i32') return reader.i32();
  assert.equal(type, 'list_i32');
  return Array.from({ length: reader.u64() }, () => reader.i32());
}

/** @param {string} type @param {Writer} out @param {any} value */
function putValue(type, out, value) {
  if (type === 'string') out.string(value);
  else if (type === 'i32') out.int(value);
  else if (type === 'u8') out.u8(value);
  else if (type !== 'list_i32') out.uint(value);
  else {
    out.uint(value.length);
    for (const each of value) out.int(each);
  }
}

test('refused.hex: control messages that no server says', () => {
  const refused = examples('refused.hex').filter(({ told }) => told.as === 'server');
  for (const { name, bytes } of refused) assert.throws(() => message.decodeServerMessage(bytes), Broken, name);
  assert.ok(refused.length >= 3);
});

test('frames.hex: headers', () => {
  for (const { name, told, bytes } of examples('frames.hex')) {
    if (told.epoch === undefined) {
      assert.deepEqual([bytes[1], u16(bytes, 2)], [told.tag, told.tick_low], name);
      continue;
    }
    const fence = fenceAt(bytes, 1);
    if (told.tick > Number.MAX_SAFE_INTEGER) {
      assert.throws(() => tickAt(bytes, 17), Broken, name);
      continue;
    }
    const nonce = fence.nonce.toString(16).padStart(16, '0');
    assert.deepEqual([Number(fence.epoch), nonce, tickAt(bytes, 17)], [told.epoch, told.nonce, told.tick], name);
    assert.equal(tagOf(fence), told.tag, name);
    if (told.hash !== undefined) assert.equal(u32(bytes, 25), Number.parseInt(told.hash, 16), name);
  }
});

test('a name is cut at a whole character', () => {
  const said = message.hello('Zoë'.repeat(9), { kind: 'quick', game: '' });
  const reader = new Reader(said.subarray(3));
  assert.equal(reader.string(), 'Zoë'.repeat(6));
});
