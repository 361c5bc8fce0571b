// Replies off the wire: from any packets, of any length, of any octets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createReplyReader } from '../../shared/smtp/reply-reader.ts';

/** Each reply as its code and text, or `?` and what was quoted; then what the end of the connection gives. */
function read(...packets: readonly (string | Buffer)[]): string[] {
  const reader = createReplyReader();
  const told: string[] = [];
  for (const packet of packets) {
    reader.push(Buffer.from(packet), ({ reply, intelligible }) => {
      told.push(intelligible ? `${reply.code} ${reply.text}` : `? ${reply.text}`);
    });
  }
  const last = reader.end();
  if (last !== undefined) told.push(`at the end: ${last.reply.code} ${last.reply.text}`);
  return told;
}

test('replies are read one by one, however many a packet holds', () => {
  assert.deepEqual(read('220 mx\r\n250 one\r\n250 two\r\n'), ['220 mx', '250 one', '250 two']);
  assert.deepEqual(read('250-one\r\n250', '-two\r', '\n250 thr', 'ee\r\n'), ['250 one\ntwo\nthree']);
});

test('lines may end with LF, be empty of text, and hold any octets', () => {
  assert.deepEqual(read('250 Ok\n250\n250-\n250 \n'), ['250 Ok', '250 ', '250 \n']);
  assert.deepEqual(read('250 a\rb\r\n'), ['250 a\rb']);
  assert.deepEqual(read(Buffer.from('550 gr\xfc\xdfe \0\x07\r\n', 'latin1')), ['550 gr\ufffd\ufffde \0\x07']);
  // A character cut between two packets is whole.
  const utf8 = Buffer.from('550 gr\u00fcn\r\n');
  assert.deepEqual(read(utf8.subarray(0, 7), utf8.subarray(7)), ['550 gr\u00fcn']);
});

test('words that are no reply are told at once', () => {
  assert.deepEqual(read('SSH-2.0\r\n250 Ok\r\n'), ['? unintelligible reply: SSH-2.0', '250 Ok']);
  assert.deepEqual(read('\r\n'), ['? unintelligible reply: ']);
  assert.deepEqual(read('250-one\r\n550 two\r\n'), ['? unintelligible reply: 250-one\n550 two']);
  assert.deepEqual(read('250-one\r\nwhat\r\n250 two\r\n'), [
    '? unintelligible reply: 250-one\nwhat',
    '250 two',
  ]);
  assert.deepEqual(read('199 a\r\n600 b\r\n2500 c\r\n'), [
    '? unintelligible reply: 199 a',
    '? unintelligible reply: 600 b',
    '? unintelligible reply: 2500 c',
  ]);
});

test('a line that has no end when the connection closes counts only as a reason to leave', () => {
  assert.deepEqual(read('421 4.3.2 Shutting d'), ['at the end: 421 Shutting d']);
  assert.deepEqual(read('250 2.0'), []);
  assert.deepEqual(read('550 5.1.1 No'), []);
  assert.deepEqual(read('421'), []);
  assert.deepEqual(read('421-one\r\n421 two'), []);
});

test('over-long lines and replies are cut, and memory stays bounded', () => {
  const [long] = read(`250 ${'x'.repeat(20_000)}\r\n`);
  assert.equal(long, `250 ${'x'.repeat(512)}`);
  const [inPieces] = read('250 ', ...Array<string>(1_000).fill('y'.repeat(1_000)), '\r\n');
  assert.equal(inPieces?.slice(0, 10), '250 yyyyyy');
  const lines = read(...Array<string>(3_000).fill(`250-${'z'.repeat(200)}\r\n`), '250 end\r\n');
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.slice(0, 8), '250 zzzz');
});

test('a reply that never ends is given up after a mebibyte', () => {
  const told = read(...Array<string>(20_000).fill(`250-${'z'.repeat(100)}\r\n`));
  assert.equal(told[0]?.slice(0, 23), '? unintelligible reply:');
});

test('where packets are cut makes no difference', () => {
  const words = fc
    .array(fc.constantFrom('250', '550', '-', ' ', '\r\n', '\n', 'Ok', '\u00fc', '421 ', '5'), {
      maxLength: 30,
    })
    .map((parts) => Buffer.from(`${parts.join('')}\r\n`));
  fc.assert(
    fc.property(words, fc.array(fc.nat({ max: 80 }), { maxLength: 6 }), (octets, cuts) => {
      const at = [0, ...cuts.filter((cut) => cut < octets.length).sort((a, b) => a - b), octets.length];
      const packets = at.slice(1).map((end, i) => octets.subarray(at[i], end));
      assert.deepEqual(read(...packets), read(octets));
    }),
    { numRuns: 3_000 },
  );
});
