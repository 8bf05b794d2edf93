// What is to be drawn: the entities of the moment that is shown, read from the match into objects that are used again.
// The own player is where it was predicted to be. Knows no canvas.

import { SCALE, TURN, ticksLeft } from './rules.js';

/** @typedef {import('../sdk/src/index.js').Match} Match */

/** A bot's id is one of the last; see PlayerId::OF_GAME of the protocol. */
const BOTS_FROM = 2 ** 31 - 1 - 1023;
/** Colours that tell players apart; the own one has its own. */
const COLORS = ['#5ef2c0', '#ff6b5e', '#a58bff', '#58b8ff', '#ff8fc7', '#b6e35a', '#ff9d4d', '#4fe0e6', '#e0729f', '#8fa6ff'];
export const OWN_COLOR = '#ffc35a';

export class Body {
  constructor() {
    this.index = 0;
    this.player = 0;
    this.name = '';
    this.color = '';
    this.isMe = false;
    this.isBot = false;
    this.x = 0;
    this.y = 0;
    /** Radians. */
    this.aim = 0;
    this.hp = 0;
    this.score = 0;
    this.deaths = 0;
    this.respawn = 0;
    this.cooldown = 0;
  }
}

/** A bullet, a pickup or a drone. */
export class Thing {
  constructor() {
    this.index = 0;
    this.x = 0;
    this.y = 0;
    /** Radians. */
    this.heading = 0;
    /** The heading as the game counts it. */
    this.turn = 0;
    this.owner = 0;
    this.respawn = 0;
  }
}

/** A list whose objects are used again in every picture. @template T */
export class Pool {
  /** @param {() => T} make */
  constructor(make) {
    this.make = make;
    /** @type {T[]} */
    this.items = [];
    this.count = 0;
  }

  add() {
    if (this.count === this.items.length) this.items.push(this.make());
    this.count += 1;
    return this.items[this.count - 1];
  }
}

export class Scene {
  /** @param {Match} match */
  constructor(match) {
    this.match = match;
    this.kinds = {
      player: match.entities('player'),
      bullet: match.entities('bullet'),
      pickup: match.entities('pickup'),
      drone: match.entities('drone'),
      round: match.entities('round'),
    };
    this.players = new Pool(() => new Body());
    this.bullets = new Pool(() => new Thing());
    this.pickups = new Pool(() => new Thing());
    this.drones = new Pool(() => new Thing());
    /** Our own body, when it is shown. @type {Body | null} */
    this.me = null;
    this.round = { phase: 0, number: 0, ticksLeft: 0, winner: 0, winnerName: '', sight: 0 };
    this.addPlayer = this.addPlayer.bind(this);
    this.addBullet = this.addBullet.bind(this);
    this.addPickup = this.addPickup.bind(this);
    this.addDrone = this.addDrone.bind(this);
    this.addRound = this.addRound.bind(this);
  }

  update() {
    const { kinds } = this;
    this.players.count = this.bullets.count = this.pickups.count = this.drones.count = 0;
    this.me = null;
    kinds.player.forEachShown(this.addPlayer);
    kinds.bullet.forEachShown(this.addBullet);
    kinds.pickup.forEachShown(this.addPickup);
    kinds.drone.forEachShown(this.addDrone);
    kinds.round.forEachShown(this.addRound);
  }

  /** @param {number} index */
  addPlayer(index) {
    const { match } = this;
    const { player } = this.kinds;
    // The history tells integers only; who left since has no name any more.
    if (!player.has(index)) return;
    const body = this.players.add();
    const id = player.get(index, 'player');
    const isMe = index === match.me;
    if (body.player !== id || body.isMe !== isMe || body.index !== index) {
      body.player = id;
      body.isMe = isMe;
      body.isBot = id >= BOTS_FROM;
      body.color = isMe ? OWN_COLOR : COLORS[index % COLORS.length];
    }
    body.index = index;
    body.name = player.text(index, 'name');
    body.x = (isMe ? match.own('x') : player.shown(index, 'x')) / SCALE;
    body.y = (isMe ? match.own('y') : player.shown(index, 'y')) / SCALE;
    body.aim = (player.shown(index, 'aim') / TURN) * 2 * Math.PI;
    body.hp = player.shown(index, 'hp');
    body.score = player.shown(index, 'score');
    body.deaths = player.shown(index, 'deaths');
    body.respawn = player.shown(index, 'respawn');
    body.cooldown = isMe ? match.own('cooldown') : 0;
    if (isMe) this.me = body;
  }

  /** @param {number} index */
  addBullet(index) {
    const { bullet } = this.kinds;
    const thing = this.place(this.bullets, bullet, index);
    thing.turn = Math.round(bullet.shown(index, 'heading')) & (TURN - 1);
    thing.heading = (thing.turn / TURN) * 2 * Math.PI;
    thing.owner = bullet.shown(index, 'owner');
  }

  /** @param {number} index */
  addPickup(index) {
    this.place(this.pickups, this.kinds.pickup, index).respawn = this.kinds.pickup.shown(index, 'respawn');
  }

  /** @param {number} index */
  addDrone(index) {
    const thing = this.place(this.drones, this.kinds.drone, index);
    thing.heading = (this.kinds.drone.shown(index, 'heading') / TURN) * 2 * Math.PI;
  }

  /** @param {Pool<Thing>} pool @param {import('../sdk/src/index.js').Entities} kind @param {number} index */
  place(pool, kind, index) {
    const thing = pool.add();
    thing.index = index;
    thing.x = kind.shown(index, 'x') / SCALE;
    thing.y = kind.shown(index, 'y') / SCALE;
    return thing;
  }

  /** @param {number} index */
  addRound(index) {
    const { round, kinds } = this;
    round.phase = kinds.round.shown(index, 'phase');
    round.number = kinds.round.shown(index, 'number');
    round.ticksLeft = ticksLeft(kinds.round.shown(index, 'ends_at'), this.match.smooth.playout.tick);
    round.winner = kinds.round.shown(index, 'winner');
    round.winnerName = kinds.round.text(index, 'winner_name');
    round.sight = kinds.round.shown(index, 'sight');
  }

  /** @param {number} player */
  find(player) {
    for (let at = 0; at < this.players.count; at += 1) {
      if (this.players.items[at].player === player) return this.players.items[at];
    }
    return null;
  }
}
