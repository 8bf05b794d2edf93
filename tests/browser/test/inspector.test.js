// The operators' page: all matches live, one match as a table and a picture, orders behind the token, a Redis that is gone.

import assert from "node:assert/strict";
import { scenesInBrowser } from "../harness/scene.js";
import { until } from "../harness/wait.js";

const scene = scenesInBrowser();

const TOKEN = "a-token-for-operators";

const text = (page, selector) => page.locator(selector).first().textContent();

scene("the inspector lists nodes and matches, and shows a match live", async (stage) => {
  const redis = await stage.redis();
  const one = await stage.node({ name: "one", redis: redis.url });
  const two = await stage.node({ name: "two", redis: redis.url });
  const { id } = await one.create({ options: { bots: 4, drones: 12 } });
  const page = await stage.page(two.operators);
  await page.waitForSelector('#nodes > [data-node="one"]');
  await page.waitForSelector('#nodes > [data-node="two"]');
  await page.click(`#matches-rows > [data-match="${id}"] a`);
  await until("the match is open", async () => (await text(page, "#match-id")).includes(id));
  await page.waitForSelector("#picture");
  await page.waitForSelector('#entities-rows > [data-entity]');
  await page.waitForSelector('#hash[data-state="agree"]');
  await until("something is drawn", () =>
    page.evaluate(() => {
      const canvas = document.querySelector("canvas#picture, #picture canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(data.filter((_, at) => at % 4 !== 3)).size > 2;
    }),
  );
  await stage.browser.picture(page, "inspector-match");
  const fresh = await stage.page(two.operators);
  await stage.browser.picture(fresh, "inspector");
  await redis.kill();
  await page.waitForSelector("#banner:not([hidden])");
  assert.ok((await page.locator("#entities-rows > [data-entity]").count()) > 0, "what was known stays");
  await stage.browser.picture(page, "inspector-without-redis");
});

scene("orders need the operator's token", async (stage) => {
  const node = await stage.node({ args: ["--operator-token", TOKEN] });
  const { id } = await node.create();
  const page = await stage.page(`${node.operators}#/match/${id}`);
  await page.waitForSelector('#token-open[data-state="locked"]');
  await page.click("#token-open");
  await page.fill("#token-input", TOKEN);
  await page.click("#token-yes");
  await page.waitForSelector('#token-open[data-state="unlocked"]');
  await page.click('[data-order="end"]');
  await page.click("#confirm-yes");
  await until("the match is gone", async () => (await node.match(id)).error !== undefined);
  assert.deepEqual(page.problems.filter((problem) => !problem.includes("404")), []);
});
