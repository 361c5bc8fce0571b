// Peers and sources that do what nobody expects: replies one too many, sources that stall or fail while they are closed.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { SmtpContent } from '../../shared/smtp/client.ts';
import { createPeerMemory } from '../../shared/smtp/peer-memory.ts';
import { createSmtpClient } from '../../shared/smtp/smtp-client.ts';
import { greeted, startScriptedPeer } from './scripted-peer.ts';
import { HELLO, letter, open, outcomesOf, TIMEOUTS, target } from './smtp-session.ts';

test('a refusal that another reply pushed out of its place bounces nobody', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: RCPT TO:<carol@example.net>
    C: DATA
    S: 250 2.1.0 Ok
    S: 250 2.1.5 Ok
    S: 250 2.1.5 Ok, once more
    S: 550 5.1.1 no carol here
    C: RSET
    S: 354 Go on
    S: 250 2.0.0 Ok
  `);
  const session = await open(peer);
  const result = await session.transact(letter('bob@example.net', 'carol@example.net'), HELLO);
  assert.deepEqual(
    outcomesOf(result).map(({ kind }) => kind),
    ['transient', 'transient'],
  );
  assert.equal(session.usable, false);
});

test('a session that is destroyed while 8-bit content is looked at ends its transaction', async () => {
  await using peer = await startScriptedPeer(`${greeted('PIPELINING')} \n silence`);
  const session = await open(peer);
  const looked = Promise.withResolvers<void>();
  const stalling: SmtpContent = {
    sizeBytes: 10,
    async open() {
      looked.resolve();
      return new Readable({ read() {} });
    },
  };
  const transaction = session.transact({ ...letter('bob@example.net'), body: '8BITMIME' }, stalling);
  await looked.promise;
  session.destroy();
  assert.deepEqual(
    outcomesOf(await transaction).map(({ kind }) => kind),
    ['transient'],
  );
});

test('a source that fails while it is closed, either way, takes nothing down', async () => {
  const failsToReturn: SmtpContent = {
    sizeBytes: 1_000,
    open: async () => ({
      [Symbol.asyncIterator]: () => {
        let given = 0;
        return {
          next: () =>
            given++ === 0
              ? Promise.resolve({ value: Buffer.from('a'), done: false })
              : new Promise<IteratorResult<Uint8Array>>(() => {}),
          return() {
            throw new Error('closing fails');
          },
        };
      },
    }),
  };
  const failsToDestroy: SmtpContent = {
    sizeBytes: 1_000,
    open: async () =>
      new Readable({
        read() {},
        destroy(_error, done) {
          done(new Error('closing fails'));
        },
      }),
  };
  for (const content of [failsToReturn, failsToDestroy]) {
    await using peer = await startScriptedPeer(`
      ${greeted()}
      C: MAIL FROM:<alice@example.com>
      S: 250 2.1.0 Ok
      C: RCPT TO:<bob@example.net>
      S: 250 2.1.5 Ok
      C: DATA
      S: 354 Go on
      drop
    `);
    const session = await open(peer);
    const [outcome] = outcomesOf(await session.transact(letter('bob@example.net'), content));
    assert.equal(outcome?.kind, 'transient');
  }
});

test('whoever says QUIT a second time waits for the first, and both end', async () => {
  await using peer = await startScriptedPeer(`${greeted()} \n C: QUIT \n S: 221 Bye`);
  const session = await open(peer);
  await Promise.all([session.quit(), session.quit()]);
  await peer.played();
});

test('a session may idle for longer than any timeout and carry mail afterwards', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    S: 250 2.1.0 Ok
    C: RCPT TO:<bob@example.net>
    S: 550 5.1.1 no
    C: RSET
    S: 250 2.0.0 Ok
    C: QUIT
    S: 221 Bye
  `);
  const session = await open(peer, { timeouts: { ...TIMEOUTS, greetingMs: 500, ehloMs: 500, quitMs: 500 } });
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal(session.usable, true);
  const [outcome] = outcomesOf(await session.transact(letter('bob@example.net'), HELLO));
  assert.equal(outcome?.kind, 'permanent');
  await session.quit();
  await peer.played();
});

test('the address that the socket really reached is asked about, whatever was to be called', async () => {
  await using peer = await startScriptedPeer('no more');
  const asked: string[] = [];
  const client = createSmtpClient({
    memory: createPeerMemory({ nowMs: () => 0 }),
    permits(address) {
      asked.push(address);
      return address === '127.0.0.1' ? 'is loopback' : undefined;
    },
    dial: (options) => connect({ ...options, host: '127.0.0.1' }),
  });
  const outcome = await client.open(target(peer.port, { address: '192.0.2.9' }));
  assert.equal(outcome.kind === 'failed' && outcome.stage, 'connect');
  assert.deepEqual(asked, ['127.0.0.1']);
  await peer.played();
});
