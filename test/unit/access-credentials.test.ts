// The credentials document: who may hand messages over. What cannot be used is said when it is read, not when its
// sender knocks.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCredentials } from '../../shared/access/credentials.ts';

const SALT = 'c2FsdHNhbHRzYWx0c2FsdA==';
const HASH = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const GOOD = `scrypt$16384$8$1$${SALT}$${HASH}`;

function faultOf(text: string): string {
  const parsed = parseCredentials(text);
  assert.ok(!parsed.ok, 'the document was taken');
  return parsed.fault;
}

function documentOf(credentials: unknown): string {
  return JSON.stringify({ credentials });
}

describe('a credentials document', () => {
  test('names its senders, each with a scrypt hash', () => {
    const parsed = parseCredentials(documentOf({ acme: GOOD, 'mta_2-b': GOOD }));
    assert.ok(parsed.ok);
    assert.deepEqual(
      [...parsed.hashes],
      [
        ['acme', GOOD],
        ['mta_2-b', GOOD],
      ],
    );
  });

  test('without any sender lets nobody in', () => {
    const parsed = parseCredentials('{"credentials":{}}');
    assert.ok(parsed.ok);
    assert.equal(parsed.hashes.size, 0);
  });

  for (const [what, text] of [
    ['that is empty', ''],
    ['that is no JSON', '{credentials:{}}'],
  ] as const) {
    test(`${what} is refused`, () => {
      assert.equal(faultOf(text), 'the credentials document is not usable: it is not JSON');
    });
  }

  for (const [what, text] of [
    ['that is a list', '[]'],
    ['that is null', 'null'],
    ['without credentials', '{}'],
    ['with something beside them', '{"credentials":{},"users":{}}'],
    ['whose hash is no text', '{"credentials":{"acme":1}}'],
  ] as const) {
    test(`${what} is refused`, () => {
      assert.equal(
        faultOf(text),
        'the credentials document is not usable: it must be {"credentials":{"NAME":"scrypt$…"}} and nothing else',
      );
    });
  }

  for (const name of ['', 'a b', 'a:b', 'a/b', '_report', 'b\u00fccher', 'x'.repeat(65)]) {
    test(`with the name ${JSON.stringify(name.slice(0, 12))} is refused`, () => {
      assert.match(faultOf(documentOf({ [name]: GOOD })), /is no credential name: 1 to 64 of/);
    });
  }

  for (const [what, hash] of [
    ['a password in clear', 'secret'],
    ['another scheme', `bcrypt$16384$8$1$${SALT}$${HASH}`],
    ['N that is no power of two', `scrypt$10000$8$1$${SALT}$${HASH}`],
    ['more memory than scrypt is given', `scrypt$32768$8$1$${SALT}$${HASH}`],
    ['r of 0', `scrypt$16384$0$1$${SALT}$${HASH}`],
    ['p of 0', `scrypt$16384$8$0$${SALT}$${HASH}`],
    ['p of minutes', `scrypt$16384$8$99$${SALT}$${HASH}`],
    ['no salt', `scrypt$16384$8$1$$${HASH}`],
    ['a hash cut off', `scrypt$16384$8$1$${SALT}$${HASH.slice(0, 20)}`],
  ] as const) {
    test(`with ${what} is refused, and does not repeat it`, () => {
      const said = faultOf(documentOf({ acme: hash }));
      assert.equal(
        said,
        'the credentials document is not usable: the value of "acme" is no scrypt hash; make one with npm run credential',
      );
    });
  }
});
