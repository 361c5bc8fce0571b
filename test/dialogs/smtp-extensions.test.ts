// What is asked of a peer depends on what it offers: SIZE, 8BITMIME, SMTPUTF8, DSN.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Envelope } from '../../shared/message/envelope.ts';
import { greeted, startScriptedPeer } from './scripted-peer.ts';
import { client, content, HELLO, letter, open, target, told } from './smtp-session.ts';

const REST = `
  C: DATA
  S: 354 Go on
  C: (content)
  S: 250 2.0.0 Ok
  C: QUIT
  S: 221 Bye
`;

async function send(script: string, envelope: Envelope, letterContent = HELLO): Promise<string[]> {
  await using peer = await startScriptedPeer(script);
  const session = await open(peer);
  const outcomes = await session.transact(envelope, letterContent);
  await session.quit();
  await peer.played();
  return told(outcomes);
}

test('a message larger than the peer takes is refused without a word, and the session lives on', async () => {
  const outcomes = await send(
    `${greeted('SIZE 24')}
     C: QUIT
     S: 221 Bye`,
    letter('bob@example.net', 'carol@example.net'),
  );
  assert.deepEqual(outcomes, [
    'permanent at mail: 552 5.3.4 mx.example.net takes 24 octets, not 25',
    'permanent at mail: 552 5.3.4 mx.example.net takes 24 octets, not 25',
  ]);
});

test('SIZE 0 and SIZE without a number limit nothing', async () => {
  for (const size of ['SIZE 0', 'SIZE']) {
    const outcomes = await send(
      `${greeted(size)}
       C: MAIL FROM:<alice@example.com> SIZE=25
       S: 250 Ok
       C: RCPT TO:<bob@example.net>
       S: 250 Ok
       ${REST}`,
      letter('bob@example.net'),
    );
    assert.deepEqual(outcomes, ['delivered at final: 250 2.0.0 Ok']);
  }
});

test('8-bit content is announced to a peer that offers 8BITMIME', async () => {
  const outcomes = await send(
    `${greeted('8BITMIME')}
     C: MAIL FROM:<alice@example.com> BODY=8BITMIME
     S: 250 Ok
     C: RCPT TO:<bob@example.net>
     S: 250 Ok
     ${REST}`,
    { ...letter('bob@example.net'), body: '8BITMIME' },
  );
  assert.deepEqual(outcomes, ['delivered at final: 250 2.0.0 Ok']);
});

test('8-bit content is refused for every recipient at a peer that does not offer 8BITMIME', async () => {
  const outcomes = await send(
    `${greeted('ENHANCEDSTATUSCODES')}
     C: QUIT
     S: 221 Bye`,
    { ...letter('bob@example.net', 'carol@example.net'), body: '8BITMIME' },
    content('Subject: hello\r\n\r\n', 'gr\u00fc\u00dfe\r\n'),
  );
  const refused =
    'permanent at mail: 554 5.6.3 mx.example.net does not offer 8BITMIME, which the content needs: it holds 8-bit octets';
  assert.deepEqual(outcomes, [refused, refused]);
});

test('content that is announced as 8-bit and is not goes to any peer, and is not announced there', async () => {
  const outcomes = await send(
    `${greeted('ENHANCEDSTATUSCODES')}
     C: MAIL FROM:<alice@example.com>
     S: 250 Ok
     C: RCPT TO:<bob@example.net>
     S: 250 Ok
     ${REST}`,
    { ...letter('bob@example.net'), body: '8BITMIME' },
  );
  assert.deepEqual(outcomes, ['delivered at final: 250 2.0.0 Ok']);
});

test('8-bit content becomes 7-bit where the operator chose so, and its size is announced as it is sent', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('SIZE')}
    C: MAIL FROM:<alice@example.com> SIZE=125
    S: 250 Ok
    C: RCPT TO:<bob@example.net>
    S: 250 Ok
    ${REST}
  `);
  const opened = await client().open(target(peer.port, { eightBit: 'convert' }));
  if (opened.kind !== 'opened') assert.fail();
  const { session } = opened;
  const result = await session.transact(
    { ...letter('bob@example.net'), body: '8BITMIME' },
    content('MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n', '\r\n.gr\u00fc\u00dfe\r\n'),
  );
  assert.deepEqual(told(result), ['delivered at final: 250 2.0.0 Ok']);
  await session.quit();
  await peer.played();
  assert.equal(
    String(peer.contents[0]),
    'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n' +
      'Content-Transfer-Encoding: quoted-printable\r\n\r\n.gr=C3=BC=C3=9Fe\r\n',
  );
});

test('8-bit content that cannot be read is nobody\u2019s verdict, and the session lives on', async () => {
  await using peer = await startScriptedPeer(`${greeted()}\nC: QUIT\nS: 221 Bye`);
  const session = await open(peer);
  const broken = { sizeBytes: 10, open: () => Promise.reject(new Error('no such object')) };
  const result = await session.transact({ ...letter('bob@example.net'), body: '8BITMIME' }, broken);
  assert.equal(result.kind, 'unattempted');
  assert.equal(session.usable, true);
  await session.quit();
  await peer.played();
});

test('an address in UTF-8 is spoken to a peer with SMTPUTF8', async () => {
  const outcomes = await send(
    `${greeted('SMTPUTF8', '8BITMIME')}
     C: MAIL FROM:<alice@example.com> SMTPUTF8 BODY=8BITMIME
     S: 250 Ok
     C: RCPT TO:<bücher@exämple.net>
     S: 250 Ok
     ${REST}`,
    { ...letter('bücher@exämple.net'), body: '8BITMIME', smtputf8: true },
  );
  assert.deepEqual(outcomes, ['delivered at final: 250 2.0.0 Ok']);
});

test('without SMTPUTF8 a local part in UTF-8 is refused, and a domain in UTF-8 goes in A-labels', async () => {
  const outcomes = await send(
    `${greeted('8BITMIME')}
     C: MAIL FROM:<alice@example.com>
     S: 250 Ok
     C: RCPT TO:<carol@xn--exmple-cua.net>
     S: 250 Ok
     ${REST}`,
    { ...letter('bücher@example.net', 'carol@exämple.net'), smtputf8: true },
  );
  assert.deepEqual(outcomes, [
    'permanent at rcpt: 553 5.6.7 mx.example.net does not offer SMTPUTF8, which <bücher@example.net> needs',
    'delivered at final: 250 2.0.0 Ok',
  ]);
});

test('a reverse path in UTF-8 that the peer cannot read is the outcome of every recipient', async () => {
  const outcomes = await send(
    `${greeted('8BITMIME')}
     C: QUIT
     S: 221 Bye`,
    { ...letter('bob@example.net'), sender: 'zoë@example.com', smtputf8: true },
  );
  assert.deepEqual(outcomes, [
    'permanent at mail: 553 5.6.7 mx.example.net does not offer SMTPUTF8, which <zoë@example.com> needs',
  ]);
});

test('the null reverse path is spoken as <>', async () => {
  const outcomes = await send(
    `${greeted()}
     C: MAIL FROM:<>
     S: 250 Ok
     C: RCPT TO:<bob@example.net>
     S: 250 Ok
     ${REST}`,
    { ...letter('bob@example.net'), sender: '' },
  );
  assert.deepEqual(outcomes, ['delivered at final: 250 2.0.0 Ok']);
});

test('DSN parameters go to a peer with DSN, in xtext', async () => {
  const outcomes = await send(
    `${greeted('DSN')}
     C: MAIL FROM:<alice@example.com> RET=HDRS ENVID=one+2Btwo
     S: 250 Ok
     C: RCPT TO:<bob@example.net> NOTIFY=DELAY,FAILURE ORCPT=rfc822;rob+2Bmail@example.net
     S: 250 Ok
     ${REST}`,
    {
      ...letter(),
      recipients: [
        { address: 'bob@example.net', notify: ['FAILURE', 'DELAY'], orcpt: 'rfc822;rob+mail@example.net' },
      ],
      envid: 'one+two',
      ret: 'HDRS',
    },
  );
  assert.deepEqual(outcomes, ['delivered at final: 250 2.0.0 Ok']);
});

test('each recipient has NOTIFY and ORCPT of its own', async () => {
  const outcomes = await send(
    `${greeted('DSN')}
     C: MAIL FROM:<alice@example.com>
     S: 250 Ok
     C: RCPT TO:<bob@example.net> NOTIFY=NEVER ORCPT=rfc822;rob@example.net
     S: 250 Ok
     C: RCPT TO:<carol@example.net> NOTIFY=FAILURE,SUCCESS
     S: 250 Ok
     C: RCPT TO:<dave@example.net> ORCPT=utf-8;d\\x{E4}v@example.net
     S: 250 Ok
     C: RCPT TO:<eve@example.net>
     S: 250 Ok
     ${REST}`,
    {
      ...letter(),
      recipients: [
        { address: 'bob@example.net', notify: ['NEVER'], orcpt: 'rfc822;rob@example.net' },
        { address: 'carol@example.net', notify: ['SUCCESS', 'FAILURE'] },
        { address: 'dave@example.net', orcpt: 'utf-8;d\u00e4v@example.net' },
        { address: 'eve@example.net' },
      ],
    },
  );
  assert.deepEqual(outcomes, Array(4).fill('delivered at final: 250 2.0.0 Ok'));
});

test('a peer without DSN gets no DSN parameters', async () => {
  const outcomes = await send(
    `${greeted()}
     C: MAIL FROM:<alice@example.com>
     S: 250 Ok
     C: RCPT TO:<bob@example.net>
     S: 250 Ok
     ${REST}`,
    {
      ...letter(),
      recipients: [{ address: 'bob@example.net', notify: ['NEVER'] }],
      envid: 'one',
      ret: 'FULL',
    },
  );
  assert.deepEqual(outcomes, ['delivered at final: 250 2.0.0 Ok']);
});

test('angle brackets and blanks inside quotes are spoken as they are', async () => {
  const outcomes = await send(
    `${greeted()}
     C: MAIL FROM:<alice@example.com>
     S: 250 Ok
     C: RCPT TO:<"<carol> c"@example.net>
     S: 250 Ok
     ${REST}`,
    letter('"<carol> c"@example.net'),
  );
  assert.deepEqual(outcomes, ['delivered at final: 250 2.0.0 Ok']);
});

test('an address with a control character is not spoken, and the others are served', async () => {
  const outcomes = await send(
    `${greeted()}
     C: MAIL FROM:<alice@example.com>
     S: 250 Ok
     C: RCPT TO:<bob@example.net>
     S: 250 Ok
     ${REST}`,
    letter('x>\r\nRSET\r\n<carol@example.net', 'bob@example.net'),
  );
  assert.deepEqual(outcomes, [
    'transient at mail: 451 4.1.3 the address cannot be spoken',
    'delivered at final: 250 2.0.0 Ok',
  ]);
});

test('the envelope that was handed over is left as it was', async () => {
  const envelope = Object.freeze({
    ...letter(),
    recipients: Object.freeze([Object.freeze({ address: 'bob@example.net' })]),
  });
  await send(
    `${greeted()}
     C: MAIL FROM:<alice@example.com>
     S: 250 Ok
     C: RCPT TO:<bob@example.net>
     S: 250 Ok
     ${REST}`,
    envelope,
  );
  assert.deepEqual(envelope, { ...letter('bob@example.net') });
});
