// The codec against the golden files: streams, priors, runs of frames with the state after each, what must be refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Broken } from '../src/broken.js';
import { applyCatchUp } from '../src/catch_up.js';
import { Decoder } from '../src/coder.js';
import { applyDiff } from '../src/diff.js';
import { decodePrior, firstPrior } from '../src/prior.js';
import { Replica } from '../src/replica.js';
import { Schema } from '../src/schema.js';
import { Sections } from '../src/sections.js';
import { Segments } from '../src/segments.js';
import { decodeSnapshot } from '../src/snapshot.js';
import { examples, of, schemaJson } from './golden.js';
import { statedOf } from './stated.js';

/** The game of each run of frames. */
const RUNS = {
  'duel.hex': 'duel',
  'slow.hex': 'duel',
  'quiet.hex': 'duel',
  'extremes.hex': 'extremes',
  'wide.hex': 'wide',
  'storm.hex': 'storm',
  'arena_trace.hex': 'arena_trace',
  'cubes_trace.hex': 'cubes_trace',
  'ped_trace.hex': 'ped_trace',
  'rocket_trace.hex': 'rocket_trace',
};

/** Of matches in segments. @type {Record<string, string>} */
const RUNS_IN_SEGMENTS = { 'segments.hex': 'duel', 'fog.hex': 'fog', 'fog_slow.hex': 'fog', 'fog_late.hex': 'fog' };

/** @param {string} game */
const schemaOf = (game) => new Schema(schemaJson(game));

/** @param {string} file @param {Replica} replica */
function follow(file, replica) {
  for (const { name, told, bytes } of examples(file)) {
    const does = replica.apply(bytes);
    const stated = does === 'gap' ? { does } : { does, ...statedOf(replica) };
    assert.deepEqual(stated, told, `${name} ${replica.why}`);
  }
}

for (const [file, game] of Object.entries({ ...RUNS, ...RUNS_IN_SEGMENTS })) {
  // What reads matches in segments reads the others as well.
  test(`${file}: the state after each frame`, () => follow(file, inSegments(game)));
  if (file in RUNS) test(`${file}: the same by the core alone`, () => follow(file, new Replica(schemaOf(game))));
}

/** @param {string} game */
function inSegments(game) {
  const replica = new Replica(schemaOf(game));
  replica.segments = new Segments(replica);
  return replica;
}

test('coder.hex: every stream', () => {
  const schema = schemaOf('duel');
  for (const { name, told, bytes } of examples('coder.hex')) {
    assert.deepEqual(readStream(schema, told, bytes), told, name);
  }
});

/** @param {Schema} schema @param {any} told @param {Uint8Array} bytes */
function readStream(schema, told, bytes) {
  const coder = new Decoder();
  const half = new Uint16Array(100).fill(32_768);
  if (told.prior !== undefined) {
    const { number, zeros } = decodePrior(schema, bytes, 0, bytes.length);
    const levels = Array.from(zeros, (zero, model) => [model, levelOf(zero)]).filter(([, level]) => level !== 0);
    return { levels, prior: number };
  }
  const [what, values] = Object.entries(told)[0];
  if (what === 'adaptive') coder.beginAdaptive(bytes, 0, bytes.length, 4);
  else coder.begin(bytes, 0, bytes.length, half);
  /** @type {(value: any) => any} */
  const one = {
    steps: (/** @type {any} */ step) => {
      if (step[0] === 'raw') return ['raw', step[1], coder.raw(step[1])];
      coder.zeros = Uint16Array.of(step[0]);
      return [step[0], coder.bit(0)];
    },
    adaptive: (/** @type {any} */ [model]) => [model, coder.bit(model)],
    numbers: () => coder.number(0),
    differences: () => coder.difference(54, 0),
    texts: () => coder.text(255).value,
  }[what] ?? assert.fail(what);
  const read = values.map(one);
  coder.finish();
  return { [what]: read };
}

/** @param {number} zero */
function levelOf(zero) {
  const level = Math.round(8 * Math.log(zero / (65_536 - zero)));
  return level === 0 ? 0 : level;
}

test('refused.hex: what must be refused is, and leaves the state as it was', () => {
  const duel = schemaOf('duel');
  const known = new Set(['diff', 'wide_diff', 'catch_up', 'snapshot', 'prior', 'frame', 'sections']);
  let refused = 0;
  for (const { name, told, bytes } of examples('refused.hex')) {
    if (!known.has(told.as)) continue;
    refused += 1;
    const parts = told.as === 'frame' && (bytes[0] & 0xf0) === 0x50;
    const replica = parts ? inView() : atStart(told.as === 'wide_diff' ? 'wide' : 'duel');
    const before = statedOf(replica);
    assert.throws(() => read(duel, replica, told.as, bytes), Broken, `${name}: ${told.why}`);
    assert.deepEqual(statedOf(replica), before, name);
  }
  assert.ok(refused > 40, `${refused}`);
});

/** @param {string} game */
function atStart(game) {
  const replica = new Replica(schemaOf(game));
  replica.apply(of(examples(`${game}.hex`), `${game}_snapshot`).bytes);
  return replica;
}

/** Of the duel in segments, at its first frame. */
function inView() {
  const replica = inSegments('duel');
  assert.equal(replica.apply(of(examples('segments.hex'), 'seg_view').bytes), 'advanced');
  return replica;
}

/** @param {Schema} schema @param {Replica} replica @param {string} as @param {Uint8Array} bytes */
function read(schema, replica, as, bytes) {
  const { world, prior } = replica;
  if (as.endsWith('diff')) applyDiff(world, prior, bytes, 0, bytes.length);
  else if (as === 'catch_up') applyCatchUp(world, { span: 1, known: 2 }, bytes, 0, bytes.length);
  else if (as === 'snapshot') decodeSnapshot(schema, bytes, 0, bytes.length);
  else if (as === 'prior') decodePrior(schema, bytes, 0, bytes.length);
  else if (as === 'sections') readSections(bytes);
  else (replica.segments ?? replica).read(bytes);
}

/** @param {Uint8Array} bytes */
function readSections(bytes) {
  const sections = new Sections(bytes, 0);
  while (sections.next());
}

test('the first prior is the single byte 0', () => {
  const schema = schemaOf('duel');
  assert.deepEqual(decodePrior(schema, Uint8Array.of(0), 0, 1), firstPrior(schema));
  assert.equal(schema.models, 4911);
});
