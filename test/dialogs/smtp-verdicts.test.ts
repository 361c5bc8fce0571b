// What each reply, at each stage, means for each recipient.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { greeted, startScriptedPeer } from './scripted-peer.ts';
import {
  ENVELOPE,
  HELLO,
  letter,
  neverEnding,
  open,
  outcomesOf,
  RESET_AND_QUIT,
  sendTo,
  told,
} from './smtp-session.ts';

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
  const [bob, carol] = outcomesOf(
    await session.transact(letter('bob@example.net', 'carol@example.net'), HELLO),
  );
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
    C: RSET
    S: 250 Ok
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

test('a message refused after the final dot is refused for the accepted recipients, and the session is reset', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    ${ENVELOPE}
    C: DATA
    S: 354 Go on
    C: (content)
    S: 554 5.7.1 Spam
    C: RSET
    S: 250 Ok
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
    no more
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
    no more
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
    no more
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
    no more
  `);
  const session = await open(peer);
  const endless = { sizeBytes: 1_000, open: async () => neverEnding('12345') };
  assert.deepEqual(told(await session.transact(letter('bob@example.net'), endless)), [
    'permanent at content: 552 5.3.4 Too big',
  ]);
  assert.equal(session.usable, false);
  await peer.played();
});

test('a reply that comes together with the one before it answers nothing that was said after', async () => {
  for (const script of [
    'C: MAIL FROM:<alice@example.com>\nraw "250 Ok\\r\\n550 5.1.1 No\\r\\n"',
    'C: MAIL FROM:<alice@example.com>\nS: 250 Ok\nC: RCPT TO:<bob@example.net>\nraw "550 No\\r\\n550 No\\r\\n"',
  ]) {
    await using peer = await startScriptedPeer(`${greeted()} \n ${script} \n silence`);
    const session = await open(peer);
    const outcomes = outcomesOf(
      await session.transact(letter('bob@example.net', 'carol@example.net'), HELLO),
    );
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['transient', 'transient'],
    );
    assert.match(outcomes[1]?.reply.text ?? '', /^550 came out of turn: No$/);
    assert.equal(session.usable, false);
  }
});

test('a reply is read as the operator says, and stays in the words of the peer', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: MAIL FROM:<alice@example.com>
    S: 250 Ok
    C: RCPT TO:<bob@example.net>
    S: 450 4.2.1 Mailbox of bob is gone
    C: RCPT TO:<carol@example.net>
    S: 450 4.2.2 Mailbox full
    ${RESET_AND_QUIT}
  `);
  const transcode = { pattern: '^450 4\\.2\\.1 .* gone', replacement: '550 5.1.1 $0' };
  const session = await open(peer, { transcode });
  const result = await session.transact(letter('bob@example.net', 'carol@example.net'), HELLO);
  await session.quit();
  assert.deepEqual(result, {
    kind: 'settled',
    outcomes: [
      {
        kind: 'permanent',
        stage: 'rcpt',
        reply: { code: 450, enhanced: '4.2.1', text: 'Mailbox of bob is gone' },
        readAs: { code: 550, enhanced: '5.1.1', text: '450 4.2.1 Mailbox of bob is gone' },
      },
      { kind: 'transient', stage: 'rcpt', reply: { code: 450, enhanced: '4.2.2', text: 'Mailbox full' } },
    ],
  });
});
