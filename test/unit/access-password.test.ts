// Passwords of senders: salted hashes, the same answer and the same time for a wrong password and an unknown name,
// and a busy sender's pair remembered.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPasswordVerifier, hashPassword } from '../../shared/access/password.ts';

const PASSWORD = 'correct horse: b\u00e4ttery';

/** RFC 7914 §12, second vector ("password", "NaCl", N=1024, r=8, p=16): the first 32 of its octets. */
const VECTOR = `scrypt$1024$8$16$TmFDbA==$${Buffer.from(
  'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162',
  'hex',
).toString('base64')}`;

async function fastest(times: number, call: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let time = 0; time < times; time += 1) {
    const start = performance.now();
    await call();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

test("a hash is scrypt's, by the vector of RFC 7914", async () => {
  const verifier = createPasswordVerifier(new Map([['vector', VECTOR]]));
  assert.equal(await verifier.verify('vector', 'password'), true);
  assert.equal(await verifier.verify('vector', 'passwore'), false);
});

test('a password is hashed with a salt of its own each time, and verified', async () => {
  const first = await hashPassword(PASSWORD);
  const second = await hashPassword(PASSWORD);
  assert.notEqual(first, second);
  assert.match(first, /^scrypt\$16384\$8\$1\$[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=$/);
  const verifier = createPasswordVerifier(new Map([['acme', first]]));
  assert.equal(await verifier.verify('acme', PASSWORD), true);
});

test('another password, another name and the hash itself let nobody in', async () => {
  const hash = await hashPassword(PASSWORD);
  const verifier = createPasswordVerifier(new Map([['acme', hash]]));
  assert.equal(await verifier.verify('acme', PASSWORD), true);
  // Also after the right one was remembered.
  for (const [name, password] of [
    ['acme', `${PASSWORD} `],
    ['acme', PASSWORD.toUpperCase()],
    ['acme', ''],
    ['acme', hash],
    ['ACME', PASSWORD],
    ['', PASSWORD],
    ['__proto__', PASSWORD],
  ] as const) {
    assert.equal(await verifier.verify(name, password), false, `${name} ${password}`);
  }
});

test('an unknown name takes as long as a wrong password', async () => {
  const verifier = createPasswordVerifier(new Map([['acme', await hashPassword(PASSWORD)]]));
  const wrong = await fastest(3, () => verifier.verify('acme', 'wrong'));
  const unknown = await fastest(3, () => verifier.verify('nobody', 'wrong'));
  assert.ok(unknown > wrong / 4, `${unknown} ms for an unknown name, ${wrong} ms for a wrong password`);
});

test('a verified pair is remembered, a refused one is not', async () => {
  const verifier = createPasswordVerifier(new Map([['acme', await hashPassword(PASSWORD)]]));
  const derived = await fastest(2, () => verifier.verify('acme', 'wrong'));
  await verifier.verify('acme', PASSWORD);
  const remembered = await fastest(5, () => verifier.verify('acme', PASSWORD));
  assert.ok(remembered < derived / 10, `${remembered} ms after ${derived} ms`);
});

test('a pair that was remembered is forgotten with the hash that it matched', async () => {
  const hashes = new Map([['acme', await hashPassword(PASSWORD)]]);
  const verifier = createPasswordVerifier(hashes);
  assert.equal(await verifier.verify('acme', PASSWORD), true);
  hashes.set('acme', await hashPassword('another'));
  assert.equal(await verifier.verify('acme', PASSWORD), false);
  assert.equal(await verifier.verify('acme', 'another'), true);
  hashes.delete('acme');
  assert.equal(await verifier.verify('acme', 'another'), false);
});
