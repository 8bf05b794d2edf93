// The page over TLS: it is loaded, joins and plays, comes back after a cut, and does not notice a new certificate.

import assert from "node:assert/strict";
import { ask, inState } from "../harness/browser.js";
import { Identity, shownAt } from "../harness/certificates.js";
import { scenesInBrowser } from "../harness/scene.js";
import { until } from "../harness/wait.js";

const scene = scenesInBrowser();

/** Nobody of the browser's authorities vouches for a test's certificate. */
const TRUSTS = { ignoreHTTPSErrors: true };

async function nodeOverTls(stage) {
  const identity = await Identity.make();
  stage.later(() => identity.remove());
  const node = await stage.node({ args: identity.flags });
  assert.match(node.page, /^https:/);
  assert.match(node.players, /^wss:/);
  return { identity, node };
}

const player = (page) => ask(page, () => window.tickcast.connection.player);

/** Walks until the state tells that the server has applied that; who rests says nothing. */
async function plays(page) {
  const applied = () => ask(page, () => window.tickcast.connection.client.inputs.acknowledged);
  const from = await applied();
  await page.keyboard.down("KeyD");
  await until("what the player does is applied", async () => (await applied()) > from + 10);
  await page.keyboard.up("KeyD");
}

scene("over https a page joins, plays, and is the same player after a cut", async (stage) => {
  const { node } = await nodeOverTls(stage);
  const link = await stage.link(node.port);
  const page = await stage.page(`https://127.0.0.1:${link.port}/`, TRUSTS);
  const sockets = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  await page.click("#play");
  await inState(page, "playing");
  assert.equal(await ask(page, () => window.isSecureContext && window.location.protocol), "https:");
  await plays(page);
  const before = await player(page);
  link.cut();
  await inState(page, "reconnecting");
  await inState(page, "playing");
  assert.equal(await player(page), before);
  await plays(page);
  assert.ok(sockets.length >= 2 && sockets.every((url) => url === `wss://127.0.0.1:${link.port}/ws`), sockets.join());
  await stage.browser.picture(page, "over-tls");
});

scene("a new certificate is shown to whoever comes, and nobody who plays notices", async (stage) => {
  const { identity, node } = await nodeOverTls(stage);
  const page = await stage.page(`${node.page}?autoplay=1&name=calm`, TRUSTS);
  await inState(page, "playing");
  const [id, before] = [await ask(page, () => window.tickcast.connection.id), await player(page)];
  const first = await shownAt(node.port);
  await identity.renew();
  await until("the new certificate is shown", async () => (await shownAt(node.port)) !== first, 30_000);
  await plays(page);
  const told = await ask(page, () => ({ state: window.tickcast.state, ...window.tickcast.metrics() }));
  assert.deepEqual([told.state, told.reconnects, told.gaps], ["playing", 0, 0]);
  assert.equal(await player(page), before);
  // And whoever comes now, over the new one, plays beside it.
  const other = await stage.page(`${node.page}?match=${id}&autoplay=1&name=new`, TRUSTS);
  await inState(other, "playing");
  await until("both are there", () => ask(page, () => window.tickcast.players().length >= 2));
  assert.deepEqual([page.problems, other.problems], [[], []]);
});
