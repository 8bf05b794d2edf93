// What happened between two pictures, found by comparing them: hits, deaths and who did it, shots, things fetched. The
// state tells how things are, not what happened; this is the difference. Pure.

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Body} Body */
/** @typedef {import('./scene.js').Thing} Thing */

/** Points for a kill: who gets them when somebody dies did it. */
const KILL_POINTS = 10;
/** Whoever is this much further in the next picture was put there. */
const JUMP = 120;

/**
 * @typedef {object} Told
 * @property {(body: Body, amount: number) => void} hit
 * @property {(body: Body, amount: number) => void} healed
 * @property {(victim: Body, killer: Body | null) => void} died
 * @property {(body: Body) => void} came somebody is there again
 * @property {(bullet: Thing) => void} fired
 * @property {(x: number, y: number, heading: number, index: number) => void} burst a bullet is gone
 * @property {(x: number, y: number) => void} drone one was shot at this spot
 * @property {(x: number, y: number) => void} fetched
 * @property {(number: number, phase: number) => void} round
 */

class Known {
  constructor() {
    this.picture = -1;
    this.player = 0;
    this.hp = 0;
    this.score = 0;
    this.x = 0;
    this.y = 0;
    this.heading = 0;
    this.turn = 0;
    this.owner = 0;
    this.respawn = 0;
  }
}

export class News {
  /** @param {Told} told */
  constructor(told) {
    this.told = told;
    this.picture = 0;
    /** @type {Known[]} */
    this.players = [];
    /** @type {Known[]} */
    this.bullets = [];
    /** @type {Known[]} */
    this.drones = [];
    /** @type {Known[]} */
    this.pickups = [];
    this.roundNumber = -1;
    this.phase = -1;
    /** @type {Body[]} */
    this.dead = [];
    /** @type {Body[]} */
    this.scorers = [];
  }

  /** The next picture has nothing to do with the last. */
  forget() {
    this.picture += 2;
    this.roundNumber = -1;
  }

  /** @param {Scene} scene */
  compare(scene) {
    const first = this.roundNumber < 0;
    this.picture += 1;
    const { round } = scene;
    const begins = round.number !== this.roundNumber || round.phase !== this.phase;
    this.roundNumber = round.number;
    this.phase = round.phase;
    this.comparePlayers(scene, begins);
    this.compareBullets(scene, first || begins);
    this.compareDrones(scene);
    this.comparePickups(scene, begins);
    if (begins && !first) this.told.round(round.number, round.phase);
  }

  /** @param {Scene} scene @param {boolean} begins whether the round is another one, in which nobody was hit */
  comparePlayers({ players }, begins) {
    const { told, dead, scorers } = this;
    dead.length = scorers.length = 0;
    for (let at = 0; at < players.count; at += 1) {
      const body = players.items[at];
      const known = knownAt(this.players, body.index);
      if (known.picture === this.picture - 1 && known.player === body.player && !begins) {
        if (body.hp < known.hp) told.hit(body, known.hp - body.hp);
        if (body.hp === 0 && known.hp > 0) dead.push(body);
        if (body.hp > known.hp && known.hp > 0) told.healed(body, body.hp - known.hp);
        if (body.score - known.score >= KILL_POINTS) scorers.push(body);
      }
      if (body.hp > 0 && (known.picture !== this.picture - 1 || known.hp === 0 || known.player !== body.player)) told.came(body);
      known.picture = this.picture;
      known.player = body.player;
      known.hp = body.hp;
      known.score = body.score;
    }
    for (let at = 0; at < dead.length; at += 1) told.died(dead[at], scorers[at] ?? scorers[0] ?? null);
  }

  /** @param {Scene} scene @param {boolean} quiet */
  compareBullets({ bullets }, quiet) {
    for (let at = 0; at < bullets.count; at += 1) {
      const bullet = bullets.items[at];
      const known = knownAt(this.bullets, bullet.index);
      const same = known.picture === this.picture - 1 && known.owner === bullet.owner && known.turn === bullet.turn;
      if (!same && known.picture === this.picture - 1) this.told.burst(known.x, known.y, known.heading, bullet.index);
      known.picture = this.picture;
      known.x = bullet.x;
      known.y = bullet.y;
      known.heading = bullet.heading;
      known.turn = bullet.turn;
      known.owner = bullet.owner;
      if (!same && !quiet) this.told.fired(bullet);
    }
    for (let index = 0; index < this.bullets.length; index += 1) {
      const known = this.bullets[index];
      if (known.picture === this.picture - 1) this.told.burst(known.x, known.y, known.heading, index);
    }
  }

  /** @param {Scene} scene */
  compareDrones({ drones }) {
    for (let at = 0; at < drones.count; at += 1) {
      const drone = drones.items[at];
      const known = knownAt(this.drones, drone.index);
      const jumped = Math.abs(drone.x - known.x) + Math.abs(drone.y - known.y) > JUMP;
      if (known.picture === this.picture - 1 && jumped) this.told.drone(known.x, known.y);
      known.picture = this.picture;
      known.x = drone.x;
      known.y = drone.y;
    }
  }

  /** @param {Scene} scene @param {boolean} begins */
  comparePickups({ pickups }, begins) {
    for (let at = 0; at < pickups.count; at += 1) {
      const pickup = pickups.items[at];
      const known = knownAt(this.pickups, pickup.index);
      if (known.picture === this.picture - 1 && known.respawn === 0 && pickup.respawn > 0 && !begins) this.told.fetched(pickup.x, pickup.y);
      known.picture = this.picture;
      known.respawn = pickup.respawn;
    }
  }
}

/** @param {Known[]} list @param {number} index */
function knownAt(list, index) {
  while (list.length <= index) list.push(new Known());
  return list[index];
}
