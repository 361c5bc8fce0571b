// Peers whose replies are shifted by one, as the fuzz found them: what they say of a message is never final.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startScriptedPeer } from './scripted-peer.ts';
import { content, letter, open, told } from './smtp-session.ts';

test('a peer that speaks before its reply to EHLO gets no 8-bit mail bounced, and delivers none either', async () => {
  // The 500 answers nothing; the client takes it for the reply to EHLO, and the next one for the reply to HELO.
  await using peer = await startScriptedPeer(`
    S: 220 mx.example.net
    C: EHLO out.example.com
    S: 500 out of memory, going on
    C: HELO out.example.com
    S: 250-mx.example.net
    S: 250-PIPELINING
    S: 250 8BITMIME
    C: MAIL FROM:<alice@example.com> BODY=8BITMIME
    S: 250 mx.example.net
    C: RCPT TO:<bob@example.net>
    S: 250 2.1.0 sender ok
    C: DATA
    S: 250 2.1.5 recipient ok
    no more
  `);
  const session = await open(peer);
  const envelope = { ...letter('bob@example.net'), body: '8BITMIME' as const };
  const result = await session.transact(envelope, content('Subject: caf\xe9\r\n\r\nGr\xfc\xdfe\r\n'));
  await session.quit();
  assert.deepEqual(told(result), ['transient at data: 451 4.5.0 250 came out of turn: recipient ok']);
  await peer.played();
});
