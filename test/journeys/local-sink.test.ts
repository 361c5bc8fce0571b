// The scripted destinations, spoken to by hand over a socket.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { type Sink, type SinkEvent, type SinkOptions, startSink } from '../../local/sink.ts';

async function sinkFor(t: TestContext, options: Partial<SinkOptions> = {}): Promise<Sink> {
  const sink = await startSink({ port: 0, ...options });
  t.after(() => sink.close());
  return sink;
}

/** A peer that sends commands one by one and reads whole replies; `undefined` once the connection is gone. */
class Peer {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    this.#lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })[
      Symbol.asyncIterator
    ]();
  }

  async reply(): Promise<string | undefined> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) return undefined;
      if (value[3] !== '-') return value;
    }
  }

  send(text: string): Promise<string | undefined> {
    this.#socket.write(text);
    return this.reply();
  }

  end(): void {
    this.#socket.destroy();
  }
}

async function dial(t: TestContext, sink: Sink, address = '127.0.0.11'): Promise<Peer> {
  const socket = connect(sink.port, address);
  await once(socket, 'connect');
  const peer = new Peer(socket);
  t.after(() => peer.end());
  return peer;
}

async function greeted(t: TestContext, sink: Sink, address?: string): Promise<Peer> {
  const peer = await dial(t, sink, address);
  assert.match((await peer.reply()) ?? '', /^220 /);
  assert.match((await peer.send('EHLO client.test\r\n')) ?? '', /^250 /);
  return peer;
}

test('accepted mail is kept with its envelope and octet for octet', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'delay-xfer-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const sink = await sinkFor(t, { directory });
  const waiting = sink.waitFor((mail) => mail.sender === 'a@sender.test');
  const peer = await greeted(t, sink);
  await peer.send('MAIL FROM:<a@sender.test> BODY=8BITMIME RET=HDRS ENVID=e+2B1\r\n');
  await peer.send('RCPT TO:<b@ok.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@ok.test\r\n');
  assert.match((await peer.send('RCPT TO:<c@ok.test>\r\n')) ?? '', /^250 /);
  assert.match((await peer.send('DATA\r\n')) ?? '', /^354 /);
  assert.match((await peer.send('Subject: x\r\n\r\n..\r\n...two\r\né\0 long\r\n.\r\n')) ?? '', /^250 /);
  const mail = await waiting;
  assert.deepEqual(mail.content, Buffer.from('Subject: x\r\n\r\n.\r\n..two\r\né\0 long\r\n', 'utf8'));
  assert.deepEqual(mail.parameters, { BODY: '8BITMIME', RET: 'HDRS', ENVID: 'e+1' });
  assert.deepEqual(mail.recipients, [
    { address: 'b@ok.test', parameters: { NOTIFY: 'FAILURE,DELAY', ORCPT: 'rfc822;b@ok.test' } },
    { address: 'c@ok.test', parameters: {} },
  ]);
  const files = (await readdir(directory)).sort();
  assert.equal(files.length, 2);
  assert.deepEqual(await readFile(join(directory, files[0] ?? '')), mail.content);
});

test('recipients of one message get verdicts of their own', async (t) => {
  const events: SinkEvent[] = [];
  const sink = await sinkFor(t, { onEvent: (event) => events.push(event) });
  const peer = await greeted(t, sink);
  await peer.send('MAIL FROM:<>\r\n');
  assert.match((await peer.send('RCPT TO:<reject@mixed.test>\r\n')) ?? '', /^550 5/);
  assert.match((await peer.send('RCPT TO:<defer-1@mixed.test>\r\n')) ?? '', /^450 4/);
  assert.match((await peer.send('RCPT TO:<ok@mixed.test>\r\n')) ?? '', /^250 /);
  assert.match((await peer.send('RCPT TO:<defer-1@mixed.test>\r\n')) ?? '', /^250 /);
  await peer.send('DATA\r\n');
  assert.match((await peer.send('x\r\n.\r\n')) ?? '', /^250 /);
  assert.deepEqual(
    events.map(({ recipients, reply }) => [recipients.join(), reply]),
    [
      ['reject@mixed.test', '550 no such mailbox here'],
      ['defer-1@mixed.test', '450 mailbox busy, refusal 1 of 1'],
      ['ok@mixed.test,defer-1@mixed.test', '250 accepted, 3 octets'],
    ],
  );
});

test('greylisting follows the wall clock', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_800_000_000_000 });
  const sink = await sinkFor(t);
  const rcpt = async () => {
    const peer = await greeted(t, sink);
    await peer.send('MAIL FROM:<a@sender.test>\r\n');
    return await peer.send('RCPT TO:<b@greylist.test>\r\n');
  };
  assert.match((await rcpt()) ?? '', /^451 .*come back in 120 s/);
  t.mock.timers.setTime(1_800_000_119_000);
  assert.match((await rcpt()) ?? '', /^451 .*come back in 1 s/);
  t.mock.timers.setTime(1_800_000_120_000);
  assert.match((await rcpt()) ?? '', /^250 /);
});

for (const [word, step] of [
  ['drop', 'in the middle of the content'],
  ['drop-final', 'after the final dot'],
] as const) {
  test(`a connection cut ${step} leaves nothing behind, and the next try is kept`, async (t) => {
    const sink = await sinkFor(t);
    const attempt = async () => {
      const peer = await greeted(t, sink);
      await peer.send('MAIL FROM:<a@sender.test>\r\n');
      await peer.send(`RCPT TO:<${word}-1@ok.test>\r\n`);
      await peer.send('DATA\r\n');
      return await peer.send('x\r\n.\r\n');
    };
    assert.equal(await attempt(), undefined);
    assert.equal(sink.received.length, 0);
    assert.match((await attempt()) ?? '', /^250 /);
    assert.equal(sink.received.length, 1);
  });
}

test('a refusal after the content keeps nothing', async (t) => {
  const sink = await sinkFor(t);
  const peer = await greeted(t, sink);
  const attempt = async (recipient: string) => {
    await peer.send('MAIL FROM:<a@sender.test>\r\n');
    await peer.send(`RCPT TO:<${recipient}>\r\n`);
    await peer.send('DATA\r\n');
    return await peer.send('x\r\n.\r\n');
  };
  assert.match((await attempt('x@reject-data.test')) ?? '', /^554 5/);
  assert.match((await attempt('x@defer-data.test')) ?? '', /^452 4/);
  assert.equal(sink.received.length, 0);
  assert.match((await attempt('x@defer-data.test')) ?? '', /^250 /);
});

test('the busy host greets every other connection with 421', async (t) => {
  const sink = await sinkFor(t);
  assert.match((await (await dial(t, sink, '127.0.0.14')).reply()) ?? '', /^421 /);
  assert.match((await (await dial(t, sink, '127.0.0.14')).reply()) ?? '', /^220 /);
});

test('addresses that the loopback interface lacks are told with the mend', async () => {
  const host = { name: 'mx.sink.test', address: '192.0.2.77', plain: false, busy: false };
  await assert.rejects(startSink({ port: 0, hosts: [host] }), /ifconfig lo0 alias 192\.0\.2\.77/);
});

test('a sink on a taken port says so and leaves nothing listening', async (t) => {
  const first = await sinkFor(t);
  await assert.rejects(startSink({ port: first.port }), { code: 'EADDRINUSE' });
});
