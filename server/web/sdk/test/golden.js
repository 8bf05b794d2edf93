// The golden files of shared-protocol: examples of bytes with their meaning.

import { readFileSync, readdirSync } from 'node:fs';

const folder = new URL('../../../../shared-protocol/golden/', import.meta.url);

/** One example: its name, what it means, its bytes. @typedef {{ name: string, told: any, bytes: Uint8Array }} Example */

/** @param {string} file @returns {Example[]} */
export function examples(file) {
  /** @type {{ name: string, told: any, hex: string }[]} */
  const found = [];
  for (const line of readFileSync(new URL(file, folder), 'utf8').split('\n')) {
    const meaning = /^(\w+) = (.*)$/.exec(line);
    const bytes = /^(\w+):(.*)$/.exec(line);
    if (meaning) found.push({ name: meaning[1], told: JSON.parse(meaning[2]), hex: '' });
    else if (bytes) of(found, bytes[1]).hex = bytes[2];
    else if (line.startsWith('    ')) found[found.length - 1].hex += line;
  }
  return found.map(({ name, told, hex }) => ({ name, told, bytes: unhex(hex) }));
}

/** @template {{ name: string }} T @param {T[]} examples @param {string} name @returns {T} */
export function of(examples, name) {
  const found = examples.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no example ${name}`);
  return found;
}

/** @param {string} game */
export function schemaJson(game) {
  return readFileSync(new URL(`${game}.schema.json`, folder), 'utf8');
}

/** Every file of examples. */
export function files() {
  return readdirSync(folder).filter((name) => name.endsWith('.hex')).sort();
}

/** @param {string} text */
export function unhex(text) {
  return Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (byte) => Number.parseInt(byte, 16));
}

/** @param {Uint8Array} bytes */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
