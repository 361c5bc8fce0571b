// Who hands a message over: Basic's user name, or a stable name for the caller that IAM has verified.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { basicIdentity, iamIdentity } from '../../shared/access/identity.ts';
import type { PasswordVerifier } from '../../shared/access/password.ts';

/** Takes one pair, and remembers what it was asked. */
function verifierFor(name: string, password: string) {
  const asked: [string, string][] = [];
  const verifier: PasswordVerifier = {
    async verify(askedName, askedPassword) {
      asked.push([askedName, askedPassword]);
      return askedName === name && askedPassword === password;
    },
  };
  return { verifier, asked };
}

const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;

describe('Basic credentials', () => {
  for (const [what, header, password] of [
    ['as RFC 7617 writes them', basic('acme:secret'), 'secret'],
    ['with the scheme in lower case', basic('acme:secret').replace('Basic', 'basic'), 'secret'],
    ['with blanks around the token', `Basic   ${Buffer.from('acme:secret').toString('base64')}  `, 'secret'],
    ['whose password holds a colon', basic('acme:se:cr:et'), 'se:cr:et'],
    ['whose password is UTF-8', basic('acme:gr\u00fc\u00df'), 'gr\u00fc\u00df'],
    ['whose password is empty', basic('acme:'), ''],
  ] as const) {
    test(`${what} name their credential`, async () => {
      const { verifier, asked } = verifierFor('acme', password);
      assert.deepEqual(await basicIdentity(header, verifier), { kind: 'known', credential: 'acme' });
      assert.deepEqual(asked, [['acme', password]]);
    });
  }

  test('that are wrong are not known, whether the name or the password is at fault', async () => {
    const { verifier } = verifierFor('acme', 'secret');
    const answers = await Promise.all(
      ['acme:wrong', 'other:secret', ':secret', 'acme', 'a b:secret', '_report:secret'].map((pair) =>
        basicIdentity(basic(pair), verifier),
      ),
    );
    for (const answer of answers) {
      assert.deepEqual(answer, { kind: 'unknown', detail: 'these credentials are not known' });
    }
  });

  test('under a name of our own are never asked for', async () => {
    const { verifier, asked } = verifierFor('_report', 'secret');
    assert.equal((await basicIdentity(basic('_report:secret'), verifier)).kind, 'unknown');
    assert.deepEqual(asked, []);
  });

  for (const [what, header] of [
    ['an empty header', ''],
    ['a scheme alone', 'Basic'],
    ['another scheme', 'Bearer abcdef'],
    ['what is no base64', 'Basic acme:secret'],
    ['two tokens', `${basic('acme:secret')} ${basic('acme:secret')}`],
    ['two headers joined by a comma', `${basic('acme:secret')},${basic('acme:secret')}`],
    ['a line end', `${basic('acme:secret')}\r\nX: y`],
  ] as const) {
    test(`in ${what} are malformed`, async () => {
      const { verifier, asked } = verifierFor('acme', 'secret');
      assert.deepEqual(await basicIdentity(header, verifier), {
        kind: 'unknown',
        detail: 'the Authorization header must be Basic with base64',
      });
      assert.deepEqual(asked, []);
    });
  }

  test('that are missing are asked for', async () => {
    const { verifier } = verifierFor('acme', 'secret');
    assert.deepEqual(await basicIdentity(undefined, verifier), {
      kind: 'unknown',
      detail: 'send Basic credentials (Authorization header)',
    });
  });
});

function nameOf(arn: string): string {
  const identity = iamIdentity(arn);
  return identity.kind === 'known' ? identity.credential : `unknown: ${identity.detail}`;
}

describe('a caller that IAM has verified', () => {
  test('has the same name in every session of its role', () => {
    const name = nameOf('arn:aws:sts::123456789012:assumed-role/mta/i-0abc');
    assert.equal(name, 'iam-XSs3q90Gy9PTY6pbQKWHMd');
    assert.equal(nameOf('arn:aws:sts::123456789012:assumed-role/mta/i-0def'), name);
    assert.equal(nameOf('arn:aws:sts::123456789012:assumed-role/mta/'), name);
  });

  test('has another name by account, by role and by kind', () => {
    const names = [
      'arn:aws:sts::123456789012:assumed-role/mta/i-0abc',
      'arn:aws:sts::123456789013:assumed-role/mta/i-0abc',
      'arn:aws:sts::123456789012:assumed-role/mta2/i-0abc',
      'arn:aws:iam::123456789012:user/mta',
      'arn:aws:iam::123456789012:user/team/mta',
      'arn:aws:iam::123456789012:root',
      'arn:aws:sts::123456789012:federated-user/mta',
    ].map(nameOf);
    assert.equal(new Set(names).size, 7);
    for (const name of names) assert.match(name, /^iam-[A-Za-z0-9_-]{22}$/);
  });

  test('is known in the other partitions of AWS too', () => {
    assert.match(nameOf('arn:aws-us-gov:sts::123456789012:assumed-role/mta/s'), /^iam-/);
    assert.match(nameOf('arn:aws-cn:iam::123456789012:user/mta'), /^iam-/);
  });

  for (const arn of [
    '',
    'anonymous',
    'arn:aws:sts::12345:assumed-role/mta/i',
    'arn:aws:s3:::bucket',
    'arn:aws:lambda:us-east-1:123456789012:function:f',
    'arn:aws:sts::123456789012:something/else',
  ]) {
    test(`with the ARN ${JSON.stringify(arn)} is unknown`, () => {
      assert.equal(nameOf(arn), 'unknown: the caller has no ARN that is known here');
    });
  }
});
