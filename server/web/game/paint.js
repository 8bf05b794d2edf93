// Draws the arena: floor, walls, what lies, flies and fights in it. Units of the game; the canvas is transformed. Draws
// nothing that cannot be seen, and makes no objects per picture.

import { HP_MAX, SCALE, TURN } from './rules.js';
import { Sprites } from './sprites.js';

/** @typedef {import('./camera.js').Camera} Camera */
/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Body} Body */
/** @typedef {import('./effects.js').Effects} Effects */

const INK = '#070a10';
const FLOOR = '#0a0f18';
const FLOOR_LIT = '#141f30';
const GRID = 'rgba(110, 160, 200, 0.09)';
const FOG = 'rgba(4, 6, 10, 0.72)';
const FOG_EDGE = 'rgba(4, 6, 10, 0.3)';
/** Width of the edge of what one sees, units. */
const FOG_SOFT = 24;
const SPENT = '#1d2a3c';
const WALL_SIDE = '#16233a';
const WALL_TOP = '#283a57';
const WALL_EDGE = '#5c80a6';
const WALL_LIGHT = 'rgba(160, 225, 240, 0.75)';
const MINT = '#5ef2c0';
const CORAL = '#ff6b5e';
const VIOLET = '#a58bff';
const BODY = 14;
const GRID_UNITS = 80;
const FULL = 2 * Math.PI;
/** How high walls stand, units. */
const HIGH = 12;

export class Painter {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    const pen = canvas.getContext('2d', { alpha: false });
    if (pen === null) throw new Error('this browser draws no canvas');
    this.pen = pen;
    this.sprites = new Sprites();
    this.ratio = 1;
    /** Seconds of motion, for what pulses. */
    this.time = 0;
    this.light = pen.createRadialGradient(0, 0, 0, 0, 0, 1);
    /** Width of the map that the light is for. */
    this.lit = 0;
    this.calm = false;
  }

  /** Fits the canvas to its place on the page. @param {Camera} camera */
  resize(camera) {
    const { canvas } = this;
    const ratio = Math.min(window.devicePixelRatio || 1, 2.5);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width === camera.width && height === camera.height && ratio === this.ratio) return;
    this.ratio = ratio;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    this.sprites.resize(ratio);
    camera.resize(width, height);
  }

  /**
   * @param {Scene} scene @param {import('./rules.js').Walls} walls @param {import('./shots.js').OwnShots} shots @param {Effects} effects
   * @param {Camera} camera @param {number} seconds since the last picture
   */
  draw(scene, walls, shots, effects, camera, seconds) {
    const { pen, ratio } = this;
    this.time += this.calm ? 0 : seconds;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = INK;
    pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const scale = camera.scale * ratio;
    const left = camera.x + camera.shakeX - camera.width / camera.scale / 2;
    const top = camera.y + camera.shakeY - camera.height / camera.scale / 2;
    pen.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
    this.floor(camera);
    this.shadows(walls);
    this.pickups(scene, camera);
    this.rings(effects);
    this.drones(scene, camera);
    this.bodies(scene, camera);
    this.walls(walls);
    this.bullets(scene, shots, camera);
    this.particles(effects);
    this.fog(scene, camera);
    // Text keeps its size, whatever the camera shows.
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.names(scene, camera);
    this.numbers(effects, camera);
  }

  /** Dark where one does not see: the server sends nothing of that. @param {Scene} scene @param {Camera} camera */
  fog(scene, { mapWidth, mapHeight }) {
    const { pen } = this;
    const { me, round } = scene;
    if (round.sight === 0 || me === null) return;
    pen.fillStyle = FOG;
    pen.beginPath();
    pen.rect(-mapWidth, -mapHeight, 3 * mapWidth, 3 * mapHeight);
    pen.arc(me.x, me.y, round.sight, 0, FULL);
    pen.fill('evenodd');
    pen.strokeStyle = FOG_EDGE;
    pen.lineWidth = FOG_SOFT;
    pen.beginPath();
    pen.arc(me.x, me.y, round.sight - FOG_SOFT / 2, 0, FULL);
    pen.stroke();
  }

  /** The middle of the floor is lit. @param {Camera} camera */
  shine({ mapWidth, mapHeight }) {
    const [x, y] = [mapWidth / 2, mapHeight / 2];
    this.light = this.pen.createRadialGradient(x, y, 0.0375 * mapWidth, x, y, 0.5625 * mapWidth);
    this.light.addColorStop(0, FLOOR_LIT);
    this.light.addColorStop(1, FLOOR);
    this.lit = mapWidth;
  }

  /** @param {Camera} camera */
  floor(camera) {
    const { pen } = this;
    const { mapWidth, mapHeight } = camera;
    if (this.lit !== mapWidth) this.shine(camera);
    pen.fillStyle = this.light;
    pen.fillRect(0, 0, mapWidth, mapHeight);
    pen.strokeStyle = GRID;
    pen.lineWidth = 1;
    pen.beginPath();
    for (let x = GRID_UNITS; x < mapWidth; x += GRID_UNITS) {
      if (!camera.sees(x, camera.y, 1)) continue;
      pen.moveTo(x, 0);
      pen.lineTo(x, mapHeight);
    }
    for (let y = GRID_UNITS; y < mapHeight; y += GRID_UNITS) {
      if (!camera.sees(camera.x, y, 1)) continue;
      pen.moveTo(0, y);
      pen.lineTo(mapWidth, y);
    }
    pen.stroke();
    // The middle, so that one knows where one is.
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(mapWidth / 2, mapHeight / 2, 150, 0, FULL);
    pen.stroke();
    pen.strokeStyle = WALL_EDGE;
    pen.lineWidth = 3;
    pen.strokeRect(-1.5, -1.5, mapWidth + 3, mapHeight + 3);
  }

  /** @param {import('./rules.js').Walls} walls */
  walls({ edges }) {
    const { pen } = this;
    pen.fillStyle = WALL_SIDE;
    for (let at = 0; at < edges.length; at += 4) {
      pen.fillRect(edges[at] / SCALE, edges[at + 1] / SCALE, (edges[at + 2] - edges[at]) / SCALE, (edges[at + 3] - edges[at + 1]) / SCALE);
    }
    pen.fillStyle = WALL_TOP;
    for (let at = 0; at < edges.length; at += 4) {
      pen.fillRect(edges[at] / SCALE, edges[at + 1] / SCALE, (edges[at + 2] - edges[at]) / SCALE, (edges[at + 3] - edges[at + 1]) / SCALE - HIGH);
    }
    pen.strokeStyle = 'rgba(0, 0, 0, 0.22)';
    pen.lineWidth = 2;
    pen.beginPath();
    for (let at = 0; at < edges.length; at += 4) {
      for (let x = edges[at] / SCALE + 20; x < edges[at + 2] / SCALE; x += 20) {
        pen.moveTo(x, edges[at + 3] / SCALE - HIGH);
        pen.lineTo(x, edges[at + 3] / SCALE);
      }
    }
    pen.stroke();
    pen.strokeStyle = WALL_EDGE;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (let at = 0; at < edges.length; at += 4) {
      pen.rect(edges[at] / SCALE + 0.75, edges[at + 1] / SCALE + 0.75, (edges[at + 2] - edges[at]) / SCALE - 1.5, (edges[at + 3] - edges[at + 1]) / SCALE - 1.5 - HIGH);
    }
    pen.stroke();
    // Light falls from above: the far edge shines.
    pen.strokeStyle = WALL_LIGHT;
    pen.beginPath();
    for (let at = 0; at < edges.length; at += 4) {
      pen.moveTo(edges[at] / SCALE, edges[at + 1] / SCALE + 0.75);
      pen.lineTo(edges[at + 2] / SCALE, edges[at + 1] / SCALE + 0.75);
    }
    pen.stroke();
  }

  /** What walls throw onto the floor. @param {import('./rules.js').Walls} walls */
  shadows({ edges }) {
    const { pen } = this;
    pen.fillStyle = 'rgba(0, 0, 0, 0.28)';
    for (let at = 0; at < edges.length; at += 4) {
      pen.fillRect(edges[at] / SCALE + 6, edges[at + 1] / SCALE + 12, (edges[at + 2] - edges[at]) / SCALE, (edges[at + 3] - edges[at + 1]) / SCALE);
    }
  }

  /** @param {import('./sprites.js').Sprite} sprite @param {number} x @param {number} y */
  stamp(sprite, x, y) {
    this.pen.drawImage(sprite.image, x - sprite.width / 2, y - sprite.height / 2, sprite.width, sprite.height);
  }

  /** @param {Scene} scene @param {Camera} camera */
  pickups({ pickups }, camera) {
    const { pen } = this;
    const beat = 1 + 0.08 * Math.sin(this.time * 4);
    for (let at = 0; at < pickups.count; at += 1) {
      const { x, y, respawn } = pickups.items[at];
      if (!camera.sees(x, y, 30)) continue;
      if (respawn > 0) {
        pen.fillStyle = SPENT;
        pen.fillRect(x - 2, y - 6, 4, 12);
        pen.fillRect(x - 6, y - 2, 12, 4);
        continue;
      }
      this.stamp(this.sprites.glow(MINT, 26), x, y);
      pen.fillStyle = MINT;
      pen.fillRect(x - 2.5 * beat, y - 8 * beat, 5 * beat, 16 * beat);
      pen.fillRect(x - 8 * beat, y - 2.5 * beat, 16 * beat, 5 * beat);
    }
  }

  /** @param {Scene} scene @param {Camera} camera */
  drones({ drones }, camera) {
    const { pen } = this;
    pen.fillStyle = '#2a2440';
    pen.strokeStyle = VIOLET;
    pen.lineWidth = 2;
    pen.beginPath();
    for (let at = 0; at < drones.count; at += 1) {
      const { x, y, heading } = drones.items[at];
      if (!camera.sees(x, y, 20)) continue;
      const ahead = Math.cos(heading) * 13;
      const aside = Math.sin(heading) * 13;
      pen.moveTo(x + ahead, y + aside);
      pen.lineTo(x - aside * 0.75 - ahead * 0.6, y + ahead * 0.75 - aside * 0.6);
      pen.lineTo(x - ahead * 0.25, y - aside * 0.25);
      pen.lineTo(x + aside * 0.75 - ahead * 0.6, y - ahead * 0.75 - aside * 0.6);
      pen.closePath();
    }
    pen.fill();
    pen.stroke();
  }

  /** @param {Scene} scene @param {Camera} camera */
  bodies({ players }, camera) {
    for (let at = 0; at < players.count; at += 1) {
      const body = players.items[at];
      if (!camera.sees(body.x, body.y, 60)) continue;
      if (body.hp > 0) this.body(body);
      else this.grave(body);
    }
  }

  /** @param {Body} body */
  body({ x, y, aim, color, hp, isMe, isBot }) {
    const { pen } = this;
    if (isMe) this.stamp(this.sprites.glow(color, 54), x, y);
    pen.fillStyle = 'rgba(0, 0, 0, 0.35)';
    pen.beginPath();
    pen.ellipse(x + 2, y + 5, BODY, BODY * 0.92, 0, 0, FULL);
    pen.fill();
    const toX = Math.cos(aim);
    const toY = Math.sin(aim);
    pen.lineCap = 'butt';
    pen.strokeStyle = INK;
    pen.lineWidth = 12;
    line(pen, x + toX * 6, y + toY * 6, x + toX * 31, y + toY * 31);
    pen.strokeStyle = color;
    pen.lineWidth = 8;
    line(pen, x + toX * 6, y + toY * 6, x + toX * 29, y + toY * 29);
    pen.fillStyle = INK;
    circle(pen, x, y, BODY + 2);
    pen.fill();
    pen.fillStyle = color;
    circle(pen, x, y, BODY);
    pen.fill();
    // A bot is hollow, a person is not.
    pen.fillStyle = isBot ? '#131b28' : 'rgba(255, 255, 255, 0.22)';
    circle(pen, x - (isBot ? 0 : 3), y - (isBot ? 0 : 3), isBot ? 8 : 5);
    pen.fill();
    if (hp < HP_MAX || isMe) {
      pen.lineWidth = 3;
      pen.strokeStyle = 'rgba(220, 235, 240, 0.16)';
      circle(pen, x, y, BODY + 7);
      pen.stroke();
      pen.strokeStyle = hp <= 25 ? CORAL : color;
      pen.beginPath();
      pen.arc(x, y, BODY + 7, -Math.PI / 2, -Math.PI / 2 + (FULL * hp) / HP_MAX);
      pen.stroke();
    }
  }

  /** @param {Body} body */
  grave({ x, y, color }) {
    const { pen } = this;
    pen.globalAlpha = 0.35;
    pen.strokeStyle = color;
    pen.lineWidth = 3;
    pen.beginPath();
    pen.moveTo(x - 7, y - 7);
    pen.lineTo(x + 7, y + 7);
    pen.moveTo(x + 7, y - 7);
    pen.lineTo(x - 7, y + 7);
    pen.stroke();
    pen.globalAlpha = 1;
  }

  /** @param {Scene} scene @param {import('./shots.js').OwnShots} shots @param {Camera} camera */
  bullets(scene, shots, camera) {
    const { bullets, me } = scene;
    const { pen } = this;
    pen.lineCap = 'round';
    for (let at = 0; at < bullets.count; at += 1) {
      const { x, y, heading, owner, index } = bullets.items[at];
      const shot = me !== null && owner === me.player ? shots.of(index) : null;
      const offX = shot === null ? 0 : shot.offX;
      const offY = shot === null ? 0 : shot.offY;
      if (camera.sees(x, y, 60)) this.bullet(x + offX, y + offY, heading, scene.find(owner)?.color ?? '#cfd8dc', 34);
    }
    for (const shot of shots.shots) {
      if (!shot.live || shot.bullet >= 0) continue;
      const flown = Math.hypot(shot.x - shot.fromX, shot.y - shot.fromY);
      if (flown > 14) this.bullet(shot.x, shot.y, (shot.heading / TURN) * FULL, me?.color ?? '#ffffff', Math.min(34, flown - 14));
    }
  }

  /** @param {number} x @param {number} y @param {number} heading @param {string} color @param {number} trail */
  bullet(x, y, heading, color, trail) {
    const { pen } = this;
    const backX = Math.cos(heading);
    const backY = Math.sin(heading);
    pen.strokeStyle = color;
    pen.globalAlpha = 0.25;
    pen.lineWidth = 7;
    line(pen, x, y, x - backX * trail, y - backY * trail);
    pen.globalAlpha = 0.8;
    pen.lineWidth = 3.5;
    line(pen, x, y, x - backX * trail * 0.5, y - backY * trail * 0.5);
    pen.globalAlpha = 1;
    pen.fillStyle = '#ffffff';
    circle(pen, x, y, 2.6);
    pen.fill();
  }

  /** @param {Effects} effects */
  particles({ particles }) {
    const { pen } = this;
    for (const { x, y, left, life, size, color } of particles) {
      if (left <= 0) continue;
      pen.globalAlpha = left / life;
      pen.fillStyle = color;
      pen.fillRect(x - size, y - size, size * 2, size * 2);
    }
    pen.globalAlpha = 1;
  }

  /** @param {Effects} effects */
  rings({ rings }) {
    const { pen } = this;
    for (const { x, y, from, to, left, life, color } of rings) {
      if (left <= 0) continue;
      const part = 1 - left / life;
      pen.globalAlpha = 1 - part;
      pen.strokeStyle = color;
      pen.lineWidth = 1 + 4 * (1 - part);
      circle(pen, x, y, from + (to - from) * (1 - (1 - part) * (1 - part)));
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  /** @param {Scene} scene @param {Camera} camera */
  names({ players }, camera) {
    for (let at = 0; at < players.count; at += 1) {
      const { x, y, hp, name, isMe, isBot } = players.items[at];
      if (hp === 0 || isMe || name === '' || !camera.sees(x, y, 90)) continue;
      this.stamp(this.sprites.text(name, isBot ? '#a9bcc8' : '#f6fafb', 13), camera.screenX(x), camera.screenY(y - 30) - 7);
    }
  }

  /** @param {Effects} effects @param {Camera} camera */
  numbers({ numbers }, camera) {
    const { pen } = this;
    for (const { x, y, left, life, text, color } of numbers) {
      if (left <= 0) continue;
      pen.globalAlpha = Math.min(1, (left / life) * 2);
      this.stamp(this.sprites.text(text, color, 17, 800), camera.screenX(x), camera.screenY(y - 26));
    }
    pen.globalAlpha = 1;
  }
}

/** @param {CanvasRenderingContext2D} pen @param {number} x @param {number} y @param {number} radius */
function circle(pen, x, y, radius) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, FULL);
}

/** @param {CanvasRenderingContext2D} pen @param {number} fromX @param {number} fromY @param {number} toX @param {number} toY */
function line(pen, fromX, fromY, toX, toY) {
  pen.beginPath();
  pen.moveTo(fromX, fromY);
  pen.lineTo(toX, toY);
  pen.stroke();
}
