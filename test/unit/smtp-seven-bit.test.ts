// 8-bit content made 7-bit: what changes, what stays, and what is refused.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SmtpContent } from '../../shared/smtp/client.ts';
import { createBase64, createQuotedPrintable } from '../../shared/smtp/mime-encode.ts';
import { toSevenBits } from '../../shared/smtp/seven-bit.ts';

/** In pieces of these many octets. */
function contentOf(octets: Buffer, pieceBytes: number): SmtpContent {
  return {
    sizeBytes: octets.length,
    open: async () =>
      Readable.from(
        Array.from({ length: Math.ceil(octets.length / pieceBytes) }, (_, i) =>
          octets.subarray(i * pieceBytes, (i + 1) * pieceBytes),
        ),
      ),
  };
}

/** The message as it would be sent, or why it is not. Text is UTF-8. */
async function converted(lines: readonly string[], pieceBytes = 1_000): Promise<string> {
  const fit = await toSevenBits(contentOf(Buffer.from(lines.join('\r\n')), pieceBytes), 'convert');
  if (fit.kind === 'unfit') return fit.because;
  const pieces: Uint8Array[] = [];
  for await (const piece of await fit.content.open()) pieces.push(piece);
  const whole = Buffer.concat(pieces);
  assert.equal(fit.content.sizeBytes, whole.length);
  assert.ok(whole.every((octet) => octet < 0x80));
  return whole.toString('latin1');
}

test('content without 8-bit octets is left as it is, whatever it is called', async () => {
  const content = contentOf(Buffer.from('Content-Transfer-Encoding: 8bit\r\n\r\nhello\r\n'), 5);
  for (const mode of ['refuse', 'convert'] as const) {
    assert.deepEqual(await toSevenBits(content, mode), { kind: 'fits', content });
  }
});

test('8-bit content is refused unless conversion was chosen', async () => {
  assert.deepEqual(await toSevenBits(contentOf(Buffer.from('\r\nü\r\n'), 9), 'refuse'), {
    kind: 'unfit',
    because: 'it holds 8-bit octets',
  });
});

test('a text becomes quoted-printable; the other header fields stay as they were', async () => {
  const before = [
    'Subject: =?utf-8?q?x?=',
    'Content-Type: text/plain;',
    '\tcharset=utf-8',
    'Mime-Version: 1.0',
  ];
  for (const pieceBytes of [1, 7, 1_000]) {
    assert.equal(
      await converted(
        [
          ...before,
          'content-transfer-encoding:',
          ' 8BIT',
          'X-Last: 1',
          '',
          'Grüße = gut ',
          '',
          'From me',
          '',
        ],
        pieceBytes,
      ),
      [
        ...before,
        'X-Last: 1',
        'Content-Transfer-Encoding: quoted-printable',
        '',
        'Gr=C3=BC=C3=9Fe =3D gut=20',
        '',
        'From me',
        '',
      ].join('\r\n'),
    );
  }
});

test('a message from before MIME becomes one of an unknown character set', async () => {
  assert.equal(
    await converted(['Subject: x', '', 'ü', '']),
    [
      'Subject: x',
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=unknown-8bit',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      '=C3=BC',
      '',
    ].join('\r\n'),
  );
});

test('of a multipart only the parts with 8-bit octets change, and the labels of what holds them', async () => {
  assert.equal(
    await converted([
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary="a b"',
      'Content-Transfer-Encoding: 8bit',
      '',
      'preamble',
      '--a b',
      '',
      'plain',
      '--a b  ',
      'Content-Type: text/html; charset=utf-8',
      'Content-Transfer-Encoding: 8bit',
      '',
      '<p>ü</p>',
      '--a b',
      'Content-Type: message/rfc822',
      'Content-Transfer-Encoding: 8bit',
      '',
      'Content-Type: multipart/alternative; boundary=in',
      '',
      '--in',
      'Content-Type: application/x-thing',
      'Content-Transfer-Encoding: binary',
      '',
      'ü1',
      '2',
      '--in--',
      'end of the inner one',
      '--a b--',
      'epilogue',
      '',
    ]),
    [
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary="a b"',
      'Content-Transfer-Encoding: 7bit',
      '',
      'preamble',
      '--a b',
      '',
      'plain',
      '--a b  ',
      'Content-Type: text/html; charset=utf-8',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      '<p>=C3=BC</p>',
      '--a b',
      'Content-Type: message/rfc822',
      'Content-Transfer-Encoding: 7bit',
      '',
      'Content-Type: multipart/alternative; boundary=in',
      '',
      '--in',
      'Content-Type: application/x-thing',
      'Content-Transfer-Encoding: base64',
      '',
      'w7wxDQoy',
      '--in--',
      'end of the inner one',
      '--a b--',
      'epilogue',
      '',
    ].join('\r\n'),
  );
});

test('the parts of a digest are messages, which are never encoded as a whole', async () => {
  const digest = ['Content-Type: multipart/digest; boundary=d', 'MIME-Version: 1.0', '', '--d', ''];
  assert.equal(
    await converted([...digest, 'Subject: x', '', 'ü', '--d--', '']),
    [
      ...digest,
      'Subject: x',
      'Content-Type: text/plain; charset=unknown-8bit',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      '=C3=BC',
      '--d--',
      '',
    ].join('\r\n'),
  );
});

test('what cannot be converted rightly is refused', async () => {
  const multipart = (type: string, ...inner: readonly string[]) => [
    `Content-Type: multipart/${type}; boundary=b`,
    '',
    ...inner,
    '--b--',
    '',
  ];
  for (const [lines, because] of [
    [['Subject: ü', '', 'x', ''], 'a header holds 8-bit octets'],
    [
      multipart('mixed', '--b', 'Content-Disposition: inline; filename=ü', '', 'x'),
      'a header holds 8-bit octets',
    ],
    [multipart('mixed', 'ü', '--b', '', 'x'), 'there are 8-bit octets between its parts'],
    [multipart('signed', '--b', '', 'ü'), 'a signed part holds 8-bit octets'],
    [
      ['Content-Transfer-Encoding: quoted-printable', '', 'ü=20', ''],
      'a part in quoted-printable holds 8-bit octets',
    ],
    [['Content-Type: message/partial', '', 'ü', ''], 'a part of type message/partial holds 8-bit octets'],
    [['Content-Type: multipart/mixed', '', 'ü', ''], 'a part of type multipart/mixed holds 8-bit octets'],
    [['', `ü${'x'.repeat(1_100_000)}`, ''], 'a line is too long'],
    [
      Array(5_000)
        .fill(`X-Long: ${'x'.repeat(70)}`)
        .concat('', 'ü', ''),
      'a header is too long',
    ],
  ] as const) {
    assert.equal(await converted(lines), because);
  }
});

test('quoted-printable and base64 give the very octets back, in lines of at most 76', () => {
  const line = fc
    .uint8Array({ maxLength: 200 })
    .map((octets) => Buffer.from(octets.map((octet) => (octet === 0x0a ? 0x20 : octet))));
  const lines = fc.array(fc.tuple(line, fc.constantFrom('\r\n', '\r\n', '\r\n', '\n')), { maxLength: 8 });
  fc.assert(
    fc.property(lines, fc.boolean(), (all, isBeforeBoundary) => {
      const octets = all.map(([text, end]) => Buffer.concat([text, Buffer.from(end)]));
      const whole = Buffer.concat(octets);
      for (const [encoder, decode] of [
        [createQuotedPrintable(), decodeQuotedPrintable],
        [createBase64(), (text: string) => Buffer.from(text.replaceAll('\r\n', ''), 'base64')],
      ] as const) {
        const made = Buffer.concat([
          ...octets.map((each) => encoder.line(each)),
          encoder.end(isBeforeBoundary),
        ]);
        const text = made.toString('latin1');
        for (const each of text.split('\r\n')) assert.ok(each.length <= 76 && /^[\t -~]*$/.test(each));
        assert.ok(!/[ \t]\r\n/.test(text));
        const back = decode(text);
        // Before a boundary the last line's end is the boundary's: base64 leaves it out.
        const expected =
          decode === decodeQuotedPrintable || !isBeforeBoundary ? whole : withoutLastEnd(whole);
        assert.ok(back.equals(expected));
      }
    }),
    { numRuns: 1_000 },
  );
});

function withoutLastEnd(octets: Buffer): Buffer {
  if (octets.at(-1) !== 0x0a) return octets;
  return octets.subarray(0, octets.at(-2) === 0x0d ? -2 : -1);
}

function decodeQuotedPrintable(text: string): Buffer {
  const joined = text.replaceAll('=\r\n', '');
  return Buffer.from(
    joined.replaceAll(/=([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16))),
    'latin1',
  );
}

test('a line of a megabyte of blanks behind two dashes costs no more than any other', async () => {
  const lines = [
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    '',
    'größer',
    `--${' '.repeat(1_000_000)}x`,
    '--b--',
    '',
  ];
  assert.match(await converted(lines, 50_000), /gr=C3=B6=C3=9Fer/);
});
