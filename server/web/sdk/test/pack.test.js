// `npm pack` makes a package that another project can use, with types.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const folder = new URL('..', import.meta.url).pathname;

const USER = `
import { Tickcast, Closed, type Match } from 'tickcast';

export async function play(url: string): Promise<number> {
  const server = new Tickcast({ url, name: 'Zoë' });
  const match: Match = await server.quickPlay({ game: 'arena' });
  match.on('join', (player, index) => { const sum: number = player + index; return sum; });
  match.on('close', (code, text) => console.log(code.toFixed(), text.trim()));
  match.predict({ fields: ['x'], step: (state, input) => { state[0] += input[0]; } });
  match.smooth.playout.extrapolates = false;
  const error = new Closed(4505, 'full');
  return match.metrics().rttMs + match.entities('player').shown(0, 'x') + error.code;
}

// @ts-expect-error there is no such event
export const wrong = (match: Match) => match.on('jion', () => {});
`;

test('npm pack', (t) => {
  const temporary = mkdtempSync(join(tmpdir(), 'tickcast-pack-'));
  t.after(() => rmSync(temporary, { recursive: true }));
  const run = (/** @type {string} */ command, /** @type {string[]} */ ...args) =>
    execFileSync(command, args, { cwd: temporary, encoding: 'utf8', env: { ...process.env, npm_config_loglevel: 'error' } });
  const packed = run('npm', 'pack', folder, '--json');
  const [{ filename, files }] = JSON.parse(packed.slice(packed.indexOf('[')));
  const paths = files.map((/** @type {{ path: string }} */ file) => file.path);
  for (const path of ['src/index.js', 'src/netcode/clock.js', 'declarations/index.d.ts', 'README.md', 'package.json']) {
    assert.ok(paths.includes(path), `${path} in ${paths}`);
  }
  assert.ok(!paths.some((/** @type {string} */ path) => /^(test|bench|node_modules)/.test(path)), `${paths}`);
  const unpacked = join(temporary, 'node_modules', 'tickcast');
  mkdirSync(unpacked, { recursive: true });
  run('tar', '-xzf', filename, '-C', unpacked, '--strip-components=1');
  writeFileSync(join(temporary, 'package.json'), '{"type":"module"}');
  writeFileSync(join(temporary, 'user.ts'), USER);
  const tsc = join(folder, 'node_modules', '.bin', 'tsc');
  run(tsc, '--strict', '--noEmit', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom', 'user.ts');
  const answer = run(process.execPath, '--input-type=module', '-e', "import { Tickcast } from 'tickcast'; console.log(typeof Tickcast)");
  assert.equal(answer.trim(), 'function');
});
