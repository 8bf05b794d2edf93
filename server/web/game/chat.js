// What players say to each other: the panel with the last lines and the box to type in. All of it is text, never markup.

import { element, make } from './element.js';
import { wordsOfRefusal } from './words.js';

/** @typedef {import('../sdk/src/index.js').Match} Match */
/** @typedef {import('../sdk/src/chat.js').Line} Line */

const LINES = 60;
/** A line for the own team begins with it. */
const TEAM = '/team ';

export class Chat {
  constructor() {
    this.panel = element('talk', HTMLElement);
    this.log = element('chat-log', HTMLOListElement);
    this.form = element('chat', HTMLFormElement);
    this.text = element('chat-text', HTMLInputElement);
    /** @type {Match | null} */
    this.match = null;
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.say();
    };
    this.text.onkeydown = (event) => {
      if (event.code === 'Escape') this.text.blur();
    };
  }

  /** @param {Match} match */
  begin(match) {
    const ours = (/** @type {() => void} */ act) => {
      if (this.match === match) act();
    };
    this.match = match;
    this.panel.hidden = false;
    // Who looks on listens.
    this.form.hidden = match.player === null;
    this.text.value = '';
    this.show();
    match.on('chat', (line) => ours(() => this.add(line)));
    match.on('chat-refused', (reason, text) => ours(() => this.refused(reason, text)));
    match.on('reset', () => ours(() => this.show()));
  }

  /** All that was said so far. */
  show() {
    this.log.replaceChildren();
    this.match?.chat.lines.forEach((line) => this.add(line));
  }

  /** Whether there is something to open. */
  open() {
    if (this.form.hidden) return false;
    this.text.focus();
    return true;
  }

  say() {
    const text = this.text.value.trim();
    const team = text.startsWith(TEAM);
    if (text !== '') this.match?.chat.send(team ? text.slice(TEAM.length) : text, team ? 'team' : 'everyone');
    this.text.value = '';
    this.text.blur();
  }

  /** @param {Line} line */
  add(line) {
    const item = make('li', line.to === 'team' ? 'team' : '');
    item.dataset.number = String(line.number);
    item.append(make('b', '', line.name || 'somebody'), `: ${line.text}`);
    this.append(item);
  }

  /** What was not said is told why, and is there to be said again. @param {Parameters<typeof wordsOfRefusal>[0]} reason @param {string} text */
  refused(reason, text) {
    this.append(make('li', 'refused', wordsOfRefusal(reason)));
    if (this.text.value === '') this.text.value = text;
  }

  /** @param {HTMLElement} item */
  append(item) {
    this.log.append(item);
    while (this.log.children.length > LINES) this.log.firstElementChild?.remove();
  }
}
