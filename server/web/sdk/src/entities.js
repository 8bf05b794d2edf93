// The entities of one kind, for a page: values by the names of their fields. An entity is its index within its kind.

import { TEXT } from './schema.js';

/** @typedef {import('./schema.js').Kind} Kind */
/** @typedef {import('./table.js').Table} Table */
/** What holds the newest state, and the moment that is shown. @typedef {{ table(kind: number): Table | null, history: import('./netcode/history.js').History }} Source */

export class Entities {
  /** @param {Kind} kind @param {Source} source */
  constructor(kind, source) {
    this.kind = kind;
    this.source = source;
  }

  get table() {
    return this.source.table(this.kind.number);
  }

  /** How many there are. */
  get count() {
    return this.table?.count ?? 0;
  }

  /** The indexes, ascending. */
  *[Symbol.iterator]() {
    const { table } = this;
    for (let m = 0; table !== null && m < table.count; m += 1) yield table.members[m];
  }

  /** Calls this with each index, ascending; makes no garbage. @param {(index: number) => void} each */
  forEach(each) {
    const { table } = this;
    for (let m = 0; table !== null && m < table.count; m += 1) each(table.members[m]);
  }

  /** Whether it is there. @param {number} index */
  has(index) {
    return this.table?.has(index) ?? false;
  }

  /** The value of an int or angle, as whole steps; 0 if the entity is not there. @param {number} index @param {string} field */
  get(index, field) {
    return this.at(index, field, 1);
  }

  /** Its value one tick before. @param {number} index @param {string} field */
  previous(index, field) {
    return this.at(index, field, 2);
  }

  /** @param {number} index @param {string} field @param {number} block */
  at(index, field, block) {
    const { table } = this;
    const at = this.place(field, false);
    return table !== null && table.has(index) ? table.cell(index, at, block) : 0;
  }

  /** A text; empty if the entity is not there. @param {number} index @param {string} field */
  text(index, field) {
    const { table } = this;
    const at = this.place(field, true);
    return table !== null && table.has(index) ? table.textLast[index * this.kind.texts + at].value : '';
  }

  /** Steps per unit of the game. @param {string} field */
  scale(field) {
    return this.kind.fields[this.kind.field(field)].scale;
  }

  /** Everything about one entity, for tables and people; null if it is not there. @param {number} index */
  all(index) {
    if (!this.has(index)) return null;
    return Object.fromEntries(this.kind.fields.map(({ name, type }) =>
      [name, type === 'text' ? this.text(index, name) : this.get(index, name)]));
  }

  /** Calls this with each index that is there at the moment that is shown. @param {(index: number) => void} each */
  forEachShown(each) {
    const { history } = this.source;
    const { number } = this.kind;
    const top = history.top(number);
    for (let index = 0; index < top; index += 1) {
      if (history.has(number, index)) each(index);
    }
  }

  /** Whether it is there at the moment that is shown. @param {number} index */
  isShown(index) {
    return this.source.history.has(this.kind.number, index);
  }

  /** The value at the moment that is shown, in steps with a fraction. @param {number} index @param {string} field */
  shown(index, field) {
    const { table } = this;
    const at = this.place(field, false);
    return table === null || !this.isShown(index) ? 0 : this.source.history.value(table, index, at);
  }

  /** @param {string} field @param {boolean} text */
  place(field, text) {
    const { kind } = this;
    const f = kind.field(field);
    if ((kind.codes[f] === TEXT) !== text) {
      throw new RangeError(`${kind.name}.${field} is ${text ? 'no' : 'a'} text: use ${text ? 'get' : 'text'}`);
    }
    return kind.at[f];
  }
}
