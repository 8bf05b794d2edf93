// How it ends for a player, and what the page says then: the state, the words, and a way on.

import assert from "node:assert/strict";
import { ask, inState } from "../harness/browser.js";
import { freePort } from "../harness/process.js";
import { scenesInBrowser } from "../harness/scene.js";
import { until } from "../harness/wait.js";

const scene = scenesInBrowser();

const TOKEN = "a-token-for-operators";
/** A page tries for 15 s to come back. */
const GIVES_UP_MS = 40_000;

const tells = (page, words, within) =>
  until(`the page says ${words}`, async () => words.test(await page.textContent("#status")), within);

async function join(stage, address, id, name) {
  const page = await stage.page(`${address}?match=${id}&name=${name}&autoplay=1`);
  await inState(page, "playing");
  return page;
}

scene("a match that an operator ended is told to be over, and the next one is a click away", async (stage) => {
  const node = await stage.node({ args: ["--operator-token", TOKEN] });
  const { id } = await node.create();
  const page = await join(stage, node.page, id, "player");
  const watcher = await stage.page(`${node.page}?match=${id}&spectate=1&autoplay=1`);
  await inState(watcher, "spectating");
  const order = { method: "POST", headers: { authorization: `Bearer ${TOKEN}` } };
  const answer = await fetch(new URL(`/v1/matches/${id}/end`, node.operators), order);
  assert.equal(answer.status, 200, await answer.text());
  for (const each of [page, watcher]) {
    await inState(each, "ended");
    await tells(each, /match is over/i);
  }
  await stage.browser.picture(page, "ended");
  await page.click("#again");
  await inState(page, "playing");
  assert.notEqual(await ask(page, () => window.tickcast.connection.id), id);
});

scene("whose player is taken over by another tab is told so", async (stage) => {
  const node = await stage.node();
  const { id } = await node.create();
  const first = await join(stage, node.page, id, "twice");
  const player = await ask(first, () => window.tickcast.connection.player);
  // A tab that was duplicated has what the first one keeps.
  const kept = await ask(first, () => ({ ...sessionStorage }));
  const second = await stage.page(node.page);
  await ask(second, (all) => Object.entries(all).forEach(([key, value]) => sessionStorage.setItem(key, value)), kept);
  await second.goto(`${node.page}?match=${id}&autoplay=1`);
  await inState(second, "playing");
  assert.equal(await ask(second, () => window.tickcast.connection.player), player);
  await inState(first, "lost");
  await tells(first, /playing elsewhere/i);
  await stage.browser.picture(first, "elsewhere");
});

scene("a node that is gone is looked for, and then the page gives up", async (stage) => {
  const node = await stage.node();
  const { id } = await node.create();
  const page = await join(stage, node.page, id, "left");
  await node.kill();
  await inState(page, "reconnecting");
  await tells(page, /connection was lost.*place is kept/i);
  await stage.browser.picture(page, "reconnecting");
  await tells(page, /cannot be reached/i, GIVES_UP_MS);
  await inState(page, "lost");
  await stage.browser.picture(page, "lost");
});

scene("who comes back too late has lost the place", async (stage) => {
  const node = await stage.node({ args: ["--resume-seconds", "1"] });
  const { id } = await node.create();
  const link = await stage.link(node.port);
  const page = await join(stage, `http://127.0.0.1:${link.port}/`, id, "late");
  link.target = await freePort();
  link.cut();
  await inState(page, "reconnecting");
  await until("the place is given up", async () => (await node.match(id)).players === 0);
  link.target = node.port;
  await inState(page, "lost");
  await tells(page, /away for too long/i);
  await stage.browser.picture(page, "too-late");
});

// What no node can be brought to say here: the arena does not fail again and again.
scene("a match that is halted is told in words", async (stage) => {
  const node = await stage.node();
  const { id } = await node.create();
  const page = await stage.page(`${node.page}?match=${id}`);
  let socket;
  await page.routeWebSocket("**/ws", (route) => {
    socket = route;
    route.connectToServer();
  });
  await page.click("#play");
  await inState(page, "playing");
  await socket.close({ code: 4509, reason: "" });
  await inState(page, "lost");
  await tells(page, /halted/i);
  await stage.browser.picture(page, "code-4509");
});
