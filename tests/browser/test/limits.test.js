// What a page may cost, and how little room it needs.

import assert from "node:assert/strict";
import { ask, inState } from "../harness/browser.js";
import { scenesInBrowser } from "../harness/scene.js";
import { until } from "../harness/wait.js";

const scene = scenesInBrowser();

/** The promise is 8 ms on a machine of its own; a shared one may be this many times slower. */
const SLOWER = 4;

scene("three hundred entities fit into a frame", async (stage) => {
  const node = await stage.node();
  const { id } = await node.create({ options: { drones: 280, bots: 6 } });
  const page = await stage.page(`${node.page}?match=${id}&autoplay=1&name=busy`);
  await inState(page, "playing");
  const frames = (count) =>
    until(`${count} frames are drawn`, () => ask(page, (count) => window.tickcast.frames.count >= count, count), 60_000);
  // The first frames are compiled while they run.
  await frames(120);
  await ask(page, () => window.tickcast.frames.reset());
  await frames(300);
  const p95 = await ask(page, () => window.tickcast.frames.p95());
  console.log(`script per frame with 300 entities, p95: ${p95.toFixed(2)} ms`);
  await stage.browser.picture(page, "three-hundred");
  assert.ok(p95 < 8 * SLOWER, `${p95} ms`);
  assert.deepEqual(page.problems, []);
});

scene("a phone has room for it, and touch moves the player", async (stage) => {
  const node = await stage.node();
  const { id } = await node.create();
  const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
  const lobby = await stage.page(node.page, phone);
  const wider = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
  await lobby.locator("#matches li", { hasText: id.slice(0, 4) }).waitFor();
  assert.ok((await ask(lobby, wider)) <= 0, "the lobby is wider than the phone");
  const box = await lobby.locator("#play").boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 360 && box.height >= 40, JSON.stringify(box));
  await stage.browser.picture(lobby, "phone-lobby");
  const page = await stage.page(`${node.page}?match=${id}&autoplay=1&name=thumb`, phone);
  await inState(page, "playing");
  const before = await until("the own player is there", () => ask(page, () => window.tickcast.me()));
  assert.ok((await ask(page, wider)) <= 0, "the game is wider than the phone");
  const touch = await page.context().newCDPSession(page);
  const right = before.x < 800 ? 1 : -1;
  const down = before.y < 480 ? 1 : -1;
  const points = (x, y) => ({ touchPoints: [{ x, y, id: 1 }] });
  await touch.send("Input.dispatchTouchEvent", { type: "touchStart", ...points(90, 560) });
  await touch.send("Input.dispatchTouchEvent", { type: "touchMove", ...points(90 + 40 * right, 560 + 40 * down) });
  await until("the player has moved", async () => {
    const now = await ask(page, () => window.tickcast.me());
    return Math.hypot(now.x - before.x, now.y - before.y) > 40;
  });
  await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await stage.browser.picture(page, "phone-playing");
  assert.deepEqual(page.problems, []);
});
