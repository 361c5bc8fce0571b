// Clients from elsewhere who may be users: how long and how many they may be before they authenticate, what is
// counted, told and traced of whoever is turned away, and what a reload takes away. They come from an address of this machine that is not the loopback interface's.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { ownReply } from '../../shared/smtp/reply.ts';
import { MemoryBudget } from '../../sidecar/intake/memory-budget.ts';
import { connectRaw, deliver, type RawClient, rawOver, secureRaw } from './sidecar-smtp-client.ts';
import { listenerFor, selfSignedTls, strangeAddress, usersWith } from './sidecar-smtp-listener.ts';

const USERS = usersWith('mta-1', 'correct horse battery');
const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const RIGHT = base64('\0mta-1\0correct horse battery');
const WRONG = base64('\0mta-1\0incorrect horse');
const LOCAL_ADDRESS = strangeAddress();
const SKIP = LOCAL_ADDRESS === undefined && 'this machine has no address but loopback ones';

function arrive(port: number): RawClient {
  return rawOver(connect({ host: '127.0.0.1', port, localAddress: LOCAL_ADDRESS ?? '', noDelay: true }));
}

async function authenticated(port: number): Promise<RawClient> {
  const plain = arrive(port);
  await plain.reply();
  await plain.say('EHLO mta.example.com');
  await plain.say('STARTTLS');
  const client = await secureRaw(plain);
  await client.say('EHLO mta.example.com');
  assert.equal(await client.say(`AUTH PLAIN ${RIGHT}`), '235 2.7.0 authenticated');
  return client;
}

test('a stranger who talks on without AUTH is sent away, and who authenticated stays', {
  skip: SKIP,
}, async (t) => {
  const { port, refusals } = await listenerFor(t, {
    settings: { tls: selfSignedTls(), users: await USERS },
    strangerTimeoutMs: 1_500,
  });
  const user = await authenticated(port);
  const idle = arrive(port);
  assert.match(await idle.reply(), /^220 /);
  const startMs = performance.now();
  const talk = setInterval(() => idle.write('NOOP\r\n'), 100);
  t.after(() => clearInterval(talk));
  let said = '';
  while (!said.startsWith('421')) said = await idle.reply();
  assert.equal(said, '421 4.4.2 nobody has authenticated for too long');
  assert.ok(performance.now() - startMs >= 1_400);
  await idle.closed;
  assert.equal(await user.say('NOOP'), '250 2.0.0 ok');
  const local = await connectRaw(port);
  assert.equal(await local.say('NOOP'), '250 2.0.0 ok');
  for (const { socket } of [user, local]) socket.destroy();
  assert.deepEqual(refusals, ['auth']);
});

test('strangers from one address keep a tenth of what strangers may have', { skip: SKIP }, async (t) => {
  const { port, refusals } = await listenerFor(t, {
    settings: { tls: selfSignedTls(), users: await USERS, maxConnections: 60 },
  });
  const strangers = [arrive(port), arrive(port), arrive(port)];
  for (const stranger of strangers) assert.match(await stranger.reply(), /^220 /);
  assert.equal(
    await arrive(port).reply(),
    `421 4.3.2 3 connections of ${LOCAL_ADDRESS} wait for AUTH already; try again`,
  );
  assert.deepEqual(refusals, ['connections']);
  for (const { socket } of strangers) socket.destroy();
});

test('a stranger who asks for mail again and again without AUTH or TLS is sent away', {
  skip: SKIP,
}, async (t) => {
  for (const [required, reply, reason] of [
    [false, '451 4.7.0 authenticate first', 'auth'],
    [true, '451 4.7.0 say STARTTLS first: TLS_Required', 'tls'],
  ] as const) {
    const { port, refusals } = await listenerFor(t, {
      settings: { tls: selfSignedTls(required), users: await USERS },
    });
    const client = arrive(port);
    await client.reply();
    await client.say('EHLO mta.example.com');
    for (let n = 0; n < 20; n += 1) assert.equal(await client.say('MAIL FROM:<>'), reply);
    assert.equal(await client.say('MAIL FROM:<>'), '421 4.7.0 too many faulty commands');
    assert.deepEqual(
      refusals,
      Array.from({ length: 21 }, () => reason),
    );
  }
});

test('who is deleted, or gets another password, hands nothing over after the reload', {
  skip: SKIP,
}, async (t) => {
  const users = await USERS;
  const { port, change } = await listenerFor(t, { settings: { tls: selfSignedTls(), users } });
  const ended = '421 4.7.0 whoever may hand mail over has changed; begin anew';
  for (const [after, reply] of [
    [users, '250 2.1.0 ok'],
    [await usersWith('mta-2', 'correct horse battery'), ended],
    [await usersWith('mta-1', 'another password'), ended],
    [undefined, ended],
  ] as const) {
    change({ users });
    const client = await authenticated(port);
    assert.equal(await client.say('MAIL FROM:<>'), '250 2.1.0 ok');
    await client.say('RSET');
    change({ users: after });
    assert.equal(await client.say('MAIL FROM:<>'), reply);
    client.socket.destroy();
  }
});

test('a network that is dropped hands nothing over after the reload', { skip: SKIP }, async (t) => {
  const relayHosts = [{ text: 'one', contains: (address: string) => address === LOCAL_ADDRESS }];
  const { port, change, refusals } = await listenerFor(t, { settings: { relayHosts } });
  const client = arrive(port);
  await client.reply();
  await client.say('EHLO mta.example.com');
  assert.equal(await client.say('MAIL FROM:<>'), '250 2.1.0 ok');
  change({ relayHosts: [] });
  await client.say('RSET');
  assert.equal(
    await client.say('MAIL FROM:<>'),
    '421 4.7.0 whoever may hand mail over has changed; begin anew',
  );
  await client.closed;
  assert.match(await arrive(port).reply(), /^421 4\.7\.1 .* is not in Relay_Hosts$/);
  assert.deepEqual(refusals, ['relay', 'relay']);
});

test('a wrong password is counted each time, and told to the operator once a minute', async (t) => {
  const { port, refusals, notices } = await listenerFor(t, { settings: { users: await USERS } });
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  for (let n = 0; n < 2; n += 1) assert.match(await client.say(`AUTH PLAIN ${WRONG}`), /^535 /);
  client.socket.destroy();
  assert.deepEqual(refusals, ['auth', 'auth']);
  assert.deepEqual(notices, [
    { level: 'warn', code: 'auth-failed', message: 'a wrong name or password came from 127.0.0.1' },
  ]);
});

test('mail that finds no memory is counted each time, and told to the operator once a minute', async (t) => {
  const memory = new MemoryBudget(100);
  const { port, refusals, notices } = await listenerFor(t, { memory });
  const full = '452 4.3.1 as much mail is under way as fits into memory; try again';
  assert.equal(await deliver(port, 'a@example.net', `${'x'.repeat(200)}\r\n`), full);
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  assert.equal(await client.say('MAIL FROM:<> SIZE=101'), full);
  client.socket.destroy();
  assert.deepEqual(refusals, ['memory', 'memory']);
  assert.deepEqual(
    notices.map(({ level, code }) => [level, code]),
    [['warn', 'memory-full']],
  );
});

test('mail without a route is counted once for each transaction', async (t) => {
  const noRoute = ownReply(451, '4.4.1', 'no route to example.net is up');
  const { port, refusals } = await listenerFor(t, { recipient: () => noRoute });
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  for (let n = 0; n < 2; n += 1) {
    await client.say('MAIL FROM:<>');
    for (const name of ['a', 'b']) {
      assert.equal(
        await client.say(`RCPT TO:<${name}@example.net>`),
        '451 4.4.1 no route to example.net is up',
      );
    }
    await client.say('RSET');
  }
  client.socket.destroy();
  assert.deepEqual(refusals, ['no-route', 'no-route']);
});

test('no secret is traced, also where a client does not wait for the answer to AUTH', async (t) => {
  const name = base64('mta-1');
  const password = base64('correct horse battery');
  for (const lines of [
    ['AUTH LOGIN', name, password],
    ['EHLO mta', 'AUTH LOGIN', name, password],
    ['EHLO mta', 'AUTH LOGIN', 'RSET', name, password],
    ['EHLO mta', 'AUTH LOGIN', 'NOOP', 'DATA'],
    [name, password],
  ]) {
    const { port, trace } = await listenerFor(t);
    const client = await connectRaw(port);
    client.write(`${lines.join('\r\n')}\r\nVRFY a b\r\n`);
    while (!(await client.reply()).startsWith('252 '));
    client.socket.destroy();
    const said = trace.filter((line) => line.startsWith('client '));
    assert.equal(said.length, lines.length + 1);
    for (const line of said) {
      assert.match(
        line,
        /^client (?:EHLO mta|AUTH LOGIN|RSET|VRFY a b|\(a line of \d+ octets\))$/,
        `${lines}`,
      );
    }
  }
});

test('who says HELO spoke SMTP, and who says EHLO spoke ESMTP', async (t) => {
  const { port, taken } = await listenerFor(t);
  for (const hello of ['HELO', 'EHLO']) {
    const client = await connectRaw(port);
    for (const line of [`${hello} mta`, 'MAIL FROM:<>', 'RCPT TO:<a@example.net>', 'DATA'])
      await client.say(line);
    client.write('Hello.\r\n.\r\n');
    assert.equal(await client.reply(), '250 2.0.0 taken');
    client.socket.destroy();
  }
  assert.deepEqual(
    taken.map(({ client: { protocol } }) => protocol),
    ['SMTP', 'ESMTP'],
  );
});
