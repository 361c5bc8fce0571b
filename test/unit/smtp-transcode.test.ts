import assert from 'node:assert/strict';
import { test } from 'node:test';
import { transcoder } from '../../shared/smtp/transcode.ts';

function readAs(pattern: string, replacement: string, code: number, text: string, enhanced?: string) {
  return transcoder({ pattern, replacement })({
    code,
    text,
    ...(enhanced === undefined ? {} : { enhanced }),
  });
}

test('a reply that fits the pattern is read as the replacement, with what its groups caught', () => {
  assert.deepEqual(readAs("454 no such user ('.*')", '554 no such user $1', 454, "no such user 'bob'"), {
    code: 554,
    text: "no such user 'bob'",
  });
  assert.deepEqual(
    readAs('^550 5\\.7\\.1 .*reputation', '450 4.7.1 [$0]', 550, 'poor reputation today', '5.7.1'),
    {
      code: 450,
      enhanced: '4.7.1',
      text: '[550 5.7.1 poor reputation]',
    },
  );
});

test('what does not fit is read as it came, and so is what was accepted', () => {
  assert.equal(readAs('no such user', '554 gone', 454, 'try later'), undefined);
  assert.equal(readAs('.', '554 gone', 250, 'Ok'), undefined);
  assert.equal(readAs('.', '554 gone', 354, 'Go on'), undefined);
});

test('a refusal is never read as an acceptance, nor as no reply at all', () => {
  assert.equal(readAs('.', '250 Ok', 550, 'no'), undefined);
  assert.equal(readAs('.', '354 Go on', 450, 'no'), undefined);
  assert.equal(readAs('.', 'nonsense', 450, 'no'), undefined);
});

test('lines of a reply are matched as one', () => {
  assert.deepEqual(readAs('^550 5\\.1\\.1 first second$', '450 4.2.0 $0', 550, 'first\nsecond', '5.1.1'), {
    code: 450,
    enhanced: '4.2.0',
    text: '550 5.1.1 first second',
  });
});
