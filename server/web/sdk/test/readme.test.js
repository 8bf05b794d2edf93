// The README's example runs, against a pretended server; and what the package holds is what its page imports.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

import { Owner, welcome } from './owner.js';
import { sockets } from './sockets.js';

const folder = new URL('..', import.meta.url);

test('the example of the README', async (t) => {
  const readme = readFileSync(new URL('README.md', folder), 'utf8');
  const example = /```js\n(.*?)```/s.exec(readme)?.[1] ?? assert.fail('no example');
  const { made, Fake } = sockets();
  const own = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
  Object.defineProperty(globalThis, 'WebSocket', { value: Fake, configurable: true });
  t.after(() => (own === undefined ? Reflect.deleteProperty(globalThis, 'WebSocket') : Object.defineProperty(globalThis, 'WebSocket', own)));
  /** @type {string[]} */
  const printed = [];
  t.mock.method(console, 'log', (/** @type {string[]} */ ...words) => printed.push(words.join(' ')));
  // Inside of the package, so that its own name resolves.
  const temporary = mkdtempSync(new URL('test/example-', folder).pathname);
  t.after(() => rmSync(temporary, { recursive: true }));
  const file = join(temporary, 'example.js');
  writeFileSync(file, `${example}\nexport { match, draw };\n`);
  const running = import(pathToFileURL(file).href);
  while (made.length === 0) await new Promise(setImmediate);
  const [socket] = made;
  assert.equal(socket.url, 'ws://127.0.0.1:7777/ws');
  const owner = new Owner(4);
  owner.set('player:0', { player: 4, name: 'Zoë', x: 16 });
  owner.next();
  socket.open();
  socket.says(welcome(4));
  socket.says(owner.snapshot());
  const { match, draw } = await running;
  t.after(() => match.close());
  owner.set('player:2', { player: 5, name: 'Bo', x: 160 });
  socket.says(owner.next());
  owner.end('player:2');
  socket.says(owner.next());
  draw();
  assert.deepEqual(printed.slice(0, 3), ['player 4 in m1', 'Zoë 16', 'draw Zoë at 1']);
  assert.deepEqual(printed.slice(3, 5), ['Bo came as player 5', 'player 5 went']);
  assert.match(printed[5], /^draw Zoë at 1/);
});
