// Damaged bytes: whatever arrives, nothing but `Broken` is thrown, nothing hangs, and a snapshot cures it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Broken } from '../src/broken.js';
import { SNAPSHOT, VIEW } from '../src/frame.js';
import { decodeServerMessage } from '../src/message.js';
import { Replica } from '../src/replica.js';
import { Schema } from '../src/schema.js';
import { Segments } from '../src/segments.js';
import { examples, of, schemaJson } from './golden.js';
import { random } from './link.js';
import { statedOf } from './stated.js';

/** Runs of frames, and the games of those that do not bear its name. */
const RUNS = ['duel', 'extremes', 'wide', 'storm', 'arena_trace', 'cubes_trace', 'ped_trace', 'rocket_trace', 'segments', 'fog', 'fog_slow'];
/** @type {Record<string, string>} */
const GAME_OF = { segments: 'duel', fog_slow: 'fog' };
const ROUNDS = 60;
/** The worst that a frame may take, with the machine busy: 65,535 births of 64 fields. */
const FRAME_MS_MAX = 5_000;

/** Bytes with one thing wrong. @param {Uint8Array} bytes @param {() => number} draw */
function damaged(bytes, draw) {
  const upTo = (/** @type {number} */ count) => Math.floor(draw() * count);
  const copy = bytes.slice();
  const what = upTo(5);
  if (what === 0) return copy.subarray(0, upTo(copy.length + 1));
  if (what === 1) return Uint8Array.from([...copy, ...Array.from({ length: 1 + upTo(9) }, () => upTo(256))]);
  // The header of most frames is right, so that what is behind it gets read.
  for (let times = 1 + upTo(4); times > 0 && copy.length > 0; times -= 1) {
    const at = what === 2 ? upTo(copy.length) : Math.min(copy.length - 1, 4 + upTo(copy.length));
    copy[at] = what === 3 ? copy[at] ^ (1 << upTo(8)) : upTo(256);
  }
  return copy;
}

for (const run of RUNS) {
  test(`${run}: damaged frames`, () => {
    const frames = examples(`${run}.hex`).map(({ bytes }) => bytes);
    const schema = new Schema(schemaJson(GAME_OF[run] ?? run));
    const draw = random(run.length);
    let gaps = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const replica = new Replica(schema);
      if (frames.some((frame) => frame[0] === VIEW)) replica.segments = new Segments(replica);
      for (const frame of frames) {
        const before = replica.waiting ? null : JSON.stringify(statedOf(replica));
        const bytes = draw() < 0.3 ? damaged(frame, draw) : frame;
        const start = performance.now();
        const does = replica.apply(bytes);
        assert.ok(performance.now() - start < FRAME_MS_MAX, `${performance.now() - start} ms`);
        if (does !== 'gap') continue;
        gaps += 1;
        if (before !== null && replica.reason === 'broken') assert.equal(JSON.stringify(statedOf(replica)), before);
      }
      const cure = frames.find((frame) => frame[0] === SNAPSHOT || frame[0] === VIEW) ?? assert.fail('no cure');
      replica.invalidate();
      assert.equal(replica.apply(cure), 'advanced', replica.why);
    }
    assert.ok(gaps > ROUNDS / 2, `${gaps} gaps`);
  });
}

test('damaged control messages', () => {
  const draw = random(7);
  const messages = examples('control.hex').filter(({ told }) => told.ServerMessage).map(({ bytes }) => bytes);
  let refused = 0;
  for (let round = 0; round < 3_000; round += 1) {
    try {
      const message = decodeServerMessage(damaged(messages[round % messages.length], draw));
      if (message.type === 'welcome') new Schema(message.schema);
    } catch (error) {
      assert.ok(error instanceof Broken, `${error}`);
      refused += 1;
    }
  }
  assert.ok(refused > 1_000, `${refused}`);
});

test('noise', () => {
  const schema = new Schema(schemaJson('duel'));
  const draw = random(3);
  const [{ bytes: snapshot }] = examples('duel.hex');
  const { bytes: view } = of(examples('segments.hex'), 'seg_view');
  for (let round = 0; round < 2_000; round += 1) {
    const replica = new Replica(schema);
    replica.apply(snapshot);
    if (round % 2 === 1) {
      replica.segments = new Segments(replica);
      assert.equal(replica.apply(view), 'advanced');
    }
    replica.apply(Uint8Array.from({ length: Math.floor(draw() * 60) }, () => Math.floor(draw() * 256)));
  }
});

test('schemas that are none', () => {
  const good = JSON.parse(schemaJson('duel'));
  /** @type {((schema: any) => void)[]} */
  const harms = [
    (schema) => { schema.kinds = []; },
    (schema) => { schema.kinds[0].fields[2].min = 1001; },
    (schema) => { schema.kinds[0].fields[3].bits = 17; },
    (schema) => { schema.kinds[0].fields[3].type = 'float'; },
    (schema) => { schema.kinds[0].fields[5].bytes_max = 256; },
    (schema) => { schema.kinds[0].fields[5].predictor = 'linear'; },
    (schema) => { schema.kinds[1].name = 'player'; },
    (schema) => { schema.kinds[1].audience = 'team'; },
    (schema) => { schema.kinds[0].fields[1].predictor = 'hold'; },
    (schema) => { schema.player_kind = 'ball'; },
    (schema) => { schema.game = '7'; },
    (schema) => { schema.input[0].name = 'Move'; },
    (schema) => { delete schema.input; },
    (schema) => { schema.kinds[0].fields.length = 0; },
    (schema) => { schema.kinds[0].fields[0].min = 0.5; },
    (schema) => { schema.kinds[0].fields[2].scale = 0; },
  ];
  for (const harm of harms) {
    const schema = structuredClone(good);
    harm(schema);
    assert.throws(() => new Schema(JSON.stringify(schema)), Broken, `${harm}`);
  }
  for (const text of ['', 'null', '[]', '{', '7', '{"kinds":7}']) assert.throws(() => new Schema(text), Broken, text);
});
