import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Lane, Line } from '../sim.js';

const lane = (/** @type {Partial<Line>} */ how, random = Math.random) => new Lane(Object.assign(new Line(), how), random);

test('a line without delay passes everything at once', () => {
  const plain = lane({});
  for (let now = 0; now < 20_000; now += 17) assert.equal(plain.arrival(now), now);
});

test('it delays, varies within bounds and keeps the order', () => {
  const slow = lane({ delay: 75, jitter: 20 });
  let last = 0;
  const late = [];
  for (let now = 0; now < 30_000; now += 33) {
    const at = slow.arrival(now);
    assert.ok(at >= last);
    assert.ok(at - now >= 55 && at - now <= 95, `${at - now}`);
    last = at;
    late.push(at - now);
  }
  assert.ok(Math.min(...late) < 60 && Math.max(...late) > 90);
});

test('while it stalls nothing arrives, then all of it', () => {
  const stalling = lane({ stall: 800 });
  assert.deepEqual([4_999, 5_000, 5_500, 5_799, 5_801].map((now) => stalling.arrival(now)), [4_999, 5_800, 5_800, 5_800, 5_801]);
});

test('a line that becomes fast again overtakes nothing', () => {
  const line = Object.assign(new Line(), { delay: 500 });
  const changing = new Lane(line, () => 0.5);
  assert.equal(changing.arrival(0), 500);
  line.delay = 0;
  assert.equal(changing.arrival(10), 500);
});
