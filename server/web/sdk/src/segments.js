// A match of which not everybody sees all: docs/wire.md, section 3.1. Reads its frames for a replica, whose world is all
// that is to be seen. Few matches need this, so it is loaded with the first VIEW.

import { Broken } from './broken.js';
import { applyDiff } from './diff.js';
import { LEAP, SEGMENTS, SNAPSHOT, VIEW, fenceAt, needs, tickAt, u32 } from './frame.js';
import { ENTITIES_MAX } from './limits.js';
import { Part } from './part.js';
import { decodePrior } from './prior.js';
import { CHANGED, ENTERED, LEFT, Sections } from './sections.js';
import { decodeSnapshot } from './snapshot.js';
import { ALIVE, MOVING } from './table.js';
import { World } from './world.js';

/** @typedef {import('./replica.js').Replica} Replica */
/** @typedef {import('./replica.js').Progress} Progress */
/** @typedef {import('./prior.js').Prior} Prior */

/** What a frame makes of a segment. @typedef {{ segment: number, before: Part, after: Part, entered: boolean }} Change */

/** A diff without a byte. */
const NOTHING = { bytes: new Uint8Array(0), form: CHANGED, start: 0, at: 0 };
const DIFF_KINDS = 0x10;
const CATCHUP_KINDS = 0x30;

export class Segments {
  /** @param {Replica} replica */
  constructor(replica) {
    this.replica = replica;
    /** Those that have entities, by their numbers; null while the match is followed whole. @type {Map<number, Part> | null} */
    this.parts = null;
    /** Where a segment is unpacked to be changed. */
    this.bench = new World(replica.schema);
    /** A segment without entities. */
    this.none = new Part(this.bench);
  }

  /** Any state frame. @param {Uint8Array} bytes @returns {Progress} */
  read(bytes) {
    needs(bytes, 1);
    const { replica } = this;
    const kind = bytes[0];
    if (kind === VIEW) return this.readView(bytes);
    const inSegments = (kind & 0xf3) === SEGMENTS || kind === LEAP;
    const isChange = inSegments || (kind & 0xf0) === DIFF_KINDS || (kind & 0xf0) === CATCHUP_KINDS;
    if (isChange && !replica.waiting && inSegments !== (this.parts !== null)) throw new Broken('a frame for the other kind of match');
    if (inSegments) return kind === LEAP ? this.readLeap(bytes) : this.readSegments(bytes);
    const progress = replica.read(bytes);
    if (kind === SNAPSHOT && progress === 'advanced') this.parts = null;
    return progress;
  }

  /** @param {Uint8Array} bytes @returns {Progress} */
  readView(bytes) {
    needs(bytes, 29);
    const { replica } = this;
    const fence = fenceAt(bytes, 1);
    const tick = tickAt(bytes, 17);
    const start = 29 + u32(bytes, 25);
    needs(bytes, start);
    if (!replica.waiting && replica.isOwner(fence) && tick <= replica.tick) return 'nothing';
    const prior = decodePrior(replica.schema, bytes, 29, start);
    const parts = new Map();
    const world = new World(replica.schema);
    const progress = this.take(parts, world, new Sections(bytes, start), null);
    if (progress !== 'advanced') return progress;
    Object.assign(replica, { world, prior, known: 2, waiting: false });
    this.parts = parts;
    replica.rebase(fence, tick);
    return progress;
  }

  /** @param {Uint8Array} bytes @returns {Progress} */
  readSegments(bytes) {
    needs(bytes, 4);
    const { replica } = this;
    const order = replica.order(bytes, 1);
    if (order !== 'advanced') return order;
    const { prior } = replica;
    if (((bytes[0] >> 2) & 3) !== (prior.number & 3)) return replica.gap('prior', `not prior ${prior.number}`);
    return this.goOn(1, new Sections(bytes, 4), prior);
  }

  /** @param {Uint8Array} bytes @returns {Progress} */
  readLeap(bytes) {
    needs(bytes, 5);
    const span = bytes[4];
    if (span === 0) throw new Broken('a leap over no tick');
    const order = this.replica.order(bytes, span);
    return order === 'advanced' ? this.goOn(span, new Sections(bytes, 5), null) : order;
  }

  /** @param {number} span @param {Sections} sections @param {Prior | null} prior @returns {Progress} */
  goOn(span, sections, prior) {
    const { replica, parts } = this;
    if (parts === null) throw new Broken('no view');
    const progress = this.take(parts, replica.world, sections, prior);
    if (progress === 'advanced') replica.tick += span;
    return progress;
  }

  /**
   * Makes of the segments, and of the world that they are together, what these sections say. Of what is refused nothing
   * stays.
   * @param {Map<number, Part>} parts @param {World} world @param {Sections} sections
   * @param {Prior | null} prior what diffs are coded with; null where there are none
   * @returns {Progress}
   */
  take(parts, world, sections, prior) {
    const { replica } = this;
    /** @type {Change[]} */
    const changes = [];
    let entities = world.tables.reduce((sum, table) => sum + table.count, 0);
    while (sections.next()) {
      const { segment, hash } = sections;
      const before = parts.get(segment) ?? this.none;
      const after = this.changed(before, sections, prior);
      if (hash !== null) {
        replica.hashesChecked += 1;
        if (after.hash !== hash) {
          return replica.gap('desync', `segment ${segment} has hash ${after.hash}, the owner's is ${hash}`);
        }
      }
      entities += after.count - before.count;
      // Until the frame is over an entity may be where it was and where it goes to, and nowhere else.
      if (entities > 2 * ENTITIES_MAX) throw new Broken(`${entities} entities`);
      changes.push({ segment, before, after, entered: sections.form === ENTERED });
    }
    if (prior !== null) this.goesOn(parts, prior, changes);
    merge(world, changes);
    for (const { segment, after } of changes) {
      if (after.count > 0) parts.set(segment, after);
      else parts.delete(segment);
    }
    return 'advanced';
  }

  /** What is not mentioned and moves goes on as it is guessed to. @param {Map<number, Part>} parts @param {Prior} prior @param {Change[]} changes */
  goesOn(parts, prior, changes) {
    const mentioned = new Set(changes.map(({ segment }) => segment));
    for (const [segment, before] of parts) {
      if (!before.moves || mentioned.has(segment)) continue;
      changes.push({ segment, before, after: this.changed(before, NOTHING, prior), entered: false });
    }
  }

  /** What a section makes of a segment. @param {Part} before @param {Pick<Sections, 'bytes' | 'form' | 'start' | 'at'>} section @param {Prior | null} prior */
  changed(before, { bytes, form, start, at: end }, prior) {
    if (form === LEFT) return this.none;
    const { bench, replica } = this;
    try {
      if (form === ENTERED) {
        decodeSnapshot(replica.schema, bytes, start, end, bench);
      } else {
        if (prior === null) throw new Broken('a diff in a frame that has none');
        before.unpack(bench);
        applyDiff(bench, prior, bytes, start, end);
      }
      const after = new Part(bench);
      after.clear(bench);
      return after;
    } catch (error) {
      this.bench = new World(replica.schema);
      throw error;
    }
  }
}

/** Brings the world of all segments up to date: an entity that leaves one and is in another goes on. @param {World} world @param {Change[]} changes */
function merge(world, changes) {
  try {
    for (const { before } of changes) before.forEach((kind, index) => world.tables[kind].despawn(index));
    for (const { after } of changes) {
      after.forEach((kind, index, from) => {
        const table = world.tables[kind];
        if (index < table.top && (table.flags[index] & ALIVE) !== 0) throw new Broken(`${table.kind.name}:${index} in two segments`);
        table.spawn(index);
        after.show(table, index, from);
      });
    }
    world.checkCount();
  } catch (error) {
    world.rollBack();
    throw error;
  }
  // Whoever has come to rest where nothing is said any more.
  for (const table of world.tables) {
    for (let m = 0; m < table.count; m += 1) if ((table.flags[table.members[m]] & MOVING) !== 0) table.touch(table.members[m]);
  }
  world.advance();
  for (const { after, entered } of changes) if (entered) after.forEach((kind, index, from) => after.remind(world.tables[kind], index, from));
}
