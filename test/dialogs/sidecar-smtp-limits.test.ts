import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownReply } from '../../shared/smtp/reply.ts';
import { connectRaw, deliver, offer, openRaw } from './sidecar-smtp-client.ts';
import { ACCEPTED, listenerFor } from './sidecar-smtp-listener.ts';

test('a command that trickles in is not waited for, octet after octet', async (t) => {
  const { port } = await listenerFor(t, { settings: { idleTimeoutMs: 1_000 } });
  const client = await connectRaw(port);
  const startMs = performance.now();
  const trickle = setInterval(() => client.write('N'), 20);
  t.after(() => clearInterval(trickle));
  assert.equal(await client.reply(), '421 4.4.2 nothing came for too long');
  assert.ok(performance.now() - startMs >= 900);
  clearInterval(trickle);
  await client.closed;
});

test('content that trickles in below 500 octets a second is not waited for', async (t) => {
  const { port, taken } = await listenerFor(t, { settings: { idleTimeoutMs: 1_000 } });
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], 'whole\r\n');
  assert.equal(await client.reply(), '250 2.0.0 taken');
  await client.say('MAIL FROM:<>');
  await client.say('RCPT TO:<a@example.net>');
  await client.say('DATA');
  // 50 octets a second.
  const trickle = setInterval(() => client.write('x'), 20);
  t.after(() => clearInterval(trickle));
  assert.equal(await client.reply(), '421 4.4.2 nothing came for too long');
  clearInterval(trickle);
  await client.closed;
  assert.equal(taken.length, 1);
});

test('a dialogue may last longer than the timeout while it goes on', async (t) => {
  const { port } = await listenerFor(t, { settings: { idleTimeoutMs: 1_000 } });
  const client = await connectRaw(port);
  const endMs = performance.now() + 1_500;
  while (performance.now() < endMs) {
    assert.equal(await client.say('NOOP'), '250 2.0.0 ok');
    await new Promise((later) => setTimeout(later, 20));
  }
  client.socket.destroy();
});

test('a client that never reads its replies is let go, and its commands do not pile up', async (t) => {
  const { port, trace, close } = await listenerFor(t, { settings: { idleTimeoutMs: 500 } });
  const client = await connectRaw(port);
  client.socket.pause();
  const endless = Buffer.from('HELP\r\n'.repeat(10_000));
  // Stops writing where the listener stops reading.
  let isTaken = true;
  while (isTaken) {
    isTaken = await new Promise<boolean>((done) => {
      const given = setTimeout(() => done(false), 200);
      client.socket.write(endless, () => {
        clearTimeout(given);
        done(true);
      });
    });
  }
  await close(60_000);
  assert.equal(trace.at(-1), 'event ended');
  client.socket.destroy();
});

test('who is one too many hears 421, and the next one is let in when another has left', async (t) => {
  const { port, trace } = await listenerFor(t, { settings: { maxConnections: 2 } });
  const first = await connectRaw(port);
  const second = await connectRaw(port);
  const third = openRaw(port);
  third.write('EHLO third\r\n');
  assert.equal(await third.reply(), '421 4.3.2 2 connections are open already; try again');
  await third.closed;
  assert.ok(
    trace.some((line) => line.startsWith('event 127.0.0.1 was turned away: 421 4.3.2 2 connections')),
  );
  assert.equal(await first.say('QUIT'), '221 2.0.0 bye');
  await first.closed;
  let greeting = '';
  while (!greeting.startsWith('220')) {
    const next = openRaw(port);
    greeting = await next.reply();
    next.socket.destroy();
  }
  second.socket.destroy();
});

test('a client may speak before the greeting', async (t) => {
  const { port } = await listenerFor(t);
  const client = openRaw(port);
  client.write('EHLO early.example.com\r\nNOOP\r\n');
  assert.match(await client.reply(), /^220 /);
  assert.match(await client.reply(), /^250-/);
  assert.equal(await client.reply(), '250 2.0.0 ok');
  client.socket.destroy();
});

test('an HTTP request that carries a mail dialogue hears no more than a goodbye', async (t) => {
  const { port, taken } = await listenerFor(t);
  const dialogue = 'EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.net>\r\nDATA\r\nspam\r\n.\r\n';
  for (const request of ['POST / HTTP/1.1', 'GET /', 'CONNECT a:25 HTTP/1.1', 'PRI * HTTP/2.0']) {
    const client = await connectRaw(port);
    client.write(`${request}\r\nHost: 127.0.0.1\r\n\r\n${dialogue}`);
    assert.equal(await client.reply(), '421 4.7.0 this is no HTTP');
    await client.closed;
  }
  assert.deepEqual(taken, []);
});

test('a chunk is not asked for, and what follows it is not heard as commands', async (t) => {
  const { port, trace } = await listenerFor(t);
  const client = await connectRaw(port);
  client.write('EHLO mta\r\nBDAT 6 LAST\r\nQUIT\r\n');
  assert.match(await client.reply(), /^250-/);
  assert.equal(await client.reply(), '421 4.5.1 CHUNKING is not offered');
  await client.closed;
  assert.ok(!trace.includes('client QUIT'));
});

test('commands that help, verify or do nothing have their answers', async (t) => {
  const { port } = await listenerFor(t);
  const client = await connectRaw(port);
  assert.equal(await client.say('HELP'), '214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT');
  assert.equal(await client.say('HELP MAIL'), '214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT');
  assert.equal(await client.say('VRFY a@example.net'), '252 2.1.5 send some mail, and it will be tried');
  assert.equal(await client.say('EXPN staff'), '502 5.5.1 lists are not expanded here');
  assert.equal(await client.say('noop once more'), '250 2.0.0 ok');
  assert.equal(await client.say('XCLIENT NAME=a'), '500 5.5.2 command not known here');
  await client.say('EHLO mta');
  await client.say('MAIL FROM:<>');
  await client.say('RCPT TO:<a@example.net>');
  assert.equal(await client.say('DATA now'), '501 5.5.4 DATA stands alone');
  client.socket.destroy();
});

test('faulty commands are forgiven with each message', async (t) => {
  const { port } = await listenerFor(t);
  const client = await connectRaw(port);
  for (let round = 0; round < 3; round += 1) {
    client.write('X\r\n'.repeat(15));
    for (let n = 0; n < 15; n += 1) assert.match(await client.reply(), /^500 /);
    await offer(client, ['a@example.net'], 'Hello.\r\n');
    assert.equal(await client.reply(), '250 2.0.0 taken');
  }
  client.socket.destroy();
});

test('a reload holds for the next MAIL of an open session, and a transaction keeps what it began with', async (t) => {
  const { port, change, taken } = await listenerFor(t);
  const client = await connectRaw(port);
  await client.say('EHLO mta');
  await client.say('MAIL FROM:<one@example.com>');
  const other: string[] = [];
  change({
    reception: {
      begin: () => ({
        recipient: () => undefined,
        data: () => undefined,
        async submit({ envelope }) {
          other.push(envelope.sender);
          return new Map([['a@example.net', ACCEPTED]]);
        },
      }),
    },
  });
  for (const sender of ['', 'two@example.com']) {
    if (sender !== '') await client.say(`MAIL FROM:<${sender}>`);
    await client.say('RCPT TO:<a@example.net>');
    await client.say('DATA');
    client.write('Hello.\r\n.\r\n');
    assert.equal(await client.reply(), '250 2.0.0 taken');
  }
  assert.deepEqual(
    [taken.map(({ envelope: { sender } }) => sender), other],
    [['one@example.com'], ['two@example.com']],
  );
  change({ reception: { begin: () => ownReply(451, '4.4.1', 'no route') } });
  assert.equal(await client.say('MAIL FROM:<>'), '451 4.4.1 no route');
  client.socket.destroy();
});

test('a stop lets a verdict under way be heard, and tells idle clients at once', async (t) => {
  let release: () => void = () => undefined;
  const asked = new Promise<void>((begun) => {
    release = begun;
  });
  let answer: () => void = () => undefined;
  const { port, close } = await listenerFor(t, {
    submit: () =>
      new Promise<void>((done) => {
        answer = done;
        release();
      }),
  });
  const idle = await connectRaw(port);
  const busy = await connectRaw(port);
  await offer(busy, ['a@example.net'], 'Hello.\r\n');
  await asked;
  const closed = close(60_000);
  assert.equal(await idle.reply(), '421 4.3.2 shutting down');
  answer();
  assert.equal(await busy.reply(), '250 2.0.0 taken');
  assert.equal(await busy.reply(), '421 4.3.2 shutting down');
  await closed;
});

test('whoever leaves before the verdict is known to be gone', async (t) => {
  let begun: () => void = () => undefined;
  const begin = new Promise<void>((resolve) => {
    begun = resolve;
  });
  let gone = false;
  const { port, close } = await listenerFor(t, {
    submit: (_, signal) =>
      new Promise<void>((done) => {
        signal.addEventListener('abort', () => {
          gone = true;
          done();
        });
        begun();
      }),
  });
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], 'Hello.\r\n');
  await begin;
  client.socket.destroy();
  await close(60_000);
  assert.equal(gone, true);
});

test('the trace tells every line, and content as a count of octets', async (t) => {
  const { port, trace } = await listenerFor(t);
  assert.equal(await deliver(port, 'a@example.net', 'Subject: secret\r\n\r\n..\r\n'), '250 2.0.0 taken');
  await new Promise<void>((done) => {
    const look = (): void => void (trace.at(-1) === 'event ended' ? done() : setImmediate(look));
    look();
  });
  assert.deepEqual(
    trace.filter((line) => !line.startsWith('server 250-')),
    [
      'event connected from 127.0.0.1',
      'server 220 sidecar.example.com ESMTP delay-xfer',
      'client EHLO mta.example.com',
      'server 250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE',
      'client MAIL FROM:<sender@example.com>',
      'server 250 2.1.0 ok',
      'client RCPT TO:<a@example.net>',
      'server 250 2.1.5 ok',
      'client DATA',
      'server 354 go on; end with a line that holds one dot',
      'client (26 octets of content)',
      'server 250 2.0.0 taken',
      'event ended',
    ],
  );
});
