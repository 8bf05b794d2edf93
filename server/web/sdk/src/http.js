// The HTTP API of a node: docs/wire.md, section 13.

/**
 * @typedef {object} MatchInfo
 * @property {string} id
 * @property {string} game
 * @property {number} players
 * @property {number} players_max
 * @property {number} tick_rate
 * @property {number} tick
 * @property {string} owner
 * @property {number | null} committed_ms
 * @property {number} [epoch]
 * @property {number} [created_ms]
 * @property {Record<string, number>} [options]
 */

/** @typedef {{ game?: string, id?: string, tick_rate?: number, options?: Record<string, number>,
 *   access?: 'open' | 'ticket', spectators?: boolean }} NewMatch */

export class Api {
  /** @param {string} base for example `http://127.0.0.1:7777` @param {typeof globalThis.fetch} [fetch] */
  constructor(base, fetch = globalThis.fetch) {
    this.base = base;
    this.fetch = fetch;
  }

  /** Names of the node's games. @returns {Promise<string[]>} */
  async games() {
    return (await this.ask('games')).games;
  }

  /** Every match of the cluster. @returns {Promise<MatchInfo[]>} */
  async matches() {
    return (await this.ask('matches')).matches;
  }

  /** @param {string} id @returns {Promise<MatchInfo>} */
  matchInfo(id) {
    return this.ask(`matches/${encodeURIComponent(id)}`);
  }

  /** @param {NewMatch} [match] @returns {Promise<MatchInfo>} */
  createMatch(match = {}) {
    return this.ask('matches', { method: 'POST', body: JSON.stringify(match) });
  }

  /** @param {string} path @param {RequestInit} [request] @returns {Promise<any>} */
  async ask(path, request) {
    const { fetch } = this;
    const answer = await fetch(`${this.base}/v1/${path}`, request);
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    throw Object.assign(new Error(told.error ?? `status ${answer.status}`), { status: answer.status });
  }
}
