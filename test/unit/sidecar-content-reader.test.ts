import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContentReader } from '../../sidecar/smtp/content-reader.ts';

/** Content and what follows it, when the wire comes in pieces cut at these places. */
function read(wire: string, cuts: readonly number[]): { content: string; rest: string | undefined } {
  const reader = new ContentReader();
  const bytes = Buffer.from(wire, 'latin1');
  let content = '';
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    const { pieces, rest } = reader.push(bytes.subarray(from, to));
    content += Buffer.concat([...pieces]).toString('latin1');
    if (rest !== undefined) {
      return { content, rest: rest.toString('latin1') + bytes.subarray(to).toString('latin1') };
    }
    from = to;
  }
  return { content, rest: undefined };
}

const CASES: readonly (readonly [name: string, wire: string, content: string, rest: string | undefined])[] = [
  ['an empty message', '.\r\nNOOP\r\n', '', 'NOOP\r\n'],
  ['one line', 'a\r\n.\r\n', 'a\r\n', ''],
  ['a stuffed first line', '..a\r\n.\r\n', '.a\r\n', ''],
  ['a line that is one stuffed dot', 'a\r\n..\r\nb\r\n.\r\n', 'a\r\n.\r\nb\r\n', ''],
  ['an empty line before the end', 'a\r\n\r\n.\r\n', 'a\r\n\r\n', ''],
  ['a bare LF and a dot, which is no end', 'a\n.\nb\n.\r\nc\r\n.\r\n', 'a\n.\nb\n.\r\nc\r\n', ''],
  ['a bare LF and two dots, which stay', 'a\n..b\r\n.\r\n', 'a\n..b\r\n', ''],
  ['CRLF, a dot and a bare LF, which is no end', 'a\r\n.\nb\r\n.\r\n', 'a\r\n\nb\r\n', ''],
  ['CRLF, a dot and a bare CR, which is no end', 'a\r\n.\rb\r\n.\r\n', 'a\r\n\rb\r\n', ''],
  ['CR CR LF before the dot', 'a\r\r\n.\r\nb', 'a\r\r\n', 'b'],
  ['CRLF, dot, CR, CRLF, dot', 'a\r\n.\r\r\n.\r\n', 'a\r\n\r\r\n', ''],
  ['octets beyond ASCII and NUL', '\xff\x00\r\n.\x80\r\n.\r\n', '\xff\x00\r\n\x80\r\n', ''],
  ['no end yet', 'a\r\n.', 'a\r\n', undefined],
];

for (const [name, wire, content, rest] of CASES) {
  test(`content is taken off the wire octet for octet, wherever it is cut: ${name}`, () => {
    for (let one = 0; one <= wire.length; one += 1) {
      for (let two = one; two <= wire.length; two += 1) {
        assert.deepEqual(read(wire, [one, two]), { content, rest }, `cut at ${one} and ${two}`);
      }
    }
    assert.deepEqual(
      read(
        wire,
        [...wire].map((_, index) => index),
      ),
      { content, rest },
    );
  });
}
