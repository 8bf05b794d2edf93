// Control messages: docs/wire.md, sections 4.2 to 4.4.

import { Broken } from './broken.js';
import { Reader, Writer } from './bytes.js';
import { CLIENT_CONTROL, SERVER_CONTROL } from './frame.js';
import { CHAT_BYTES_MAX, CHAT_LINES_MAX, NAME_BYTES_MAX, PROTOCOL, RECONNECT_URL_BYTES_MAX, SEQ_MAX } from './limits.js';

/**
 * What shows that one is a player that was welcomed before.
 * @typedef {object} Seat
 * @property {string} matchId
 * @property {number} player
 * @property {Uint8Array} token 16 bytes; whoever knows them is the player
 */

/**
 * What a client wants to be put into; `said` is for itself: no less than it has numbered its lines of chat before.
 * @typedef {{ kind: 'quick', game: string }
 *   | { kind: 'match', matchId: string }
 *   | { kind: 'spectate', matchId: string }
 *   | { kind: 'resume', seat: Seat, shown: Position, attempt: number, said?: number }} Join
 */

/** The state that was shown last, over all connections; zeros if there was none. @typedef {{ fence: import('./frame.js').Fence, tick: number }} Position */

/** The attempt of a client that has lost count: it counts as the latest. */
export const COUNT_LOST = 0xffffffff;

/**
 * @typedef {object} Welcome
 * @property {'welcome'} type
 * @property {string} node
 * @property {bigint} session names the connection, for logs
 * @property {string} matchId
 * @property {number | null} player null for a spectator
 * @property {number} tickRate ticks per second
 * @property {string} schema JSON
 * @property {Uint8Array} token
 * @property {number} quietMs for how long ticks that change nothing are held back at most
 */

/**
 * Something that was said. `team` alone may read it, 0 is everyone; `seq` is the number that its player's client gave it.
 * @typedef {{ number: number, tick: number, from: number, seq: number, team: number, name: string, text: string }} ChatLine
 */

/** Why something was not said, in the order of the wire. */
const REFUSALS = /** @type {const} */ (['empty', 'too-long', 'too-fast', 'spectator', 'no-team', 'off', 'repeated', 'unheard']);

/** @typedef {typeof REFUSALS[number]} ChatRefusal */

/**
 * @typedef {Welcome
 *   | { type: 'pong', nonce: number, tick: number }
 *   | { type: 'reset', from: number, to: number }
 *   | { type: 'ended' }
 *   | { type: 'reconnect', withinMs: number, url: string }
 *   | { type: 'chat', line: ChatLine }
 *   | { type: 'chat-history', lines: ChatLine[] }
 *   | { type: 'chat-refused', seq: number, reason: ChatRefusal }} ServerMessage
 */

/** @param {number} variant */
function begin(variant) {
  const out = new Writer();
  out.u8(CLIENT_CONTROL);
  out.uint(variant);
  return out;
}

/** @param {string} name at most 24 bytes of it are sent @param {Join} join @param {string} [ticket] */
export function hello(name, join, ticket = '') {
  const out = begin(0);
  out.uint(PROTOCOL);
  out.string(cut(name, NAME_BYTES_MAX));
  putJoin(out, join);
  out.string(ticket);
  return out.finish();
}

/** @param {Writer} out @param {Join} join */
function putJoin(out, join) {
  out.uint(['quick', 'match', 'spectate', 'resume'].indexOf(join.kind));
  if (join.kind === 'quick') {
    out.string(join.game);
  } else if (join.kind !== 'resume') {
    out.string(join.matchId);
  } else {
    const { matchId, player, token } = join.seat;
    out.string(matchId);
    out.uint(player);
    out.raw(token);
    out.uint(join.shown.fence.epoch);
    out.uint(join.shown.fence.nonce);
    out.uint(join.shown.tick);
    out.uint(join.attempt);
  }
}

/** Bytes of a text. @param {string} text */
function size(text) {
  return new TextEncoder().encode(text).length;
}

/** As much of a text as so many bytes hold, whole characters. @param {string} text @param {number} bytesMax */
function cut(text, bytesMax) {
  let kept = '';
  for (const character of text) {
    if (size(kept + character) > bytesMax) break;
    kept += character;
  }
  return kept;
}

/**
 * @param {number} seq
 * @param {number} seen the replica's tick
 * @param {number} behind how far the picture that was shown is behind it, in 256ths of a tick: a u16
 * @param {ArrayLike<number>} values
 */
export function input(seq, seen, behind, values) {
  const out = begin(1);
  out.uint(seq);
  out.uint(seen);
  out.uint(behind);
  out.uint(values.length);
  for (let at = 0; at < values.length; at += 1) out.int(values[at]);
  return out.finish();
}

/** @param {number} nonce a u32 */
export function ping(nonce) {
  const out = begin(2);
  out.uint(nonce);
  return out.finish();
}

export function needSnapshot() {
  return begin(3).finish();
}

export function leave() {
  return begin(4).finish();
}

/**
 * @param {number} seq greater than that of any line before, also before a resume; the first is 1
 * @param {'everyone' | 'team'} to
 * @param {string} text more than is ever said is cut, which is still refused as too long, to what a frame holds
 */
export function chat(seq, to, text) {
  const out = begin(5);
  out.uint(seq);
  out.uint(to === 'team' ? 1 : 0);
  out.string(cut(text, 2 * CHAT_BYTES_MAX));
  return out.finish();
}

/** @param {Uint8Array} bytes @returns {ServerMessage} */
export function decodeServerMessage(bytes) {
  const reader = new Reader(bytes);
  if (reader.u8() !== SERVER_CONTROL) throw new Broken('not a control message of a server');
  const message = decode(reader);
  reader.finish();
  return message;
}

/** @param {Reader} reader @returns {ServerMessage} */
function decode(reader) {
  const variant = reader.u32();
  if (variant === 0) return welcome(reader);
  if (variant === 1) return { type: 'pong', nonce: reader.u32(), tick: reader.u64() };
  if (variant === 2) return { type: 'reset', from: reader.u64(), to: reader.u64() };
  if (variant === 3) return { type: 'ended' };
  if (variant === 5) return { type: 'chat', line: chatLine(reader) };
  if (variant === 6) return { type: 'chat-history', lines: chatLines(reader) };
  if (variant === 7) return { type: 'chat-refused', seq: reader.u32(), reason: refusal(reader) };
  if (variant !== 4) throw new Broken(`message ${variant}`);
  const withinMs = reader.u32();
  const url = reader.string();
  if (size(url) > RECONNECT_URL_BYTES_MAX) throw new Broken('a URL too long');
  return { type: 'reconnect', withinMs, url };
}

/** @param {Reader} reader @returns {ChatLine} */
function chatLine(reader) {
  const [number, tick, from, seq, team] = [reader.u64(), reader.u64(), reader.u32(), reader.u32(), reader.u32()];
  const [name, text] = [reader.string(), reader.string()];
  if (text === '' || size(text) > CHAT_BYTES_MAX || size(name) > NAME_BYTES_MAX) throw new Broken('a line of no such length');
  return { number, tick, from, seq, team, name, text };
}

/** @param {Reader} reader */
function chatLines(reader) {
  const count = reader.u64();
  if (count > CHAT_LINES_MAX) throw new Broken(`${count} lines`);
  return Array.from({ length: count }, () => chatLine(reader));
}

/** @param {Reader} reader */
function refusal(reader) {
  const number = reader.u32();
  if (number >= REFUSALS.length) throw new Broken(`refusal ${number}`);
  return REFUSALS[number];
}

/** @param {Reader} reader @returns {Welcome} */
function welcome(reader) {
  const protocol = reader.u16();
  if (protocol !== PROTOCOL) throw new Broken(`protocol ${protocol}, not ${PROTOCOL}`);
  const node = id(reader);
  const session = reader.big(8);
  const matchId = id(reader);
  const player = role(reader);
  const tickRate = reader.u8();
  if (tickRate < 10 || tickRate > 128) throw new Broken(`${tickRate} ticks per second`);
  return { type: 'welcome', node, session, matchId, player, tickRate, schema: reader.string(), token: reader.take(16).slice(), quietMs: reader.u16() };
}

/** @param {Reader} reader */
function id(reader) {
  const name = reader.string();
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(name)) throw new Broken(`id ${name}`);
  return name;
}

/** @param {Reader} reader */
function role(reader) {
  const variant = reader.u32();
  if (variant === 1) return null;
  const player = variant === 0 ? reader.u32() : 0;
  if (player < 1 || player > SEQ_MAX) throw new Broken(`role ${variant} ${player}`);
  return player;
}
