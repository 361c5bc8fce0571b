import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pattern } from '../../shared/config/value-types-mail.ts';
import { transcoder } from '../../shared/smtp/transcode.ts';

const place = { file: 'a.conf', line: 1, column: 1, lengthChars: 1, excerpt: '' };

test('an expression from PCRE with escapes that need not be reads replies, and one that is none is refused', () => {
  const text = String.raw`^550[ -]too\-many\_mails`;
  const reading = pattern.read({ kind: 'scalar', text, place });
  assert.ok(reading.ok && reading.value.test('550 too-many_mails'));
  const readAs = transcoder({ pattern: text, replacement: '450 4.7.1 $0' });
  const read = readAs({ code: 550, text: 'too-many_mails' });
  assert.equal(read?.code, 450);
  assert.equal(pattern.read({ kind: 'scalar', text: '(', place }).ok, false);
});
