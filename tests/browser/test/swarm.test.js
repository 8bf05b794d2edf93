// The swarm on the page: one plays in a part of a world, and nothing pops up or is gone where one looks, however many
// borders of cells it crosses on its way.

import assert from "node:assert/strict";
import { ask, inState } from "../harness/browser.js";
import { scenesInBrowser } from "../harness/scene.js";
import { until } from "../harness/wait.js";

const scene = scenesInBrowser();

/** How far one sees, and how wide a cell is; units. */
const SIGHT = 300;
const CELL = 200;
/** Units of a tick by which a place may be off: a player's and a drone's way together, and a rounding. */
const MARGIN = 24;
/** Borders that drones in sight have to cross before it counts, and time for them on a busy machine, milliseconds. */
const CROSSINGS = 60;
const WITHIN = 60_000;
/** Units that a drone flies in a tick at 20 Hz. */
const DRONE_STEP = 6;

/** Looks at each picture which drones are in sight, and notes those that jumped, came or went there. In the page. */
function watch({ sight, cell, margin, step }) {
  const { connection: match } = window.tickcast;
  const [drones, own] = [match.entities("drone"), match.entities("player")];
  const told = { pictures: 0, crossings: 0, own: 0, seen: 0, all: 0, wrong: [] };
  let [before, lastTick, lastCell] = [new Map(), -1, ""];
  const cellOf = ({ x, y }) => `${Math.floor(x / cell)} ${Math.floor(y / cell)}`;
  const placeOf = (kind, index) => ({ x: kind.shown(index, "x") / 16, y: kind.shown(index, "y") / 16 });
  const look = () => {
    requestAnimationFrame(look);
    const { tick, behind } = match.smooth.playout;
    if (!own.isShown(match.me) || tick === lastTick) return;
    // What is guessed on a machine that holds ticks up may have to be taken back.
    if (behind < 0) {
      lastTick = -1;
      return;
    }
    const [me, now, passed] = [placeOf(own, match.me), new Map(), tick - lastTick];
    drones.forEachShown((index) => now.set(index, placeOf(drones, index)));
    const far = ({ x, y }) => Math.hypot(x - me.x, y - me.y);
    // What moves by more than the way of that time may have been anywhere before.
    const inside = sight - margin - passed * 2 * step * 3;
    const wrong = (what, index, at) => told.wrong.push(`tick ${tick.toFixed(2)}: drone ${index} ${what}, ${far(at).toFixed(0)} units away`);
    if (lastTick >= 0 && passed > 0 && inside > 0) {
      for (const [index, at] of now) {
        const was = before.get(index);
        if (was === undefined) {
          if (far(at) < inside) wrong("came from nowhere", index, at);
        } else {
          if (Math.hypot(at.x - was.x, at.y - was.y) > passed * step * 1.5 + 1) wrong("jumped", index, at);
          if (far(at) < sight && cellOf(at) !== cellOf(was)) told.crossings += 1;
        }
      }
      for (const [index, was] of before) if (!now.has(index) && far(was) < inside) wrong("is gone", index, was);
    }
    if (lastCell !== "" && cellOf(me) !== lastCell) told.own += 1;
    told.pictures += 1;
    told.seen = now.size;
    [before, lastTick, lastCell] = [now, tick, cellOf(me)];
  };
  look();
  window.told = told;
}

scene("over borders of cells nothing in sight comes, goes or jumps", async (stage) => {
  const node = await stage.node();
  const options = { drones: 9_000, pickups: 0, fog: SIGHT, cell: CELL };
  const { id } = await node.create({ game: "swarm", options });
  const page = await stage.page(`${node.page}?match=${id}&autoplay=1&name=walker`);
  await inState(page, "playing");
  await until("the own player is there", async () => (await ask(page, () => window.tickcast.me()))?.hp > 0);
  const { x, y } = await ask(page, () => window.tickcast.me());
  await ask(page, watch, { sight: SIGHT, cell: CELL, margin: MARGIN, step: DRONE_STEP });
  // Towards the middle of the map, which is 12,800 x 7,680 units.
  await page.keyboard.down(x < 6_400 ? "KeyD" : "KeyA");
  await page.keyboard.down(y < 3_840 ? "KeyS" : "KeyW");
  const told = () => ask(page, () => window.told);
  await until("borders are crossed", async () => {
    const { crossings, own } = await told();
    return crossings >= CROSSINGS && own >= 6;
  }, WITHIN);
  const { wrong, seen, pictures } = await told();
  console.log(`${pictures} pictures, ${seen} drones at the end`);
  assert.deepEqual(wrong, []);
  assert.ok(seen > 0 && seen < 900, `${seen} of 9,000 drones were sent`);
  await stage.browser.picture(page, "swarm");
  assert.deepEqual(page.problems, []);
});

scene("the lobby leads into the swarm, and a spectator sees its leader", async (stage) => {
  const node = await stage.node();
  const page = await stage.page(node.page);
  await page.selectOption("#game", "swarm");
  assert.ok(!(await page.isVisible("#fog")), "in the swarm one sees what is near in any case");
  await page.fill("#bots", "3");
  await page.click("#play");
  await inState(page, "playing");
  await until("drones are near", () => ask(page, () => window.tickcast.connection.entities("drone").count > 0));
  const { id, game } = (await (await fetch(new URL("/v1/matches", node.page))).json()).matches[0];
  assert.equal(game, "swarm");
  const watcher = await stage.page(`${node.page}?match=${id}&spectate=1`);
  await until("the leader is seen", async () => (await ask(watcher, () => window.tickcast.players())).length > 0);
  assert.deepEqual([page.problems, watcher.problems], [[], []]);
});
