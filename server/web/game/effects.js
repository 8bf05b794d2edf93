// What flies, glows and fades: particles, rings, and numbers that rise. Pools of fixed size; the oldest gives way, and
// nothing is allocated while playing. Pure.

const PARTICLES = 400;
const RINGS = 32;
const NUMBERS = 32;

export class Effects {
  constructor() {
    this.particles = Array.from({ length: PARTICLES }, () => ({ x: 0, y: 0, speedX: 0, speedY: 0, left: 0, life: 1, size: 1, color: '' }));
    this.rings = Array.from({ length: RINGS }, () => ({ x: 0, y: 0, from: 0, to: 0, left: 0, life: 1, color: '' }));
    this.numbers = Array.from({ length: NUMBERS }, () => ({ x: 0, y: 0, left: 0, life: 1, text: '', color: '' }));
    this.nextParticle = 0;
    this.nextRing = 0;
    this.nextNumber = 0;
    /** Without motion nothing flies; rings and numbers stay, for they tell something. */
    this.calm = false;
    this.random = Math.random;
  }

  /** Sparks that fly apart around a direction. @param {number} x @param {number} y @param {number} count @param {number} speed @param {string} color @param {number} [angle] radians @param {number} [spread] */
  burst(x, y, count, speed, color, angle = 0, spread = 2 * Math.PI) {
    if (this.calm) return;
    for (let made = 0; made < count; made += 1) {
      const particle = this.particles[this.nextParticle];
      this.nextParticle = (this.nextParticle + 1) % PARTICLES;
      const turn = angle + (this.random() - 0.5) * spread;
      const fast = speed * (0.25 + 0.75 * this.random());
      particle.x = x;
      particle.y = y;
      particle.speedX = Math.cos(turn) * fast;
      particle.speedY = Math.sin(turn) * fast;
      particle.life = particle.left = 0.18 + 0.34 * this.random();
      particle.size = 1 + 2.2 * this.random();
      particle.color = color;
    }
  }

  /** @param {number} x @param {number} y @param {number} from radius @param {number} to radius @param {number} life seconds @param {string} color */
  ring(x, y, from, to, life, color) {
    const ring = this.rings[this.nextRing];
    this.nextRing = (this.nextRing + 1) % RINGS;
    ring.x = x;
    ring.y = y;
    ring.from = from;
    ring.to = to;
    ring.life = ring.left = life;
    ring.color = color;
  }

  /** @param {number} x @param {number} y @param {string} text @param {string} color */
  number(x, y, text, color) {
    const number = this.numbers[this.nextNumber];
    this.nextNumber = (this.nextNumber + 1) % NUMBERS;
    number.x = x + (this.random() - 0.5) * 14;
    number.y = y;
    number.life = number.left = 0.8;
    number.text = text;
    number.color = color;
  }

  /** @param {number} seconds */
  update(seconds) {
    const slower = Math.exp(-seconds * 5);
    for (const particle of this.particles) {
      if (particle.left <= 0) continue;
      particle.left -= seconds;
      particle.x += particle.speedX * seconds;
      particle.y += particle.speedY * seconds;
      particle.speedX *= slower;
      particle.speedY *= slower;
    }
    for (const ring of this.rings) if (ring.left > 0) ring.left -= seconds;
    for (const number of this.numbers) {
      if (number.left <= 0) continue;
      number.left -= seconds;
      number.y -= 34 * seconds * (number.left / number.life);
    }
  }

  clear() {
    for (const each of [...this.particles, ...this.rings, ...this.numbers]) each.left = 0;
  }
}
