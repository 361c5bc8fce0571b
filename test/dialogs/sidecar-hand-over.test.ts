import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../sidecar/clock.ts';
import { closedPort, delayedTo, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { accept, duplicate, status, verdicts } from './sidecar-receiver.ts';
import { connectRaw, deliver, offer } from './sidecar-smtp-client.ts';

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n';
/** SHA-256, in base64url, of the facts as a JSON array and the SHA-256 of MAIL (computed with openssl). */
const MAIL_ID = '-KjDRiThMnrBbc5glhXv2LmmiWnWOR8Mm-1k9-uAJic';
/** One try of 150 ms, another 500 ms later, and that is it. */
const BRIEF = 'Delivery_Response_Timeout = 150  Handoff_Deadline = 1';

test('a deferred message goes to the receiver in one frame, and the MTA hears 250 with its id', async (t) => {
  const receiver = await receiverFor(t);
  const { port, transfers } = await sidecarFor(t, delayedTo([receiver.port]));
  assert.equal(await deliver(port, 'a@Example.NET', MAIL), `250 2.0.0 ${MAIL_ID} accepted`);
  const [request] = receiver.requests;
  assert.equal(request?.method, 'POST');
  assert.equal(request?.path, '/delay_message');
  assert.equal(request?.headers['content-type'], 'application/vnd.delay-xfer.v1');
  assert.equal(request?.headers['content-length'], String(request?.body.length));
  assert.equal(request?.headers['x-xfer-patience-ms'], '10000');
  assert.equal(request?.headers['host'], `127.0.0.1:${receiver.port}`);
  const { receivedAt, ...header } = request?.frames[0]?.header ?? {};
  assert.ok(Math.abs(Date.parse(String(receivedAt)) - Date.now()) < 60_000);
  assert.deepEqual(header, {
    id: MAIL_ID,
    sender: 'sender@example.com',
    recipients: [{ address: 'a@example.net' }],
    sizeBytes: 26,
    sha256: 'd21d383f80a22e64fb2ba9638e45c11bd9585e86e9c18ccc3029100816406fd5',
    smtputf8: false,
    receivedFrom: 'mta.example.com',
    attempts: 1,
  });
  assert.equal(request?.frames[0]?.content.toString('latin1'), MAIL);
  const [record] = await transfers(1);
  const { timestamp, latency_ms, created, session_id, ...fields } =
    record ?? assert.fail('nothing was logged');
  assert.ok(timestamp > 1_700_000_000 && latency_ms >= 0);
  assert.ok(created !== undefined && created <= timestamp, 'it has no Received, so it came now');
  assert.match(session_id ?? '', /^[0-9a-f]{8}-1$/);
  assert.deepEqual(fields, {
    type: 'XferOut',
    id: MAIL_ID,
    sender: 'sender@example.com',
    recipients: ['a@example.net'],
    size: 26,
    queue: 'xfer.test',
    mode: 'delayed',
    route: `xfer://127.0.0.1:${receiver.port}`,
    verdict: 'accepted',
    withdrawal: null,
    client_gone: false,
    response: { code: 250, enhanced_code: '2.0.0', content: `${MAIL_ID} accepted` },
    tries: 1,
    batch: 1,
    num_attempts: 1,
    reception_protocol: 'ESMTP',
    delivery_protocol: 'XFER',
    peer_address: { name: 'mta.example.com', addr: '127.0.0.1' },
    meta: {},
  });
});

test('a message that the MTA hands over again has the same id, whatever the order of its recipients', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  receiver.script('POST', [accept, duplicate]);
  const first = await deliver(port, ['a@example.net', 'b@example.net'], MAIL);
  const second = await deliver(port, ['b@example.net', 'a@example.net'], MAIL);
  const id = receiver.requests[0]?.ids[0] ?? '';
  assert.equal(first, `250 2.0.0 ${id} accepted`);
  assert.equal(second, `250 2.0.0 ${id} accepted before`);
});

test('of messages that share a transfer each keeps its own verdict, and a refusal is transient', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]), { limits: { windowMs: 100 } });
  const refused = { status: 'refused', reply: { code: 552, enhanced: '5.3.4', text: 'too large\nreally' } };
  receiver.script('POST', [
    verdicts((request) =>
      request.frames.map(({ header, content }) =>
        content.includes('two') ? { id: header['id'], ...refused } : { id: header['id'], status: 'accepted' },
      ),
    ),
  ]);
  const replies = await Promise.all(
    ['one\r\n', 'two\r\n', 'three\r\n'].map((content) => deliver(port, 'a@example.net', content)),
  );
  assert.match(replies[0] ?? '', /^250 2\.0\.0 \S{43} accepted$/);
  assert.equal(replies[1], '451 4.3.4 refused by the receiver: 552 5.3.4 too large really');
  assert.match(replies[2] ?? '', /^250 2\.0\.0 \S{43} accepted$/);
  assert.deepEqual(
    receiver.requests.map((request) => request.ids.length),
    [3],
  );
});

test('thirty messages at once share transfers of at most 25', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]), { limits: { windowMs: 200 } });
  const clients = await Promise.all(Array.from({ length: 30 }, () => connectRaw(port)));
  await Promise.all(clients.map((client, index) => offer(client, ['a@example.net'], `n: ${index}\r\n`)));
  const replies = await Promise.all(clients.map((client) => client.reply()));
  for (const client of clients) client.socket.destroy();
  assert.equal(new Set(replies).size, 30);
  for (const reply of replies) assert.match(reply, /^250 2\.0\.0 /);
  assert.deepEqual(
    receiver.requests.map((request) => request.ids.length),
    [25, 5],
  );
});

test('while as many transfers as may be are under way, messages gather into the next ones, 25 at most', async (t) => {
  const receiver = await receiverFor(t);
  const limits = { windowMs: 1, maxTransfers: 1 };
  const { port } = await sidecarFor(t, delayedTo([receiver.port]), { limits });
  let release = (): void => undefined;
  receiver.script('POST', [
    (request, response) => {
      release = () => accept(request, response);
    },
  ]);
  const first = deliver(port, 'a@example.net', 'first\r\n');
  await receiver.until('POST', 1);
  const clients = await Promise.all(Array.from({ length: 30 }, () => connectRaw(port)));
  await Promise.all(clients.map((client, index) => offer(client, ['a@example.net'], `n: ${index}\r\n`)));
  release();
  assert.match(await first, /^250 /);
  for (const client of clients) assert.match(await client.reply(), /^250 /);
  for (const client of clients) client.socket.destroy();
  const sizes = receiver.requests.map((request) => request.ids.length);
  assert.equal(sizes[0], 1);
  assert.ok(sizes.length < 31 && sizes.every((size) => size <= 25), sizes.join());
  assert.equal(new Set(receiver.requests.flatMap((request) => request.ids)).size, 31);
});

test('a request that is refused as faulty is halved until the faulty message stands alone', async (t) => {
  const receiver = await receiverFor(t);
  const { port, notices } = await sidecarFor(t, delayedTo([receiver.port]), { limits: { windowMs: 100 } });
  receiver.script('POST', [status(413)], (request, response) => {
    if (request.body.includes('two')) status(400)(request, response);
    else accept(request, response);
  });
  const replies = await Promise.all(
    ['one\r\n', 'two\r\n', 'three\r\n'].map((content) => deliver(port, 'a@example.net', content)),
  );
  assert.match(replies[0] ?? '', /^250 /);
  assert.equal(replies[1], '451 4.3.0 not taken: HTTP 400 scripted the script says 400');
  assert.match(replies[2] ?? '', /^250 /);
  const sizes = receiver.requests.map((request) => request.ids.length);
  assert.deepEqual(
    sizes.toSorted((a, b) => b - a),
    [3, 2, 1, 1, 1],
  );
  assert.deepEqual(
    notices().flatMap(({ code }) => (code === 'request-faulty' ? [code] : [])),
    ['request-faulty'],
  );
});

for (const code of [401, 403, 404]) {
  test(`HTTP ${code} never bounces mail: the MTA keeps it, and an operator is told`, async (t) => {
    const receiver = await receiverFor(t);
    const { port, notices } = await sidecarFor(t, delayedTo([receiver.port]));
    receiver.script('POST', [], status(code));
    const reply = await deliver(port, 'a@example.net', MAIL);
    assert.equal(reply, `451 4.3.0 not taken: HTTP ${code} scripted the script says ${code}`);
    assert.deepEqual(
      receiver.requests.map((request) => request.method),
      ['POST'],
    );
    assert.deepEqual(
      notices().flatMap((notice) => (notice.level === 'error' ? [[notice.code, notice.message]] : [])),
      [
        [
          'receiver-refuses-us',
          `xfer://127.0.0.1:${receiver.port}: HTTP ${code} scripted the script says ${code}; mail waits at its MTA`,
        ],
      ],
    );
  });
}

test('credentials and the Host header go with every request', async (t) => {
  const receiver = await receiverFor(t);
  const options = `${BRIEF} HTTP_Basic_Auth = "mta:pass:word" HTTP_HOST = "xfer.example.com" HTTP_URI = "/in/"`;
  const { port } = await sidecarFor(t, delayedTo([receiver.port], options));
  receiver.script('POST', [], status(500));
  await deliver(port, 'a@example.net', MAIL);
  assert.deepEqual(
    receiver.requests.map(({ method, path, headers }) => [
      method,
      path,
      headers['authorization'],
      headers['host'],
    ]),
    [
      ['POST', '/in', 'Basic bXRhOnBhc3M6d29yZA==', 'xfer.example.com'],
      ['POST', '/in', 'Basic bXRhOnBhc3M6d29yZA==', 'xfer.example.com'],
      ['DELETE', `/in/${MAIL_ID}`, 'Basic bXRhOnBhc3M6d29yZA==', 'xfer.example.com'],
    ],
  );
});

test('a refused connection fails over to the next route, and the first is left alone for a while', async (t) => {
  const closed = await closedPort();
  const spare = await receiverFor(t);
  let aheadMs = 0;
  const { port, transfers, notices } = await sidecarFor(
    t,
    delayedTo([closed, spare.port], 'Host_Failure_Retry = 60'),
    { clock: { ...systemClock, nowMs: () => Date.now() + aheadMs } },
  );
  assert.match(await deliver(port, 'a@example.net', '1\r\n'), /^250 /);
  assert.match(await deliver(port, 'a@example.net', '2\r\n'), /^250 /);
  aheadMs = 61_000;
  assert.match(await deliver(port, 'a@example.net', '3\r\n'), /^250 /);
  const records = await transfers(3);
  assert.deepEqual(
    records.map(({ tries, route }) => [tries, route]),
    [
      [2, `xfer://127.0.0.1:${spare.port}`],
      [1, `xfer://127.0.0.1:${spare.port}`],
      [2, `xfer://127.0.0.1:${spare.port}`],
    ],
  );
  assert.deepEqual(
    notices()
      .filter(({ code }) => code === 'route-down')
      .map(({ message }) => message),
    [`nothing answers at xfer://127.0.0.1:${closed}: connect ECONNREFUSED 127.0.0.1:${closed}`],
  );
});

test('a route that is never left alone is still tried only once for a message', async (t) => {
  const closed = await closedPort();
  const { port, transfers } = await sidecarFor(t, delayedTo([closed], 'Host_Failure_Retry = 0'));
  const reply = await deliver(port, 'a@example.net', MAIL);
  assert.equal(reply, `451 4.4.1 no route to xfer.test is up: connect ECONNREFUSED 127.0.0.1:${closed}`);
  assert.equal((await transfers(1))[0]?.tries, 1);
});

test('while no route is up, mail is refused before its content, and taken again when a route is', async (t) => {
  const closed = await closedPort();
  let aheadMs = 0;
  const { port, notices } = await sidecarFor(t, delayedTo([closed], 'Host_Failure_Retry = 60'), {
    clock: { ...systemClock, nowMs: () => Date.now() + aheadMs },
  });
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  assert.match(await client.reply(), /^451 4\.4\.1 no route to xfer\.test is up/);
  assert.equal(await client.say('MAIL FROM:<>'), '451 4.4.1 no route to any receiver is up');
  aheadMs = 61_000;
  assert.equal(await client.say('MAIL FROM:<>'), '250 2.1.0 ok');
  client.socket.destroy();
  assert.deepEqual(
    notices()
      .map(({ code }) => code)
      .filter((code) => code.startsWith('route')),
    ['route-down'],
  );
});

test('closing lets the hand-over under way finish, ends idle sessions and takes no new ones', async (t) => {
  const receiver = await receiverFor(t);
  const { port, sidecar } = await sidecarFor(t, delayedTo([receiver.port]));
  const idle = await connectRaw(port);
  const busy = await connectRaw(port);
  let release = (): void => undefined;
  receiver.script('POST', [
    (request, response) => {
      release = () => accept(request, response);
    },
  ]);
  await offer(busy, ['a@example.net'], MAIL);
  await receiver.until('POST', 1);
  const closed = sidecar.close();
  assert.equal(await idle.reply(), '421 4.3.2 shutting down');
  await assert.rejects(connectRaw(port));
  release();
  assert.equal(await busy.reply(), `250 2.0.0 ${MAIL_ID} accepted`);
  assert.equal(await busy.reply(), '421 4.3.2 shutting down');
  await closed;
});
