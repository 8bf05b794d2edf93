// A pretended owner of a match: holds its state and says it in frames. For tests of what follows a match.

import { fit, isLinear, shortest } from '../src/column.js';
import { tagOf } from '../src/frame.js';
import { SMALL_KIND } from '../src/models.js';
import { Replica } from '../src/replica.js';
import { Schema } from '../src/schema.js';
import { Writer } from '../src/bytes.js';
import { Encoder } from './encoder.js';

/** @typedef {import('../src/table.js').Table} Table */
/** Values by the names of fields. @typedef {Record<string, number | string>} Values */

export const FENCE = { epoch: 2n, nonce: 7n };
export const TOKEN = Uint8Array.from({ length: 16 }, (_, at) => at + 1);

/** Two kinds: players with a position, an aim and a name, and balls. */
export const SCHEMA = JSON.stringify({
  game: 'pitch',
  kinds: [
    { name: 'player', fields: [
      { name: 'player', type: 'int', min: 0, max: 2147483647 },
      { name: 'seq', type: 'int', min: 0, max: 2147483647, predictor: 'linear' },
      { name: 'x', type: 'int', min: -100000, max: 100000, predictor: 'linear', scale: 16 },
      { name: 'aim', type: 'angle', bits: 8 },
      { name: 'name', type: 'text', bytes_max: 12 },
    ] },
    { name: 'ball', fields: [{ name: 'x', type: 'int', min: -100000, max: 100000, predictor: 'linear' }] },
  ],
  player_kind: 'player',
  input: [{ name: 'move', min: -1, max: 1 }],
});

export class Owner {
  /** @param {number} [tick] of the empty state that it begins with */
  constructor(tick = 0) {
    this.replica = new Replica(new Schema(SCHEMA));
    this.replica.waiting = false;
    this.replica.known = 2;
    this.replica.rebase(FENCE, tick);
    /** @type {Map<string, Values>} */
    this.wanted = new Map();
    /** Who is gone in the next tick. @type {Set<string>} */
    this.ending = new Set();
  }

  get tick() {
    return this.replica.tick;
  }

  /** Sets values of an entity in the next tick, which may be born with it. @param {string} key kind:index @param {Values} values */
  set(key, values) {
    this.wanted.set(key, { ...this.wanted.get(key), ...values });
  }

  /** @param {string} key */
  end(key) {
    this.ending.add(key);
  }

  /** One tick further: the frame that leads there, with a hash. */
  next() {
    const coder = new Encoder();
    for (const table of this.replica.world.tables) this.writeTable(coder, table);
    const payload = coder.finish();
    this.wanted.clear();
    this.ending.clear();
    const head = [tagOf(this.replica.fence), (this.tick + 1) & 0xff, ((this.tick + 1) >> 8) & 0xff];
    const does = this.replica.apply(Uint8Array.from([0x10, ...head, ...payload]));
    if (does !== 'advanced') throw new Error(this.replica.why);
    const { hash } = this.replica.world;
    return Uint8Array.from([0x11, ...head, hash & 0xff, (hash >> 8) & 0xff, (hash >> 16) & 0xff, hash >>> 24, ...payload]);
  }

  /** @param {Encoder} coder @param {Table} table */
  writeTable(coder, table) {
    const { name } = table.kind;
    if (table.count > SMALL_KIND) throw new Error('more entities than this owner can say');
    for (const index of table.members.subarray(0, table.count)) {
      const key = `${name}:${index}`;
      const changes = this.changes(table, index, this.wanted.get(key));
      const gone = this.ending.has(key);
      coder.bit(0, gone || changes.some((change) => change !== 0));
      if (gone) coder.bit(0, 1);
      else if (changes.some((change) => change !== 0)) writeChanges(coder, changes);
    }
    const born = [...this.wanted].filter(([key]) => key.startsWith(`${name}:`) && !table.has(indexOf(key)))
      .sort(([a], [b]) => indexOf(a) - indexOf(b));
    coder.number(0, born.length);
    let before = -1;
    for (const [key, values] of born) {
      coder.number(0, indexOf(key) - before - 1);
      before = indexOf(key);
      coder.raw(1, 1);
      for (const field of table.kind.fields) {
        const value = values[field.name] ?? (field.type === 'text' ? '' : 0);
        if (typeof value === 'string') coder.text(value);
        else coder.optional(0, 0, 0, value - Math.min(Math.max(0, field.min), field.max));
      }
    }
  }

  /** Of each field its residual, its new text, or 0. @param {Table} table @param {number} index @param {Values} [wanted] */
  changes(table, index, wanted = {}) {
    const { kind } = table;
    return kind.fields.map((field, f) => {
      const at = kind.at[f];
      const value = wanted[field.name];
      if (field.type === 'text') {
        return value === undefined || value === table.textLast[index * kind.texts + at].value ? 0 : value;
      }
      const last = table.cell(index, at, 1);
      const guess = isLinear(kind, at) ? fit(kind, at, 2 * last - table.cell(index, at, 2)) : last;
      return shortest(kind.mask[at], Number(value ?? last) - guess);
    });
  }

  /** The whole state. */
  snapshot() {
    const { fence, tick, world } = this.replica;
    const out = new Writer();
    out.u8(0x20);
    out.fixed(fence.epoch, 8);
    out.fixed(fence.nonce, 8);
    out.fixed(tick, 8);
    out.fixed(world.hash, 4);
    out.fixed(1, 4);
    out.u8(0);
    const coder = Encoder.adaptive();
    let base = 0;
    for (const table of world.tables) {
      writeWhole(coder, table, base);
      base += 108 + 171 * table.kind.fields.length;
    }
    out.raw(coder.finish());
    return out.finish();
  }

  /** Another owner, or the same one again, goes on from here. @param {bigint} nonce */
  announce(nonce) {
    this.replica.rebase({ epoch: FENCE.epoch, nonce }, this.tick);
    const out = new Writer();
    out.u8(0x21);
    out.fixed(FENCE.epoch, 8);
    out.fixed(nonce, 8);
    out.fixed(this.tick, 8);
    return out.finish();
  }
}

/** @param {string} key */
const indexOf = (key) => Number(key.split(':')[1]);

/** @param {Encoder} coder @param {(number | string)[]} changes */
function writeChanges(coder, changes) {
  coder.bit(0, 0);
  changes.forEach((change, f) => {
    const only = f === changes.length - 1 && changes.slice(0, f).every((other) => other === 0);
    if (!only) coder.bit(0, change !== 0);
    if (typeof change === 'number' && change !== 0) {
      coder.bit(0, change < 0);
      coder.sized(0, 12, 0, Math.abs(change) - 1);
    }
  });
  changes.forEach((change) => typeof change === 'string' && coder.text(change));
}

/** @param {Encoder} coder @param {Table} table @param {number} base */
function writeWhole(coder, table, base) {
  const { kind } = table;
  coder.number(base, table.count);
  let before = -1;
  for (const index of table.members.subarray(0, table.count)) {
    coder.number(base + 54, index - before - 1);
    before = index;
    coder.raw(1, 1);
    kind.fields.forEach((field, f) => {
      const at = kind.at[f];
      if (field.type === 'text') {
        coder.text(table.textLast[index * kind.texts + at].value);
        return;
      }
      const [last, prior, older] = [1, 2, 3].map((block) => table.cell(index, at, block));
      const step = shortest(kind.mask[at], last - prior);
      const bend = shortest(kind.mask[at], prior - older) - step;
      const model = base + 108 + 171 * f;
      const value = last - kind.initial[at];
      const put = (/** @type {number} */ from, /** @type {number} */ what, /** @type {number} */ after) =>
        coder.optional(from + (after === 0 ? 0 : 1), from + 2, from + 3, what);
      put(model, value, 0);
      put(model + 57, step, value);
      if (isLinear(kind, at)) put(model + 114, bend, step);
    });
  }
}

/** What a server says to a hello. @param {number | null} player @param {{ token?: Uint8Array, matchId?: string, quietMs?: number }} [other] */
export function welcome(player, { token = TOKEN, matchId = 'm1', quietMs = 0 } = {}) {
  const out = control(0);
  out.uint(5);
  out.string('n1');
  out.uint(1);
  out.string(matchId);
  if (player === null) {
    out.uint(1);
  } else {
    out.uint(0);
    out.uint(player);
  }
  out.u8(30);
  out.string(SCHEMA);
  out.raw(token);
  out.uint(quietMs);
  return out.finish();
}

/** @param {number} nonce @param {number} tick */
export function pong(nonce, tick) {
  const out = control(1);
  out.uint(nonce);
  out.uint(tick);
  return out.finish();
}

/** @param {number} from @param {number} to */
export function reset(from, to) {
  const out = control(2);
  out.uint(from);
  out.uint(to);
  return out.finish();
}

/** @param {number} withinMs @param {string} url */
export function reconnect(withinMs, url) {
  const out = control(4);
  out.uint(withinMs);
  out.string(url);
  return out.finish();
}

/** Something that was said, as the wire tells it. @param {number} number @param {Partial<import('../src/message.js').ChatLine>} [other] */
export function line(number, other = {}) {
  return { number, tick: number, from: 9, seq: number, team: 0, name: 'Bo', text: `line ${number}`, ...other };
}

/** @param {Writer} out @param {import('../src/message.js').ChatLine} said */
function putLine(out, { number, tick, from, seq, team, name, text }) {
  for (const value of [number, tick, from, seq, team]) out.uint(value);
  for (const value of [name, text]) out.string(value);
}

/** @param {import('../src/message.js').ChatLine} said */
export function chatLine(said) {
  const out = control(5);
  putLine(out, said);
  return out.finish();
}

/** @param {import('../src/message.js').ChatLine[]} lines */
export function chatHistory(lines) {
  const out = control(6);
  out.uint(lines.length);
  lines.forEach((said) => putLine(out, said));
  return out.finish();
}

/** @param {number} seq @param {number} reason by its number on the wire */
export function chatRefused(seq, reason) {
  const out = control(7);
  out.uint(seq);
  out.uint(reason);
  return out.finish();
}

/** @param {number} variant */
export function control(variant) {
  const out = new Writer();
  out.u8(0x02);
  out.uint(variant);
  return out;
}
