// One match on the screen: what arrives, what a person wants, what is drawn. Everything that is decided without a canvas
// is in the modules that this one puts together.

import { Camera } from './camera.js';
import { Controls } from './controls.js';
import { Effects } from './effects.js';
import { Frames } from './frames.js';
import { News } from './news.js';
import { MiniMap, drawAim } from './overlay.js';
import { COOLDOWN, COOLDOWN_MS, FIELDS, LocalPlayer, SCALE, Walls, X, Y, ticks } from './rules.js';
import { Rest } from './rest.js';
import { OWN_COLOR, Scene } from './scene.js';
import { OwnShots, hits } from './shots.js';
import { Spectator } from './spectator.js';

/** @typedef {import('../sdk/src/index.js').Match} Match */
/** @typedef {import('./scene.js').Body} Body */

/** A correction of more than this is shown at once, units. */
const SNAP = 64;
const HUD_MS = 110;
/** A hit belongs to a shot of ours that ended this near, units, and so long ago at most. */
const OWN_HIT_REACH = 46;
const OWN_HIT_MS = 700;
const HIT_SHOWN_MS = 180;
/** Time that one picture may make up for at most, seconds. */
const STEP_MAX = 0.1;

/** The parts of the page that outlive a match. @typedef {{ painter: import('./paint.js').Painter, hud: import('./hud.js').Hud, netgraph: import('./netgraph.js').Netgraph, chat: import('./chat.js').Chat, calm: boolean }} Parts */

export class Game {
  /** @param {Match} match @param {Parts} parts */
  constructor(match, parts) {
    this.match = match;
    this.parts = parts;
    this.hz = match.tickRate;
    const [mapX, mapY] = mapOf(match);
    this.walls = new Walls(mapX, mapY);
    this.wallsAt = -1;
    this.local = new LocalPlayer(this.hz, this.walls);
    this.scene = new Scene(match);
    this.shots = new OwnShots(this.hz, this.walls);
    this.effects = new Effects();
    this.effects.calm = parts.painter.calm = parts.calm;
    this.camera = new Camera(mapX, mapY);
    this.map = new MiniMap();
    this.frames = new Frames();
    this.rest = new Rest();
    this.controls = new Controls(parts.painter.canvas, (code) => this.command(code));
    this.spectator = match.player === null ? new Spectator(this.camera, this.controls) : null;
    this.news = this.reporter();
    this.now = performance.now();
    this.hudAt = 0;
    // Where our last shot ended, where somebody was hit last, and when the two were one.
    this.shotEnd = { x: 0, y: 0, at: -Infinity };
    this.hit = { x: 0, y: 0, at: -Infinity };
    this.hitAt = -Infinity;
    this.running = true;
    this.meets = this.meets.bind(this);
    this.ended = (/** @type {import('./shots.js').Shot} */ shot) => {
      this.effects.burst(shot.x, shot.y, 5, 120, OWN_COLOR);
      this.note(this.shotEnd, shot.x, shot.y);
    };
    this.fired = this.fired.bind(this);
    this.draw = this.draw.bind(this);
    if (this.spectator === null) this.play();
    parts.hud.clear();
    parts.chat.begin(match);
    requestAnimationFrame(this.draw);
  }

  play() {
    const { match, local, controls } = this;
    match.predict({ fields: FIELDS, smooth: ['x', 'y'], step: local.step, snap: SNAP * SCALE });
    const { rest } = this;
    match.steer(() => {
      const wanted = controls.input();
      return rest.has(wanted, match.metrics().unacknowledged === 0) ? null : wanted;
    });
  }

  end() {
    this.running = false;
    this.controls.end();
    document.body.classList.remove('all-scores', 'touch');
  }

  /** What was seen before is not how it was. */
  forget() {
    this.news.forget();
    this.shots.forget();
    this.effects.clear();
    this.camera.cut();
    this.rest.forget();
  }

  /** @param {string} code of a key */
  command(code) {
    if (code === 'KeyT' || code === 'Enter') return this.parts.chat.open();
    if (code === 'KeyN') this.parts.netgraph.toggle();
    else if (code === 'Tab') document.body.classList.toggle('all-scores');
    else return false;
    return true;
  }

  reporter() {
    const { effects, camera, parts } = this;
    const own = (/** @type {number} */ owner) => this.scene.me?.player === owner;
    return new News({
      hit: (body, amount) => {
        effects.number(body.x, body.y, `-${amount}`, body.isMe ? '#ff8d83' : '#ffffff');
        effects.burst(body.x, body.y, 12, 210, body.color);
        effects.ring(body.x, body.y, 12, 26, 0.22, '#ffffff');
        if (!body.isMe) this.note(this.hit, body.x, body.y);
        else if (!parts.calm) camera.shake = Math.min(9, camera.shake + 6);
      },
      healed: (body, amount) => effects.number(body.x, body.y, `+${amount}`, '#5ef2c0'),
      died: (victim, killer) => {
        effects.burst(victim.x, victim.y, 44, 380, victim.color);
        effects.ring(victim.x, victim.y, 8, 74, 0.5, victim.color);
        parts.hud.died(victim, killer, this.now);
      },
      came: (body) => {
        effects.ring(body.x, body.y, 60, 16, 0.4, body.color);
        if (body.isMe) camera.cut();
      },
      fired: (bullet) => {
        if (own(bullet.owner)) this.shots.take(bullet.index, bullet.turn, bullet.x, bullet.y);
        else effects.burst(bullet.x, bullet.y, 4, 150, this.scene.find(bullet.owner)?.color ?? '#ffffff', bullet.heading, 0.9);
      },
      burst: (x, y, heading, index) => {
        effects.burst(x, y, 6, 150, '#ffe9c4', heading + Math.PI, 2);
        if (this.shots.of(index) !== null) this.note(this.shotEnd, x, y);
        this.shots.end(index);
      },
      drone: (x, y) => {
        effects.burst(x, y, 22, 260, '#a58bff');
        effects.ring(x, y, 6, 40, 0.35, '#a58bff');
      },
      fetched: (x, y) => effects.ring(x, y, 8, 34, 0.4, '#5ef2c0'),
      round: () => this.shots.forget(),
    });
  }

  /** A shot of our own, in the very moment. @param {import('./shots.js').Shot} shot */
  fired(shot) {
    const angle = Math.atan2(shot.wayY, shot.wayX);
    const [x, y] = [shot.x + Math.cos(angle) * 24, shot.y + Math.sin(angle) * 24];
    this.effects.burst(x, y, 7, 260, '#fff1d0', angle, 0.8);
    this.effects.ring(x, y, 2, 11, 0.12, '#fff1d0');
  }

  /** Finds out whether it was us who hit. @param {{ x: number, y: number, at: number }} what @param {number} x @param {number} y */
  note(what, x, y) {
    what.x = x;
    what.y = y;
    what.at = this.now;
    const { shotEnd, hit } = this;
    const near = Math.hypot(shotEnd.x - hit.x, shotEnd.y - hit.y) < OWN_HIT_REACH;
    if (near && Math.abs(shotEnd.at - hit.at) < OWN_HIT_MS) {
      this.hitAt = this.now;
      shotEnd.at = -Infinity;
    }
  }

  /** Whether a bullet of ours would hit somebody who is shown there. @param {number} x @param {number} y */
  meets(x, y) {
    const { players, drones } = this.scene;
    for (let at = 0; at < players.count; at += 1) {
      const body = players.items[at];
      if (!body.isMe && body.hp > 0 && hits(x, y, body.x, body.y)) return true;
    }
    for (let at = 0; at < drones.count; at += 1) if (hits(x, y, drones.items[at].x, drones.items[at].y)) return true;
    return false;
  }

  draw() {
    if (!this.running) return;
    requestAnimationFrame(this.draw);
    const begun = performance.now();
    const seconds = Math.min(STEP_MAX, Math.max(0, (begun - this.now) / 1_000));
    this.now = begun;
    this.update(begun, seconds);
    this.paint(seconds);
    if (begun - this.hudAt >= HUD_MS) {
      this.hudAt = begun;
      this.parts.hud.update(this.scene, this.hz, begun, this.spectator?.followed ?? 0);
      document.body.classList.toggle('touch', this.controls.usesTouch);
    }
    this.parts.netgraph.update(this.match, this.frames, begun);
    this.frames.add(performance.now() - begun);
  }

  /** @param {number} now @param {number} seconds */
  update(now, seconds) {
    const { match, scene, shots, effects, camera, controls } = this;
    this.readWalls();
    match.frame(now);
    scene.update();
    this.local.playing = scene.round.phase === 0;
    const { prediction } = match.smooth;
    if (prediction !== null && prediction.enabled) shots.find(prediction, now, this.fired);
    shots.fly(now, this.meets, this.ended);
    shots.fade(seconds * 1_000);
    this.news.compare(scene);
    effects.update(seconds);
    this.look(scene.me, seconds);
    camera.quake(seconds, 2 * Math.random() - 1, 2 * Math.random() - 1);
    if (scene.me !== null) controls.look(camera.screenX(scene.me.x), camera.screenY(scene.me.y));
  }

  /** @param {Body | null} me @param {number} seconds */
  look(me, seconds) {
    const { camera, controls, spectator } = this;
    this.parts.painter.resize(camera);
    if (spectator !== null) {
      spectator.look(this.scene, seconds);
    } else if (me !== null) {
      const turn = (controls.aim / 1_024) * 2 * Math.PI;
      const far = controls.usesTouch ? 0.7 : Math.min(1, Math.hypot(controls.mouseX - camera.width / 2, controls.mouseY - camera.height / 2) / (Math.min(camera.width, camera.height) / 2));
      camera.follow(me.x, me.y, Math.cos(turn) * far, Math.sin(turn) * far, seconds);
      // What is aimed at is drawn at once, not when the server says so.
      me.aim = turn;
    }
  }

  /** Walls are entities; they hardly ever change. */
  readWalls() {
    const kind = this.match.entities('wall');
    const changes = kind.table?.changes ?? -1;
    if (changes === this.wallsAt) return;
    this.wallsAt = changes;
    /** @type {number[]} */
    const edges = [];
    for (const index of kind) {
      const [x, y] = [kind.get(index, 'x'), kind.get(index, 'y')];
      edges.push(x, y, x + kind.get(index, 'width'), y + kind.get(index, 'height'));
    }
    this.walls.set(edges);
    this.map.setWalls(this.walls);
  }

  /** @param {number} seconds */
  paint(seconds) {
    const { parts, scene, camera } = this;
    const { painter } = parts;
    painter.draw(scene, this.walls, this.shots, this.effects, camera, seconds);
    const small = camera.width < 640;
    const width = small ? 104 : 168;
    // On a phone thumbs lie in the lower corners.
    const top = small ? 60 : camera.height - width * 0.6 - 16;
    this.map.draw(painter.pen, painter.ratio, scene, camera, width, camera.width - width - 14, top);
    if (scene.me === null) return;
    const cooled = 1 - scene.me.cooldown / ticks(COOLDOWN_MS, this.hz);
    drawAim(painter.pen, painter.ratio, this.controls, cooled, 1 - (this.now - this.hitAt) / HIT_SHOWN_MS);
  }

  /** What the page's handle tells about a player. @param {number} index */
  tell(index) {
    const { match, scene } = this;
    const kind = match.entities('player');
    if (!kind.has(index)) return null;
    const player = kind.get(index, 'player');
    const shown = scene.find(player);
    const { prediction } = match.smooth;
    const own = index === match.me && prediction !== null && prediction.enabled && prediction.tick >= 0;
    const [x, y] = own ? [prediction.state[X], prediction.state[Y]] : [kind.get(index, 'x'), kind.get(index, 'y')];
    return {
      player, x: x / SCALE, y: y / SCALE, hp: kind.get(index, 'hp'), shownX: shown?.x ?? x / SCALE, shownY: shown?.y ?? y / SCALE,
      name: kind.text(index, 'name'), score: kind.get(index, 'score'), cooldown: own ? prediction.state[COOLDOWN] : kind.get(index, 'cooldown'),
    };
  }

  get corrections() {
    return this.match.smooth.prediction?.mispredictions ?? 0;
  }
}

/** Size of a match's map, in steps: how far a player's place goes. @param {Match} match */
function mapOf({ schema }) {
  const { fields } = schema.playerKind;
  return ['x', 'y'].map((name) => fields.find((field) => field.name === name)?.max ?? 0);
}
