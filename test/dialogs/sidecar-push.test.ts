import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Content } from '../../sidecar/intake/content.ts';
import { Compression } from '../../sidecar/push/compression.ts';
import { closedPort, receiverFor } from './sidecar-fixture.ts';
import { createLedger } from './sidecar-ledger.ts';
import { contentOf, fastClock, pusherFor, xferRoute } from './sidecar-push.ts';
import { type Answer, accept, cut, hang, type ScriptedReceiver, status } from './sidecar-receiver.ts';

const TEXT = Buffer.from('Subject: long\r\n\r\n'.padEnd(6_000, 'The same line again.\r\n'));

for (const [what, route, pieces, gzipped] of [
  ['text for a receiver elsewhere is compressed', 'xfer://192.0.2.1', [TEXT], true],
  ['base64 shrinks by a quarter and is compressed', 'xfer://192.0.2.1', [base64(60_000)], true],
  ['text in many pieces is compressed', 'xfer://r.example.com', [TEXT.subarray(0, 9), TEXT], true],
  ['less than 2 KiB is not', 'xfer://192.0.2.1', [TEXT.subarray(0, 2_047)], false],
  ['what does not shrink is not', 'xfer://192.0.2.1', [randomBytes(60_000)], false],
  ['nothing is, on the way to this machine', 'xfer://127.0.0.1', [TEXT], false],
  ['nor to its IPv6 address', 'xfer://[::1]', [TEXT], false],
  ['nor to its name', 'xfer://localhost', [TEXT], false],
  ['gzip=1 compresses there too, and whatever it is', 'xfer://127.0.0.1?gzip=1', [randomBytes(99)], true],
  ['gzip=0 never does', 'xfer://192.0.2.1?gzip=0', [TEXT], false],
] as const) {
  test(`compression: ${what}`, async () => {
    const encoded = await new Compression().encode(xferRoute(route), pieces);
    assert.equal(encoded.gzipped, gzipped);
    const body = Buffer.concat(encoded.pieces);
    assert.deepEqual(gzipped ? gunzipSync(body) : body, Buffer.concat(pieces));
    if (gzipped && route !== 'xfer://127.0.0.1?gzip=1') assert.ok(body.length < Buffer.concat(pieces).length);
  });
}

test('compression: what there is no memory for travels plain', async () => {
  // More than the address space of a process has.
  const pieces = new Array<Buffer>(2 ** 17).fill(Buffer.alloc(2 ** 30));
  const encoded = await new Compression().encode(xferRoute('xfer://192.0.2.1?gzip=1'), pieces);
  assert.deepEqual([encoded.gzipped, encoded.pieces === pieces], [false, true]);
});

test('a compressed transfer says so, and arrives octet for octet', async (t) => {
  const receiver = await receiverFor(t);
  const { push, samples } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}&gzip=1`]);
  assert.equal((await push(TEXT)).ending, 'accepted');
  const [request] = receiver.requests;
  assert.equal(request?.headers['content-encoding'], 'gzip');
  assert.equal(request?.headers['content-length'], String(request?.body.length));
  assert.deepEqual(request?.frames[0]?.content, TEXT);
  const [sample] = samples;
  assert.deepEqual(
    { ...sample, durationMs: 0 },
    {
      route: `xfer://127.0.0.1:${receiver.port}`,
      outcome: 'answered',
      status: 200,
      durationMs: 0,
      contentBytes: 6_000,
      wireBytes: request?.body.length,
      messages: 1,
    },
  );
});

test('a receiver that refuses the encoding gets the same mail plain at once, and all mail after it', async (t) => {
  const receiver = await receiverFor(t);
  const { push, notices } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}&gzip=1`]);
  receiver.script('POST', [status(415)]);
  const first = await push(TEXT);
  assert.deepEqual([first.ending, first.tries], ['accepted', 2]);
  assert.equal((await push('next\r\n')).ending, 'accepted');
  assert.deepEqual(
    receiver.requests.map(({ headers }) => headers['content-encoding']),
    ['gzip', undefined, undefined],
  );
  assert.deepEqual(notices, []);
});

test('what is signed is the body as it is sent: compressed', async (t) => {
  const receiver = await receiverFor(t);
  const hashes: string[] = [];
  const route = `xfer://127.0.0.1?port=${receiver.port}&gzip=1&sigv4=1&region=eu-west-1`;
  const { push } = pusherFor(t, [route], {
    async sign(_, { headers, body }) {
      assert.ok(!('read' in body));
      hashes.push(createHash('sha256').update(Buffer.concat(body)).digest('hex'));
      return { ...headers, authorization: 'signed' };
    },
  });
  await push(TEXT);
  const [request] = receiver.requests;
  assert.equal(
    createHash('sha256')
      .update(request?.body ?? '')
      .digest('hex'),
    hashes[0],
  );
  assert.equal(request?.headers['authorization'], 'signed');
});

test('a trace tells each exchange without content and without credentials', async (t) => {
  const receiver = await receiverFor(t);
  const { push, exchanges } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], {
    target: { credentials: { user: 'mta', password: 'secret' } },
  });
  await push(TEXT);
  const [exchange] = exchanges;
  assert.equal(exchange?.url, `http://127.0.0.1:${receiver.port}/delay_message`);
  assert.equal(exchange?.requestHeaders['authorization'], '…');
  assert.equal(exchange?.outcome.kind, 'answer');
  assert.equal(exchange?.bodyBytes, receiver.requests[0]?.body.length);
});

test('past its limits the outbox says so, settles what comes all the same, and forgets what its MTA left', async (t) => {
  const receiver = await receiverFor(t);
  const { push, outbox } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], {
    outbox: { maxTransfers: 1, maxWaiting: 3 },
  });
  let release = (): void => undefined;
  receiver.script('POST', [
    (request, response) => {
      release = () => accept(request, response);
    },
  ]);
  const first = push('0\r\n');
  await receiver.until('POST', 1);
  const leaving = new AbortController();
  const waiting = [push('1\r\n'), push('2\r\n', { gone: leaving.signal }), push('3\r\n')];
  assert.equal(outbox.full, true);
  const late = await push('4\r\n');
  assert.deepEqual([late.ending, late.reason], ['untaken', 'too much mail waits for this receiver']);
  leaving.abort();
  assert.equal((await waiting[1])?.reason, 'the client left');
  assert.equal(outbox.full, false);
  release();
  const endings = await Promise.all([first, waiting[0], waiting[2]]);
  assert.deepEqual(
    endings.map((result) => result?.ending),
    ['accepted', 'accepted', 'accepted'],
  );
  assert.deepEqual(
    receiver.requests.map(({ ids }) => ids.length),
    [1, 2],
  );
  await outbox.idle();
});

test('a client with little patience has one try', async (t) => {
  const receiver = await receiverFor(t);
  const { push } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`]);
  receiver.script('POST', [accept, status(500)]);
  assert.equal((await push('1\r\n', { withinMs: 1_500 })).ending, 'accepted');
  const failed = await push('2\r\n', { withinMs: 1_500 });
  assert.deepEqual([failed.ending, failed.withdrawal, failed.tries], ['in-doubt', 'withdrawn', 1]);
  assert.equal((await push('3\r\n', { withinMs: 400 })).reason, 'no try was made in time');
  assert.equal(receiver.requests[0]?.headers['x-xfer-patience-ms'], undefined);
});

test('while all transfers are stuck, what waits ends when its time is over', async (t) => {
  const receiver = await receiverFor(t);
  receiver.script('POST', [], hang);
  const { push, outbox } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], {
    clock: fastClock(20),
    outbox: { maxTransfers: 1 },
    target: { handoffDeadlineMs: 10_000, responseTimeoutMs: 60_000 },
  });
  const stuck = push('1\r\n', { mode: 'rerouted' });
  await receiver.until('POST', 1);
  const waits = await push('2\r\n');
  assert.deepEqual([waits.ending, waits.reason, waits.tries], ['untaken', 'no try was made in time', 0]);
  assert.equal((await stuck).ending, 'in-doubt');
  await outbox.idle();
});

test('transfers that wait for their next try keep no others from leaving', async (t) => {
  const ledger = createLedger();
  const receiver = await receiverFor(t);
  receiver.script('POST', [], (request, response) => {
    (request.body.includes('stuck') ? cut : ledger.honest)(request, response);
  });
  receiver.script('DELETE', [], ledger.honest);
  const { push } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], {
    outbox: { maxTransfers: 1 },
    target: { handoffDeadlineMs: 4_000 },
  });
  const stuck = push('stuck\r\n');
  await receiver.until('POST', 1);
  assert.equal((await push('well\r\n')).ending, 'accepted');
  const result = await stuck;
  assert.deepEqual([result.ending, result.withdrawal], ['in-doubt', 'withdrawn']);
});

/** Content in a file, as far as the pushing side can tell; counts how often it is read and how far. */
function largeContent(sizeBytes: number): {
  content: Content;
  readBytes: () => number;
  breakAt(at: number): void;
} {
  const piece = Buffer.alloc(65_536, 'A line of mail that stands here often.\r\n');
  const hash = createHash('sha256');
  for (let left = sizeBytes; left > 0; left -= piece.length) hash.update(piece.subarray(0, left));
  let read = 0;
  let breakAt = Number.POSITIVE_INFINITY;
  return {
    readBytes: () => read,
    breakAt(at) {
      breakAt = at;
    },
    content: {
      ...contentOf(''),
      sizeBytes,
      sha256: hash.digest(),
      pieces: undefined,
      async *read() {
        for (let left = sizeBytes; left > 0; left -= piece.length) {
          if (sizeBytes - left >= breakAt) throw new Error('EIO: i/o error, read');
          const part = piece.subarray(0, left);
          read += part.length;
          yield part;
        }
      },
    },
  };
}

function ticket(receiver: ScriptedReceiver): Answer {
  return (_, response) => {
    response.end(
      JSON.stringify({
        url: `http://127.0.0.1:${receiver.port}/spool/key?signature=x`,
        method: 'PUT',
        headers: { 'x-amz-checksum-sha256': 'signed' },
        expiresAt: '2099-01-01T00:00:00Z',
      }),
    );
  };
}

/** Tickets for whoever asks, and an honest receiver for frames. */
async function spooling(t: Parameters<typeof receiverFor>[0]): Promise<ScriptedReceiver> {
  const receiver = await receiverFor(t);
  receiver.script('POST', [], (request, response) => {
    (request.path.endsWith('/uploads') ? ticket(receiver) : accept)(request, response);
  });
  return receiver;
}

const outline = (receiver: ScriptedReceiver): string =>
  receiver.requests.map(({ method, path }) => `${method} ${path.split(/[/?]/)[2] ?? 'frame'}`).join();

test('an upload is read as fast as the store takes it, with its length and the checksum of the ticket', async (t) => {
  const receiver = await spooling(t);
  const large = largeContent(20_000_000);
  let readWhenPaused = 0;
  receiver.cutBeforeBody = (incoming) => {
    if (incoming.method !== 'PUT') return false;
    incoming.pause();
    setTimeout(() => {
      readWhenPaused = large.readBytes();
      incoming.resume();
    }, 200);
    return false;
  };
  const { push } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`]);
  assert.equal((await push(large.content)).ending, 'accepted');
  const put = receiver.requests.find(({ method }) => method === 'PUT');
  assert.deepEqual(
    [put?.headers['content-length'], put?.headers['x-amz-checksum-sha256'], put?.headers['content-encoding']],
    ['20000000', 'signed', undefined],
  );
  assert.deepEqual(
    createHash('sha256')
      .update(put?.body ?? '')
      .digest(),
    large.content.sha256,
  );
  assert.ok(readWhenPaused < 12_000_000, `${readWhenPaused} octets were read ahead`);
});

test('an upload that breaks off, or whose ticket has expired, begins anew with another ticket', async (t) => {
  const receiver = await spooling(t);
  const large = largeContent(5_000_000);
  let cuts = 1;
  receiver.cutBeforeBody = (incoming) => incoming.method === 'PUT' && cuts-- > 0;
  receiver.script('PUT', [status(403)]);
  const { push, notices } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], {
    clock: fastClock(20),
  });
  const result = await push(large.content);
  assert.deepEqual([result.ending, result.withdrawal], ['accepted', null]);
  assert.equal(outline(receiver), 'POST uploads,POST uploads,PUT key,POST uploads,PUT key,POST frame');
  assert.deepEqual(notices, []);
});

test('content that cannot be read any more stays with its MTA, and an operator hears why', async (t) => {
  const receiver = await spooling(t);
  const large = largeContent(5_000_000);
  large.breakAt(1_000_000);
  const { push, notices } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`]);
  const result = await push(large.content);
  assert.deepEqual(
    [result.ending, result.reason, result.withdrawal],
    ['untaken', 'the content cannot be read: EIO: i/o error, read', null],
  );
  assert.equal(outline(receiver), 'POST uploads');
  assert.deepEqual(
    notices.map(({ code }) => code),
    ['cannot-send'],
  );
});

test('an upload for a receiver that is gone goes to the next one, from its beginning', async (t) => {
  const closed = await closedPort();
  const receiver = await spooling(t);
  const large = largeContent(5_000_000);
  const { push } = pusherFor(
    t,
    [closed, receiver.port].map((port) => `xfer://127.0.0.1?port=${port}`),
  );
  assert.equal((await push(large.content)).ending, 'accepted');
  assert.equal(outline(receiver), 'POST uploads,PUT key,POST frame');
  assert.equal(large.readBytes(), 5_000_000);
});

function base64(sizeBytes: number): Buffer {
  return Buffer.from(randomBytes(sizeBytes).toString('base64').replaceAll(/.{76}/g, '$&\r\n'));
}
