// What is drawn over the arena in pixels of the page: crosshair with the weapon's cooldown, sticks under fingers, the map.

import { ARENA_X, SCALE } from './rules.js';

/** @typedef {import('./controls.js').Controls} Controls */
/** @typedef {import('./scene.js').Scene} Scene */

const FULL = 2 * Math.PI;
const AMBER = '#ffc35a';

/**
 * @param {CanvasRenderingContext2D} pen @param {number} ratio pixels of the canvas per pixel of the page @param {Controls} controls
 * @param {number} cooled 0 just fired, 1 ready @param {number} hit 1 a shot of ours has just hit, 0 long ago
 */
export function drawAim(pen, ratio, controls, cooled, hit) {
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (controls.usesTouch) {
    drawStick(pen, controls.left, 'rgba(220, 235, 240, 0.5)');
    drawStick(pen, controls.right, AMBER);
    return;
  }
  const { mouseX: x, mouseY: y } = controls;
  pen.lineCap = 'round';
  pen.strokeStyle = 'rgba(6, 9, 14, 0.7)';
  pen.lineWidth = 4;
  cross(pen, x, y);
  pen.strokeStyle = '#f4f8f8';
  pen.lineWidth = 1.75;
  cross(pen, x, y);
  pen.fillStyle = AMBER;
  pen.beginPath();
  pen.arc(x, y, 1.75, 0, FULL);
  pen.fill();
  if (hit > 0) drawHit(pen, x, y, hit);
  if (cooled >= 1) return;
  pen.strokeStyle = AMBER;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.arc(x, y, 15, -Math.PI / 2, -Math.PI / 2 + FULL * cooled);
  pen.stroke();
}

/** @param {CanvasRenderingContext2D} pen @param {number} x @param {number} y @param {number} hit */
function drawHit(pen, x, y, hit) {
  pen.globalAlpha = hit;
  pen.strokeStyle = '#ff6b5e';
  pen.lineWidth = 3;
  pen.beginPath();
  const [near, far] = [7, 10 + 6 * hit];
  for (const [toX, toY] of CORNERS) {
    pen.moveTo(x + toX * near, y + toY * near);
    pen.lineTo(x + toX * far, y + toY * far);
  }
  pen.stroke();
  pen.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} pen @param {number} x @param {number} y */
function cross(pen, x, y) {
  pen.beginPath();
  for (const [toX, toY] of WAYS) {
    pen.moveTo(x + toX * 5, y + toY * 5);
    pen.lineTo(x + toX * 11, y + toY * 11);
  }
  pen.stroke();
}

const WAYS = [[1, 0], [-1, 0], [0, 1], [0, -1]];
const CORNERS = [[1, 1], [-1, 1], [1, -1], [-1, -1]];

/** @param {CanvasRenderingContext2D} pen @param {import('./controls.js').Stick} stick @param {string} color */
function drawStick(pen, stick, color) {
  if (!stick.isHeld) return;
  pen.strokeStyle = color;
  pen.lineWidth = 2;
  pen.globalAlpha = 0.6;
  pen.beginPath();
  pen.arc(stick.fromX, stick.fromY, 46, 0, FULL);
  pen.stroke();
  pen.fillStyle = color;
  pen.beginPath();
  pen.arc(stick.x, stick.y, 20, 0, FULL);
  pen.fill();
  pen.globalAlpha = 1;
}

/** The whole arena, small, in a corner. */
export class MiniMap {
  constructor() {
    this.walls = new Path2D();
  }

  /** @param {import('./rules.js').Walls} walls */
  setWalls({ edges }) {
    this.walls = new Path2D();
    for (let at = 0; at < edges.length; at += 4) {
      this.walls.rect(edges[at] / SCALE, edges[at + 1] / SCALE, (edges[at + 2] - edges[at]) / SCALE, (edges[at + 3] - edges[at + 1]) / SCALE);
    }
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} ratio @param {Scene} scene @param {import('./camera.js').Camera} camera @param {number} width @param {number} left @param {number} top pixels of the page */
  draw(pen, ratio, scene, camera, width, left, top) {
    const { mapWidth, mapHeight } = camera;
    const scale = (width / mapWidth) * ratio;
    // Dots and lines are as big on the screen, whatever the map's size.
    const part = (mapWidth * SCALE) / ARENA_X;
    pen.setTransform(scale, 0, 0, scale, left * ratio, top * ratio);
    pen.fillStyle = 'rgba(9, 13, 20, 0.72)';
    pen.fillRect(0, 0, mapWidth, mapHeight);
    pen.fillStyle = 'rgba(120, 155, 185, 0.45)';
    pen.fill(this.walls);
    pen.strokeStyle = 'rgba(160, 200, 210, 0.3)';
    pen.lineWidth = 9 * part;
    pen.strokeRect(0, 0, mapWidth, mapHeight);
    pen.lineWidth = 6 * part;
    const [wide, high] = [camera.width / camera.scale, camera.height / camera.scale];
    pen.strokeStyle = 'rgba(220, 235, 240, 0.25)';
    const [from, over] = [Math.max(0, camera.x - wide / 2), Math.max(0, camera.y - high / 2)];
    pen.strokeRect(from, over, Math.min(mapWidth, camera.x + wide / 2) - from, Math.min(mapHeight, camera.y + high / 2) - over);
    const { players } = scene;
    for (let at = 0; at < players.count; at += 1) {
      const { x, y, hp, color, isMe } = players.items[at];
      if (hp === 0) continue;
      pen.fillStyle = color;
      pen.beginPath();
      pen.arc(x, y, (isMe ? 36 : 24) * part, 0, FULL);
      pen.fill();
    }
  }
}
