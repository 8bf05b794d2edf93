// tickcast for browsers and Node: join a match, follow it, play in it. See the README beside this folder.

import { Connection, socketType } from './connection.js';
import { Api } from './http.js';
import { Match } from './match.js';
import { COUNT_LOST } from './message.js';

export { Broken } from './broken.js';
export { Match } from './match.js';
export { Entities } from './entities.js';
export { Schema } from './schema.js';
export { Replica } from './replica.js';
export { Client } from './client.js';
export { Prediction } from './netcode/prediction.js';

/** @typedef {import('./message.js').Join} Join */

/** @typedef {import('./connection.js').Tickets} Tickets */

/**
 * @typedef {object} Options
 * @property {string | string[]} [url] of a node or of several, for example `ws://127.0.0.1:7777/ws`; on a page of a
 *   node that node by default
 * @property {string} [name] of the player
 * @property {Tickets} [ticket] who may join, said by the game's backend; a function is asked for each that is needed
 * @property {import('./connection.js').SocketType} [WebSocket]
 * @property {typeof globalThis.fetch} [fetch]
 * @property {number} [reconnectMs] for how long to try to come back after a loss; 0 never tries
 */

/** A match could not be joined, or is over before it was. */
export class Closed extends Error {
  /** @param {number} code of docs/wire.md, section 9.2 @param {string} text */
  constructor(code, text) {
    super(text);
    this.name = 'Closed';
    this.code = code;
  }
}

/** A server, or the cluster that it belongs to. */
export class Tickcast extends Api {
  /** @param {Options} [options] */
  constructor(options = {}) {
    const urls = [options.url ?? []].flat().map(socketUrl);
    if (urls.length === 0) urls.push(socketUrl(globalThis.location?.href ?? 'http://127.0.0.1:7777'));
    super(urls[0].replace(/^ws/, 'http').replace(/\/ws$/, ''), options.fetch);
    this.urls = urls;
    this.options = options;
    socketType(options.WebSocket);
  }

  /** Plays any match of a game that has a place, or a new one. @param {{ game?: string, name?: string }} [options] */
  quickPlay({ game = '', name } = {}) {
    return this.enter({ kind: 'quick', game }, name);
  }

  /** Plays this match. @param {string} matchId @param {{ name?: string }} [options] */
  join(matchId, { name } = {}) {
    return this.enter({ kind: 'match', matchId }, name);
  }

  /** Watches this match. @param {string} matchId @param {{ name?: string }} [options] */
  spectate(matchId, { name } = {}) {
    return this.enter({ kind: 'spectate', matchId }, name);
  }

  /** Goes on as the player of a `match.seat`. @param {string} kept */
  resume(kept) {
    const { matchId, player, token } = JSON.parse(kept);
    const seat = { matchId, player, token: Uint8Array.from(token) };
    const shown = { fence: { epoch: 0n, nonce: 0n }, tick: 0 };
    // The page before this one has counted its lines: one per second at most, but for a few that are in the history.
    const said = Math.floor(Date.now() / 1000);
    return this.enter({ kind: 'resume', seat, shown, attempt: COUNT_LOST, said });
  }

  /** @param {Join} join @param {string} [name] @returns {Promise<Match>} once the state is there */
  enter(join, name = this.options.name ?? '') {
    const match = new Match(name, join, () => performance.now());
    return new Promise((resolve, reject) => {
      const entered = match.on('change', () => {
        entered();
        refused();
        resolve(match);
      });
      const refused = match.on('close', (code, text) => reject(new Closed(code, text)));
      const { WebSocket, reconnectMs, ticket } = this.options;
      new Connection(match, { urls: this.urls, WebSocket, reconnectMs, ticket });
    });
  }
}

/** @param {string} url of a node, with http or ws */
function socketUrl(url) {
  const { protocol, host, pathname } = new URL(url);
  const path = pathname.endsWith('/ws') ? pathname : '/ws';
  return `${protocol.replace('http', 'ws')}//${host}${path}`;
}
