import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownReply } from '../../shared/smtp/reply.ts';
import { MemoryBudget } from '../../sidecar/intake/memory-budget.ts';
import { connectRaw, openRaw } from './sidecar-smtp-client.ts';
import { listenerFor } from './sidecar-smtp-listener.ts';

const FULL = ownReply(452, '4.2.2', 'mailbox full');

test('LMTP greets with LHLO alone, and SMTP without it', async (t) => {
  const lmtp = openRaw((await listenerFor(t, { lmtp: true })).port);
  assert.equal(await lmtp.reply(), '220 sidecar.example.com LMTP delay-xfer');
  assert.equal(await lmtp.say('EHLO mta.example.com'), '500 5.5.1 this is LMTP; say LHLO');
  assert.equal(await lmtp.say('HELO mta.example.com'), '500 5.5.1 this is LMTP; say LHLO');
  assert.equal(await lmtp.say('MAIL FROM:<>'), '503 5.5.1 say LHLO first');
  assert.equal(await lmtp.say('LHLO'), '501 5.5.4 LHLO takes a name');
  assert.equal(
    await lmtp.say('LHLO mta.example.com'),
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
  lmtp.socket.destroy();
  const smtp = await connectRaw((await listenerFor(t)).port);
  assert.equal(await smtp.say('LHLO mta.example.com'), '500 5.5.1 this is SMTP; say EHLO');
  smtp.socket.destroy();
});

test('each RCPT that was accepted has its own reply, in order, and the same recipient twice has two', async (t) => {
  const { port, taken } = await listenerFor(t, {
    lmtp: true,
    recipient: ({ address }) => (address === 'no@example.net' ? FULL : undefined),
    verdict: (address) =>
      ownReply(
        address.startsWith('full') ? 452 : 250,
        address.startsWith('full') ? '4.2.2' : '2.0.0',
        address,
      ),
  });
  const client = await connectRaw(port);
  await client.say('LHLO mta.example.com');
  await client.say('MAIL FROM:<s@example.com>');
  assert.equal(await client.say('RCPT TO:<b@example.net> NOTIFY=FAILURE'), '250 2.1.5 ok');
  assert.equal(await client.say('RCPT TO:<no@example.net>'), '452 4.2.2 mailbox full');
  assert.equal(await client.say('RCPT TO:<full@example.net>'), '250 2.1.5 ok');
  assert.equal(await client.say('RCPT TO:<a@example.net>'), '250 2.1.5 ok');
  assert.equal(await client.say('RCPT TO:<b@EXAMPLE.net> NOTIFY=NEVER'), '250 2.1.5 ok');
  assert.equal(await client.say('RCPT TO:<B@example.net>'), '250 2.1.5 ok');
  await client.say('DATA');
  client.write('Hello.\r\n.\r\nNOOP\r\n');
  const replies: string[] = [];
  for (let n = 0; n < 6; n += 1) replies.push(await client.reply());
  assert.deepEqual(replies, [
    '250 2.0.0 b@example.net',
    '452 4.2.2 full@example.net',
    '250 2.0.0 a@example.net',
    '250 2.0.0 b@example.net',
    '250 2.0.0 B@example.net',
    '250 2.0.0 ok',
  ]);
  assert.deepEqual(taken[0]?.envelope.recipients, [
    { address: 'b@example.net', notify: ['FAILURE'] },
    { address: 'full@example.net' },
    { address: 'a@example.net' },
    { address: 'B@example.net' },
  ]);
  client.socket.destroy();
});

test('DATA without an accepted recipient is answered 503, and the session goes on', async (t) => {
  const { port, taken } = await listenerFor(t, { lmtp: true, recipient: () => FULL });
  const client = await connectRaw(port);
  client.write('LHLO mta\r\nMAIL FROM:<a..b@example.com>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n');
  for (const expected of [
    /^250-/,
    /^451 4\.1\.7 /,
    /^451 4\.1\.7 /,
    /^503 5\.5\.1 no recipient was accepted$/,
  ]) {
    assert.match(await client.reply(), expected);
  }
  client.write('RSET\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.net>\r\nDATA\r\nNOOP\r\n');
  for (const expected of [/^250 /, /^250 /, /^452 4\.2\.2 /, /^503 5\.5\.1 /, /^250 2\.0\.0 ok$/]) {
    assert.match(await client.reply(), expected);
  }
  assert.deepEqual(taken, []);
  client.socket.destroy();
});

test('content that cannot be kept is refused once for each RCPT', async (t) => {
  const { port } = await listenerFor(t, { lmtp: true, memory: new MemoryBudget(1_000) });
  const client = await connectRaw(port);
  await client.say('LHLO mta.example.com');
  await client.say('MAIL FROM:<>');
  for (const to of ['a', 'b', 'a']) await client.say(`RCPT TO:<${to}@example.net>`);
  await client.say('DATA');
  client.write(`${'x'.repeat(2_000)}\r\n.\r\nNOOP\r\n`);
  const full = '452 4.3.1 as much mail is under way as fits into memory; try again';
  for (const expected of [full, full, full, '250 2.0.0 ok']) assert.equal(await client.reply(), expected);
  client.socket.destroy();
});

test('a thousand RCPTs are taken, the same recipient again and again as well, and no more', async (t) => {
  const { port } = await listenerFor(t, { lmtp: true });
  const client = await connectRaw(port);
  await client.say('LHLO mta.example.com');
  await client.say('MAIL FROM:<>');
  client.write('RCPT TO:<a@example.net>\r\n'.repeat(1_001));
  for (let n = 0; n < 1_000; n += 1) assert.equal(await client.reply(), '250 2.1.5 ok');
  assert.match(await client.reply(), /^452 4\.5\.3 /);
  await client.say('DATA');
  client.write('Hello.\r\n.\r\nNOOP\r\n');
  for (let n = 0; n < 1_000; n += 1) assert.equal(await client.reply(), '250 2.0.0 taken');
  assert.equal(await client.reply(), '250 2.0.0 ok');
  client.socket.destroy();
});
