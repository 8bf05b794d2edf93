// A slow line in the page, to see what players far away see: delays, varies and stalls what goes over a WebSocket, both
// ways, and keeps its order. `Lane` is pure.

/** A stall begins this often, milliseconds. */
const STALL_EVERY_MS = 5_000;

/** What the line is like, for one direction; milliseconds. */
export class Line {
  constructor() {
    this.delay = 0;
    this.jitter = 0;
    this.stall = 0;
  }
}

/** One direction: when what is sent now arrives. */
export class Lane {
  /** @param {Line} line @param {() => number} random from 0 to 1 */
  constructor(line, random) {
    this.line = line;
    this.random = random;
    this.last = 0;
  }

  /** @param {number} now */
  arrival(now) {
    const { delay, jitter, stall } = this.line;
    let at = now + Math.max(0, delay + jitter * (2 * this.random() - 1));
    // While the line stalls nothing arrives.
    const into = at % STALL_EVERY_MS;
    if (into < stall) at += stall - into;
    this.last = Math.max(this.last, at);
    return this.last;
  }
}

/** Does things when they are due, in their order. */
class Queue {
  /** @param {Lane} lane */
  constructor(lane) {
    this.lane = lane;
    /** @type {{ at: number, act: () => void }[]} */
    this.waiting = [];
    this.timer = 0;
  }

  /** @param {() => void} act */
  pass(act) {
    const now = performance.now();
    const at = this.lane.arrival(now);
    if (this.waiting.length === 0 && at <= now) {
      act();
      return;
    }
    this.waiting.push({ at, act });
    if (this.timer === 0) this.wake();
  }

  wake() {
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      const now = performance.now();
      while (this.waiting.length > 0 && this.waiting[0].at <= now) this.waiting.shift()?.act();
      if (this.waiting.length > 0 && this.timer === 0) this.wake();
    }, Math.max(0, this.waiting[0].at - performance.now()));
  }
}

/** A type of WebSockets that lead over this line. @param {Line} line */
export function socketsOver(line) {
  return class SlowSocket {
    /** @param {string} url @param {string | string[]} [protocols] */
    constructor(url, protocols) {
      this.socket = new WebSocket(url, protocols);
      /** @type {((event: any) => void) | null} */
      this.onopen = null;
      /** @type {((event: any) => void) | null} */
      this.onmessage = null;
      /** @type {((event: any) => void) | null} */
      this.onclose = null;
      /** @type {((event: any) => void) | null} */
      this.onerror = null;
      this.up = new Queue(new Lane(line, Math.random));
      const down = new Queue(new Lane(line, Math.random));
      this.socket.onopen = (event) => down.pass(() => this.onopen?.(event));
      this.socket.onmessage = (event) => down.pass(() => this.onmessage?.(event));
      this.socket.onclose = (event) => down.pass(() => this.onclose?.(event));
      this.socket.onerror = (event) => down.pass(() => this.onerror?.(event));
    }

    get binaryType() {
      return this.socket.binaryType;
    }

    set binaryType(type) {
      this.socket.binaryType = /** @type {BinaryType} */ (type);
    }

    get readyState() {
      return this.socket.readyState;
    }

    get bufferedAmount() {
      return this.socket.bufferedAmount;
    }

    /** @param {any} data */
    send(data) {
      this.up.pass(() => {
        if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data);
      });
    }

    /** @param {number} [code] @param {string} [reason] */
    close(code, reason) {
      this.up.pass(() => this.socket.close(code, reason));
    }
  };
}
