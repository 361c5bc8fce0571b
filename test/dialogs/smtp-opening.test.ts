// A session must open in one bounded time, however it is spent.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startScriptedPeer } from './scripted-peer.ts';
import { openFailing, TIMEOUTS } from './smtp-session.ts';

test('a peer that greets and then ponders over EHLO is given up when the opening has lasted too long', async () => {
  await using peer = await startScriptedPeer('S: 220 mx.example.net ESMTP\nC: EHLO out.example.com\nsilence');
  const failure = await openFailing(peer, { timeouts: { ...TIMEOUTS, openingMs: 200 } });
  assert.match(failure, /^ehlo: 421 4\.4\.2 /);
});
