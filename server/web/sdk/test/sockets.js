// WebSockets without a network: the test is the server.

/** @typedef {import('../src/connection.js').Socket} Socket */

/** A type of sockets that remembers those that were made. */
export function sockets() {
  /** @type {Fake[]} */
  const made = [];
  /** @implements {Socket} */
  class Fake {
    /** @param {string} url @param {string | string[]} [protocols] */
    constructor(url, protocols) {
      this.url = url;
      this.protocols = protocols;
      this.binaryType = 'blob';
      this.readyState = 0;
      this.bufferedAmount = 0;
      /** @type {((event: any) => void) | null} */
      this.onopen = null;
      /** @type {((event: any) => void) | null} */
      this.onmessage = null;
      /** @type {((event: any) => void) | null} */
      this.onclose = null;
      /** @type {((event: any) => void) | null} */
      this.onerror = null;
      /** What the client said. @type {Uint8Array[]} */
      this.said = [];
      this.isClosed = false;
      made.push(this);
    }

    /** @param {any} data */
    send(data) {
      this.said.push(data);
    }

    close() {
      this.isClosed = true;
      this.readyState = 3;
    }

    // What the test does.

    open() {
      this.readyState = 1;
      this.onopen?.({});
    }

    /** @param {Uint8Array} bytes */
    says(bytes) {
      this.onmessage?.({ data: bytes.slice().buffer });
    }

    /** @param {number} code @param {string} [reason] */
    ends(code, reason = '') {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    }
  }
  return { made, Fake };
}
