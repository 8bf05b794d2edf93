// What the state and the inputs of a game are: docs/wire.md, section 5. Checked once, trusted afterwards. The kinds
// hold what the codec asks for in every tick as typed arrays.

import { Broken } from './broken.js';
import { FIELDS_MAX, IDENT_BYTES_MAX, INPUT_FIELDS_MAX, KINDS_MAX, SEQ_MAX, TEXT_BYTES_MAX } from './limits.js';
import { INT_MODELS, KIND_MODELS, TEXT_MODELS } from './models.js';

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {'int' | 'angle' | 'text'} type
 * @property {boolean} linear whether it is guessed to go on as it goes
 * @property {number} min of an int or angle
 * @property {number} max of an int or angle
 * @property {number} bits of an angle: there are 2^bits directions
 * @property {number} bytesMax of a text
 * @property {number} scale steps per unit of the game, for display
 */

/** @typedef {{ name: string, min: number, max: number }} InputField */

// What a field is, as a number.
export const TEXT = 0;
export const HOLD = 1;
export const LINEAR = 2;
export const ANGLE_HOLD = 3;
export const ANGLE_LINEAR = 4;

/** One kind of entity. */
export class Kind {
  /**
   * @param {number} number @param {string} name @param {Field[]} fields
   * @param {number} base first of its models for diffs
   */
  constructor(number, name, fields, base) {
    this.number = number;
    this.name = name;
    this.fields = fields;
    /** Number of each field by its name. */
    this.fieldOf = new Map(fields.map((field, f) => [field.name, f]));
    const numbers = fields.filter((field) => field.type !== 'text');
    const texts = fields.filter((field) => field.type === 'text');
    this.ints = numbers.length;
    this.texts = texts.length;
    /** What each field is. */
    this.codes = Uint8Array.from(fields, codeOf);
    /** Place of each field among the ints and angles, or among the texts. */
    this.at = Uint8Array.from(fields, (field) => (field.type === 'text' ? texts : numbers).indexOf(field));
    /** First model for diffs, of the kind and of each field. */
    this.base = base;
    this.models = new Int32Array(fields.length);
    let next = base + KIND_MODELS;
    fields.forEach((field, f) => {
      this.models[f] = next;
      next += field.type === 'text' ? TEXT_MODELS : INT_MODELS;
    });
    /** The model behind the last one. */
    this.end = next;
    // Of each int and angle; the mask of an int is 0.
    this.codeAt = Uint8Array.from(numbers, codeOf);
    this.min = Int32Array.from(numbers, (field) => field.min);
    this.max = Int32Array.from(numbers, (field) => field.max);
    this.mask = Int32Array.from(numbers, (field) => (field.type === 'angle' ? field.max : 0));
    this.initial = Int32Array.from(numbers, (field) => Math.min(Math.max(0, field.min), field.max));
    /** Of each text. */
    this.bytesMax = Uint8Array.from(texts, (field) => field.bytesMax);
  }

  /** Number of the field with this name; a mistake of the page is an error. @param {string} name */
  field(name) {
    const f = this.fieldOf.get(name);
    if (f === undefined) throw new RangeError(`kind ${this.name} has no field ${name}`);
    return f;
  }
}

/** @param {Field} field */
function codeOf(field) {
  if (field.type === 'text') return TEXT;
  return (field.type === 'angle' ? ANGLE_HOLD : HOLD) + (field.linear ? 1 : 0);
}

/** A game's table of kinds, fields and input fields. */
export class Schema {
  /** @param {string} json */
  constructor(json) {
    const raw = parse(json);
    this.game = name(raw.game, /^[a-z][a-z0-9_-]*$/);
    let models = 0;
    /** @type {Kind[]} */
    this.kinds = list(raw.kinds, 1, KINDS_MAX).map((kind, number) => {
      const fields = list(kind.fields, 1, FIELDS_MAX).map(readField);
      unique(fields);
      const read = new Kind(number, name(kind.name), fields, models);
      if (![undefined, 'everyone'].includes(kind.audience)) throw new Broken(`schema: audience ${kind.audience}`);
      models = read.end;
      return read;
    });
    unique(this.kinds);
    /** Models for diffs. */
    this.models = models;
    /** @type {InputField[]} */
    this.input = list(raw.input, 0, INPUT_FIELDS_MAX).map((field) => ({ name: name(field.name), ...bounds(field) }));
    unique(this.input);
    this.playerKind = this.kind(name(raw.player_kind));
    this.playerField = playerField(this.playerKind, 'player', HOLD);
    this.seqField = playerField(this.playerKind, 'seq', LINEAR);
  }

  /** @param {string} name */
  kind(name) {
    const kind = this.kinds.find((each) => each.name === name);
    if (kind === undefined) throw new Broken(`schema: no kind ${name}`);
    return kind;
  }

  /** Whether these are values of an input: the right count, each within its bounds. @param {ArrayLike<number>} values */
  admits(values) {
    return values.length === this.input.length && this.input.every(({ min, max }, at) =>
      Number.isInteger(values[at]) && values[at] >= min && values[at] <= max);
  }
}

/** @param {string} json @returns {any} */
function parse(json) {
  try {
    const raw = JSON.parse(json);
    if (isObject(raw)) return raw;
  } catch {
    // Said below.
  }
  throw new Broken('schema: not a JSON object');
}

/** @param {any} raw */
function isObject(raw) {
  return Object(raw) === raw;
}

/** @param {any} raw @param {number} min @param {number} max @returns {any[]} */
function list(raw, min, max) {
  const good = Array.isArray(raw) && raw.length >= min && raw.length <= max;
  if (!good || !raw.every(isObject)) throw new Broken('schema: not a list');
  return raw;
}

/** @param {any} raw @param {RegExp} [form] @returns {string} */
function name(raw, form = /^[a-z][a-z0-9_]*$/) {
  if (typeof raw === 'string' && raw.length <= IDENT_BYTES_MAX && form.test(raw)) return raw;
  throw new Broken(`schema: name ${raw}`);
}

/** @param {{ name: string }[]} named */
function unique(named) {
  if (new Set(named.map((each) => each.name)).size < named.length) throw new Broken('schema: a name twice');
}

/** @param {any} raw */
function bounds({ min, max }) {
  return { min: whole(min, -(2 ** 31), max), max: whole(max, min, 2 ** 31 - 1) };
}

/** @param {any} value @param {number} min @param {number} max @returns {number} */
function whole(value, min, max) {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Broken(`schema: ${value} is not within ${min} to ${max}`);
}

/** @param {any} raw @returns {Field} */
function readField(raw) {
  const predictor = raw.predictor ?? 'hold';
  const good = raw.type === 'text' ? ['hold'] : ['hold', 'linear'];
  if (!good.includes(predictor)) throw new Broken(`schema: predictor ${predictor}`);
  const scale = whole(raw.scale ?? 1, 1, 2 ** 32 - 1);
  const field = { name: name(raw.name), linear: predictor === 'linear', scale, min: 0, max: 0, bits: 0, bytesMax: 0 };
  if (raw.type === 'int') return { ...field, type: 'int', ...bounds(raw) };
  if (raw.type === 'text') return { ...field, type: 'text', bytesMax: whole(raw.bytes_max, 1, TEXT_BYTES_MAX) };
  if (raw.type !== 'angle') throw new Broken(`schema: type ${raw.type}`);
  const bits = whole(raw.bits, 1, 16);
  return { ...field, type: 'angle', bits, max: 2 ** bits - 1 };
}

/** A field that the server fills in for every player. @param {Kind} kind @param {string} name @param {number} code */
function playerField(kind, name, code) {
  const f = kind.fieldOf.get(name);
  const good = f !== undefined && kind.codes[f] === code && kind.fields[f].min === 0 && kind.fields[f].max === SEQ_MAX;
  if (!good) throw new Broken(`schema: the player kind needs ${name}`);
  return /** @type {number} */ (f);
}
