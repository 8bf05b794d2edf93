// Control messages: docs/wire.md, sections 4.2 to 4.4.

import { Broken } from './broken.js';
import { Reader, Writer } from './bytes.js';
import { CLIENT_CONTROL, SERVER_CONTROL } from './frame.js';
import { NAME_BYTES_MAX, PROTOCOL, RECONNECT_URL_BYTES_MAX, SEQ_MAX } from './limits.js';

/**
 * What shows that one is a player that was welcomed before.
 * @typedef {object} Seat
 * @property {string} matchId
 * @property {number} player
 * @property {Uint8Array} token 16 bytes; whoever knows them is the player
 */

/**
 * What a client wants to be put into.
 * @typedef {{ kind: 'quick', game: string }
 *   | { kind: 'match', matchId: string }
 *   | { kind: 'spectate', matchId: string }
 *   | { kind: 'resume', seat: Seat, shown: Position, attempt: number }} Join
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
 */

/**
 * @typedef {Welcome
 *   | { type: 'pong', nonce: number, tick: number }
 *   | { type: 'reset', from: number, to: number }
 *   | { type: 'ended' }
 *   | { type: 'reconnect', withinMs: number, url: string }} ServerMessage
 */

/** @param {number} variant */
function begin(variant) {
  const out = new Writer();
  out.u8(CLIENT_CONTROL);
  out.uint(variant);
  return out;
}

/** @param {string} name at most 24 bytes of it are sent @param {Join} join */
export function hello(name, join) {
  const out = begin(0);
  out.uint(PROTOCOL);
  out.string(cut(name));
  putJoin(out, join);
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

/** As much of a name as the server takes, whole characters. @param {string} name */
function cut(name) {
  let kept = '';
  for (const character of name) {
    if (new TextEncoder().encode(kept + character).length > NAME_BYTES_MAX) break;
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
  if (variant !== 4) throw new Broken(`message ${variant}`);
  const withinMs = reader.u32();
  const url = reader.string();
  if (new TextEncoder().encode(url).length > RECONNECT_URL_BYTES_MAX) throw new Broken('a URL too long');
  return { type: 'reconnect', withinMs, url };
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
  return { type: 'welcome', node, session, matchId, player, tickRate, schema: reader.string(), token: reader.take(16).slice() };
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
