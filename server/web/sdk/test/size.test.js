// How many bytes a page that bundles the package gets: minified by esbuild, then gzip -9.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { buildSync } from 'esbuild';

const src = new URL('../src/', import.meta.url).pathname;
const CODEC = ['diff.js', 'snapshot.js', 'catch_up.js', 'prior.js'];

/** What is loaded with the first frame that needs it is no part of the rest. */
const LATER = ['./segments.js'];

/** @param {string[]} modules @param {string[]} [external] */
function size(modules, external = LATER) {
  const contents = modules.map((name) => `export * from './${name}';`).join('\n');
  const { outputFiles } = buildSync({
    stdin: { contents, resolveDir: src }, bundle: true, minify: true, format: 'esm', target: 'es2022', external, write: false,
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

test('the codec, the core and the whole are small', () => {
  const codec = size(CODEC);
  const core = size(['index.js'], ['./netcode/*', ...LATER]);
  const whole = size(['index.js']);
  const segments = size(LATER, ['./broken.js', './coder.js', './diff.js', './frame.js', './limits.js', './prior.js', './snapshot.js', './table.js', './world.js']);
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
  const served = files.reduce((sum, name) => sum + gzipSync(readFileSync(src + name), { level: 9 }).length, 0);
  console.log(`codec ${codec}, core ${core}, with netcode ${whole}, segments ${segments} bytes; the ${files.length} files as they are ${served}`);
  assert.ok(codec <= 6 * 1024, `codec: ${codec}`);
  assert.ok(core <= 15 * 1024, `core: ${core}`);
  assert.ok(segments <= 2.75 * 1024, `segments: ${segments}`);
  assert.ok(whole <= 18.5 * 1024, `with netcode: ${whole}`);
});
