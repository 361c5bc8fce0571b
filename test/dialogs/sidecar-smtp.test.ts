import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { delayedTo, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { hang } from './sidecar-receiver.ts';
import { connectRaw, deliver, offer, openRaw } from './sidecar-smtp-client.ts';
import { listenerFor } from './sidecar-smtp-listener.ts';

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n';

test('EHLO names what is understood, and the greeting comes at once', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const client = openRaw(port);
  assert.equal(await client.reply(), '220 sidecar.example.com ESMTP delay-xfer');
  assert.equal(
    await client.say('EHLO mta.example.com'),
    [
      '250-sidecar.example.com',
      '250-PIPELINING',
      '250-SIZE 0',
      '250-8BITMIME',
      '250-SMTPUTF8',
      '250-DSN',
      '250-ENHANCEDSTATUSCODES',
      '250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE',
    ].join('\n'),
  );
  assert.equal(await client.say('HELO mta'), '250 sidecar.example.com');
  client.socket.destroy();
});

test('two transactions in one write are answered in order, the second after the first has its verdict', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const client = await connectRaw(port);
  const transaction = (n: number): string =>
    `MAIL FROM:<s@example.com>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n${n}\r\n.\r\n`;
  client.write(`EHLO mta\r\n${transaction(1)}${transaction(2)}QUIT\r\n`);
  const replies: string[] = [];
  for (let n = 0; n < 10; n += 1) replies.push((await client.reply()).slice(0, 9));
  assert.deepEqual(replies, [
    '250-sidec',
    '250 2.1.0',
    '250 2.1.5',
    '354 go on',
    '250 2.0.0',
    '250 2.1.0',
    '250 2.1.5',
    '354 go on',
    '250 2.0.0',
    '221 2.0.0',
  ]);
  await client.closed;
  assert.deepEqual(
    receiver.requests.map(({ frames }) => frames.map(({ content }) => content.toString())),
    [['1\r\n'], ['2\r\n']],
  );
});

// Octets that look like the end, in every way but the right one; the dots that stuff lines are not yet there.
const TRICKY = Buffer.concat([
  Buffer.from('.first\r\n..\r\n.\nbare LF\n.\n..\nbare CR\r.\r\r\n', 'latin1'),
  Buffer.from([0x00, 0x80, 0xff, 0x0d, 0x2e, 0x0d, 0x0a]),
  Buffer.from(`${'x'.repeat(5000)}\r\n\r\n`, 'latin1'),
]);

function stuffed(content: Buffer): Buffer {
  return Buffer.from(content.toString('latin1').replaceAll(/(^|\r\n)\./g, '$1..'), 'latin1');
}

test('content passes octet for octet, whole or one octet at a time', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, `Bare_Newlines = convert\n${delayedTo([receiver.port])}`);
  assert.match(await deliver(port, 'a@example.net', stuffed(TRICKY)), /^250 /);
  const client = await connectRaw(port);
  await offer(client, ['b@example.net'], '');
  assert.match(await client.reply(), /^250 /, 'a message without content is a message');
  await client.say('MAIL FROM:<s@example.com>');
  await client.say('RCPT TO:<c@example.net>');
  await client.say('DATA');
  for (const octet of stuffed(TRICKY)) client.write(Buffer.of(octet));
  client.write('.\r\n');
  assert.match(await client.reply(), /^250 /);
  client.socket.destroy();
  const contents = receiver.requests.flatMap(({ frames }) =>
    frames.map(({ content }) => content.toString('latin1')),
  );
  assert.deepEqual(contents, [TRICKY.toString('latin1'), '', TRICKY.toString('latin1')]);
});

test('8BITMIME, SMTPUTF8 and every DSN parameter reach the receiver', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  const mail = 'MAIL FROM:<jürgen@bücher.example> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+3D';
  assert.equal(await client.say(mail), '250 2.1.0 ok');
  const first = 'RCPT TO:<a@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;A+2BB@example.net';
  assert.equal(await client.say(first), '250 2.1.5 ok');
  assert.equal(await client.say('rcpt to:<b@example.net> notify=never'), '250 2.1.5 ok');
  await client.say('DATA');
  client.write(Buffer.from('Grüße\r\n.\r\n', 'utf8'));
  assert.match(await client.reply(), /^250 /);
  client.socket.destroy();
  const { header, content } = receiver.requests[0]?.frames[0] ?? assert.fail('no frame came');
  assert.equal(content.toString('utf8'), 'Grüße\r\n');
  const { sender, recipients, body, smtputf8, envid, ret } = header;
  assert.deepEqual(
    { sender, recipients, body, smtputf8, envid, ret },
    {
      sender: 'jürgen@bücher.example',
      recipients: [
        { address: 'a@example.net', orcpt: 'rfc822;A+B@example.net', notify: ['SUCCESS', 'FAILURE'] },
        { address: 'b@example.net', notify: ['NEVER'] },
      ],
      body: '8BITMIME',
      smtputf8: true,
      envid: 'a+b=',
      ret: 'HDRS',
    },
  );
});

test('recipients keep their spelling: quoted, in A-labels, or different in letter case alone', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const to = [
    '"john @ \\"home\\""@example.net',
    'a@xn--bcher-kva.example',
    'a_b@under_score.example',
    'Case@example.net',
    'case@example.net',
    'case@EXAMPLE.net',
    'x@[192.0.2.1]',
  ];
  assert.match(await deliver(port, to, MAIL), /^250 /);
  assert.deepEqual(receiver.requests[0]?.frames[0]?.header['recipients'], [
    { address: '"john @ \\"home\\""@example.net' },
    { address: 'a@xn--bcher-kva.example' },
    { address: 'a_b@under_score.example' },
    { address: 'Case@example.net' },
    { address: 'case@example.net' },
    { address: 'x@[192.0.2.1]' },
  ]);
});

test('a local part beyond ASCII asks for SMTPUTF8, said or not, and a domain does not', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  assert.match(await deliver(port, 'jürgen@example.net', MAIL), /^250 /);
  assert.match(await deliver(port, 'a@bücher.example', MAIL), /^250 /);
  assert.deepEqual(
    receiver.requests.flatMap(({ frames }) => frames.map(({ header }) => header['smtputf8'])),
    [true, false],
  );
});

test('a thousand recipients are taken at once, and the next one in another transaction', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  await client.say('MAIL FROM:<s@example.com>');
  client.write(Array.from({ length: 1001 }, (_, n) => `RCPT TO:<r${n}@example.net>\r\n`).join(''));
  for (let n = 0; n < 1000; n += 1) assert.equal(await client.reply(), '250 2.1.5 ok');
  assert.equal(await client.reply(), '452 4.5.3 1000 recipients; send the others after these');
  await client.say('DATA');
  client.write(`${MAIL}.\r\n`);
  assert.match(await client.reply(), /^250 /);
  client.socket.destroy();
  const recipients = receiver.requests[0]?.frames[0]?.header['recipients'];
  assert.ok(Array.isArray(recipients));
  assert.equal(recipients.length, 1000);
});

test('an address or a host name in Latin-1 never hears a permanent reply', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const client = await connectRaw(port);
  const sayLatin1 = (line: string): Promise<string> => {
    client.write(Buffer.from(`${line}\r\n`, 'latin1'));
    return client.reply();
  };
  assert.match(await sayLatin1('EHLO müller.example.com'), /^250-sidecar/);
  assert.equal(
    await sayLatin1('MAIL FROM:<jürgen@example.com>'),
    '451 4.1.7 the sender is not written in UTF-8',
  );
  assert.equal(await client.say('MAIL FROM:<s@example.com>'), '250 2.1.0 ok');
  const refusal = '451 4.1.3 the recipient is not written in UTF-8';
  // More of them than faulty commands are borne.
  for (let n = 0; n < 25; n += 1) assert.equal(await sayLatin1(`RCPT TO:<jürgen${n}@example.net>`), refusal);
  assert.equal(await client.say('RCPT TO:<a@example.net>'), '250 2.1.5 ok');
  await client.say('DATA');
  client.write(`${MAIL}.\r\n`);
  assert.match(await client.reply(), /^250 /);
  client.socket.destroy();
  assert.deepEqual(receiver.requests[0]?.frames[0]?.header['recipients'], [{ address: 'a@example.net' }]);
});

test('what is pipelined behind a refused MAIL hears its reply, however much it is', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  const recipients = Array.from({ length: 30 }, (_, n) => `RCPT TO:<r${n}@example.net>\r\n`).join('');
  client.write(`MAIL FROM:<a..b@example.com>\r\n${recipients}DATA\r\n`);
  const refusal = '451 4.1.7 the sender has a misplaced dot in its local part, which must be quoted';
  for (let n = 0; n < 32; n += 1) assert.equal(await client.reply(), refusal);
  assert.equal(await client.say('RSET'), '250 2.0.0 forgotten');
  assert.equal(await client.say('DATA'), '503 5.5.1 say MAIL first');
  client.socket.destroy();
});

test('what is wrong with one sender or recipient is transient and leaves the others alone', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  const unfit = (name: string): string => `455 4.5.4 the parameter ${name} is not understood as it stands`;
  const fault = 'has a misplaced dot in its local part, which must be quoted';
  assert.equal(await client.say('MAIL FROM:<a..b@example.com>'), `451 4.1.7 the sender ${fault}`);
  assert.equal(await client.say('MAIL FROM a@example.com'), '451 4.1.7 write MAIL FROM:<address>');
  assert.equal(await client.say('MAIL FROM:<a@example.com> REQUIRETLS'), unfit('REQUIRETLS'));
  assert.equal(
    await client.say('MAIL FROM:<a@example.com> BODY=BINARYMIME'),
    '455 4.6.3 BINARYMIME is not offered; send BODY=8BITMIME in lines',
  );
  assert.equal(await client.say('MAIL FROM:<a@example.com> ENVID=a+0D+0A'), unfit('ENVID'));
  assert.equal(await client.say('MAIL FROM:<a@example.com> RET=FULL SIZE=1 ret=HDRS'), unfit('RET'));
  assert.equal(await client.say('MAIL FROM:<a@example.com>'), '250 2.1.0 ok');
  assert.equal(await client.say('RCPT TO:<a..b@example.net>'), `451 4.1.3 the recipient ${fault}`);
  assert.equal(await client.say('RCPT TO:<a@example.net> NOTIFY=NEVER,DELAY'), unfit('NOTIFY'));
  assert.equal(await client.say('RCPT TO:<a@example.net> ORCPT=nonsense'), unfit('ORCPT'));
  assert.equal(await client.say('DATA'), '451 4.5.1 no recipient was accepted');
  assert.equal(await client.say('RCPT TO:<@relay.example,@other.example:a@example.net>'), '250 2.1.5 ok');
  await client.say('DATA');
  client.write(`${MAIL}.\r\n`);
  assert.match(await client.reply(), /^250 /);
  client.socket.destroy();
  assert.deepEqual(receiver.requests[0]?.frames[0]?.header['recipients'], [{ address: 'a@example.net' }]);
});

test('commands out of order, unknown or endless are refused, and too many end the session', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const client = await connectRaw(port);
  assert.equal(await client.say('MAIL FROM:<>'), '503 5.5.1 say EHLO first');
  assert.equal(await client.say('EHLO'), '501 5.5.4 EHLO takes a name');
  await client.say('EHLO mta.example.com');
  assert.equal(await client.say('RCPT TO:<a@example.net>'), '503 5.5.1 say MAIL first');
  assert.equal(await client.say('DATA'), '503 5.5.1 say MAIL first');
  assert.equal(await client.say('MAIL FROM:<>'), '250 2.1.0 ok');
  assert.equal(await client.say('MAIL FROM:<>'), '503 5.5.1 a transaction is open');
  assert.equal(await client.say('XFORWARD NAME=a'), '503 5.5.1 a transaction is open');
  assert.equal(await client.say('RSET'), '250 2.0.0 forgotten');
  assert.equal(await client.say('NOOP'), '250 2.0.0 ok');
  assert.equal(await client.say('VRFY a'), '252 2.1.5 send some mail, and it will be tried');
  for (const line of ['STARTTLS', 'AUTH PLAIN', 'TURN', '', '\u00ff'.repeat(3)]) {
    assert.equal(await client.say(line), '500 5.5.2 command not known here');
  }
  // Eleven faults so far, twenty are borne.
  client.write('HM\r\n'.repeat(10));
  for (let n = 0; n < 9; n += 1) assert.match(await client.reply(), /^500 /);
  assert.equal(await client.reply(), '421 4.7.0 too many faulty commands');
  await client.closed;

  const endless = await connectRaw(port);
  endless.write('X'.repeat(13_000));
  assert.equal(await endless.reply(), '421 4.5.2 a command line is too long');
  await endless.closed;
});

test('the identity that XFORWARD brings is part of the id', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const ids: string[] = [];
  for (const forward of [
    '',
    'XFORWARD IDENT=4XyZ ADDR=[UNAVAILABLE]',
    'XFORWARD IDENT=4XyZ',
    'XFORWARD IDENT=other',
  ]) {
    const client = await connectRaw(port);
    await client.say('EHLO mta.example.com');
    if (forward !== '') assert.equal(await client.say(forward), '250 2.0.0 ok');
    await client.say('MAIL FROM:<sender@example.com>');
    await client.say('RCPT TO:<a@example.net>');
    await client.say('DATA');
    client.write(`${MAIL}.\r\n`);
    ids.push((await client.reply()).split(' ')[2] ?? '');
    client.socket.destroy();
  }
  assert.equal(ids[0], '-KjDRiThMnrBbc5glhXv2LmmiWnWOR8Mm-1k9-uAJic');
  assert.equal(ids[1], ids[2]);
  assert.equal(new Set(ids).size, 3);
});

test('past its memory the listener answers 452, before the content when SIZE tells, and memory comes back', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]), { limits: { maxHeldBytes: 100_000 } });
  const full = '452 4.3.1 as much mail is under way as fits into memory; try again';
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  assert.equal(await client.say('MAIL FROM:<> SIZE=100001'), full);
  assert.equal(await client.say('MAIL FROM:<> SIZE=100000'), '250 2.1.0 ok');
  await client.say('RCPT TO:<a@example.net>');
  await client.say('DATA');
  client.write(`${randomBytes(75_001).toString('base64')}\r\n.\r\n`);
  assert.equal(await client.reply(), full);
  client.socket.destroy();
  for (let round = 0; round < 3; round += 1) {
    assert.match(await deliver(port, 'a@example.net', `${'y'.repeat(90_000)}\r\n`), /^250 /);
  }
  const leaving = await connectRaw(port);
  await leaving.say('EHLO mta.example.com');
  await leaving.say('MAIL FROM:<>');
  await leaving.say('RCPT TO:<a@example.net>');
  await leaving.say('DATA');
  await new Promise<void>((done) => leaving.socket.write('z'.repeat(90_000), () => done()));
  leaving.socket.destroy();
  let reply = '';
  while (!reply.startsWith('250')) reply = await deliver(port, 'a@example.net', `${'y'.repeat(90_000)}\r\n`);
});

test('past its connections the listener answers 421', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]), { limits: { maxConnections: 1 } });
  const first = await connectRaw(port);
  const second = openRaw(port);
  assert.equal(await second.reply(), '421 4.3.2 1 connections are open already; try again');
  await second.closed;
  assert.equal(await first.say('NOOP'), '250 2.0.0 ok');
  first.socket.destroy();
});

test('a client that says nothing for too long is let go, but not while it waits for its verdict', async (t) => {
  const receiver = await receiverFor(t);
  const configuration = delayedTo([receiver.port], 'Delivery_Response_Timeout = 300 Handoff_Deadline = 2');
  const { port } = await sidecarFor(t, configuration, { limits: { idleTimeoutMs: 50 } });
  const idle = await connectRaw(port);
  assert.equal(await idle.reply(), '421 4.4.2 nothing came for too long');
  await idle.closed;
  receiver.script('POST', [hang]);
  assert.match(await deliver(port, 'a@example.net', MAIL), /^250 /);
});

test('XFORWARD speaks of one transaction: RSET and the end of its content forget it, a refused MAIL does not', async (t) => {
  const { port, taken } = await listenerFor(t);
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  const hand = async (): Promise<void> => {
    await client.say('MAIL FROM:<s@example.com>');
    await client.say('RCPT TO:<a@example.net>');
    await client.say('DATA');
    client.write('Hello.\r\n.\r\n');
    assert.equal(await client.reply(), '250 2.0.0 taken');
  };
  await client.say('XFORWARD NAME=c.example ADDR=192.0.2.77 IDENT=Q1');
  assert.match(await client.say('MAIL FROM:<s@example.com> SIZE=x'), /^455 /);
  await hand();
  await hand();
  await client.say('XFORWARD NAME=c.example IDENT=Q2');
  await client.say('RSET');
  await hand();
  await client.say('XFORWARD NAME=c.example IDENT=Q3');
  await client.say('XFORWARD NAME=[UNAVAILABLE] ADDR=[TEMPUNAVAILABLE]');
  await hand();
  assert.deepEqual(
    taken.map(({ client: { forwarded } }) => Object.fromEntries(forwarded)),
    [{ NAME: 'c.example', ADDR: '192.0.2.77', IDENT: 'Q1' }, {}, {}, { IDENT: 'Q3' }],
  );
  client.socket.destroy();
});
