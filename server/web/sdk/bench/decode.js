// What decoding costs: `node bench/decode.js FRAMES...` follows recorded games that `cargo run --release -p benches
// --bin frames -- TRACES FOLDER` wrote, and prints the median of several runs.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { Replica } from '../src/replica.js';
import { Schema } from '../src/schema.js';

const RUNS = 7;

/** @param {string} path */
function recording(path) {
  const bytes = new Uint8Array(readFileSync(path));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const records = [];
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at, true);
    records.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  const { schema, sent } = JSON.parse(new TextDecoder().decode(records[0]));
  return { schema: new Schema(schema), sent, frames: records.slice(1) };
}

/** Nanoseconds of one pass over all diffs and priors, without the snapshot. @param {ReturnType<typeof recording>} recording */
function pass({ schema, frames }) {
  const replica = new Replica(schema);
  replica.apply(frames[0]);
  const start = process.hrtime.bigint();
  for (let at = 1; at < frames.length; at += 1) {
    if (replica.apply(frames[at]) === 'gap') throw new Error(replica.why);
  }
  return Number(process.hrtime.bigint() - start);
}

const means = [];
for (const path of process.argv.slice(2)) {
  const game = recording(path);
  const times = Array.from({ length: RUNS + 2 }, () => pass(game)).slice(2).sort((a, b) => a - b);
  const micros = (/** @type {number} */ time, /** @type {number} */ count) => (time / count / 1000).toFixed(3);
  const median = times[RUNS >> 1];
  const diffs = game.frames.filter((frame) => (frame[0] & 0xf0) === 0x10).length;
  const bytes = game.frames.slice(1).reduce((sum, frame) => sum + frame.length, 0);
  means.push(median / game.sent / 1000);
  console.log(
    `${basename(path, '.frames').padEnd(18)} ${micros(median, game.sent)} us per sent entity`,
    `(${micros(times[0], game.sent)} to ${micros(times[RUNS - 1], game.sent)}),`,
    `${micros(median, diffs)} us, ${(game.sent / diffs).toFixed(1)} sent and ${(bytes / diffs).toFixed(1)} bytes per tick`,
  );
}
console.log(`mean ${(means.reduce((sum, mean) => sum + mean, 0) / means.length).toFixed(3)} us per sent entity`);
