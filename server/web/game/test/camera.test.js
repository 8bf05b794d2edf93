import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Camera } from '../camera.js';

test('a phone sees about as much of the map as a desk', () => {
  const area = (/** @type {number} */ width, /** @type {number} */ height) => {
    const camera = new Camera();
    camera.resize(width, height);
    return (width / camera.scale) * (height / camera.scale);
  };
  const [phone, desk] = [area(390, 844), area(1280, 800)];
  assert.ok(phone / desk > 0.8 && phone / desk < 1.25, `${phone} ${desk}`);
});

test('it comes to whom it follows without a jump, and stays near the map', () => {
  const camera = new Camera();
  camera.resize(1280, 800);
  camera.follow(800, 480, 0, 0, 0.016);
  assert.deepEqual([camera.x, camera.y], [800, 480], 'the first look is there at once');
  let last = camera.x;
  for (let at = 0; at < 120; at += 1) {
    camera.follow(camera.mapWidth, camera.mapHeight, 1, 1, 0.016);
    assert.ok(camera.x >= last && camera.x - last < 80);
    last = camera.x;
  }
  assert.ok(camera.x + camera.width / camera.scale / 2 <= camera.mapWidth + 61, 'more than the margin is seen behind the border');
});

test('a spot on the screen is where it is drawn', () => {
  const camera = new Camera();
  camera.resize(1000, 600);
  camera.follow(700, 500, 0, 0, 1);
  assert.ok(Math.abs(camera.screenX(700) - 500) < 1e-9 && Math.abs(camera.screenY(500) - 300) < 1e-9);
  assert.ok(camera.sees(700, 500, 1) && !camera.sees(700 + 600 / camera.scale, 500, 1));
});
