// Messages under way at once on a warm session: what leaves in one write, and what becomes of each of them when the
// peer refuses, ends the session or breaks off, at every point.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { PeerTrait, SmtpSession, TransactionResult } from '../../shared/smtp/client.ts';
import { formatReply } from '../../shared/smtp/reply.ts';
import { createSmtpClient } from '../../shared/smtp/smtp-client.ts';
import { greeted, type ScriptedPeer, startScriptedPeer } from './scripted-peer.ts';
import { content, heard, letter, TIMEOUTS, target, until } from './smtp-session.ts';

const ENVELOPE = `
  C: MAIL FROM:<alice@example.com>
  C: RCPT TO:<bob@example.net>
  C: DATA
`;
const TAKEN = `
  S: 250 2.1.0 Ok
  S: 250 2.1.5 Ok
  S: 354 Go on
`;
/** The opening and one clean transaction. */
const WARM = `
  ${greeted('PIPELINING')}
  ${ENVELOPE}
  ${TAKEN}
  C: (content)
  S: 250 2.0.0 Ok
`;
/** Then a second one, with the envelope of the third behind its final dot. */
const OVERLAPPED = `
  ${ENVELOPE}
  ${TAKEN}
  C: (content)
  ${ENVELOPE}
`;
const QUIT = `
  C: QUIT
  S: 221 Bye
`;

interface Warm {
  readonly session: SmtpSession;
  readonly noted: readonly PeerTrait[];
}

/** A session that carried one message, cleanly. */
async function warmUp(peer: ScriptedPeer, timeouts = TIMEOUTS): Promise<Warm> {
  const noted: PeerTrait[] = [];
  const client = createSmtpClient({
    memory: {
      recall: async () => new Set(),
      note: async (_host, _port, trait) => void noted.push(trait),
    },
  });
  const opened = await client.open(target(peer.port, { timeouts }));
  if (opened.kind !== 'opened') throw new Error(formatReply(opened.reply));
  const { session } = opened;
  assert.deepEqual(toldOf(await transact(session, 'first')), ['delivered at final: 250']);
  return { session, noted };
}

function transact(session: SmtpSession, text: string): Promise<TransactionResult> {
  return session.transact(letter('bob@example.net'), content(`${text}\r\n`));
}

function toldOf(result: TransactionResult): string[] {
  return result.kind === 'unattempted'
    ? ['unattempted']
    : result.outcomes.map(({ kind, stage, reply }) => `${kind} at ${stage}: ${reply.code}`);
}

/** Three messages handed over as the session is ready for them. */
async function sendThree(session: SmtpSession): Promise<string[]> {
  const results: Promise<TransactionResult>[] = [];
  for (const text of ['second', 'third', 'fourth']) {
    await session.ready();
    results.push(transact(session, text));
  }
  return (await Promise.all(results)).flatMap(toldOf);
}

for (const [point, script, outcomes] of [
  ['before the reply to the final dot', '', ['uncertain at final: 421', 'unattempted']],
  ['behind the reply to the final dot', 'S: 250 2.0.0 Ok', ['delivered at final: 250', 'unattempted']],
  [
    'behind the reply to the next MAIL',
    'S: 250 2.0.0 Ok\nS: 250 2.1.0 Ok',
    ['delivered at final: 250', 'transient at rcpt: 421'],
  ],
  [
    'behind the reply to the next RCPT',
    'S: 250 2.0.0 Ok\nS: 250 2.1.0 Ok\nS: 250 2.1.5 Ok',
    ['delivered at final: 250', 'transient at data: 421'],
  ],
  [
    'behind the next final dot',
    `S: 250 2.0.0 Ok
     ${TAKEN}
     C: (content)
     ${ENVELOPE}`,
    ['delivered at final: 250', 'uncertain at final: 421'],
  ],
] as const) {
  test(`a connection lost with messages under way, ${point}, leaves one of them in doubt at most`, async () => {
    await using peer = await startScriptedPeer(`${WARM} ${OVERLAPPED} ${script} \n drop`);
    const { session } = await warmUp(peer);
    assert.deepEqual(await sendThree(session), [...outcomes, 'unattempted']);
    assert.equal(session.usable, false);
    await peer.played();
  });

  test(`a 421 with messages under way, ${point}, releases those that were not judged`, async () => {
    await using peer = await startScriptedPeer(`
      ${WARM} ${OVERLAPPED} ${script}
      S: 421 4.3.2 Shutting down
      no more
    `);
    const { session } = await warmUp(peer);
    const judged = outcomes.map((told) => told.replace('uncertain', 'transient'));
    assert.deepEqual(await sendThree(session), [...judged, 'unattempted']);
    await peer.played();
  });
}

test('replies in packets of one octet overlap all the same', async () => {
  await using peer = await startScriptedPeer(`
    split 1
    ${WARM} ${OVERLAPPED}
    S: 250 2.0.0 Ok
    ${TAKEN}
    C: (content)
    ${ENVELOPE}
    S: 250 2.0.0 Ok
    ${TAKEN}
    C: (content)
    S: 250 2.0.0 Ok
    ${QUIT}
  `);
  const { session, noted } = await warmUp(peer);
  assert.deepEqual(await sendThree(session), [
    'delivered at final: 250',
    'delivered at final: 250',
    'delivered at final: 250',
  ]);
  await session.quit();
  await peer.played();
  assert.deepEqual(peer.contents.map(String), ['first\r\n', 'second\r\n', 'third\r\n', 'fourth\r\n']);
  assert.deepEqual(noted, []);
});

test('a message that comes while the reply to a final dot is awaited follows it at once', async () => {
  await using peer = await startScriptedPeer(`
    ${WARM} ${OVERLAPPED}
    S: 250 2.0.0 Ok
    ${TAKEN}
    C: (content)
    S: 250 2.0.0 Ok
    ${QUIT}
  `);
  const { session } = await warmUp(peer);
  const second = transact(session, 'second');
  await until(() => peer.contents.length === 2);
  const third = transact(session, 'third');
  assert.deepEqual(
    [...toldOf(await second), ...toldOf(await third)],
    Array(2).fill('delivered at final: 250'),
  );
  await session.quit();
  await peer.played();
});

test('a refused recipient ends overlap, and the next clean transaction brings it back', async () => {
  await using peer = await startScriptedPeer(`
    ${WARM} ${OVERLAPPED}
    S: 250 2.0.0 Ok
    S: 250 2.1.0 Ok
    S: 450 4.2.0 Greylisted
    S: 554 5.5.1 No valid recipients
    C: RSET
    ${ENVELOPE}
    S: 250 2.0.0 Reset
    ${TAKEN}
    C: (content)
    S: 250 2.0.0 Ok
    ${OVERLAPPED}
    S: 250 2.0.0 Ok
    ${TAKEN}
    C: (content)
    S: 250 2.0.0 Ok
    ${QUIT}
  `);
  const { session, noted } = await warmUp(peer);
  assert.deepEqual(await sendThree(session), [
    'delivered at final: 250',
    'transient at rcpt: 450',
    'delivered at final: 250',
  ]);
  await session.ready();
  const fifth = transact(session, 'fifth');
  const sixth = transact(session, 'sixth');
  assert.deepEqual(
    [...toldOf(await fifth), ...toldOf(await sixth)],
    Array(2).fill('delivered at final: 250'),
  );
  await session.quit();
  await peer.played();
  assert.deepEqual(noted, []);
});

test('a refused content ends overlap; the envelope behind it stands', async () => {
  await using peer = await startScriptedPeer(`
    ${WARM} ${OVERLAPPED}
    S: 554 5.7.1 Spam
    ${TAKEN}
    C: (content)
    # The next envelope waits for this verdict.
    S: 250 2.0.0 Ok
    ${ENVELOPE}
    ${TAKEN}
    C: (content)
    S: 250 2.0.0 Ok
    ${QUIT}
  `);
  const { session } = await warmUp(peer);
  assert.deepEqual(await sendThree(session), [
    'permanent at final: 554',
    'delivered at final: 250',
    'delivered at final: 250',
  ]);
  await session.quit();
  await peer.played();
});

test('an envelope that was taken for part of a refused transaction is said once more', async () => {
  await using peer = await startScriptedPeer(`
    ${WARM} ${OVERLAPPED}
    S: 451 4.3.0 Try later
    S: 503 5.5.1 Nested MAIL
    S: 503 5.5.1 Need MAIL
    S: 503 5.5.1 Need RCPT
    C: RSET
    ${ENVELOPE}
    S: 250 2.0.0 Reset
    ${TAKEN}
    C: (content)
    S: 250 2.0.0 Ok
    ${ENVELOPE}
    ${TAKEN}
    C: (content)
    S: 250 2.0.0 Ok
    ${QUIT}
  `);
  const { session, noted } = await warmUp(peer);
  assert.deepEqual(await sendThree(session), [
    'transient at final: 451',
    'delivered at final: 250',
    'delivered at final: 250',
  ]);
  await session.quit();
  await peer.played();
  assert.deepEqual(noted, ['no-overlap']);
});

test('a peer that throws away what follows a final dot is left after a while, and remembered', async () => {
  await using peer = await startScriptedPeer(`
    ${WARM} ${OVERLAPPED}
    S: 250 2.0.0 Ok
    no more
  `);
  const { session, noted } = await warmUp(peer, { ...TIMEOUTS, mailMs: 300 });
  assert.deepEqual(await sendThree(session), ['delivered at final: 250', 'unattempted', 'unattempted']);
  assert.deepEqual(noted, ['no-overlap']);
  await peer.played();
});

test('a peer that breaks off when something follows a final dot is remembered', async () => {
  await using peer = await startScriptedPeer(`${WARM} ${OVERLAPPED} drop`);
  const { session, noted } = await warmUp(peer);
  assert.deepEqual(await sendThree(session), ['uncertain at final: 421', 'unattempted', 'unattempted']);
  assert.deepEqual(noted, ['no-overlap']);
});

test('content that cannot be read ends the session before its final dot, and nothing overlaps it', async () => {
  await using peer = await startScriptedPeer(`
    ${WARM} ${ENVELOPE} ${TAKEN}
    C: (3 octets)
    no more
  `);
  const { session, noted } = await warmUp(peer);
  const broken = { sizeBytes: 10, open: async () => Readable.from([Buffer.from('abc'), Buffer.from('def')]) };
  const second = session.transact(letter('bob@example.net'), broken);
  const third = transact(session, 'third');
  assert.deepEqual([...toldOf(await second), ...toldOf(await third)], ['unattempted', 'unattempted']);
  assert.deepEqual(noted, []);
});

test('a session that is destroyed leaves one message in doubt, and the others with us', async () => {
  await using peer = await startScriptedPeer(`${WARM} ${OVERLAPPED} silence`);
  const { session, noted } = await warmUp(peer);
  const results = sendThree(session);
  await heard(peer, 'C: DATA');
  await until(() => peer.transcript.filter((line) => line === 'C: DATA').length === 3);
  session.destroy();
  assert.deepEqual(await results, ['uncertain at final: 421', 'unattempted', 'unattempted']);
  assert.deepEqual(noted, []);
  await peer.played();
});

test('up to three may be handed over, and one more is a bug of the caller', async () => {
  await using peer = await startScriptedPeer(`${WARM} ${ENVELOPE} silence`);
  const { session } = await warmUp(peer);
  const results = ['second', 'third', 'fourth'].map((text) => {
    assert.equal(session.usable, true);
    return transact(session, text);
  });
  assert.equal(session.usable, false);
  await assert.rejects(transact(session, 'fifth'), /a transaction is running/);
  session.destroy();
  assert.deepEqual((await Promise.all(results)).flatMap(toldOf), Array(3).fill('unattempted'));
});
