// What is dead on the screen is hit: real clients over a line of 150 ms, which aim at where they see others walk. Who
// shoots and how it is judged is in harness/range.js.

import assert from "node:assert/strict";
import { Range, shootOut } from "../harness/range.js";
import { scene } from "../harness/scene.js";

const MATCHES = 6;
const LINE = { delay: 75, jitter: 20 };
const WITHIN_MS = 20_000;
/** Fewer shots tell nothing. */
const FEW = 20;
/** A picture may be this much older than the server looks back: a target goes no further meanwhile than a bullet reaches. */
const OLDER_MS = 33;

/** Shots with so much lag compensation; tells of them. */
async function shots(stage, rewindMs, deadOn) {
  const node = await stage.node({ name: `rewind-${rewindMs}`, args: ["--rewind-ms", String(rewindMs)] });
  const ageMax = rewindMs === 0 ? Infinity : rewindMs + OLDER_MS;
  const ranges = [];
  for (let seed = 1; seed <= MATCHES; seed += 1) ranges.push(await Range.open(stage, { node, line: LINE, ageMax, seed }));
  const score = await shootOut(ranges, { deadOn, withinMs: WITHIN_MS });
  const { rttMs, jitterMs } = ranges[0].far.metrics();
  console.log(`--rewind-ms ${rewindMs}, RTT ${rttMs.toFixed(0)} ms: ${score.hit} of ${score.deadOn} shots hit that were dead on the `
    + `screen; not judged ${score.late} late, ${score.unlike} unlike what was shown; ${score.shots} in all; ticks up to ${jitterMs.toFixed(0)} ms late`);
  assert.ok(rttMs > 140, `${rttMs} ms`);
  for (const range of ranges) range.close();
  return score;
}

scene("at a round trip of 150 ms at least 99 of 100 shots hit that are dead on the screen", async (stage) => {
  let score = await shots(stage, 250, 100);
  // Where the machine is so busy that pictures are older than the server looks back, it has to look back further.
  if (score.deadOn < FEW) score = await shots(stage, 1000, 100);
  assert.ok(score.deadOn >= FEW, `${score.deadOn} shots tell nothing`);
  // One may miss of less than a hundred.
  assert.ok(score.hit >= Math.floor(score.deadOn * 0.99), `${score.hit} of ${score.deadOn}: ${JSON.stringify(score.missed)}`);
});

scene("without lag compensation most of them miss", async (stage) => {
  const { deadOn, hit } = await shots(stage, 0, FEW);
  assert.ok(deadOn >= FEW / 2, `${deadOn} shots tell nothing`);
  assert.ok(hit < deadOn * 0.5, `${hit} of ${deadOn}`);
});
