// What lies over the arena as text: time, scores, health, who got whom, the round's end.

import { element, make, say } from './element.js';
import { HP_MAX } from './rules.js';
import { clock, countdown } from './words.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Body} Body */

/** Rows that are shown without asking for all, on a large screen and a small one. */
const ROWS = 8;
const ROWS_SMALL = 4;
const FEED_ROWS = 5;
const FEED_MS = 5_000;
const SOON_SECONDS = 10;
const PRAISE_MS = 1_600;

/** A row of the scores. */
class Row {
  constructor() {
    this.item = document.createElement('li');
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 10 10');
    this.dot = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
    for (const [name, value] of [['cx', '5'], ['cy', '5'], ['r', '5']]) this.dot.setAttribute(name, value);
    svg.append(this.dot);
    this.who = make('span', 'who');
    this.deaths = make('span', 'deaths');
    this.points = make('span', 'points');
    this.deaths.title = 'deaths';
    this.item.append(svg, this.who, this.deaths, this.points);
    this.shown = '';
  }

  /** @param {Body} body @param {string} places classes that tell how important the row is @param {boolean} followed */
  set(body, places, followed) {
    const { isMe, isBot, hp, player, color, name, score, deaths } = body;
    const classes = `${isMe ? 'me' : ''} ${isBot ? 'bot' : ''} ${hp === 0 ? 'down' : ''} ${followed ? 'followed' : ''} ${places}`;
    const shown = `${classes}|${player}|${color}|${name}|${score}|${deaths}`;
    if (shown === this.shown) return;
    this.shown = shown;
    this.item.className = classes;
    this.item.dataset.player = String(player);
    this.dot.setAttribute('fill', color);
    say(this.who, name || `player ${player % 1_000}`);
    say(this.deaths, String(deaths));
    say(this.points, String(score));
  }
}

export class Hud {
  /** @param {(player: number) => void} follow told which player of the scores was chosen */
  constructor(follow) {
    this.round = element('round', HTMLElement);
    this.time = element('time', HTMLElement);
    this.scores = element('scores', HTMLOListElement);
    this.feed = element('feed', HTMLUListElement);
    this.headline = element('headline', HTMLElement);
    this.subline = element('subline', HTMLElement);
    this.hp = element('hp', HTMLElement);
    this.bar = element('hp-bar', HTMLProgressElement);
    this.watching = element('watching', HTMLElement);
    this.praise = element('praise', HTMLElement);
    this.praisedAt = 0;
    /** @type {Row[]} */
    this.rows = [];
    /** @type {Body[]} */
    this.sorted = [];
    /** Who got us last. */
    this.nemesis = '';
    /** @type {{ item: HTMLElement, at: number }[]} */
    this.fed = [];
    this.scores.onclick = (event) => {
      const row = event.target instanceof Element ? event.target.closest('li') : null;
      if (row?.dataset.player !== undefined) follow(Number(row.dataset.player));
    };
  }

  clear() {
    for (const row of this.rows) row.item.remove();
    this.rows.length = 0;
    this.feed.replaceChildren();
    this.fed.length = 0;
    this.nemesis = '';
    say(this.headline, '');
    say(this.subline, '');
    say(this.praise, '');
    document.body.classList.remove('hurt');
  }

  /** @param {Scene} scene @param {number} hz @param {number} now @param {number} followed player, or 0 */
  update(scene, hz, now, followed) {
    const { round, me } = scene;
    const isBreak = round.phase === 1;
    say(this.round, isBreak ? 'break' : `round ${round.number}`);
    say(this.time, clock(round.ticksLeft, hz));
    this.time.classList.toggle('soon', !isBreak && round.ticksLeft < SOON_SECONDS * hz);
    this.updateScores(scene, followed);
    this.updateCentre(scene, hz);
    if (me !== null) {
      say(this.hp, String(Math.max(0, me.hp)));
      this.bar.value = me.hp;
      this.bar.classList.toggle('low', me.hp <= HP_MAX / 4);
      document.body.classList.toggle('hurt', me.hp > 0 && me.hp <= HP_MAX / 4);
    } else {
      const body = followed === 0 ? null : scene.find(followed);
      say(this.watching, body === null ? 'Watching freely: move with WASD, Space follows somebody' : `Watching ${body.name} (${body.hp} HP): Space for the next, WASD to look around`);
    }
    if (now - this.praisedAt > PRAISE_MS) say(this.praise, '');
    while (this.fed.length > 0 && this.fed[0].at + FEED_MS < now) this.fed.shift()?.item.remove();
  }

  /** @param {Scene} scene @param {number} followed */
  updateScores({ players }, followed) {
    const { sorted, rows } = this;
    sorted.length = 0;
    for (let at = 0; at < players.count; at += 1) sorted.push(players.items[at]);
    sorted.sort((a, b) => b.score - a.score || a.deaths - b.deaths || a.player - b.player);
    while (rows.length < sorted.length) {
      const row = new Row();
      rows.push(row);
      this.scores.append(row.item);
    }
    while (rows.length > sorted.length) rows.pop()?.item.remove();
    for (let at = 0; at < sorted.length; at += 1) {
      const places = sorted[at].isMe ? '' : `${at >= ROWS ? 'more' : ''} ${at >= ROWS_SMALL ? 'few' : ''}`;
      rows[at].set(sorted[at], places, sorted[at].player === followed);
    }
  }

  /** @param {Scene} scene @param {number} hz */
  updateCentre({ round, me }, hz) {
    let [head, sub] = ['', ''];
    if (round.phase === 1) {
      if (round.winner === 0) head = 'A draw';
      else head = me !== null && round.winner === me.player ? 'You win the round' : `${round.winnerName} wins the round`;
      sub = `Next round in ${Math.ceil(round.ticksLeft / hz)}`;
    } else if (me !== null && me.hp === 0) {
      head = this.nemesis === '' ? 'You are out' : `${this.nemesis} got you`;
      sub = `Back in ${countdown(me.respawn, hz)}`;
    }
    say(this.headline, head);
    say(this.subline, sub);
  }

  /** @param {Body} victim @param {Body | null} killer @param {number} now */
  died(victim, killer, now) {
    if (victim.isMe) this.nemesis = killer?.name ?? '';
    if (killer?.isMe) {
      say(this.praise, `You got ${victim.name || 'somebody'}`);
      this.praisedAt = now;
    }
    const item = document.createElement('li');
    const name = (/** @type {Body} */ body) => make('b', body.isMe ? 'mine' : '', body.name || 'somebody');
    if (killer !== null) item.append(name(killer), make('i', '', '▸'));
    item.append(name(victim));
    if (killer === null) item.append(make('i', '', 'is out'));
    this.feed.append(item);
    this.fed.push({ item, at: now });
    while (this.fed.length > FEED_ROWS) this.fed.shift()?.item.remove();
  }
}
