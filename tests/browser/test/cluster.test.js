// The game page on a cluster that loses a node or its memory: the player plays on, and is told what it has to know.

import assert from "node:assert/strict";
import { ask, inState } from "../harness/browser.js";
import { scenesInBrowser } from "../harness/scene.js";
import { until } from "../harness/wait.js";

const scene = scenesInBrowser();

const LEASE_MS = 600;
/** A lease that an owner does not lose to a machine that holds it up for a moment: for who has to know which node owns. */
const LEASE_MS_KEPT = 3000;
const me = (page) => ask(page, () => window.tickcast.me());
const tick = (page) => ask(page, () => Number(window.tickcast.connection.tick));

async function cluster(stage, leaseMs = LEASE_MS) {
  const redis = await stage.redis();
  const args = ["--lease-ms", String(leaseMs), "--sweep-ms", "300"];
  const one = await stage.node({ name: "one", redis: redis.url, args });
  const two = await stage.node({ name: "two", redis: redis.url, args });
  return { redis, one, two };
}

async function join(page) {
  await inState(page, "playing");
  return until("the own player is there", async () => ((await me(page))?.hp > 0 ? me(page) : null));
}

/** Walks from there towards the middle of the map, which is 1600 x 960 units: the other way may end in a corner. */
async function walk(page, from) {
  await page.keyboard.down(from.x < 800 ? "KeyD" : "KeyA");
  await page.keyboard.down(from.y < 480 ? "KeyS" : "KeyW");
  await until(`it walks from ${from.x}, ${from.y}`, async () => {
    const now = await me(page);
    return Math.hypot(now.x - from.x, now.y - from.y) > 40;
  });
}

scene("a player goes on as the same player when its node dies", async (stage) => {
  const { one, two } = await cluster(stage);
  const { id } = await one.create();
  // What stands before a cluster and sends new connections to a living node.
  const balancer = await stage.link(one.port);
  const page = await stage.page(`http://127.0.0.1:${balancer.port}/?match=${id}&autoplay=1&name=survivor`);
  const before = await join(page);
  balancer.target = two.port;
  await one.kill();
  await inState(page, "reconnecting", "playing");
  const at = await tick(page);
  await until("the match goes on", async () => (await tick(page)) > at + 30);
  await inState(page, "playing");
  const after = await until("the player is back", () => me(page));
  assert.equal(after.player, before.player);
  await walk(page, after);
  assert.equal((await two.match(id)).players, 1);
  await stage.browser.picture(page, "after-the-death-of-a-node");
});

scene("a player is told when the match was set back", async (stage) => {
  const { redis, one, two } = await cluster(stage, LEASE_MS_KEPT);
  const { id } = await one.create();
  const page = await stage.page(`${two.page}?match=${id}&autoplay=1&name=witness`);
  await join(page);
  const key = `tickcast:{${id}}`;
  assert.equal(await redis.command("COPY", key, `${key}:old`), "1");
  const at = await tick(page);
  await until("twenty ticks pass", async () => (await tick(page)) > at + 20);
  await one.kill();
  assert.equal(await redis.command("COPY", `${key}:old`, key, "REPLACE"), "1");
  await until("the page tells it", async () => {
    const notice = await ask(page, () => {
      const shown = document.querySelector("#notice");
      return { kind: shown.dataset.kind, text: shown.textContent };
    });
    return notice.kind === "reset" && /set back/i.test(notice.text);
  });
  await inState(page, "playing");
});
