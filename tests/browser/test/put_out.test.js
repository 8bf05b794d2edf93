// The operators' page puts people out: it tells whose the players are, kicks, bans and lifts bans with the token and only
// with it, and shows what others call themselves as text. By mouse, by keys alone, and on a phone.

import assert from "node:assert/strict";
import { ask, inState } from "../harness/browser.js";
import { scenesInBrowser } from "../harness/scene.js";
import { until } from "../harness/wait.js";

const scene = scenesInBrowser();

const TOKEN = "a-token-for-operators";
const ENV = {
  TICKCAST_TICKET_KEY: "a-key-of-browser-tests-0123456789abcdef", TICKCAST_API_KEY: "a-key-for-backends", TICKCAST_OPERATOR_TOKEN: TOKEN,
};
const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
/** An account and a name that would be markup. */
const ODD = "<b>&amp;/%";
const MARKUP = "<img src=x onerror=a()>";

const text = (page, selector) => page.locator(selector).first().textContent();

async function player(stage, node, id, subject, name = "") {
  const page = await stage.page(`${node.page}?match=${id}`);
  await page.waitForSelector("#with-ticket:not([hidden])");
  await page.fill("#ticket", await node.ticket({ subject, match: id, name }));
  await page.click("#play");
  await inState(page, "playing");
  return { page, number: await ask(page, () => window.tickcast.connection.player) };
}

async function unlock(page) {
  await page.fill("#token-input", TOKEN);
  await page.press("#token-input", "Enter");
  await page.waitForSelector('#token-open[data-state="unlocked"]');
}

const kicked = async (page, words) => {
  await inState(page, "kicked");
  await until(`the player is told ${words}`, async () => words.test(await page.textContent("#status")));
};

const bans = async (node) => (await fetch(new URL("/v1/bans", node.operators))).json();

scene("a player is kicked, an account is banned and let in again, and both need the token", async (stage) => {
  const node = await stage.node({ env: ENV });
  const { id } = await node.create();
  const one = await player(stage, node, id, "account-1");
  const odd = await player(stage, node, id, ODD, MARKUP);
  const page = await stage.page(`${node.operators}#/match/${id}`);
  const row = (number) => `#players-rows > [data-player="${number}"]`;
  await page.waitForSelector(row(odd.number));
  const cells = await page.locator(`${row(odd.number)} > *`).allTextContents();
  assert.deepEqual(cells.slice(0, 3), [String(odd.number), MARKUP, ODD]);
  assert.equal(await page.locator("#players img, #players b").count(), 0, "a name is text");
  await page.fill("#players-search", "account-");
  await until("one is found", async () => (await page.locator("#players-rows > tr").count()) === 1);
  assert.equal(await page.locator(row(one.number)).count(), 1);
  await page.fill("#players-search", "");
  await page.waitForSelector(row(odd.number));
  const html = await page.content();
  assert.ok(!/[0-9a-f]{64}/.test(html), "no digest of a token is shown");

  // Without the token nothing happens but a question for it.
  await page.click(`${row(one.number)} [data-order="kick"]`);
  await page.waitForSelector("#token[open]");
  await page.click("#token-no");
  assert.equal((await node.match(id)).players, 2);
  await page.click(`${row(one.number)} [data-order="kick"]`);
  await unlock(page);
  await stage.browser.picture(page, "inspector-players");
  await page.click(`${row(one.number)} [data-order="kick"]`);
  await page.click("#confirm-yes");
  await kicked(one.page, /you were kicked/i);
  await until("the row is gone", async () => (await page.locator(row(one.number)).count()) === 0);
  assert.deepEqual((await bans(node)).bans, []);

  await page.click(`${row(odd.number)} [data-order="ban"]`);
  assert.equal(await page.inputValue("#ban-subject"), ODD);
  await page.fill("#ban-for", "ever");
  await page.fill("#ban-reason", `${MARKUP} rude`);
  await page.click("#confirm-yes");
  await page.waitForSelector('#toast[data-tone="bad"]:not([hidden])');
  assert.match(await text(page, "#toast"), /write 90s, 30m, 24h or 7d/);
  assert.deepEqual((await bans(node)).bans, []);
  await page.click(`${row(odd.number)} [data-order="ban"]`);
  await page.fill("#ban-for", "2h");
  await page.fill("#ban-reason", `${MARKUP} rude`);
  await page.click("#confirm-yes");
  await kicked(odd.page, /you are banned/i);

  await page.goto(`${node.operators}#/`);
  const ban = page.locator("#bans-rows > tr");
  await until("the ban is listed", async () => (await ban.count()) === 1);
  const told = await ban.locator("> *").allTextContents();
  assert.deepEqual([told[0], told[3]], [ODD, `${MARKUP} rude`]);
  assert.match(told[1], /^1 h 59 min$/, "the time that is left");
  assert.equal(await page.locator("#bans img").count(), 0);
  await stage.browser.picture(page, "inspector-bans");
  await page.click('#bans-rows [data-order="unban"]');
  await page.click("#confirm-yes");
  await until("nobody is banned", async () => (await text(page, "#bans-empty")) === "Nobody is banned.");
  await odd.page.click("#back");
  await player(stage, node, id, ODD);
  // The order that made no sense was answered so.
  assert.deepEqual(page.problems.filter((problem) => !problem.includes("409 (Conflict)")), []);
});

scene("keys alone ban an account and lift that, on a page as narrow as a phone's", async (stage) => {
  const node = await stage.node({ env: ENV });
  const { id } = await node.create();
  const { page: theirs, number } = await player(stage, node, id, "account-7");
  const page = await stage.page(node.operators, PHONE);
  const wider = () => ask(page, () => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await page.waitForSelector("#bans-empty:not([hidden])");
  assert.ok((await wider()) <= 0, "the list is wider than the phone");
  /** Goes on with the tabulator key until that has the focus. */
  const reach = async (what, selector) => {
    for (let presses = 0; presses < 80; presses += 1) {
      if (await ask(page, (selector) => document.activeElement.matches(selector), selector)) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`${what} is not reached with the tabulator key`);
  };
  await reach("the token", "#token-open");
  await page.keyboard.press("Enter");
  await page.keyboard.type(TOKEN);
  await page.keyboard.press("Enter");
  await page.waitForSelector('#token-open[data-state="unlocked"]');
  await reach("the ban", '.tools [data-order="ban"]');
  await page.keyboard.press("Enter");
  await page.waitForSelector("#confirm[open]");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#confirm-wrong:not([hidden])");
  await page.keyboard.type("account-7");
  await stage.browser.picture(page, "inspector-ban-phone");
  assert.ok((await wider()) <= 0, "the question is wider than the phone");
  await page.keyboard.press("Enter");
  await kicked(theirs, /you are banned/i);
  await page.waitForSelector('#bans-rows > [data-subject="account-7"]');
  await reach("the lift", '#bans-rows [data-order="unban"]');
  await page.keyboard.press("Enter");
  await reach("the yes", "#confirm-yes");
  await page.keyboard.press("Enter");
  await until("nobody is banned", async () => (await bans(node)).total === 0);
  // And one match, with a thumb.
  const again = await player(stage, node, id, "account-7");
  assert.notEqual(again.number, number);
  await page.goto(`${node.operators}#/match/${id}`);
  const kick = page.locator(`#players-rows > [data-player="${again.number}"] [data-order="kick"]`);
  await kick.waitFor();
  assert.ok((await wider()) <= 0, "the match is wider than the phone");
  const box = await kick.boundingBox();
  assert.ok(box.height >= 36, JSON.stringify(box));
  await kick.tap();
  await page.tap("#confirm-yes");
  await kicked(again.page, /you were kicked/i);
  assert.deepEqual(page.problems, []);
});
