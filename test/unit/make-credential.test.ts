// The command that makes a sender's credential: what it prints is what receive reads.

import assert from 'node:assert/strict';
import test from 'node:test';
import { parseCredentials } from '../../shared/access/credentials.ts';
import { createPasswordVerifier } from '../../shared/access/password.ts';
import { delayXfer } from './cli-fixture.ts';

test('a new credential lets its sender in with the printed password, and with no other', async () => {
  const { out, err, status } = await make(['postfix-1']);
  assert.equal(status, 0);
  const [, password = ''] = /^password of postfix-1: ([\w-]{32})\n$/.exec(err) ?? [];
  assert.notEqual(password, '');
  const verifier = verifierOf(out);
  assert.equal(await verifier.verify('postfix-1', password), true);
  assert.equal(await verifier.verify('postfix-1', `${password}x`), false);
  assert.equal(await verifier.verify('postfix-2', password), false);
  assert.ok(!out.includes(password), 'the document has a hash alone');
});

test('a password of your own is taken from standard input and printed nowhere', async () => {
  const { out, err, status } = await make(['postfix-1', '--stdin'], 'correct horse: bättery\n');
  assert.equal(status, 0);
  assert.equal(err, '');
  assert.equal(await verifierOf(out).verify('postfix-1', 'correct horse: bättery'), true);
});

for (const [title, args, input, said] of [
  ['no name', [], '', 'one NAME is needed'],
  ['an unknown option', ['a', '--sdtin'], '', 'unknown option --sdtin; did you mean --stdin?'],
  ['a name that is ours', ['_report'], '', '"_report" is no credential name'],
  ['a name with a colon', ['a:b'], '', '"a:b" is no credential name'],
  ['a short password', ['a', '--stdin'], 'too short\n', 'a password has 12 characters or more'],
  ['a password of two lines', ['a', '--stdin'], 'one line\nand another\n', 'none of them a control'],
] as const) {
  test(`${title} makes no credential`, async () => {
    const { out, err, status } = await make(args, input);
    assert.equal(out, '');
    assert.ok(err.includes(said), err);
    assert.equal(status, 64);
  });
}

function make(args: readonly string[], input = '') {
  return delayXfer(['credential', ...args], '', input);
}

function verifierOf(document: string) {
  const parsed = parseCredentials(document);
  assert.ok(parsed.ok);
  return createPasswordVerifier(parsed.hashes);
}
