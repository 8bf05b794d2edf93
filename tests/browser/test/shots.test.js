// Shots over a slow line to a real node: what is dead on the shooter's screen is hit. Pairs of clients play arena, the
// shooter far away and standing, its target near and walking; every shot is judged by the pictures that were drawn.

import assert from "node:assert/strict";
import WebSocket from "ws";
import { Tickcast } from "../../../server/web/sdk/src/index.js";
import { SCALE, Walls } from "../../../server/web/game/rules.js";
import { generator } from "../harness/link.js";
import { scene } from "../harness/scene.js";

const PAIRS = 12;
/** Units per second. */
const BULLET_SPEED = 600;
/** On the screen a shot is dead on when it goes so near to the middle of a body, whose half width is 14 units. */
const DEAD_ON = 7;
/** Shots come so seldom that each has landed before the next, milliseconds. */
const BETWEEN_SHOTS = 1_300;
/** Nearer, the shooter is run into; farther, the target turns while the bullet flies. Units. */
const [NEAR, FAR] = [70, 300];

/** A match with somebody far away who shoots, and somebody near who walks. */
class Pair {
  static async play(node, line, seed) {
    const pair = new Pair();
    const { id } = await node.create({ options: { pickups: 0, bots: 0, round_seconds: 3600, score_limit: 10_000 } });
    const join = (url, name) => new Tickcast({ url, name, WebSocket }).join(id);
    [pair.shooter, pair.target] = [await join(line.url, "shooter"), await join(node.players, "target")];
    Object.assign(pair, { random: generator(seed), pictures: [], shots: [], losses: [], fires: 0, turnsAt: 0, way: [0, 0], hp: 0 });
    pair.walls = new Walls();
    pair.shooter.steer(() => pair.aim());
    pair.target.steer(() => pair.walk());
    pair.target.on("change", () => pair.count());
    return pair;
  }

  close() {
    this.shooter.close();
    this.target.close();
  }

  /** Where a client sees one of the two, in units; null if it is not to be seen or dead. */
  spot(match, me) {
    const players = match.entities("player");
    const name = me === this.shooter ? "shooter" : "target";
    const index = [...players].find((each) => players.text(each, "name") === name);
    if (index === undefined || !players.isShown(index) || players.get(index, "hp") === 0) return null;
    return [players.shown(index, "x") / SCALE, players.shown(index, "y") / SCALE];
  }

  /** Whether a bullet flies from one spot to the other, with a little room at both sides. */
  isClear([fromX, fromY], [toX, toY]) {
    const steps = Math.ceil(Math.hypot(toX - fromX, toY - fromY) / 6);
    for (let step = 1; step <= steps; step += 1) {
      const [x, y] = [fromX + ((toX - fromX) * step) / steps, fromY + ((toY - fromY) * step) / steps];
      for (let wall = 0; wall < this.walls.count; wall += 1) {
        if (this.walls.overlaps(wall, x * SCALE, y * SCALE, 4 * SCALE)) return false;
      }
    }
    return true;
  }

  frame(now) {
    this.now = now;
    this.shooter.frame(now);
    this.target.frame(now);
    if (this.walls.count === 0) {
      const walls = this.shooter.entities("wall");
      this.walls.set([...walls].flatMap((wall) => {
        const [x, y, width, height] = ["x", "y", "width", "height"].map((field) => walls.get(wall, field));
        return [x, y, x + width, y + height];
      }));
    }
    const shown = this.spot(this.shooter, this.target);
    this.pictures.push({ at: now, shown });
    this.isDue ||= this.canHit(now, shown);
  }

  /** The target walks on one way for half a second to a second, mostly about the shooter. */
  walk() {
    const [from, to] = [this.spot(this.target, this.target), this.spot(this.target, this.shooter)];
    if (from === null || to === null) return [];
    if (this.now > this.turnsAt) {
      this.turnsAt = this.now + 500 + 500 * this.random();
      const away = Math.hypot(to[0] - from[0], to[1] - from[1]);
      let angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
      const isNear = away < FAR - 50 && this.isClear(to, from);
      if (away < NEAR + 60) angle += Math.PI;
      else if (isNear) angle += (this.random() < 0.5 ? 1 : -1) * (1.2 + 0.6 * this.random());
      else angle += 2.4 * (this.random() - 0.5);
      this.way = [Math.cos(angle) * 127, Math.sin(angle) * 127];
    }
    return [...this.way, 0, 0];
  }

  /** Whether it is time for a shot, and one could hit. */
  canHit(now, shown) {
    const from = this.spot(this.shooter, this.shooter);
    if (shown === null || from === null || now < this.fires + BETWEEN_SHOTS) return false;
    const away = Math.hypot(shown[0] - from[0], shown[1] - from[1]);
    return away > NEAR && away < FAR && this.isClear(from, shown) && this.isClear(from, this.ahead(from, shown));
  }

  /** Where a bullet meets the target as it was shown lately, if it goes on. */
  ahead(from, shown) {
    const before = this.pictures.findLast(({ at }) => at < this.now - 60)?.shown ?? shown;
    const seconds = (this.now - (this.pictures.findLast(({ at }) => at < this.now - 60)?.at ?? 0)) / 1000;
    const speed = [(shown[0] - before[0]) / seconds, (shown[1] - before[1]) / seconds];
    let flight = 0;
    let meets = shown;
    for (let round = 0; round < 12; round += 1) {
      flight = Math.hypot(meets[0] - from[0], meets[1] - from[1]) / BULLET_SPEED;
      meets = [shown[0] + speed[0] * flight, shown[1] + speed[1] * flight];
    }
    return meets;
  }

  /** The shooter's input: stands, and fires at where the bullet and what is shown will meet. */
  aim() {
    const shown = this.pictures.at(-1)?.shown;
    const from = this.spot(this.shooter, this.shooter);
    if (!this.isDue || shown === null || from === null) return [];
    this.isDue = false;
    this.fires = this.now;
    const meets = this.ahead(from, shown);
    const aim = Math.round((Math.atan2(meets[1] - from[1], meets[0] - from[0]) / (2 * Math.PI)) * 1024) & 1023;
    // What was shown when the input said so: the picture before this one.
    this.shots.push({ at: this.pictures.at(-1).at, from, angle: (aim / 1024) * 2 * Math.PI });
    return [0, 0, aim, 1];
  }

  /** What the server made of it. */
  count() {
    const hp = this.target.entities("player").get(this.target.me, "hp");
    if (hp < this.hp) this.losses.push(performance.now());
    this.hp = hp;
  }

  /** How near a shot came to the target on the shooter's screen, in units; NaN if it was gone before that. */
  missedBy({ at, from, angle }) {
    let least = Infinity;
    const flight = this.pictures.filter((picture) => picture.at >= at && picture.at <= at + (1000 * (FAR + 80)) / BULLET_SPEED);
    for (const { at: now, shown } of flight) {
      if (shown === null) return least <= DEAD_ON ? least : Number.NaN;
      const way = ((now - at) / 1000) * BULLET_SPEED;
      // Between two pictures the bullet goes 10 units: along its way the nearest spot counts.
      const [x, y] = [shown[0] - from[0], shown[1] - from[1]];
      const along = x * Math.cos(angle) + y * Math.sin(angle);
      const across = Math.abs(y * Math.cos(angle) - x * Math.sin(angle));
      least = Math.min(least, Math.hypot(across, Math.max(0, Math.abs(along - way) - 6)));
    }
    return least;
  }

  judge() {
    const judged = { dead: 0, hit: 0, wide: 0, unseen: 0 };
    for (const shot of this.shots) {
      if (shot.at > this.now - BETWEEN_SHOTS) continue;
      const missed = this.missedBy(shot);
      const hit = this.losses.some((at) => at > shot.at && at < shot.at + BETWEEN_SHOTS);
      if (missed <= DEAD_ON) [judged.dead, judged.hit] = [judged.dead + 1, judged.hit + Number(hit)];
      if (missed > 40) [judged.wide, judged.unseen] = [judged.wide + 1, judged.unseen + Number(hit)];
    }
    return judged;
  }
}

/** Plays this long; what became of the shots of all pairs. */
async function play(stage, ms, args) {
  const node = await stage.node({ args });
  const line = await stage.link(node.port, { delay: 75, jitter: 15, seed: 9 });
  const pairs = [];
  for (let seed = 1; seed <= PAIRS; seed += 1) pairs.push(await Pair.play(node, line, seed));
  stage.later(() => pairs.forEach((pair) => pair.close()));
  const end = performance.now() + ms;
  while (performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 16));
    const now = performance.now();
    for (const pair of pairs) pair.frame(now);
  }
  const sum = { dead: 0, hit: 0, wide: 0, unseen: 0 };
  for (const pair of pairs) {
    for (const [name, count] of Object.entries(pair.judge())) sum[name] += count;
  }
  const { rttMs } = pairs[0].shooter.metrics();
  console.log(`RTT ${rttMs.toFixed(0)} ms: ${sum.hit} of ${sum.dead} shots hit that were dead on; ${sum.unseen} of ${sum.wide} that were wide`);
  assert.ok(rttMs > 140, `${rttMs}`);
  return sum;
}

scene("RTT 150 ms: what is dead on the shooter's screen is hit", async (stage) => {
  const { dead, hit } = await play(stage, 30_000, []);
  assert.ok(dead >= 25, `${dead}`);
  // All of them, unless the machine holds an input up for longer than the server looks back.
  assert.ok(hit >= dead * 0.9, `${hit} of ${dead}`);
});

scene("without looking back it mostly is not", async (stage) => {
  const { dead, hit } = await play(stage, 15_000, ["--rewind-ms", "0"]);
  assert.ok(dead >= 10, `${dead}`);
  assert.ok(hit < dead * 0.7, `${hit} of ${dead}`);
});
