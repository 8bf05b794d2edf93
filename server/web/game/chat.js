// What players say to each other. The panel is there when the match has a chat: `match.chat.send(text, to)` and the event
// `chat`, told with a line.

import { element, make } from './element.js';

/** @typedef {import('../sdk/src/index.js').Match} Match */
/** @typedef {{ number: number, name?: string, player?: number, text: string, to?: string }} Line */
/** What a match with a chat has. @typedef {{ chat?: { send(text: string, to?: string): unknown }, on(event: string, listener: (line: Line) => void): () => void }} Talking */

const LINES = 60;

export class Chat {
  constructor() {
    this.panel = element('talk', HTMLElement);
    this.log = element('chat-log', HTMLOListElement);
    this.text = element('chat-text', HTMLInputElement);
    /** @type {Talking | null} */
    this.match = null;
    element('chat', HTMLFormElement).onsubmit = (event) => {
      event.preventDefault();
      this.say();
    };
    this.text.onkeydown = (event) => {
      if (event.code === 'Escape') this.text.blur();
    };
  }

  /** @param {Match} match */
  begin(match) {
    const talking = /** @type {Talking} */ (/** @type {unknown} */ (match));
    this.log.replaceChildren();
    this.match = talking.chat === undefined ? null : talking;
    this.panel.hidden = this.match === null;
    this.match?.on('chat', (line) => this.add(line));
  }

  open() {
    if (this.match !== null) this.text.focus();
    return this.match !== null;
  }

  /** A line for the own team begins with `/team`. */
  say() {
    const text = this.text.value.trim();
    const team = text.startsWith('/team ');
    if (text !== '') this.match?.chat?.send(team ? text.slice(6) : text, team ? 'team' : 'all');
    this.text.value = '';
    this.text.blur();
  }

  /** @param {Line} line */
  add(line) {
    const item = make('li', line.to === 'team' ? 'team' : '');
    item.dataset.number = String(line.number);
    item.append(make('b', '', line.name || 'somebody'), `: ${line.text}`);
    this.log.append(item);
    while (this.log.children.length > LINES) this.log.firstElementChild?.remove();
  }
}
