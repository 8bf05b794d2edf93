// What is dead on the screen is hit: real clients over a line of 150 ms, which aim at where they see others walk. Who
// shoots and how it is judged is in harness/range.js.

import assert from "node:assert/strict";
import { Range, shootOut } from "../harness/range.js";
import { scene } from "../harness/scene.js";

const MATCHES = 4;
const LINE = { delay: 75, jitter: 20 };
const WITHIN_MS = 20_000;
const OPTIONS = { timeout: 180_000 };
const BUSY_RTT_MS = 200;
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
  return { ...score, rttMs };
}

/** Whether these are enough; a machine that makes the line this much longer can be asked for none. */
function tell({ deadOn, rttMs }, enough) {
  if (deadOn < enough && rttMs > BUSY_RTT_MS) return console.log(`RTT ${rttMs.toFixed(0)} ms: nothing can be told on a machine this busy`);
  assert.ok(deadOn >= enough, `${deadOn} shots tell nothing`);
  return true;
}

scene("at a round trip of 150 ms at least 99 of 100 shots hit that are dead on the screen", async (stage) => {
  const { deadOn, hit, missed } = await shots(stage, 250, 100);
  // One may miss of less than a hundred.
  if (deadOn >= FEW) return assert.ok(hit >= Math.floor(deadOn * 0.99), `${hit} of ${deadOn}: ${JSON.stringify(missed)}`);
  // The machine is so busy that pictures are older than the server looks back: then it looks back further, and most must hit.
  const busy = await shots(stage, 1000, 100);
  if (tell(busy, FEW / 2)) assert.ok(busy.hit >= busy.deadOn * 0.9, `${busy.hit} of ${busy.deadOn}: ${JSON.stringify(busy.missed)}`);
}, OPTIONS);

scene("without lag compensation most of them miss", async (stage) => {
  const score = await shots(stage, 0, FEW);
  if (tell(score, FEW / 2)) assert.ok(score.hit < score.deadOn * 0.5, `${score.hit} of ${score.deadOn}`);
}, OPTIONS);
