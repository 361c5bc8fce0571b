// Connections that are lost, fall silent or are given up, at each stage.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { greeted, startScriptedPeer } from './scripted-peer.ts';
import { ENVELOPE, HELLO, heard, letter, neverEnding, open, sendTo, TIMEOUTS, told } from './smtp-session.ts';

for (const [stage, script, expected] of [
  [
    'after EHLO',
    'drop',
    'transient at mail: 421 4.4.2 connection lost while waiting for the reply to MAIL FROM',
  ],
  [
    'after MAIL',
    `C: MAIL FROM:<alice@example.com>
     S: 250 Ok
     C: RCPT TO:<bob@example.net>
     drop`,
    'transient at rcpt: 421 4.4.2 connection lost while waiting for the reply to RCPT TO',
  ],
  [
    'after DATA',
    `${ENVELOPE}
     C: DATA
     drop`,
    'transient at data: 421 4.4.2 connection lost while waiting for the reply to DATA',
  ],
  [
    'after the final dot',
    `${ENVELOPE}
     C: DATA
     S: 354 Go on
     C: (content)
     drop`,
    'uncertain at final: 421 4.4.2 connection lost while waiting for the reply to the final dot',
  ],
  [
    'after the final dot, closing in good order',
    `${ENVELOPE}
     C: DATA
     S: 354 Go on
     C: (content)`,
    'uncertain at final: 421 4.4.2 connection lost while waiting for the reply to the final dot',
  ],
  [
    'in the middle of the last reply',
    `${ENVELOPE}
     C: DATA
     S: 354 Go on
     C: (content)
     raw "250 2.0"`,
    'uncertain at final: 421 4.4.2 connection lost while waiting for the reply to the final dot',
  ],
] as const) {
  test(`a connection lost ${stage}: ${expected.split(' ', 1)[0]}`, async () => {
    await using peer = await startScriptedPeer(`${greeted()}\n${script}`);
    assert.deepEqual(await sendTo(peer), [expected, expected]);
    await peer.played();
  });
}

test('a connection lost in the middle of the content is transient', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    ${ENVELOPE}
    C: DATA
    S: 354 Go on
    C: (5 octets)
    drop
  `);
  const session = await open(peer);
  const endless = { sizeBytes: 1_000, open: async () => neverEnding('12345') };
  const outcomes = await session.transact(letter('bob@example.net', 'carol@example.net'), endless);
  assert.deepEqual(told(outcomes), [
    'transient at content: 421 4.4.2 connection lost while sending the content',
    'transient at content: 421 4.4.2 connection lost while sending the content',
  ]);
  assert.equal(session.usable, false);
  await peer.played();
});

for (const [stage, script, timeout, expected] of [
  [
    'the reply to MAIL FROM',
    'silence',
    'mailMs',
    'transient at mail: 421 4.4.2 timed out while waiting for the reply to MAIL FROM',
  ],
  [
    'the last line of a reply',
    `C: MAIL FROM:<alice@example.com>
     S: 250-Ok
     silence`,
    'mailMs',
    'transient at mail: 421 4.4.2 timed out while waiting for the reply to MAIL FROM',
  ],
  [
    'the reply to RCPT TO',
    `C: MAIL FROM:<alice@example.com>
     S: 250 Ok
     silence`,
    'rcptMs',
    'transient at rcpt: 421 4.4.2 timed out while waiting for the reply to RCPT TO',
  ],
  [
    'the reply to DATA',
    `${ENVELOPE}
     silence`,
    'dataMs',
    'transient at data: 421 4.4.2 timed out while waiting for the reply to DATA',
  ],
  [
    'the reply to the final dot',
    `${ENVELOPE}
     C: DATA
     S: 354 Go on
     C: (content)
     silence`,
    'finalMs',
    'uncertain at final: 421 4.4.2 timed out while waiting for the reply to the final dot',
  ],
] as const) {
  test(`a peer that keeps ${stage} to itself is left when its time is over`, async () => {
    await using peer = await startScriptedPeer(`${greeted()}\n${script}`);
    const timeouts = { ...TIMEOUTS, [timeout]: 60 };
    assert.deepEqual(await sendTo(peer, { timeouts }), [expected, expected]);
    await peer.played();
  });
}

test('content that no longer moves is given up when its time is over', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    ${ENVELOPE}
    C: DATA
    S: 354 Go on
    silence
  `);
  const session = await open(peer, { timeouts: { ...TIMEOUTS, contentMs: 60 } });
  const stuck = { sizeBytes: 1_000, open: async () => neverEnding('12345') };
  const outcomes = await session.transact(letter('bob@example.net', 'carol@example.net'), stuck);
  assert.equal(told(outcomes)[0], 'transient at content: 421 4.4.2 timed out while sending the content');
});

test('content that never begins is given up when its time is over', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    ${ENVELOPE}
    C: DATA
    S: 354 Go on
    no more
  `);
  const session = await open(peer, { timeouts: { ...TIMEOUTS, contentMs: 60 } });
  const unopened = { sizeBytes: 1_000, open: () => new Promise<never>(() => {}) };
  const outcomes = await session.transact(letter('bob@example.net', 'carol@example.net'), unopened);
  assert.equal(told(outcomes)[0], 'transient at content: 421 4.4.2 timed out while sending the content');
  await peer.played();
});

test('content that moves slowly, but each time within the limit, is waited for', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    ${ENVELOPE}
    C: DATA
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 Ok
  `);
  const session = await open(peer, { timeouts: { ...TIMEOUTS, contentMs: 400 } });
  const pieces = ['a\r\n', 'b\r\n', 'c\r\n', 'd\r\n'];
  const slow = new Readable({
    read() {
      const piece = pieces.shift();
      setTimeout(() => this.push(piece === undefined ? null : Buffer.from(piece)), 150);
    },
  });
  const outcomes = await session.transact(letter('bob@example.net', 'carol@example.net'), {
    sizeBytes: 12,
    open: async () => slow,
  });
  assert.equal(told(outcomes)[0], 'delivered at final: 250 2.0.0 Ok');
});

test('a peer that answers slowly, but each time within the limit, is waited for', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: RCPT TO:<carol@example.net>
    C: DATA
    wait 150
    S: 250 Ok
    wait 150
    S: 250 Ok
    wait 150
    S: 250 Ok
    wait 150
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 Ok
    C: QUIT
    S: 221 Bye
  `);
  const timeouts = { ...TIMEOUTS, mailMs: 400, rcptMs: 400, dataMs: 400 };
  assert.deepEqual(await sendTo(peer, { timeouts }), [
    'delivered at final: 250 2.0.0 Ok',
    'delivered at final: 250 2.0.0 Ok',
  ]);
});

test('a destroyed session ends its transaction, with doubt only after the content', async () => {
  for (const [script, expected] of [
    ['', 'transient at mail: 421 4.4.2 connection lost while waiting for the reply to MAIL FROM'],
    [
      `S: 250 Ok
       C: RCPT TO:<bob@example.net>
       S: 250 Ok
       C: DATA
       S: 354 Go on
       C: (content)`,
      'uncertain at final: 421 4.4.2 connection lost while waiting for the reply to the final dot',
    ],
  ] as const) {
    await using peer = await startScriptedPeer(`
      ${greeted()}
      C: MAIL FROM:<alice@example.com>
      ${script}
      silence
    `);
    const session = await open(peer);
    const outcomes = session.transact(letter('bob@example.net'), HELLO);
    await heard(peer, script === '' ? 'C: MAIL' : 'C: (content');
    session.destroy();
    assert.deepEqual(told(await outcomes), [expected]);
    await peer.played();
  }
});

test('content that cannot be read fails the transaction, and the peer never sees its end', async () => {
  for (const broken of [
    { sizeBytes: 10, open: () => Promise.reject(new Error('no such object')) },
    { sizeBytes: 10, open: async () => failingAfter('12345') },
    { sizeBytes: 10, open: async () => Readable.from([Buffer.from('12345')], { objectMode: false }) },
    { sizeBytes: 10, open: async () => Readable.from([Buffer.from('1234567890X')], { objectMode: false }) },
    { sizeBytes: 10, open: async () => endless('12345') },
  ]) {
    await using peer = await startScriptedPeer(`
      ${greeted()}
      C: MAIL FROM:<alice@example.com>
      S: 250 Ok
      C: RCPT TO:<bob@example.net>
      S: 250 Ok
      C: DATA
      S: 354 Go on
      C: (content)
    `);
    const session = await open(peer);
    assert.equal((await session.transact(letter('bob@example.net'), broken)).kind, 'unattempted');
    assert.equal(session.usable, false);
    await assert.rejects(peer.played(), /the client is gone/);
    assert.deepEqual(peer.contents, []);
  }
});

test('the source of the content is closed when the connection is lost', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    S: 250 Ok
    C: RCPT TO:<bob@example.net>
    S: 250 Ok
    C: DATA
    S: 354 Go on
    C: (5 octets)
    drop
  `);
  const source = neverEnding('12345');
  const closed = new Promise((resolve) => source.once('close', resolve));
  const session = await open(peer);
  await session.transact(letter('bob@example.net'), { sizeBytes: 1_000, open: async () => source });
  await closed;
  assert.equal(source.destroyed, true);
});

function failingAfter(piece: string): Readable {
  let given = false;
  return new Readable({
    read() {
      if (given) this.destroy(new Error('the object store hung up'));
      else this.push(Buffer.from(piece));
      given = true;
    },
  });
}

function endless(piece: string): Readable {
  return new Readable({
    read() {
      this.push(Buffer.from(piece));
    },
  });
}
