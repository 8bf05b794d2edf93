// What players say to each other: docs/wire.md, section 2.4. What was said here is kept until it is heard, because
// whoever should have passed it on may be gone; and of what is heard it is known which lines are new.

import { CHAT_LINES_MAX } from './limits.js';
import * as message from './message.js';

/** Whom a line is for. @typedef {'everyone' | 'team'} To */

/**
 * Something that was said. It is text: whoever shows it as markup escapes it.
 * @typedef {object} Line
 * @property {number} number its place in the match's chat; what was said to a team that is not ours is left out
 * @property {number} tick that it was said with
 * @property {number} player who said it
 * @property {string} name what that player was called then
 * @property {string} text
 * @property {To} to
 */

/** Lines that are kept until they are heard; of more the oldest is given up. A server takes as many at once. */
const SAID_MAX = 5;

/** The chat of one player, or of one who looks on. */
export class Talk {
  /** @param {import('./message.js').Join} join */
  constructor(join) {
    const isReturning = join.kind === 'resume';
    this.lastSeq = isReturning ? join.said ?? 0 : 0;
    /** On a resumed connection what was said before is still to come; then we say again what was not heard. */
    this.waits = isReturning;
    /** @type {{ seq: number, to: To, text: string }[]} */
    this.kept = [];
    /** The last lines, by ascending number. @type {Line[]} */
    this.lines = [];
  }

  /** Numbers what is said, and keeps it. @param {To} to @param {string} text */
  say(to, text) {
    this.lastSeq += 1;
    const said = { seq: this.lastSeq, to, text };
    this.kept.push(said);
    if (this.kept.length > SAID_MAX) this.kept.shift();
    return said;
  }

  /** Those of these lines that are new. Our own need not be said again. @param {message.ChatLine[]} told @param {number | null} me */
  hear(told, me) {
    for (const { from, seq } of told) if (from === me) this.heard(seq);
    const last = this.lines.at(-1)?.number ?? 0;
    const lines = told.filter(({ number }) => number > last).map(asLine);
    this.lines.push(...lines);
    this.lines.splice(0, this.lines.length - CHAT_LINES_MAX);
    return lines;
  }

  /** This, and what was said before it, was heard. @param {number} seq */
  heard(seq) {
    this.lastSeq = Math.max(this.lastSeq, seq);
    this.kept = this.kept.filter((said) => said.seq > seq);
  }

  /** This alone is not said; what it was, if it is still known. @param {number} seq */
  refused(seq) {
    const said = this.kept.find((each) => each.seq === seq);
    this.kept = this.kept.filter((each) => each !== said);
    return said?.text ?? '';
  }

  /** Lines of later ticks were not said, and others may get their numbers. @param {number} tick */
  setBack(tick) {
    this.lines = this.lines.filter((line) => line.tick <= tick);
  }

  /** What was not heard, to be said again. */
  again() {
    return this.kept.map(({ seq, to, text }) => message.chat(seq, to, text));
  }
}

/** @param {message.ChatLine} told @returns {Line} */
function asLine({ number, tick, from, team, name, text }) {
  return { number, tick, player: from, name, text, to: team === 0 ? 'everyone' : 'team' };
}

/** The chat of a match, as a page sees it. */
export class Chat {
  /** @param {import('./match.js').Match} match */
  constructor(match) {
    this.match = match;
  }

  /** The last lines that were said, at most 64; the event `chat` tells each that is new. */
  get lines() {
    return this.match.client.talk.lines;
  }

  /**
   * Says something; it is heard when the event `chat` tells it, or refused with `chat-refused`. Returns its number; 0 if
   * nothing can be said: before the match has been joined, and by whoever looks on.
   * @param {string} text 1 to 240 bytes @param {To} [to] whom it is for
   */
  send(text, to = 'everyone') {
    const seq = this.match.client.say(to, text);
    this.match.transport.flush();
    return seq;
  }
}
