import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asked, bestMatch, clock, countdown, link, matchOf, rate, stateAfter, wordsAfter, wordsOfRefusal } from '../words.js';

test('every way in which a connection ends has a state and words of its own', () => {
  const after = (/** @type {number} */ code) => stateAfter(code, 'seat');
  assert.deepEqual([4505, 4506, 4511, 4504, 1006, 4510, 4501].map(after), ['full', 'kicked', 'ended', 'lost', 'lost', 'lost', 'lost']);
  const titles = [4505, 4506, 4507, 4508, 4511, 4504, 4501, 4509, 4510, 4005, 1006].map((code) => wordsAfter(code, '', 'seat').title);
  assert.equal(new Set(titles).size, titles.length);
  assert.match(wordsAfter(4505, '', 'nothing').title, /full/);
  assert.match(wordsAfter(4504, '', 'nothing').title, /No such match/);
  assert.match(wordsAfter(4506, 'banned', 'nothing').title, /banned/);
  assert.match(wordsAfter(4508, 'too fast again and again: stay away', 'seat').text, /again and again.*minutes/);
  assert.match(wordsAfter(4999, 'out of cheese', 'seat').text, /out of cheese.*4999/);
});

test('a ticket that is missing, one that is not good, and a seat that is gone are told apart', () => {
  const titles = /** @type {const} */ (['nothing', 'ticket', 'seat']).map((shown) => wordsAfter(4501, 'one text for all', shown).title);
  assert.deepEqual(titles, ['A ticket is needed', 'This ticket is not good', 'Away for too long']);
  const states = /** @type {const} */ (['nothing', 'ticket', 'seat']).map((shown) => stateAfter(4501, shown));
  assert.deepEqual(states, ['ticket', 'ticket', 'lost']);
});

test('every reason not to say something has words of its own', () => {
  const reasons = /** @type {const} */ (['too-fast', 'too-long', 'empty', 'no-team', 'off', 'spectator', 'unheard']);
  assert.equal(new Set(reasons.map(wordsOfRefusal)).size, reasons.length);
});

test('times are whole seconds up and tenths', () => {
  assert.deepEqual([clock(3_600, 30), clock(3_599, 30), clock(1, 30), clock(0, 30), clock(-3, 30)], ['2:00', '2:00', '0:01', '0:00', '0:00']);
  assert.equal(countdown(45, 30), '1.5');
  assert.deepEqual([rate(512.4), rate(12_340)], ['512 B/s', '12.3 kB/s']);
});

test('the address asks, within bounds', () => {
  assert.deepEqual(asked('?match=a-b&spectate=1&name=Zo%C3%AB&autoplay=1&delay=75&jitter=20'), {
    match: 'a-b', game: 'arena', spectate: true, name: 'Zoë', autoplay: true, delay: 75, jitter: 20, stall: 0,
  });
  assert.deepEqual(['swarm', 'chess'].map((game) => asked(`?game=${game}`).game), ['swarm', 'arena']);
  const { delay, jitter, stall, spectate } = asked('?delay=-5&jitter=x&stall=1e9&spectate=yes');
  assert.deepEqual([delay, jitter, stall, spectate], [0, 0, 5_000, false]);
});

test('a link leads back to its match', () => {
  const address = link('http://node:7777', 'abc_1');
  assert.equal(asked(new URL(address).search).match, 'abc_1');
  assert.deepEqual([matchOf(address), matchOf(' abc_1 '), matchOf('/?name=x&match=q1#here')], ['abc_1', 'abc_1', 'q1']);
});

test('a visitor plays in the fullest match that has a place and people', () => {
  const match = (/** @type {string} */ id, /** @type {number} */ players, more = {}) => ({ id, game: 'arena', players, players_max: 16, owner: 'one', ...more });
  const matches = [match('a', 2), match('b', 16), match('c', 5), match('d', 9, { owner: '' }), match('e', 7, { game: 'duel' })];
  assert.equal(bestMatch(matches, 'arena')?.id, 'c');
  assert.equal(bestMatch(matches, 'duel')?.id, 'e');
  assert.equal(bestMatch([match('b', 16), match('f', 0)], 'arena'), null, 'an empty one is no fun');
});
