// What only the network shows: whether anything of a request has left, and what that means for the next route.

import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type LookupFunction, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { SELF_SIGNED } from './self-signed.ts';
import { closedPort, receiverFor } from './sidecar-fixture.ts';
import { createLedger } from './sidecar-ledger.ts';
import { pusherFor } from './sidecar-push.ts';
import { accept, cut, status } from './sidecar-receiver.ts';

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n';

/** Names that are known here alone. */
function resolver(known: Readonly<Record<string, readonly string[]>>): LookupFunction {
  return (name, options, callback) => {
    const addresses = (known[name] ?? []).map((address) => ({ address, family: 4 }));
    const [first] = addresses;
    process.nextTick(() => {
      if (first === undefined) {
        callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), '');
      } else if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

async function listening(t: TestContext, server: Server, host = '127.0.0.1', port = 0): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((done) => server.listen(port, host, done));
  return (server.address() as AddressInfo).port;
}

test('a route whose name DNS does not know is passed over, and told in words', async (t) => {
  const receiver = await receiverFor(t);
  const lookup = resolver({});
  const { push, notices } = pusherFor(
    t,
    ['xfer://gone.example.com?port=8080', `xfer://127.0.0.1?port=${receiver.port}`],
    { lookup },
  );
  const result = await push(MAIL);
  assert.deepEqual(
    [result.ending, result.route, result.tries],
    ['accepted', `xfer://127.0.0.1:${receiver.port}`, 2],
  );
  assert.deepEqual(
    notices.map(({ message }) => message),
    ['nothing answers at xfer://gone.example.com:8080: DNS knows no address of gone.example.com'],
  );
});

test('when DNS knows none of the routes, nothing is in doubt and nothing is withdrawn', async (t) => {
  const { push } = pusherFor(t, ['xfer://gone.example.com?port=8080'], { lookup: resolver({}) });
  const result = await push(MAIL);
  assert.deepEqual(
    [result.ending, result.reason, result.withdrawal],
    ['no-route', 'no route to xfer.test is up: DNS knows no address of gone.example.com', null],
  );
});

test('an address that refuses is not the end of a name that has another', async (t) => {
  const receiver = await receiverFor(t);
  const lookup = resolver({ 'r.example.com': ['127.0.0.2', '127.0.0.3', '127.0.0.1'] });
  const { push, notices } = pusherFor(t, [`xfer://r.example.com?port=${receiver.port}`], { lookup });
  const result = await push(MAIL);
  assert.deepEqual([result.ending, result.tries], ['accepted', 1]);
  assert.equal(receiver.requests[0]?.headers['host'], `r.example.com:${receiver.port}`);
  assert.deepEqual(notices, []);
});

test('an address that the system refuses at once is no doubt', async (t) => {
  const receiver = await receiverFor(t);
  const { push } = pusherFor(t, [
    'xfer://255.255.255.255?port=8080',
    `xfer://127.0.0.1?port=${receiver.port}`,
  ]);
  const result = await push(MAIL);
  assert.deepEqual([result.ending, result.tries], ['accepted', 2]);
});

test('a receiver whose certificate nobody vouches for gets not an octet, and the next route takes the mail', async (t) => {
  const receiver = await receiverFor(t);
  let octets = 0;
  const server = createTlsServer(SELF_SIGNED, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (piece) => {
      octets += piece.length;
    });
  });
  server.on('tlsClientError', () => undefined);
  const port = await listening(t, server);
  const lookup = resolver({ 'mx.example.net': ['127.0.0.1'] });
  const { push, notices } = pusherFor(
    t,
    [`xfer://mx.example.net?port=${port}&tls=1`, `xfer://127.0.0.1?port=${receiver.port}`],
    { lookup, target: { credentials: { user: 'mta', password: 'secret' } } },
  );
  const result = await push(MAIL);
  assert.deepEqual([result.ending, result.route], ['accepted', `xfer://127.0.0.1:${receiver.port}`]);
  assert.equal(octets, 0);
  assert.match(
    notices[0]?.message ?? '',
    /^nothing answers at xfer:\/\/mx\.example\.net:\d+: the certificate of mx\.example\.net is not accepted: self-signed/,
  );
});

test('a certificate of another name is refused, and one of the right name that is trusted is taken', async (t) => {
  const server = createTlsServer(SELF_SIGNED, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n'));
  });
  server.on('tlsClientError', () => undefined);
  const port = await listening(t, server);
  const lookup = resolver({ 'mx.example.net': ['127.0.0.1'], 'other.example.net': ['127.0.0.1'] });
  const options = { lookup, ca: SELF_SIGNED.cert };
  const other = pusherFor(t, [`xfer://other.example.net?port=${port}&tls=1`], options);
  assert.match((await other.push(MAIL)).reason, /not accepted: .*altnames/);
  const right = pusherFor(t, [`xfer://mx.example.net?port=${port}&tls=1`], options);
  assert.equal((await right.push(MAIL)).reason, 'HTTP 401');
});

test('a server that does not speak TLS, where TLS is asked for, gets nothing either', async (t) => {
  const receiver = await receiverFor(t);
  const plain = await receiverFor(t);
  const { push } = pusherFor(t, [
    `xfer://127.0.0.1?port=${plain.port}&tls=1`,
    `xfer://127.0.0.1?port=${receiver.port}`,
  ]);
  assert.equal((await push(MAIL)).ending, 'accepted');
  assert.deepEqual([plain.requests.length, receiver.requests.length], [0, 1]);
});

test('an answer that is no HTTP leaves doubt: the same receiver is asked again', async (t) => {
  const ledger = createLedger();
  const receiver = await receiverFor(t);
  receiver.script(
    'POST',
    [ledger.storing((_, response) => response.socket?.end('220 mx.example.net ESMTP\r\n'))],
    ledger.honest,
  );
  const spare = await receiverFor(t);
  const { push } = pusherFor(
    t,
    [receiver.port, spare.port].map((port) => `xfer://127.0.0.1?port=${port}`),
  );
  assert.equal((await push(MAIL)).ending, 'duplicate');
  assert.equal(spare.requests.length, 0);
});

test('a kept connection that ends as the request comes is no failure: the repeat follows at once', async (t) => {
  const receiver = await receiverFor(t);
  const { push, health, target, samples } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`]);
  assert.equal((await push('1\r\n')).ending, 'accepted');
  receiver.script('POST', [cut]);
  const startedMs = performance.now();
  const result = await push('2\r\n');
  assert.deepEqual([result.ending, result.tries, result.withdrawal], ['accepted', 2, null]);
  assert.ok(performance.now() - startedMs < 450, 'without the half second between tries');
  assert.deepEqual(
    samples.map(({ outcome }) => outcome),
    ['answered', 'lost', 'answered'],
  );
  assert.equal(health.firstUp(target, Date.now()), target.routes[0]);
});

test('a connection is given up before its server closes it, as the server announces', async (t) => {
  let tell = (_: string): void => undefined;
  const closed = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const server = createServer((socket) => {
    socket.on('data', () => {
      socket.write('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nkeep-alive: timeout=2\r\n\r\n');
    });
    const timer = setTimeout(() => tell('server'), 4_000);
    socket.on('end', () => {
      clearTimeout(timer);
      tell('sidecar');
    });
  });
  const port = await listening(t, server);
  const { push } = pusherFor(t, [`xfer://127.0.0.1?port=${port}`]);
  await push(MAIL);
  assert.equal(await closed, 'sidecar');
});

test('an answer that comes before the whole request is read, and the rest is not sent', async (t) => {
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    });
  });
  const port = await listening(t, server);
  const { push } = pusherFor(t, [`xfer://127.0.0.1?port=${port}`]);
  const result = await push(Buffer.alloc(3_000_000, 'x'));
  assert.deepEqual([result.ending, result.reason], ['untaken', 'HTTP 413']);
});

test('a connection that never stands is no doubt, and the next route has the rest of the time', async (t) => {
  // TLS asked of a listener that accepts and stays silent: the handshake never ends.
  const silent = await listening(t, createServer());
  const receiver = await receiverFor(t);
  const { push } = pusherFor(
    t,
    [`xfer://127.0.0.1?port=${silent}&tls=1`, `xfer://127.0.0.1?port=${receiver.port}`],
    { target: { responseTimeoutMs: 200 } },
  );
  const result = await push(MAIL);
  assert.deepEqual([result.ending, result.tries], ['accepted', 2]);
});

test('a request that cannot be signed leaves the route to the others, and an operator hears why', async (t) => {
  const receiver = await receiverFor(t);
  const { push, notices, health, target } = pusherFor(t, [
    `xfer://127.0.0.1?port=${receiver.port}&sigv4=1&region=eu-west-1`,
  ]);
  const result = await push(MAIL);
  assert.deepEqual(
    [result.ending, result.reason],
    ['no-route', 'no route to xfer.test is up: the request cannot be signed: no AWS credentials are at hand'],
  );
  assert.deepEqual(
    notices.map(({ code }) => code),
    ['cannot-send'],
  );
  assert.equal(health.firstUp(target, Date.now()), target.routes[0]);
  assert.equal(receiver.requests.length, 0);
});

test('credentials that never come do not hold a try for longer than its time', async (t) => {
  const { push } = pusherFor(t, ['xfer://127.0.0.1?port=1&sigv4=1&region=eu-west-1'], {
    sign: () => new Promise(() => undefined),
    target: { responseTimeoutMs: 100 },
  });
  assert.match((await push(MAIL)).reason, /no credentials came within 100 ms$/);
});

test('when the first receiver of a chain is gone, the next one takes the mail by its own settings', async (t) => {
  const closed = await closedPort();
  const receiver = await receiverFor(t);
  receiver.script('POST', [accept, status(500), status(500), accept]);
  const second = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], {
    target: { uri: '/second', domain: 'second.test', responseTimeoutMs: 7_000 },
  });
  const { push } = pusherFor(t, [`xfer://127.0.0.1?port=${closed}`], { target: { next: second.target } });
  const result = await push('1\r\n');
  assert.deepEqual([result.ending, result.route], ['accepted', `xfer://127.0.0.1:${receiver.port}`]);
  const [request] = receiver.requests;
  assert.deepEqual([request?.path, request?.headers['x-xfer-patience-ms']], ['/second', '7000']);
});
