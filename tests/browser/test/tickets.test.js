// Where players come in with a ticket: the page asks for it, lets one in with a good one, and says what is wrong with
// another one. A ticket is in no address. On a phone.

import assert from "node:assert/strict";
import { ask, inState } from "../harness/browser.js";
import { freePort } from "../harness/process.js";
import { scenesInBrowser } from "../harness/scene.js";
import { until } from "../harness/wait.js";

const scene = scenesInBrowser();

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
const ENV = { TICKCAST_TICKET_KEY: "a-key-of-browser-tests-0123456789abcdef", TICKCAST_API_KEY: "a-key-for-backends" };

const tells = (page, words, within) =>
  until(`the page says ${words}`, async () => words.test(await page.textContent("#status")), within);

async function closedNode(stage, args = []) {
  const node = await stage.node({ env: ENV, args });
  const { id } = await node.create();
  return { node, id };
}

/** Every address that the page has had, and what it asked for. */
function addresses(page) {
  const all = [];
  page.on("request", (request) => all.push(request.url()));
  page.on("websocket", (socket) => all.push(socket.url()));
  page.on("framenavigated", (frame) => all.push(frame.url()));
  return all;
}

async function enterWith(page, ticket, button = "#play") {
  await page.fill("#ticket", ticket);
  await page.tap(button);
}

scene("a ticket that is pasted lets one in, once; without one, and with a bad one, the page says what helps", async (stage) => {
  const { node, id } = await closedNode(stage);
  const page = await stage.page(node.page, PHONE);
  const seen = addresses(page);
  await page.waitForSelector("#with-ticket:not([hidden])");
  await tellsNone(page);
  const fits = () => ask(page, () => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok((await fits()) <= 0, "the lobby is wider than the phone");
  const box = await page.locator("#ticket").boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 360 && box.height >= 30, JSON.stringify(box));
  await stage.browser.picture(page, "ticket-lobby");

  await page.tap("#play");
  await inState(page, "ticket");
  await tells(page, /ticket is needed/i);
  await stage.browser.picture(page, "ticket-needed");
  assert.deepEqual(await visibleChoices(page), ["back"], "no button leads nowhere");
  await page.tap("#back");
  await inState(page, "lobby");
  assert.equal(await ask(page, () => document.activeElement.id), "ticket");

  const good = await node.ticket({ subject: "me", match: id });
  for (const bad of ["no ticket at all", good.slice(0, -1)]) {
    await enterWith(page, bad);
    await inState(page, "ticket");
    await tells(page, /this ticket is not good/i);
    assert.ok((await fits()) <= 0, "the words are wider than the phone");
    await page.tap("#back");
    await inState(page, "lobby");
    assert.equal(await page.inputValue("#ticket"), "", "what was no good is not there any more");
  }
  await stage.browser.picture(page, "ticket-again");

  await enterWith(page, good);
  await inState(page, "playing");
  assert.equal(await ask(page, () => window.tickcast.connection.id), id);
  const player = await ask(page, () => window.tickcast.connection.player);
  // A page that is loaded anew needs no other one.
  await page.reload();
  await inState(page, "playing");
  assert.equal(await ask(page, () => window.tickcast.connection.player), player);

  await page.tap("#leave");
  await inState(page, "lobby");
  await page.waitForSelector("#with-ticket:not([hidden])");
  await enterWith(page, good);
  await inState(page, "ticket");
  await tells(page, /this ticket is not good/i);
  for (const address of seen) assert.ok(!address.includes(good), `the ticket is in ${address}`);
  const kept = await ask(page, () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, window.location.href]));
  assert.ok(!kept.includes(good), "the ticket is kept");
});

scene("a link to a match asks for the ticket, and another one for the same match helps", async (stage) => {
  const { node, id } = await closedNode(stage);
  const page = await stage.page(`${node.page}?match=${id}&autoplay=1`, PHONE);
  await inState(page, "ticket");
  await page.tap("#back");
  await page.fill("#ticket", await node.ticket({ subject: "me", match: id }));
  await page.press("#ticket", "Enter");
  await inState(page, "playing");
  assert.equal(await ask(page, () => window.tickcast.connection.id), id);
});

scene("whose place was given up is told that, and not of a ticket", async (stage) => {
  const { node, id } = await closedNode(stage, ["--resume-seconds", "1"]);
  const link = await stage.link(node.port);
  const page = await stage.page(`http://127.0.0.1:${link.port}/?match=${id}`, PHONE);
  await page.waitForSelector("#with-ticket:not([hidden])");
  await enterWith(page, await node.ticket({ subject: "me", match: id }));
  await inState(page, "playing");
  link.target = await freePort();
  link.cut();
  await inState(page, "reconnecting");
  await until("the place is given up", async () => (await node.match(id)).players === 0);
  link.target = node.port;
  await inState(page, "lost");
  await tells(page, /away for too long/i);
});

scene("who comes with another ticket plays on there, and the page before says so", async (stage) => {
  const { node, id } = await closedNode(stage);
  const come = async () => {
    const page = await stage.page(`${node.page}?match=${id}`, PHONE);
    await page.waitForSelector("#with-ticket:not([hidden])");
    await enterWith(page, await node.ticket({ subject: "me", match: id }));
    await inState(page, "playing");
    return page;
  };
  const me = (page) => ask(page, () => ({ player: window.tickcast.connection.player, me: window.tickcast.connection.me }));
  const first = await come();
  await until("the own player is there", async () => (await me(first)).me >= 0);
  const before = await me(first);
  const second = await come();
  await inState(first, "lost");
  await tells(first, /playing elsewhere/i);
  await until("the own player is there", async () => (await me(second)).me >= 0);
  assert.deepEqual(await me(second), before, "the same player, with the same entity");
  assert.equal((await node.match(id)).players, 1);
  // What is said and steered there counts.
  await ask(second, () => window.tickcast.connection.chat.send("it is me"));
  await until("it is heard", () => ask(second, () => window.tickcast.connection.chat.lines.some((line) => line.text === "it is me")));
  const acknowledged = () => ask(second, () => window.tickcast.connection.client.inputs.acknowledged);
  const from = await acknowledged();
  // Who rests sends nothing.
  await second.keyboard.down("KeyD");
  await until("inputs are applied", async () => (await acknowledged()) > from + 10);
});

async function tellsNone(page) {
  await until("the lobby says why there is no list", async () => /with a ticket/.test(await page.textContent("#no-matches")));
}

const visibleChoices = (page) =>
  ask(page, () => [...document.querySelectorAll("#choices button")].filter((each) => each.offsetParent !== null).map((each) => each.id));
