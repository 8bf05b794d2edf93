// Shots at walking players, through the SDK: who shoots aims at what is shown, and a connection beside the server tells
// what came of it. A shot is dead on when the bullet, drawn as the page draws it, meets the drawn body near its middle.

import WebSocket from "ws";
import { Tickcast } from "../../../server/web/sdk/src/index.js";
import { COOLDOWN_MS, FIELDS, HIT_REACH, HP, LocalPlayer, SCALE, TURN, Walls, X, Y, ticks } from "../../../server/web/game/rules.js";
import { generator } from "./link.js";
import { until } from "./wait.js";

const PICTURE_MS = 16;
/** As many as tell how fast somebody goes. */
const FEW_PICTURES = 6;
/** Units that a bullet flies in a millisecond. */
const BULLET = 0.6;
/** How far away a target may be, and the middle of a body; units. */
const RANGE = 260;
const DEAD_ON = 5;
/** Ticks between two shots, and between two at the same target: it may die, which is seen later. */
const PAUSE = 10;
const PAUSE_SAME = 20;
/** A picture that stood still for longer shows nobody how a bullet flies, milliseconds. */
const HITCH_MS = 100;
/** Who goes slower stands, or has met a wall; units in a millisecond. */
const WALKS = 0.15;
/** For as long a shot is looked at, and so long after that its outcome is known. */
const FLIGHT_MS = RANGE / BULLET + 60;
const SETTLED_MS = 1_000;
const DAMAGE = 25;
const WALKERS = 15;

const join = async (url, id, name) => new Tickcast({ url, name, WebSocket }).join(id);

/** Walks straight on for some two seconds or to a wall, then somewhere else. */
function walk(match, random) {
  const players = match.entities("player");
  let [until, way] = [0, 0];
  match.steer(() => {
    const stands = ["x", "y"].every((axis) => players.get(match.me, axis) === players.previous(match.me, axis));
    if (match.tick >= until || (stands && match.tick > until - match.tickRate)) {
      [until, way] = [match.tick + match.tickRate * (1.5 + random()), 2 * Math.PI * random()];
    }
    return { move_x: 127 * Math.cos(way), move_y: 127 * Math.sin(way), aim: 0, fire: 0 };
  });
}

/** Who shoots, over a long line; with what was shown to it. */
class Shooter {
  constructor(match) {
    this.match = match;
    this.players = match.entities("player");
    this.walls = new Walls();
    this.walls.set([...match.entities("wall")].flatMap((index) => {
      const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => match.entities("wall").get(index, name));
      return [x, y, x + width, y + height];
    }));
    const local = new LocalPlayer(match.tickRate, this.walls);
    match.predict({ fields: FIELDS, smooth: ["x", "y"], step: local.step });
    /** What was drawn: `{ moment, isGuess, bodies: Map(player, { x, y }) }`. */
    this.pictures = [];
    this.shots = [];
    this.firedAt = -Infinity;
    this.at = new Map();
    match.steer(() => this.act());
  }

  draw() {
    const { match, players } = this;
    match.frame();
    const bodies = new Map();
    players.forEachShown((index) => {
      if (index === match.me || players.shown(index, "hp") === 0) return;
      bodies.set(players.get(index, "player"), { x: players.shown(index, "x") / SCALE, y: players.shown(index, "y") / SCALE });
    });
    const { tick, newest } = match.smooth.playout;
    this.pictures.push({ moment: tick * match.smooth.clock.interval, isGuess: tick > newest, bodies });
  }

  /** Who is shown, with the way that it goes in a millisecond. */
  *targets() {
    const newest = this.pictures.at(-1);
    const before = this.pictures.at(-FEW_PICTURES);
    if (before === undefined || newest.moment <= before.moment) return;
    for (const [player, { x, y }] of newest.bodies) {
      const was = before.bodies.get(player);
      if (was === undefined) continue;
      const passed = newest.moment - before.moment;
      yield { player, x, y, wayX: (x - was.x) / passed, wayY: (y - was.y) / passed };
    }
  }

  act() {
    const { prediction } = this.match.smooth;
    const input = { move_x: 0, move_y: 0, aim: 0, fire: 0 };
    if (prediction.tick < 0 || prediction.state[HP] === 0) return input;
    const [x, y] = [prediction.state[X] / SCALE, prediction.state[Y] / SCALE];
    const near = [...this.targets()].sort((a, b) => Math.hypot(a.x - x, a.y - y) - Math.hypot(b.x - x, b.y - y));
    for (const target of near) {
      const aimed = this.aim(x, y, target);
      if (aimed === null || !this.mayFireAt(target.player, prediction.tick)) continue;
      this.fire(x, y, aimed, target.player, prediction.tick);
      return { ...input, aim: aimed, fire: 1 };
    }
    const [nearest] = near;
    if (nearest === undefined || Math.hypot(nearest.x - x, nearest.y - y) < RANGE / 2) return input;
    const way = Math.atan2(nearest.y - y, nearest.x - x);
    return { ...input, move_x: 127 * Math.cos(way), move_y: 127 * Math.sin(way) };
  }

  mayFireAt(player, tick) {
    return tick - this.firedAt >= PAUSE && tick - (this.at.get(player) ?? -Infinity) >= PAUSE_SAME;
  }

  /** Where to aim so that the bullet meets a target which goes on as it goes; null if it should not be shot at. */
  aim(x, y, target) {
    if (Math.hypot(target.wayX, target.wayY) < WALKS) return null;
    let flight = 0;
    let [toX, toY] = [target.x, target.y];
    for (let round = 0; round < 8; round += 1) {
      flight = Math.hypot(toX - x, toY - y) / BULLET;
      [toX, toY] = [target.x + target.wayX * flight, target.y + target.wayY * flight];
    }
    if (flight * BULLET > RANGE) return null;
    for (let part = 0; part <= 1; part += 0.02) {
      if (this.walls.stops((x + (toX - x) * part) * SCALE, (y + (toY - y) * part) * SCALE)) return null;
    }
    return Math.round((Math.atan2(toY - y, toX - x) / (2 * Math.PI)) * TURN) & (TURN - 1);
  }

  fire(x, y, aim, player, tick) {
    this.firedAt = tick;
    this.at.set(player, tick);
    const angle = (aim / TURN) * 2 * Math.PI;
    // The input that is made of this gets the next number.
    this.shots.push({ x, y, angle, at: performance.now(), moment: this.pictures.at(-1).moment, seq: this.match.client.inputs.lastSeq + 1 });
  }
}

/**
 * What the drawn bullet meets first: `{ player, off, after }`, by how much it misses the middle and when; null where that
 * was not to be seen. The bullet flies in the time of the picture, which runs a little faster or slower than the clock.
 */
function met(shot, drawn, walls) {
  const pictures = drawn.filter(({ moment }) => moment >= shot.moment && moment <= shot.moment + FLIGHT_MS);
  if (pictures.length < 2 || pictures.some(({ isGuess }) => isGuess)) return null;
  const found = new Map();
  for (let at = 1; at < pictures.length; at += 1) {
    const [from, to] = [pictures[at - 1], pictures[at]];
    if (to.moment - from.moment > HITCH_MS) return null;
    for (let now = from.moment; now < to.moment; now += 1) {
      const after = now - shot.moment;
      const [x, y] = [shot.x + Math.cos(shot.angle) * after * BULLET, shot.y + Math.sin(shot.angle) * after * BULLET];
      if (walls.stops(x * SCALE, y * SCALE)) return first(found);
      const part = (now - from.moment) / (to.moment - from.moment);
      for (const [player, body] of to.bodies) {
        const was = from.bodies.get(player);
        if (was === undefined) continue;
        const off = Math.hypot(was.x + (body.x - was.x) * part - x, was.y + (body.y - was.y) * part - y);
        const least = found.get(player);
        if (least === undefined || off < least.off) found.set(player, { player, off, after });
      }
    }
  }
  return first(found);
}

/** Whom it came near first. */
function first(found) {
  const near = [...found.values()].filter(({ off }) => off < (2 * HIT_REACH) / SCALE);
  return near.sort((a, b) => a.after - b.after)[0] ?? { player: 0, off: Infinity, after: 0 };
}

/** What really happened, tick by tick, as a connection without delay tells it. */
class Witness {
  constructor(match, shooter) {
    /** Hits, as `{ player, tick }`; who was dead in a tick; the shooter's inputs, and where it stood. */
    this.hits = [];
    this.dead = new Map();
    this.inputs = [];
    const [players, hp] = [match.entities("player"), new Map()];
    this.loaded = ticks(COOLDOWN_MS, match.tickRate);
    const before = (index) => ({ x: players.previous(index, "x") / SCALE, y: players.previous(index, "y") / SCALE });
    match.on("change", (tick) => {
      const dead = new Set();
      for (const index of players) {
        const [player, left] = [players.get(index, "player"), players.get(index, "hp")];
        for (let lost = (hp.get(player) ?? left) - left; lost > 0; lost -= DAMAGE) this.hits.push({ player, tick });
        hp.set(player, left);
        if (left === 0) dead.add(player);
        if (player === shooter) this.inputs.push({ tick, seq: players.get(index, "seq"), cooldown: players.get(index, "cooldown"), ...before(index) });
      }
      this.dead.set(tick, dead);
    });
  }

  /** The tick in which a shot was fired as it was shown; undefined where a late input let it begin elsewhere, or not at all. */
  fired(shot) {
    while (this.inputs[0]?.seq < shot.seq) this.inputs.shift();
    const [input] = this.inputs;
    const asShown = input?.cooldown === this.loaded && Math.hypot(input.x - shot.x, input.y - shot.y) < 1;
    return asShown ? input.tick : undefined;
  }

  /** Takes a hit of this player within these ticks, if there was one. */
  take(player, from, to) {
    const at = this.hits.findIndex((hit) => hit.player === player && hit.tick >= from && hit.tick <= to);
    return at >= 0 && this.hits.splice(at, 1).length === 1;
  }
}

/** One match: who shoots over a line, and who walks beside the server. */
export class Range {
  /** Shots of pictures older than `ageMax` are not judged. @param {{ node: Node, line: { delay: number, jitter: number }, ageMax: number, seed: number }} options */
  static async open(stage, { node, line, ageMax, seed }) {
    const range = Object.assign(new Range(), { ageMax });
    const { id } = await node.create({ options: { pickups: 0, round_seconds: 3600, score_limit: 10_000 } });
    const random = generator(seed);
    const near = [];
    for (let at = 0; at < WALKERS; at += 1) {
      near.push(await join(node.players, id, `walker ${at}`));
      walk(near[at], random);
    }
    const link = await stage.link(node.port, { ...line, seed });
    range.far = await join(link.url, id, "shooter");
    range.matches = [range.far, ...near];
    stage.later(() => range.close());
    await until("the shooter is part of the state", () => range.far.me >= 0);
    range.witness = new Witness(near[0], range.far.player);
    return range;
  }

  begin() {
    this.shooter = new Shooter(this.far);
    /** What came of the shots: how many were dead on, how many of these hit, and which missed. Not judged are those at a
     * picture that was older than it may be (`late`), and those that were fired elsewhere than was shown, or at bodies that
     * were guessed where ticks came late (`unlike`): a busy machine has many of them. */
    this.score = { shots: 0, unlike: 0, late: 0, deadOn: 0, hit: 0, missed: [] };
  }

  close() {
    for (const match of this.matches) match.close();
  }

  /** Judges the shots whose outcome is known by now. */
  judge() {
    const { score, shooter } = this;
    while (shooter.shots.length > 0 && performance.now() - shooter.shots[0].at > FLIGHT_MS + SETTLED_MS) {
      score.shots += 1;
      this.judgeShot(shooter.shots.shift());
    }
    const first = shooter.shots[0]?.moment ?? shooter.pictures.at(-1)?.moment;
    while (shooter.pictures.length > FEW_PICTURES && shooter.pictures[0].moment < first) shooter.pictures.shift();
  }

  judgeShot(shot) {
    const { score, shooter, witness } = this;
    const { interval } = this.far.smooth.clock;
    const [fired, drawn] = [witness.fired(shot), met(shot, shooter.pictures, shooter.walls)];
    if (drawn === null || fired === undefined) score.unlike += 1;
    if (drawn === null || fired === undefined || drawn.off > DEAD_ON) return;
    const ends = Math.max(fired, Math.ceil((shot.moment + drawn.after) / interval)) + 2;
    const hit = witness.take(drawn.player, fired, ends);
    // Killed by the shot before, which was not yet to be seen.
    if (!hit && witness.dead.get(fired)?.has(drawn.player)) return;
    const age = fired * interval - shot.moment;
    if (age > this.ageMax) {
      score.late += 1;
      return;
    }
    score.deadOn += 1;
    score.hit += Number(hit);
    if (!hit) score.missed.push({ ...drawn, age, fired });
  }
}

/** Plays in these matches at once until so many shots were dead on, or for as long as may be; adds up the scores. */
export async function shootOut(ranges, { deadOn, withinMs }) {
  const begun = performance.now();
  const sum = (name) => ranges.map(({ score }) => score[name]).reduce((all, one) => all + one);
  for (const range of ranges) range.begin();
  while (sum("deadOn") < deadOn && performance.now() - begun < withinMs) {
    await new Promise((resolve) => setTimeout(resolve, PICTURE_MS));
    for (const { shooter } of ranges) shooter.draw();
    for (const range of ranges) range.judge();
  }
  const counts = ["shots", "unlike", "late", "deadOn", "hit"].map((name) => [name, sum(name)]);
  return { ...Object.fromEntries(counts), missed: ranges.flatMap(({ score }) => score.missed) };
}
