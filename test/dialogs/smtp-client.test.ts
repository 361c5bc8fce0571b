// The SMTP client against scripted peers: what each reply, at each stage, means for each recipient.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { SmtpTarget } from '../../shared/smtp/client.ts';
import { createNodemailerClient } from '../../shared/smtp/nodemailer-client.ts';
import { greeted, type ScriptedPeer, startScriptedPeer } from './scripted-peer.ts';
import { content, HELLO, letter, open, openFailing, TIMEOUTS, target, told } from './smtp-session.ts';

/** One transaction on one session with the recipients bob and carol. */
async function sendTo(peer: ScriptedPeer, more: Partial<SmtpTarget> = {}): Promise<string[]> {
  const session = await open(peer, more);
  const outcomes = await session.transact(letter('bob@example.net', 'carol@example.net'), HELLO);
  await session.quit();
  return told(outcomes);
}

const ENVELOPE = `
  C: MAIL FROM:<alice@example.com>
  S: 250 2.1.0 Ok
  C: RCPT TO:<bob@example.net>
  S: 250 2.1.5 Ok
  C: RCPT TO:<carol@example.net>
  S: 250 2.1.5 Ok
`;

const RESET_AND_QUIT = `
  C: RSET
  S: 250 2.0.0 Ok
  C: QUIT
  S: 221 2.0.0 Bye
`;

test('a message is delivered to both recipients, and the reply to the final dot is kept word for word', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    ${ENVELOPE}
    C: DATA
    S: 354 End data with <CR><LF>.<CR><LF>
    C: (content)
    S: 250 2.0.0 Ok: queued as 4Xyz
    C: QUIT
    S: 221 2.0.0 Bye
  `);
  assert.deepEqual(await sendTo(peer), [
    'delivered at final: 250 2.0.0 Ok: queued as 4Xyz',
    'delivered at final: 250 2.0.0 Ok: queued as 4Xyz',
  ]);
  await peer.played();
  assert.equal(String(peer.contents[0]), 'Subject: hello\r\n\r\nhello\r\n');
});

test('a peer that offers PIPELINING gets envelope and DATA at once', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING', 'SIZE 1000000', '8BITMIME')}
    C: MAIL FROM:<alice@example.com> SIZE=25
    C: RCPT TO:<bob@example.net>
    C: RCPT TO:<carol@example.net>
    C: DATA
    S: 250 2.1.0 Ok
    S: 250 2.1.5 Ok
    S: 550 5.1.1 No such user
    S: 354 Go on
    C: (content)
    S: 250 2.0.0 Ok
    C: QUIT
    S: 221 2.0.0 Bye
  `);
  assert.deepEqual(await sendTo(peer), [
    'delivered at final: 250 2.0.0 Ok',
    'permanent at rcpt: 550 5.1.1 No such user',
  ]);
  await peer.played();
});

test('replies of several lines, cut anywhere, are understood', async () => {
  await using peer = await startScriptedPeer(`
    split 1
    S: 220-mx.example.net ESMTP
    S: 220 We log everything
    C: EHLO out.example.com
    S: 250-mx.example.net
    S: 250 PIPELINING
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: RCPT TO:<carol@example.net>
    C: DATA
    S: 250-2.1.0 Sender
    S: 250 2.1.0 is fine
    S: 250 2.1.5 Ok
    S: 450-4.2.0 Greylisted,
    S: 450 4.2.0 see https://example.net/grey
    S: 354 Go on
    C: (content)
    S: 250-2.0.0 Thank you
    S: 250 2.0.0 and good night
    C: QUIT
    S: 221 2.0.0 Bye
  `);
  const session = await open(peer);
  const [bob, carol] = await session.transact(letter('bob@example.net', 'carol@example.net'), HELLO);
  await session.quit();
  assert.deepEqual(bob?.reply, { code: 250, enhanced: '2.0.0', text: 'Thank you\nand good night' });
  assert.deepEqual(carol?.reply, {
    code: 450,
    enhanced: '4.2.0',
    text: 'Greylisted,\nsee https://example.net/grey',
  });
  await peer.played();
});

test('a refused sender is the outcome of every recipient', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    S: 451 4.7.1 Try again later
    ${RESET_AND_QUIT}
  `);
  assert.deepEqual(await sendTo(peer), [
    'transient at mail: 451 4.7.1 Try again later',
    'transient at mail: 451 4.7.1 Try again later',
  ]);
  await peer.played();
});

test('a refused sender is the outcome of every recipient of a pipelined envelope too', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: RCPT TO:<carol@example.net>
    C: DATA
    S: 550 5.7.1 Not from you
    S: 503 5.5.1 Need MAIL
    S: 503 5.5.1 Need MAIL
    S: 503 5.5.1 Need MAIL
    ${RESET_AND_QUIT}
  `);
  assert.deepEqual(await sendTo(peer), [
    'permanent at mail: 550 5.7.1 Not from you',
    'permanent at mail: 550 5.7.1 Not from you',
  ]);
  await peer.played();
});

test('each recipient has the verdict that it got, and the session is reset when all are refused', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    S: 250 Ok
    C: RCPT TO:<bob@example.net>
    S: 452 4.2.2 Mailbox full
    C: RCPT TO:<carol@example.net>
    S: 550 No such user
    ${RESET_AND_QUIT}
  `);
  assert.deepEqual(await sendTo(peer), [
    'transient at rcpt: 452 4.2.2 Mailbox full',
    'permanent at rcpt: 550 No such user',
  ]);
  await peer.played();
});

test('a peer that asks for content although it refused every recipient gets none', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: RCPT TO:<carol@example.net>
    C: DATA
    S: 250 Ok
    S: 550 5.1.1 No such user
    S: 450 4.2.1 Not now
    S: 354 Go on
    C: .
    S: 554 5.5.1 No valid recipients
    C: QUIT
    S: 221 Bye
  `);
  assert.deepEqual(await sendTo(peer), [
    'permanent at rcpt: 550 5.1.1 No such user',
    'transient at rcpt: 450 4.2.1 Not now',
  ]);
  await peer.played();
});

test('a refused DATA is the outcome of the accepted recipients only', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    S: 250 Ok
    C: RCPT TO:<bob@example.net>
    S: 250 Ok
    C: RCPT TO:<carol@example.net>
    S: 550 5.1.1 No such user
    C: DATA
    S: 451 4.3.0 Disk trouble
    ${RESET_AND_QUIT}
  `);
  assert.deepEqual(await sendTo(peer), [
    'transient at data: 451 4.3.0 Disk trouble',
    'permanent at rcpt: 550 5.1.1 No such user',
  ]);
  await peer.played();
});

test('a message refused after the final dot is refused for the accepted recipients', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    ${ENVELOPE}
    C: DATA
    S: 354 Go on
    C: (content)
    S: 554 5.7.1 Spam
    C: QUIT
    S: 221 Bye
  `);
  assert.deepEqual(await sendTo(peer), [
    'permanent at final: 554 5.7.1 Spam',
    'permanent at final: 554 5.7.1 Spam',
  ]);
  await peer.played();
});

test('a 421 at RCPT keeps the verdicts before it, is the outcome of the rest, and ends the session', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('PIPELINING')}
    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@example.net>
    C: RCPT TO:<carol@example.net>
    C: RCPT TO:<dave@example.net>
    C: DATA
    S: 250 Ok
    S: 550 5.1.1 No such user
    S: 421 4.7.0 Too many errors
  `);
  const session = await open(peer);
  const outcomes = await session.transact(
    letter('bob@example.net', 'carol@example.net', 'dave@example.net'),
    HELLO,
  );
  assert.deepEqual(told(outcomes), [
    'permanent at rcpt: 550 5.1.1 No such user',
    'transient at rcpt: 421 4.7.0 Too many errors',
    'transient at rcpt: 421 4.7.0 Too many errors',
  ]);
  assert.equal(session.usable, false);
  await peer.played();
});

test('a 421 after the final dot is a transient verdict, not a doubt', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    ${ENVELOPE}
    C: DATA
    S: 354 Go on
    C: (content)
    S: 421 4.3.2 Shutting down
  `);
  assert.deepEqual(await sendTo(peer), [
    'transient at final: 421 4.3.2 Shutting down',
    'transient at final: 421 4.3.2 Shutting down',
  ]);
});

test('words that are no reply never bounce a message, and end the session', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    S: 2 whatever you say
    silence
  `);
  assert.deepEqual(await sendTo(peer), [
    'transient at mail: 451 4.5.0 unintelligible reply: 2 whatever you say',
    'transient at mail: 451 4.5.0 unintelligible reply: 2 whatever you say',
  ]);
  await peer.played();
});

test('words that are no reply after the final dot leave a doubt', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    ${ENVELOPE}
    C: DATA
    S: 354 Go on
    C: (content)
    S: Well received
    silence
  `);
  assert.deepEqual(await sendTo(peer), [
    'uncertain at final: 451 4.5.0 unintelligible reply: Well received',
    'uncertain at final: 451 4.5.0 unintelligible reply: Well received',
  ]);
});

test('an acceptance that comes before the final dot is no delivery', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    S: 250 Ok
    C: RCPT TO:<bob@example.net>
    S: 250 Ok
    C: DATA
    S: 354 Go on
    C: (5 octets)
    S: 250 2.0.0 Ok
    silence
  `);
  const session = await open(peer);
  const endless = { sizeBytes: 1_000, open: async () => neverEnding('12345') };
  assert.deepEqual(told(await session.transact(letter('bob@example.net'), endless)), [
    'transient at content: 451 4.5.0 250 came out of turn: Ok',
  ]);
  assert.equal(session.usable, false);
  await peer.played();
});

test('a refusal that comes before the final dot is a verdict, and the rest of the content stays unsent', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    S: 250 Ok
    C: RCPT TO:<bob@example.net>
    S: 250 Ok
    C: DATA
    S: 354 Go on
    C: (5 octets)
    S: 552 5.3.4 Too big
    silence
  `);
  const session = await open(peer);
  const endless = { sizeBytes: 1_000, open: async () => neverEnding('12345') };
  assert.deepEqual(told(await session.transact(letter('bob@example.net'), endless)), [
    'permanent at content: 552 5.3.4 Too big',
  ]);
  assert.equal(session.usable, false);
  await peer.played();
});

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
    'commandMs',
    'transient at mail: 421 4.4.2 timed out while waiting for the reply to MAIL FROM',
  ],
  [
    'the last line of a reply',
    `C: MAIL FROM:<alice@example.com>
     S: 250-Ok
     silence`,
    'commandMs',
    'transient at mail: 421 4.4.2 timed out while waiting for the reply to MAIL FROM',
  ],
  [
    'the reply to RCPT TO',
    `C: MAIL FROM:<alice@example.com>
     S: 250 Ok
     silence`,
    'commandMs',
    'transient at rcpt: 421 4.4.2 timed out while waiting for the reply to RCPT TO',
  ],
  [
    'the reply to DATA',
    `${ENVELOPE}
     silence`,
    'commandMs',
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
  const timeouts = { ...TIMEOUTS, commandMs: 400 };
  assert.deepEqual(await sendTo(peer, { timeouts }), [
    'delivered at final: 250 2.0.0 Ok',
    'delivered at final: 250 2.0.0 Ok',
  ]);
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
    const [outcome] = await session.transact(
      letter('bob@example.net'),
      content(`Subject: ${i}\r\n\r\n.${i}\r\n`),
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
  assert.deepEqual(told([...first, ...second]), [
    'transient at rcpt: 450 4.2.0 Greylisted',
    'delivered at final: 250 2.0.0 Ok',
  ]);
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
  assert.deepEqual(told([...first, ...second]), [
    'delivered at final: 250 2.0.0 Ok',
    'transient at mail: 421 4.4.2 connection lost while waiting for the reply to MAIL FROM',
  ]);
  assert.equal(session.usable, false);
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
    await assert.rejects(session.transact(letter('bob@example.net'), broken), { code: 'CONTENT_FAILED' });
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
  const timeouts = { ...TIMEOUTS, greetingMs: 60, commandMs: 60 };
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
  const client = createNodemailerClient({ nowMs: () => 0 });
  const badAddress = await client.open(target(25, { localAddress: 'not an address' }));
  const badPort = await client.open(target(70_000));
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
  assert.equal((await first)[0]?.kind, 'transient');
});

/** A stream that gives one piece and then nothing, ever. */
function neverEnding(piece: string): Readable {
  let given = 0;
  // The second piece pushes the first one out; see how content is sent.
  return new Readable({
    read() {
      if (given++ < 2) this.push(Buffer.from(piece));
    },
  });
}

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

/** Waits until the peer has heard a line that begins so. */
async function heard(peer: ScriptedPeer, beginning: string): Promise<void> {
  await until(() => peer.transcript.some((line) => line.startsWith(beginning)));
}

/** Looks again after each round of events. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
