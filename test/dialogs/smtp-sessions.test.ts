// How a session opens, carries many messages, and ends.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { greeted, startScriptedPeer } from './scripted-peer.ts';
import {
  client,
  content,
  ENVELOPE,
  HELLO,
  letter,
  open,
  openFailing,
  outcomesOf,
  sendTo,
  TIMEOUTS,
  TLS,
  target,
  told,
  until,
} from './smtp-session.ts';

test('a refused connection, a silent and a rude greeting fail the opening', async () => {
  const gone = await startScriptedPeer('');
  await gone.stop();
  assert.match(
    await openFailing(gone),
    /^connect: 421 4\.4\.1 mx\.example\.net \[127\.0\.0\.1\]:\d+ cannot be reached: ECONNREFUSED$/,
  );

  await using peer = await startScriptedPeer(
    'silence',
    'S: 554 5.7.1 You are on a list',
    'raw "220 mx"',
    '',
    'S: 220 mx.example.net\n silence',
    'S: 220 mx.example.net\n C: EHLO out.example.com\n S: 421 4.3.2 Not now',
    'S: 421 4.7.0 Too many connections from you',
    'S: SSH-2.0-OpenSSH_9.6\n silence',
  );
  const timeouts = { ...TIMEOUTS, greetingMs: 60, ehloMs: 60 };
  assert.deepEqual(
    [
      await openFailing(peer, { timeouts }),
      await openFailing(peer),
      await openFailing(peer),
      await openFailing(peer),
      await openFailing(peer, { timeouts }),
      await openFailing(peer),
      await openFailing(peer),
      await openFailing(peer),
    ],
    [
      'greeting: 421 4.4.2 timed out while waiting for the greeting',
      'greeting: 554 5.7.1 You are on a list',
      'greeting: 421 4.4.2 connection lost while waiting for the greeting',
      'greeting: 421 4.4.2 connection lost while waiting for the greeting',
      'ehlo: 421 4.4.2 timed out while waiting for the reply to EHLO',
      'ehlo: 421 4.3.2 Not now',
      'greeting: 421 4.7.0 Too many connections from you',
      'greeting: 451 4.5.0 unintelligible reply: SSH-2.0-OpenSSH_9.6',
    ],
  );
});

test('a source address or port that cannot be fails the opening instead of throwing', async () => {
  const badAddress = await client().open(target(25, { localAddress: 'not an address' }));
  const badPort = await client().open(target(70_000));
  assert.deepEqual([badAddress.kind, badPort.kind], ['failed', 'failed']);
});

test('the connection comes from the source address that the target names', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: QUIT
    S: 221 Bye
  `);
  const session = await open(peer, { localAddress: '127.0.0.9' });
  assert.deepEqual(peer.clients, ['127.0.0.9']);
  await session.quit();
  await peer.played();
});

test('an idle connection is kept alive every minute, also under TLS', {
  skip: process.platform !== 'linux',
}, async () => {
  await using clear = await startScriptedPeer(`${greeted()}\n silence`);
  await using secure = await startScriptedPeer(`
    ${greeted('STARTTLS')}
    C: STARTTLS
    S: 220 Go on
    starttls
    C: EHLO out.example.com
    S: 250 mx.example.net
    silence
  `);
  for (const peer of [clear, secure]) {
    const session = await open(peer, { tls: TLS.ifavailable });
    const dueMs = keepaliveDueMs(peer.port);
    assert.ok(dueMs > 50_000 && dueMs <= 60_000, `${dueMs} ms`);
    session.destroy();
  }
});

test('a peer that knows no EHLO is greeted with HELO', async () => {
  await using peer = await startScriptedPeer(`
    S: 220 mx.example.net
    C: EHLO out.example.com
    S: 500 What?
    C: HELO out.example.com
    S: 250 mx.example.net
    ${ENVELOPE}
    C: DATA
    S: 354 Go on
    C: (content)
    S: 250 Ok
    C: QUIT
    S: 221 Bye
  `);
  assert.deepEqual(await sendTo(peer), ['delivered at final: 250 Ok', 'delivered at final: 250 Ok']);
  await peer.played();
});

test('many messages go over one session, each with its own content', async () => {
  const rounds = 30;
  const warnings: string[] = [];
  const onWarning = (warning: Error) => warnings.push(warning.message);
  process.on('warning', onWarning);
  const transaction = `
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: DATA
    S: 250 Ok
    S: 250 Ok
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 Ok
  `;
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    ${transaction.repeat(rounds)}
    C: QUIT
    S: 221 Bye
  `);
  const session = await open(peer);
  for (let i = 0; i < rounds; i++) {
    const [outcome] = outcomesOf(
      await session.transact(letter('bob@example.net'), content(`Subject: ${i}\r\n\r\n.${i}\r\n`)),
    );
    assert.equal(outcome?.kind, 'delivered');
    assert.equal(session.usable, true);
  }
  await session.quit();
  await peer.played();
  process.off('warning', onWarning);
  assert.equal(peer.contents.length, 30);
  assert.equal(String(peer.contents[29]), 'Subject: 29\r\n\r\n.29\r\n');
  assert.deepEqual(warnings, []);
});

test('after a refused message the session is reset and carries the next one', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: DATA
    S: 250 Ok
    S: 450 4.2.0 Greylisted
    S: 503 5.5.1 No valid recipients
    C: RSET
    S: 250 Ok
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<carol@example.net>
    C: DATA
    S: 250 Ok
    S: 250 Ok
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 Ok
    C: QUIT
    S: 221 Bye
  `);
  const session = await open(peer);
  const first = await session.transact(letter('bob@example.net'), HELLO);
  const second = await session.transact(letter('carol@example.net'), HELLO);
  await session.quit();
  assert.deepEqual(
    [...told(first), ...told(second)],
    ['transient at rcpt: 450 4.2.0 Greylisted', 'delivered at final: 250 2.0.0 Ok'],
  );
  await peer.played();
});

test('a session that cannot be reset is given up, and the verdicts stand', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    S: 250 Ok
    C: RCPT TO:<bob@example.net>
    S: 550 5.1.1 No such user
    C: RSET
    S: 500 5.5.1 What?
    silence
  `);
  const session = await open(peer);
  const outcomes = await session.transact(letter('bob@example.net'), HELLO);
  assert.deepEqual(told(outcomes), ['permanent at rcpt: 550 5.1.1 No such user']);
  assert.equal(session.usable, false);
  await peer.played();
});

test('a peer that never answers RSET is left after a time of its own, and the verdicts stand', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: DATA
    S: 250 Ok
    S: 550 5.1.1 No such user
    S: 554 5.5.1 No valid recipients
    C: RSET
    no more
  `);
  const session = await open(peer, { timeouts: { ...TIMEOUTS, rsetMs: 60 } });
  const outcomes = await session.transact(letter('bob@example.net'), HELLO);
  assert.deepEqual(told(outcomes), ['permanent at rcpt: 550 5.1.1 No such user']);
  await peer.played();
  await until(() => !session.usable);
});

test('what a peer says between two messages is the reason why the next is not attempted', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: DATA
    S: 250 Ok
    S: 250 Ok
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 Ok
    S: 421 4.4.2 Idle too long
    silence
  `);
  const session = await open(peer);
  await session.transact(letter('bob@example.net'), HELLO);
  await until(() => !session.usable);
  assert.deepEqual(await session.transact(letter('bob@example.net'), HELLO), {
    kind: 'unattempted',
    because: '421 4.4.2 Idle too long',
  });
});

test('a session that the peer closed between two messages is no longer usable', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: DATA
    S: 250 Ok
    S: 250 Ok
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 Ok
    S: 421 4.4.2 Idle too long
  `);
  const session = await open(peer);
  const first = await session.transact(letter('bob@example.net'), HELLO);
  await until(() => !session.usable);
  const second = await session.transact(letter('bob@example.net'), HELLO);
  assert.deepEqual(told(first), ['delivered at final: 250 2.0.0 Ok']);
  assert.equal(second.kind, 'unattempted');
  assert.equal(session.usable, false);
});

test('a peer that never answers QUIT is left within seconds', { timeout: 10_000 }, async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: QUIT
    silence
  `);
  const session = await open(peer);
  await session.quit();
  assert.equal(session.usable, false);
  await peer.played();
});

test('a second message on a session that is busy is a bug of the caller', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    silence
  `);
  const session = await open(peer);
  const first = session.transact(letter('bob@example.net'), HELLO);
  assert.equal(session.usable, false);
  await assert.rejects(session.transact(letter('carol@example.net'), HELLO), /a transaction is running/);
  session.destroy();
  assert.equal(outcomesOf(await first)[0]?.kind, 'transient');
});

/** When the kernel will probe the connection to this port, as /proc/net/tcp tells it (see proc(5)). */
function keepaliveDueMs(port: number): number {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((text) => text.trim().split(/\s+/))
    .find(([, , remote, state]) => remote === `0100007F:${hexPort}` && state === '01');
  const [kind, when] = (line?.[5] ?? '').split(':');
  // Kind 2 is the keepalive timer; its time is in hundredths of a second.
  return kind === '02' ? Number.parseInt(when ?? '', 16) * 10 : Number.NaN;
}
