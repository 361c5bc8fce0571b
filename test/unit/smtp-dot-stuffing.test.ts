// Dot-stuffing, cut anywhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createDotStuffer } from '../../shared/smtp/dot-stuffing.ts';

function stuffed(...pieces: readonly string[]): string {
  const stuffer = createDotStuffer();
  const wire = pieces.map((piece) => stuffer.push(Buffer.from(piece, 'latin1')));
  return Buffer.concat([...wire, stuffer.end()]).toString('latin1');
}

test('a dot that begins a line is doubled, and nothing else is touched', () => {
  for (const [content, wire] of [
    ['hello\r\n', 'hello\r\n.\r\n'],
    ['.\r\n', '..\r\n.\r\n'],
    ['..\r\n', '...\r\n.\r\n'],
    ['a.b\r\n.c\r\nd.\r\n', 'a.b\r\n..c\r\nd.\r\n.\r\n'],
    ['a\r\n.\r\n.\r\n', 'a\r\n..\r\n..\r\n.\r\n'],
    ['\0\xff\r\n', '\0\xff\r\n.\r\n'],
    ['a\rb\nc\r\n', 'a\rb\nc\r\n.\r\n'],
  ] as const) {
    assert.equal(stuffed(content), wire);
  }
});

test('content that does not end with CRLF gets what is missing of it', () => {
  assert.equal(stuffed('a'), 'a\r\n.\r\n');
  assert.equal(stuffed('a\r'), 'a\r\n.\r\n');
  assert.equal(stuffed('a\n'), 'a\n\r\n.\r\n');
  assert.equal(stuffed('a\r', '\n'), 'a\r\n.\r\n');
  assert.equal(stuffed(''), '.\r\n');
  assert.equal(stuffed('\n'), '\n\r\n.\r\n');
});

test('no peer that ends lines at LF sees an end of content in the middle of it', () => {
  assert.equal(stuffed('a\n.\nMAIL FROM:<>\r\n'), 'a\n..\nMAIL FROM:<>\r\n.\r\n');
  assert.equal(stuffed('a\n', '.\r\nb\r\n'), 'a\n..\r\nb\r\n.\r\n');
});

test('a piece without a leading dot is passed on without a copy', () => {
  const piece = Buffer.from('no dots here\r\n');
  assert.equal(createDotStuffer().push(piece), piece);
});

test('where content is cut makes no difference', () => {
  const octets = fc
    .array(fc.constantFrom('\r', '\n', '.', 'a'), { maxLength: 20 })
    .map((all) => all.join(''));
  fc.assert(
    fc.property(octets, fc.array(fc.nat({ max: 20 }), { maxLength: 6 }), (content, cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), content.length];
      const pieces = at.slice(1).map((end, i) => content.slice(at[i], end));
      assert.equal(stuffed(...pieces), stuffed(content));
    }),
    { numRuns: 2_000 },
  );
});
