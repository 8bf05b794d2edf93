// A TCP link that delays, varies, stalls and cuts, between a client and a node. Bytes keep their order.

import { connect, createServer } from "node:net";

/** Numbers from a seed: mulberry32. */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A link to a port of this machine. Times are milliseconds and hold for one direction. */
export class Link {
  #server;
  #sockets = new Set();
  #stalledUntil = 0;
  #random;

  /**
   * @param {number} port
   * @param {{ delay?: number, jitter?: number, seed?: number }} [options]
   */
  static async open(port, { delay = 0, jitter = 0, seed = 1 } = {}) {
    const link = new Link();
    Object.assign(link, { target: port, delay, jitter, carried: 0, held: 0 });
    link.#random = generator(seed);
    link.#server = createServer({ noDelay: true }, (near) => link.#carry(near));
    await new Promise((resolve) => link.#server.listen(0, "127.0.0.1", resolve));
    link.port = link.#server.address().port;
    return link;
  }

  /** Where a client connects to. */
  get url() {
    return `ws://127.0.0.1:${this.port}/ws`;
  }

  #carry(near) {
    const far = connect({ port: this.target, host: "127.0.0.1", noDelay: true });
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => { this.#sockets.delete(from); to.destroy(); });
      this.#pipe(from, to);
    }
  }

  #pipe(from, to) {
    const waiting = [];
    let timer = null;
    let last = 0;
    const flush = () => {
      timer = null;
      const now = performance.now();
      while (waiting.length > 0 && waiting[0].at <= now) {
        const { chunk } = waiting.shift();
        this.carried += chunk.length;
        if (!to.destroyed) to.write(chunk);
      }
      if (waiting.length > 0) timer = setTimeout(flush, Math.max(0, waiting[0].at - performance.now()));
    };
    from.on("data", (chunk) => {
      const now = performance.now();
      const vary = this.jitter * (2 * this.#random() - 1);
      // No byte overtakes another, and none arrives while the link stalls.
      last = Math.max(last, now + Math.max(0, this.delay + vary), this.#stalledUntil);
      if (this.#stalledUntil > now) this.held += chunk.length;
      waiting.push({ at: last, chunk });
      if (timer === null) timer = setTimeout(flush, Math.max(0, waiting[0].at - now));
    });
  }

  /** Nothing arrives for so long. */
  stall(ms) {
    this.#stalledUntil = performance.now() + ms;
  }

  /** Cuts every connection that leads over the link. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close() {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
