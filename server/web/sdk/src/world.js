// The state of a match: a table for each kind, and the hash of it all.

import { Broken } from './broken.js';
import { ENTITIES_MAX } from './limits.js';
import { Table } from './table.js';

/** @typedef {import('./schema.js').Schema} Schema */

export class World {
  /** @param {Schema} schema */
  constructor(schema) {
    this.schema = schema;
    this.tables = schema.kinds.map((kind) => new Table(kind));
    /** Hash of the last tick's state. */
    this.hash = 0;
  }

  /** Refuses more entities than a state may have. */
  checkCount() {
    let count = 0;
    for (const table of this.tables) count += table.alive;
    if (count > ENTITIES_MAX) throw new Broken(`${count} entities`);
  }

  /** Makes the changes since the last tick the next one. */
  advance() {
    let hash = this.hash;
    for (const table of this.tables) hash = (hash + table.advance()) | 0;
    this.hash = hash >>> 0;
  }

  /** Takes the changes since the last tick back. */
  rollBack() {
    for (const table of this.tables) table.rollBack();
  }

  forgetPast() {
    for (const table of this.tables) table.forgetPast();
  }
}
