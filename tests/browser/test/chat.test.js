// Players talk on the page: what one types the others read, as text, also those who come later; and who may not say
// something is told why. The arena has no teams, so nobody is left out of a line here: that teams read their own lines
// alone is checked with a game that has some, in tests/it/chat.rs.

import assert from "node:assert/strict";
import { ask, inState } from "../harness/browser.js";
import { scenesInBrowser } from "../harness/scene.js";
import { until } from "../harness/wait.js";

const scene = scenesInBrowser();

const HOSTILE = "<img src=x onerror=alert(1)>";

/** Opens the page with a match to play in or to watch. */
async function open(stage, node, id, name, more = "", options = {}) {
  const page = await stage.page(`${node.page}?match=${id}&name=${encodeURIComponent(name)}&autoplay=1${more}`, options);
  await inState(page, more === "" ? "playing" : "spectating");
  return page;
}

/** Says something as a person does, with the keyboard. */
async function say(page, text) {
  await page.keyboard.press("Enter");
  await page.waitForSelector("#chat-text:focus");
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

/** The lines that a page shows, without those that tell of refusals. */
const lines = (page) => page.locator("#chat-log li[data-number]").allTextContents();

const hears = (page, wanted) =>
  until(`the page shows ${JSON.stringify(wanted)}`, async () => JSON.stringify(await lines(page)) === JSON.stringify(wanted));

const me = (page) => ask(page, () => window.tickcast.me());

scene("two pages talk over two nodes, and who comes later reads it, too", async (stage) => {
  const redis = await stage.redis();
  const one = await stage.node({ name: "one", redis: redis.url });
  const two = await stage.node({ name: "two", redis: redis.url });
  const { id } = await one.create();
  const [zoe, bo] = [await open(stage, one, id, "Zoë"), await open(stage, two, id, "Bo")];
  await say(zoe, "hello, Bo");
  await hears(bo, ["Zoë: hello, Bo"]);
  await say(bo, "and hello to you");
  const said = ["Zoë: hello, Bo", "Bo: and hello to you"];
  for (const page of [zoe, bo]) await hears(page, said);
  const late = await open(stage, two, id, "late");
  const watcher = await open(stage, one, id, "", "&spectate=1");
  for (const page of [late, watcher]) await hears(page, said);
  assert.equal(await watcher.locator("#chat").isVisible(), false, "who looks on listens");
  await stage.browser.picture(zoe, "chat");
  await zoe.reload();
  await inState(zoe, "playing");
  await hears(zoe, said);
  await say(zoe, "the same, on another page");
  await hears(late, [...said, "Zoë: the same, on another page"]);
  assert.deepEqual([zoe, bo, late, watcher].map((page) => page.problems), [[], [], [], []]);
});

scene("what is said is text, whatever it holds, here and for operators", async (stage) => {
  const node = await stage.node();
  const { id } = await node.create();
  const name = "<b>Zoë</b>";
  const [page, other] = [await open(stage, node, id, name), await open(stage, node, id, "Bo")];
  const inspector = await stage.page(`${node.operators}#/match/${id}`);
  await say(page, HOSTILE);
  await say(page, "&lt;i&gt; \u202egpj.exe");
  const shown = [`${name}: ${HOSTILE}`, `${name}: &lt;i&gt; gpj.exe`];
  for (const each of [page, other]) {
    await hears(each, shown);
    assert.equal(await each.locator("#chat-log :is(img, i, script, b b)").count(), 0);
  }
  await until("the inspector shows it", async () => (await inspector.locator("#chat li[data-number]").count()) === 2);
  const first = inspector.locator('#chat li[data-number="1"]');
  const told = await first.textContent();
  assert.ok(told.includes(name) && told.includes(HOSTILE), told);
  assert.equal(await inspector.locator("#chat :is(img, i, b, script)").count(), 0);
  await say(other, "live");
  await until("the inspector shows what is new", async () => (await inspector.locator("#chat li[data-number]").first().textContent()).includes("live"));
  await inspector.locator("#chat").scrollIntoViewIfNeeded();
  await stage.browser.picture(inspector, "inspector-chat");
  assert.deepEqual([page, other, inspector].map((each) => each.problems), [[], [], []]);
});

scene("who may not say something is told why", async (stage) => {
  const node = await stage.node();
  const { id } = await node.create();
  const page = await open(stage, node, id, "Zoë");
  const refused = (wanted) => until(`it is told: ${wanted}`, async () => wanted.test((await page.locator("#chat-log li.refused").allTextContents()).at(-1) ?? ""));
  await say(page, "/team left!");
  await refused(/no team/);
  await page.fill("#chat-text", "ë".repeat(200));
  await page.press("#chat-text", "Enter");
  await refused(/too long/);
  assert.equal(await page.inputValue("#chat-text"), "ë".repeat(200), "it is there to be made shorter");
  // Faster than anybody types; five are allowed at once.
  await page.fill("#chat-text", "");
  await ask(page, () => { for (let line = 1; line <= 8; line += 1) window.tickcast.connection.chat.send(`line ${line}`); });
  await refused(/too fast/);
  await hears(page, [1, 2, 3, 4, 5].map((line) => `Zoë: line ${line}`));
  assert.equal(await page.evaluate(() => document.body.dataset.state), "playing");
  assert.deepEqual(page.problems, []);
});

scene("keys that are typed move nobody, and those that move are there again afterwards", async (stage) => {
  const node = await stage.node();
  const { id } = await node.create({ options: { drones: 0, pickups: 0 } });
  const page = await open(stage, node, id, "Zoë");
  const from = await until("the own player is there", () => me(page));
  await page.keyboard.press("KeyT");
  await page.waitForSelector("#chat-text:focus");
  await page.keyboard.down("KeyD");
  await page.keyboard.down("KeyS");
  const before = await ask(page, () => window.tickcast.connection.tick);
  await until("ticks pass", async () => (await ask(page, () => window.tickcast.connection.tick)) > before + 15);
  await page.keyboard.up("KeyD");
  await page.keyboard.up("KeyS");
  const there = await me(page);
  assert.deepEqual([there.x, there.y], [from.x, from.y]);
  assert.match(await page.inputValue("#chat-text"), /^[ds]+$/, "and the t that opened it is no part of it");
  await page.keyboard.press("Escape");
  await page.keyboard.down(from.x < 800 ? "KeyD" : "KeyA");
  await page.keyboard.down(from.y < 480 ? "KeyS" : "KeyW");
  await until("it walks", async () => {
    const now = await me(page);
    return Math.hypot(now.x - from.x, now.y - from.y) > 20;
  });
  assert.deepEqual(page.problems, []);
});

scene("a phone has room to read and to type", async (stage) => {
  const node = await stage.node();
  const { id } = await node.create();
  const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
  const page = await open(stage, node, id, "thumb", "", phone);
  const other = await open(stage, node, id, "Bo");
  await page.tap("#chat-text");
  await page.keyboard.type("a thumb says something that is longer than the phone is wide, as people do");
  await page.keyboard.press("Enter");
  await say(other, "x".repeat(200));
  await until("both are there", async () => (await lines(page)).length === 2);
  const wider = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
  assert.ok((await ask(page, wider)) <= 0, "the chat is wider than the phone");
  const box = await page.locator("#chat-log li").last().boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 360 && box.y + box.height <= 740, JSON.stringify(box));
  const size = await page.locator("#chat-text").evaluate((input) => parseFloat(getComputedStyle(input).fontSize));
  assert.ok(size >= 16, `a phone zooms into a box with letters of ${size} px`);
  await stage.browser.picture(page, "phone-chat");
  assert.deepEqual(page.problems, []);
});
