// Content on the wire: octet for octet what was given, whatever it holds and however it was cut.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { greeted, startScriptedPeer } from './scripted-peer.ts';
import { content, letter, open, outcomesOf } from './smtp-session.ts';

const TRANSACTION = `
  C: MAIL FROM:<alice@example.com>
  C: RCPT TO:<bob@example.net>
  C: DATA
  S: 250 Ok
  S: 250 Ok
  S: 354 Go on
  C: (content)
  S: 250 2.0.0 Ok
`;

/** What a peer receives of these contents, sent over one session. */
async function received(contents: readonly (readonly Uint8Array[])[]): Promise<readonly Buffer[]> {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    ${TRANSACTION.repeat(contents.length)}
    C: QUIT
    S: 221 Bye
  `);
  const session = await open(peer);
  for (const pieces of contents) {
    const [outcome] = outcomesOf(await session.transact(letter('bob@example.net'), content(...pieces)));
    assert.equal(outcome?.kind, 'delivered');
  }
  await session.quit();
  await peer.played();
  return peer.contents;
}

test('NUL, 8-bit octets, bare CR and LF, and lines of 10,000 octets arrive as they were', async () => {
  const odd = [
    'Subject: \0\r\n\r\n\0\r\n',
    'Subject: caf\u00e9\r\n\r\n\u00ff\u0080\r\n',
    'Subject: old Mac\r\n\r\none\rtwo\r\n',
    'Subject: Unix\r\n\r\none\ntwo\n\r\n',
    `Subject: long\r\n\r\n${'x'.repeat(10_000)}\r\n`,
    '\r\n\r\n\r\n',
  ].map((text) => Buffer.from(text, 'latin1'));
  assert.deepEqual(await received(odd.map((octets) => [octets])), odd);
});

test('dots that begin lines arrive single, and no line of theirs ends the content', async () => {
  const dots = ['.\r\n', '..\r\n', '.a\r\n.\r\n..b\r\n', 'a.\r\n.\r\n\r\n.\r\n'].map((text) =>
    Buffer.from(text),
  );
  assert.deepEqual(await received(dots.map((octets) => [octets])), dots);
  // The same, cut before and after every octet.
  const cut = dots.map((octets) => [...octets].map((octet) => Buffer.from([octet])));
  assert.deepEqual(await received(cut), dots);
});

test('content without a last CRLF gets one, and only what of it is missing', async () => {
  const unended = [[Buffer.from('a')], [Buffer.from('a\r')], [Buffer.from('a\r'), Buffer.from('\n')], []];
  assert.deepEqual((await received(unended)).map(String), ['a\r\n', 'a\r\n', 'a\r\n', '']);
});

test('any content, cut anywhere, arrives octet for octet', async () => {
  const line = fc
    .string({ unit: fc.constantFrom('.', 'a', '\0', '\u00e9', ' ', '\r\r', '\n'), maxLength: 6 })
    // A dot after a bare LF is doubled on purpose: such content never gets as far as the wire.
    .map((text) => Buffer.from(text.replaceAll(/\n\.+/g, '\n'), 'latin1'));
  const cutContent = fc
    .tuple(fc.array(line, { maxLength: 8 }), fc.array(fc.nat({ max: 60 }), { maxLength: 8 }))
    .map(([lines, cuts]) => {
      const whole = Buffer.concat(lines.flatMap((octets) => [octets, Buffer.from('\r\n')]));
      const at = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
      return { whole, pieces: at.slice(1).map((end, i) => whole.subarray(at[i], end)) };
    });
  await fc.assert(
    fc.asyncProperty(fc.array(cutContent, { minLength: 1, maxLength: 20 }), async (messages) => {
      assert.deepEqual(
        await received(messages.map(({ pieces }) => pieces)),
        messages.map(({ whole }) => whole),
      );
    }),
    { numRuns: 30 },
  );
});

test('a message of five megabytes arrives whole, in bounded pieces', async () => {
  const piece = Buffer.alloc(65_536, 'All work and no play makes Jack a dull boy.\r\n.');
  const pieces = Array.from({ length: 80 }, () => piece);
  const [arrived] = await received([[...pieces, Buffer.from('\r\n')]]);
  assert.equal(arrived?.equals(Buffer.concat([...pieces, Buffer.from('\r\n')])), true);
});

/** A little more than is written in one go. */
const SMALL_TOTAL = 70_000;

async function* inPieces(octets: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < octets.length; at += size) yield octets.subarray(at, at + size);
}

test('messages in many small pieces, sent one behind the other, keep their octets apart', async () => {
  const messages = Array.from({ length: 4 }, (_, n) =>
    Buffer.from(`Subject: ${n}\r\n\r\n${`${n}`.repeat(98)}\r\n`.padEnd(SMALL_TOTAL, `.${n}\r\n`)),
  ).map((octets) => Buffer.concat([octets, Buffer.from('\r\n')]));
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    ${TRANSACTION.repeat(messages.length)}
    C: QUIT
    S: 221 Bye
  `);
  const session = await open(peer);
  const results = [];
  for (const octets of messages) {
    await session.ready();
    const source = {
      sizeBytes: octets.length,
      open: async () => inPieces(octets, 100),
    };
    results.push(session.transact(letter('bob@example.net'), source));
  }
  for (const result of await Promise.all(results)) {
    assert.equal(outcomesOf(result)[0]?.kind, 'delivered');
  }
  await session.quit();
  await peer.played();
  for (const [n, octets] of messages.entries())
    assert.equal(peer.contents[n]?.equals(octets), true, `message ${n}`);
});
