// The picture of a match: every entity that has a place, in its kind's colour, to the scale of the schema's bounds.

import { byId, count, el, keyed, mark, say } from "./dom.js";

const COLOURS = 8;
const hidden = new Set();
let last = null;

/** The name of a kind's colour in the style sheet. */
const colourOf = (index) => `--kind-${(index % COLOURS) + 1}`;

/** What the bounds of all kinds span: left, top, right, bottom. */
function bounds(kinds) {
  const low = (axis) => Math.min(...kinds.map((kind) => kind[axis][0]));
  const high = (axis) => Math.max(...kinds.map((kind) => kind[axis][1]));
  return [low("x"), low("y"), high("x"), high("y")];
}

/** Width by height, as far as a page takes it. */
function shape(kinds) {
  const [left, top, right, bottom] = bounds(kinds);
  return Math.min(Math.max((right - left) / Math.max(bottom - top, 1), 0.6), 2.5);
}

function fit(kinds, width, height) {
  const [left, top, right, bottom] = bounds(kinds);
  const scale = Math.min(width / Math.max(right - left, 1), height / Math.max(bottom - top, 1));
  const spare = [(width - (right - left) * scale) / 2, (height - (bottom - top) * scale) / 2];
  return { left, top, right, bottom, scale, x: (x) => spare[0] + (x - left) * scale, y: (y) => spare[1] + (y - top) * scale };
}

function drawKind(context, view, kind, colour, unit) {
  context.fillStyle = colour;
  const radius = Math.max(1.5, (kind.count > 300 ? 2 : 3.5) * unit);
  for (const [, x, y, width, height] of kind.points) {
    if (width > 0 && height > 0) {
      context.fillRect(view.x(x), view.y(y), width * view.scale, height * view.scale);
      continue;
    }
    context.beginPath();
    context.arc(view.x(x), view.y(y), radius, 0, 2 * Math.PI);
    context.fill();
  }
}

function draw() {
  const canvas = byId("picture");
  const context = canvas.getContext("2d");
  const unit = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * unit), Math.round(canvas.clientHeight * unit)];
  if (width === 0 || height === 0) return;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  context.clearRect(0, 0, width, height);
  if (!last || last.kinds.length === 0) return;
  const style = getComputedStyle(canvas);
  const view = fit(last.kinds, width, height);
  context.fillStyle = style.getPropertyValue("--field");
  context.fillRect(view.x(view.left), view.y(view.top), (view.right - view.left) * view.scale, (view.bottom - view.top) * view.scale);
  // What is large lies below what is small.
  const layers = last.kinds.map((kind, index) => ({ kind, index })).sort((a, b) => (b.kind.points[0]?.[3] ?? 0) - (a.kind.points[0]?.[3] ?? 0));
  for (const { kind, index } of layers) {
    if (!hidden.has(kind.name)) drawKind(context, view, kind, style.getPropertyValue(colourOf(index)), unit);
  }
}

function toggle(name) {
  if (!hidden.delete(name)) hidden.add(name);
  showLegend();
  draw();
}

function showLegend() {
  const create = (kind) => {
    const button = el("button", { type: "button", "data-kind": kind.name }, el("i", {}), el("span", {}));
    button.addEventListener("click", () => toggle(kind.name));
    return button;
  };
  const kinds = last?.kinds ?? [];
  keyed(byId("legend"), kinds, (kind) => kind.name, create, (button, kind) => {
    button.firstChild.style.setProperty("background", `var(${colourOf(kinds.indexOf(kind))})`);
    mark(button, "aria-pressed", String(!hidden.has(kind.name)));
    say(button.lastChild, `${kind.name} ${count(kind.count)}`);
  });
}

/** Shows the answer of `/v1/matches/ID/map`; null clears the picture. */
export function showPicture(map) {
  last = map;
  if (map?.kinds.length) byId("picture").style.setProperty("aspect-ratio", String(shape(map.kinds)));
  showLegend();
  draw();
  const told = (map?.kinds ?? []).map((kind) => `${kind.count} ${kind.name}`).join(", ");
  mark(byId("picture"), "aria-label", told ? `Places at tick ${map.tick}: ${told}` : "No entity of this match has a place");
}

/** Draws again when the size or the colours change. */
export function setUpPicture() {
  new ResizeObserver(draw).observe(byId("picture"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
