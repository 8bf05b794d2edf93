// Pictures that are drawn once and copied often: names, glows and the dots of the floor. Each is made for the present
// pixel ratio.

/** @typedef {{ image: HTMLCanvasElement, width: number, height: number }} Sprite */

const NAMES_MAX = 256;

export class Sprites {
  constructor() {
    this.ratio = 1;
    /** @type {Map<string, Sprite>} */
    this.texts = new Map();
    /** @type {Map<string, Sprite>} */
    this.glows = new Map();
  }

  /** @param {number} ratio */
  resize(ratio) {
    if (ratio === this.ratio) return;
    this.ratio = ratio;
    this.texts.clear();
    this.glows.clear();
  }

  /** A line of text with a dark edge. @param {string} text @param {string} color @param {number} size @param {number} [weight] */
  text(text, color, size, weight = 600) {
    const key = `${size}${color}${text}`;
    const known = this.texts.get(key);
    if (known !== undefined) return known;
    if (this.texts.size >= NAMES_MAX) this.texts.clear();
    const font = `${weight} ${size}px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif`;
    const probe = canvas(1, 1);
    probe.pen.font = font;
    const width = Math.ceil(probe.pen.measureText(text).width) + 8;
    const height = Math.ceil(size * 1.5);
    const { image, pen } = canvas(width * this.ratio, height * this.ratio);
    pen.scale(this.ratio, this.ratio);
    pen.font = font;
    pen.textAlign = 'center';
    pen.textBaseline = 'middle';
    pen.lineJoin = 'round';
    pen.lineWidth = 3;
    pen.strokeStyle = 'rgba(6, 9, 14, 0.85)';
    pen.strokeText(text, width / 2, height / 2);
    pen.fillStyle = color;
    pen.fillText(text, width / 2, height / 2);
    const sprite = { image, width, height };
    this.texts.set(key, sprite);
    return sprite;
  }

  /** A soft round light. @param {string} color a hex colour of six digits @param {number} radius */
  glow(color, radius) {
    const key = `${radius}${color}`;
    const known = this.glows.get(key);
    if (known !== undefined) return known;
    const { image, pen } = canvas(radius * 2 * this.ratio, radius * 2 * this.ratio);
    pen.scale(this.ratio, this.ratio);
    const light = pen.createRadialGradient(radius, radius, 0, radius, radius, radius);
    light.addColorStop(0, `${color}88`);
    light.addColorStop(0.4, `${color}33`);
    light.addColorStop(1, `${color}00`);
    pen.fillStyle = light;
    pen.fillRect(0, 0, radius * 2, radius * 2);
    const sprite = { image, width: radius * 2, height: radius * 2 };
    this.glows.set(key, sprite);
    return sprite;
  }
}

/** @param {number} width @param {number} height */
function canvas(width, height) {
  const image = document.createElement('canvas');
  image.width = Math.max(1, Math.ceil(width));
  image.height = Math.max(1, Math.ceil(height));
  const pen = image.getContext('2d');
  if (pen === null) throw new Error('this browser draws no canvas');
  return { image, pen };
}
