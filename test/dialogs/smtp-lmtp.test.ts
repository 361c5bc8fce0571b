// LMTP (RFC 2033): LHLO, and a reply to the final dot for each accepted recipient.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ScriptedPeer, startScriptedPeer } from './scripted-peer.ts';
import { HELLO, letter, open, openFailing, told } from './smtp-session.ts';

const GREETED = `
  S: 220 mail.example.net LMTP
  C: LHLO out.example.com
  S: 250-mail.example.net
  S: 250-PIPELINING
  S: 250 ENHANCEDSTATUSCODES
`;
const THREE = ['bob@example.net', 'carol@example.net', 'dave@example.net'];

async function sent(peer: ScriptedPeer, letters: readonly (readonly string[])[]) {
  const session = await open(peer, { protocol: 'lmtp' });
  const results: Promise<string[] | string>[] = [];
  for (const recipients of letters) {
    results.push(session.transact(letter(...recipients), HELLO).then((result) => told(result)));
    await session.ready();
  }
  const outcomes = await Promise.all(results);
  await session.quit();
  return outcomes;
}

const ENVELOPE = `
  C: MAIL FROM:<alice@example.com>
  C: RCPT TO:<bob@example.net>
  C: RCPT TO:<carol@example.net>
  C: RCPT TO:<dave@example.net>
  C: DATA
`;

test('each recipient who was accepted has a verdict of its own after the content', async () => {
  await using peer = await startScriptedPeer(`
    ${GREETED}
    ${ENVELOPE}
    S: 250 2.1.0 Ok
    S: 250 2.1.5 Ok
    S: 550 5.1.1 No such user
    S: 250 2.1.5 Ok
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 Stored for bob
    S: 452 4.2.2 Mailbox of dave is full
    C: RSET
    S: 250 2.0.0 Ok
    C: QUIT
    S: 221 2.0.0 Bye
  `);
  assert.deepEqual(await sent(peer, [THREE]), [
    [
      'delivered at final: 250 2.0.0 Stored for bob',
      'permanent at rcpt: 550 5.1.1 No such user',
      'transient at final: 452 4.2.2 Mailbox of dave is full',
    ],
  ]);
  await peer.played();
});

test('the next message begins behind the last of the replies', async () => {
  await using peer = await startScriptedPeer(`
    ${GREETED}
    ${ENVELOPE}
    S: 250 2.1.0 Ok
    S: 250 2.1.5 Ok
    S: 250 2.1.5 Ok
    S: 250 2.1.5 Ok
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 one
    S: 250 2.0.0 two
    S: 250 2.0.0 three
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: DATA
    S: 250 2.1.0 Ok
    S: 250 2.1.5 Ok
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 four
    C: QUIT
    S: 221 2.0.0 Bye
  `);
  assert.deepEqual(await sent(peer, [THREE, ['bob@example.net']]), [
    [
      'delivered at final: 250 2.0.0 one',
      'delivered at final: 250 2.0.0 two',
      'delivered at final: 250 2.0.0 three',
    ],
    ['delivered at final: 250 2.0.0 four'],
  ]);
  await peer.played();
});

test('a connection that is lost among the replies leaves a doubt for those who have none', async () => {
  await using peer = await startScriptedPeer(`
    ${GREETED}
    ${ENVELOPE}
    S: 250 2.1.0 Ok
    S: 250 2.1.5 Ok
    S: 250 2.1.5 Ok
    S: 250 2.1.5 Ok
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 one
  `);
  const [outcomes] = await sent(peer, [THREE]);
  assert.deepEqual(outcomes, [
    'delivered at final: 250 2.0.0 one',
    'uncertain at final: 421 4.4.2 connection lost while waiting for the reply to the final dot',
    'uncertain at final: 421 4.4.2 connection lost while waiting for the reply to the final dot',
  ]);
});

test('content is refused for everybody where DATA is', async () => {
  await using peer = await startScriptedPeer(`
    ${GREETED}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: DATA
    S: 250 2.1.0 Ok
    S: 550 5.1.1 No such user
    S: 503 5.5.1 No valid recipients
    C: RSET
    S: 250 2.0.0 Ok
    C: QUIT
    S: 221 2.0.0 Bye
  `);
  assert.deepEqual(await sent(peer, [['bob@example.net']]), [['permanent at rcpt: 550 5.1.1 No such user']]);
  await peer.played();
});

test('a server of SMTP is not greeted a second time', async () => {
  await using peer = await startScriptedPeer(`
    S: 220 mx.example.net ESMTP
    C: LHLO out.example.com
    S: 500 5.5.1 Command unrecognized
    C: QUIT
    S: 221 Bye
  `);
  assert.equal(await openFailing(peer, { protocol: 'lmtp' }), 'ehlo: 500 5.5.1 Command unrecognized');
});

test('a server that asks for content although it took nobody gets none, since it would answer for nobody', async () => {
  await using peer = await startScriptedPeer(`
    ${GREETED}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: DATA
    S: 250 2.1.0 Ok
    S: 550 5.1.1 No such user
    S: 354 Go on
    no more
  `);
  const session = await open(peer, { protocol: 'lmtp' });
  assert.deepEqual(told(await session.transact(letter('bob@example.net'), HELLO)), [
    'permanent at rcpt: 550 5.1.1 No such user',
  ]);
  assert.equal(session.usable, false);
  await peer.played();
});
