// A WebSocket that is far away: what goes through it takes its time, in order, both ways.

import WebSocket from 'ws';

import { random } from './link.js';

/** A type of such sockets. @param {{ delay: number, jitter: number, seed: number }} options milliseconds each way */
export function delayed({ delay, jitter, seed }) {
  const draw = random(seed);
  const way = () => delay + (draw() * 2 - 1) * jitter;
  /** Does one thing after the other, each when its time has come. */
  const line = () => {
    let last = 0;
    /** @type {(() => void)[]} */
    const waiting = [];
    return (/** @type {() => void} */ act) => {
      last = Math.max(last, performance.now() + way());
      waiting.push(act);
      // A timer may overtake one that ends within the same millisecond; what it does is whatever comes next.
      setTimeout(() => waiting.shift()?.(), last - performance.now());
    };
  };
  return class Delayed {
    /** @param {string} url @param {string | string[]} [protocols] */
    constructor(url, protocols) {
      this.inner = new WebSocket(url, protocols, { perMessageDeflate: false });
      this.inner.binaryType = 'arraybuffer';
      this.binaryType = 'arraybuffer';
      const down = line();
      this.up = line();
      /** @type {((event: any) => void) | null} */
      this.onopen = null;
      /** @type {((event: any) => void) | null} */
      this.onmessage = null;
      /** @type {((event: any) => void) | null} */
      this.onclose = null;
      /** @type {((event: any) => void) | null} */
      this.onerror = null;
      this.inner.onopen = (event) => down(() => this.onopen?.(event));
      this.inner.onmessage = (event) => down(() => this.onmessage?.(event));
      this.inner.onclose = (event) => down(() => this.onclose?.(event));
      this.inner.onerror = () => {};
    }

    get readyState() {
      return this.inner.readyState;
    }

    get bufferedAmount() {
      return this.inner.bufferedAmount;
    }

    /** @param {Uint8Array} data */
    send(data) {
      this.up(() => this.inner.readyState === 1 && this.inner.send(data));
    }

    /** @param {number} [code] */
    close(code) {
      this.inner.close(code);
    }
  };
}
