// Who does nothing says nothing; the server has the last word of whoever did.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Rest } from '../rest.js';
import { ticksLeft } from '../rules.js';

test('an input that tells nothing is left out, once the server has the one before', () => {
  const rest = new Rest();
  const stands = Int32Array.of(0, 0, 300, 0);
  assert.equal(rest.has(stands, true), false, 'the first one is said');
  assert.equal(rest.has(stands, false), false, 'as long as nobody has heard it');
  assert.equal(rest.has(stands, true), true);
  assert.equal(rest.has(Int32Array.of(0, 0, 301, 0), true), false, 'it aims elsewhere');
  for (const acts of [Int32Array.of(127, 0, 301, 0), Int32Array.of(0, -1, 301, 0), Int32Array.of(0, 0, 301, 1)]) {
    rest.has(acts, true);
    assert.equal(rest.has(acts, true), false, `${acts}`);
  }
  assert.equal(rest.has(stands, true), false, 'it stops');
  assert.equal(rest.has(stands, true), true);
  rest.forget();
  assert.equal(rest.has(stands, true), false);
});

test('what is left of a round is the way from the tick that is shown to the one at which it ends', () => {
  assert.equal(ticksLeft(3_600, 0), 3_600);
  assert.equal(ticksLeft(3_600, 3_599.4), 1);
  assert.equal(ticksLeft(3_600, 3_600), 0);
  assert.equal(ticksLeft(3_600, 3_604), 0, 'its end has not come yet');
  assert.equal(ticksLeft(100, 2 ** 31 - 50), 150, 'over the end of the field');
  assert.equal(ticksLeft(100, 5 * 2 ** 31 + 40), 60);
});
