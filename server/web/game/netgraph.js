// The netgraph: the figures of the connection, drawn over time, and the switches to make it worse.

import { element, say } from './element.js';
import { rate } from './words.js';

const SAMPLES = 130;
const SAMPLE_MS = 100;
const FIGURES_MS = 250;
/** Height of the graph, milliseconds at least. */
const HIGH_MS = 120;

/** @typedef {ReturnType<import('../sdk/src/index.js').Match['metrics']>} Metrics */

export class Netgraph {
  /** @param {import('./sim.js').Line} line */
  constructor(line) {
    this.panel = element('netgraph', HTMLElement);
    this.toggleButton = element('netgraph-toggle', HTMLButtonElement);
    this.light = element('net-light', HTMLElement);
    this.canvas = element('graph', HTMLCanvasElement);
    this.pen = this.canvas.getContext('2d');
    this.width = 0;
    this.height = 0;
    /** @type {Map<string, HTMLElement>} */
    this.figures = new Map();
    for (const figure of this.panel.querySelectorAll('[data-metric]')) {
      if (figure instanceof HTMLElement && figure.dataset.metric !== undefined) this.figures.set(figure.dataset.metric, figure);
    }
    this.rtts = new Float64Array(SAMPLES);
    this.buffers = new Float64Array(SAMPLES);
    this.marks = new Uint8Array(SAMPLES);
    this.next = 0;
    this.sampled = 0;
    this.figured = 0;
    this.corrections = 0;
    this.stalls = 0;
    this.toggleButton.onclick = () => this.toggle();
    for (const name of /** @type {const} */ (['delay', 'jitter', 'stall'])) {
      const input = element(`sim-${name}`, HTMLInputElement);
      input.value = String(line[name]);
      input.oninput = () => {
        line[name] = Math.min(Math.max(Number(input.value) || 0, 0), Number(input.max));
      };
    }
  }

  toggle() {
    this.panel.hidden = !this.panel.hidden;
    this.toggleButton.setAttribute('aria-expanded', String(!this.panel.hidden));
  }

  /** Fits the graph to its place on the page. */
  resize() {
    const { canvas } = this;
    if (canvas.clientWidth === this.width && canvas.clientHeight === this.height) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    canvas.width = this.width * ratio;
    canvas.height = this.height * ratio;
    this.pen?.scale(ratio, ratio);
  }

  /** @param {import('../sdk/src/index.js').Match} match @param {import('./frames.js').Frames} frames @param {number} now */
  update(match, frames, now) {
    if (now - this.sampled < SAMPLE_MS) return;
    this.sampled = now;
    const metrics = match.metrics();
    this.sample(metrics, match.isStalled);
    if (now - this.figured >= FIGURES_MS) {
      this.figured = now;
      this.tell(metrics, frames);
      const bad = match.isStalled || metrics.stallsPerMinute > 6 || metrics.rttMs > 300;
      this.light.dataset.health = bad ? 'bad' : metrics.rttMs > 150 || metrics.jitterMs > 40 ? 'poor' : 'good';
    }
    if (!this.panel.hidden) this.draw();
  }

  /** @param {Metrics} metrics @param {boolean} stalled */
  sample(metrics, stalled) {
    this.rtts[this.next] = metrics.rttMs;
    this.buffers[this.next] = metrics.bufferMs;
    const corrected = metrics.correctionsPerSecond > this.corrections;
    this.marks[this.next] = stalled ? 2 : corrected ? 1 : 0;
    this.corrections = metrics.correctionsPerSecond;
    this.next = (this.next + 1) % SAMPLES;
  }

  /** @param {Metrics} metrics @param {import('./frames.js').Frames} frames */
  tell(metrics, frames) {
    const ms = (/** @type {number} */ value) => `${value.toFixed(0)} ms`;
    this.figure('rtt', ms(metrics.rttMs), metrics.rttMs > 300);
    this.figure('jitter', ms(metrics.jitterMs), metrics.jitterMs > 60);
    this.figure('buffer', ms(metrics.bufferMs), metrics.bufferMs < 0);
    this.figure('tickrate', `${metrics.tickRate.toFixed(1)}/s`, false);
    this.figure('bytes', rate(metrics.bytesPerSecond), false);
    this.figure('corrections', `${metrics.correctionsPerSecond.toFixed(1)}/s`, metrics.correctionsPerSecond > 2);
    this.figure('stalls', `${metrics.stallsPerMinute.toFixed(0)}/min`, metrics.stallsPerMinute > 6);
    this.figure('desyncs', String(metrics.desyncs), metrics.desyncs > 0);
    const script = frames.p95();
    this.figure('script', `${script.toFixed(1)} ms`, script > 8);
    this.figure('lead', `${metrics.inputLeadTicks.toFixed(1)} ticks`, false);
  }

  /** @param {string} name @param {string} text @param {boolean} bad */
  figure(name, text, bad) {
    const figure = this.figures.get(name);
    if (figure === undefined) return;
    say(figure, text);
    figure.classList.toggle('bad', bad);
  }

  draw() {
    this.resize();
    const { pen, width, height } = this;
    if (pen === null) return;
    pen.clearRect(0, 0, width, height);
    let most = HIGH_MS;
    for (const value of this.rtts) most = Math.max(most, value * 1.15);
    const step = width / SAMPLES;
    for (let at = 0; at < SAMPLES; at += 1) {
      const slot = (this.next + at) % SAMPLES;
      const x = at * step;
      if (this.marks[slot] !== 0) {
        pen.fillStyle = this.marks[slot] === 2 ? '#ff6b5e55' : '#ffc35a44';
        pen.fillRect(x, 0, step, height);
      }
      const buffer = this.buffers[slot];
      pen.fillStyle = buffer < 0 ? '#ff6b5e' : '#2f6f7a';
      const high = (Math.abs(buffer) / most) * height;
      pen.fillRect(x, height - high, step - 0.4, high);
    }
    this.trace(most, step);
    pen.fillStyle = '#8da1ab';
    pen.font = '10px system-ui, sans-serif';
    pen.fillText(`${Math.round(most)} ms`, 4, 11);
    pen.fillStyle = '#5ef2c0';
    pen.fillText('RTT', width - 62, 11);
    pen.fillStyle = '#4fa3b0';
    pen.fillText('buffer', width - 36, 11);
  }

  /** @param {number} most @param {number} step */
  trace(most, step) {
    const { pen, height } = this;
    if (pen === null) return;
    pen.strokeStyle = '#5ef2c0';
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (let at = 0; at < SAMPLES; at += 1) {
      const y = height - (this.rtts[(this.next + at) % SAMPLES] / most) * height;
      if (at === 0) pen.moveTo(0, y);
      else pen.lineTo(at * step, y);
    }
    pen.stroke();
  }
}
