// Fetching MTA-STS policies from a real HTTPS server under certificates of a test's own authority (RFC 8461 §3.3).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { test } from 'node:test';
import { createAddressPolicy } from '../../shared/routing/address-policy.ts';
import { createDnsResolver } from '../../shared/routing/dns-resolver.ts';
import { createStsFetch, type StsFetched } from '../../shared/routing/sts-fetch.ts';
import { createAuthority } from './authority.ts';
import { startScriptedDns } from './scripted-dns.ts';

const POLICY = 'version: STSv1\r\nmode: enforce\r\nmx: mx.example.net\r\nmax_age: 86400\r\n';
const HOST = 'mta-sts.example.net';
const HERE = `${HOST} A 127.0.0.1`;

const authority = createAuthority();
const good = authority.issue({ names: [HOST] });
const days = (count: number) => new Date(Date.now() + count * 86_400_000);

const text = (type: string | undefined, body: string | Buffer): RequestListener => {
  return (_, response) => {
    response.writeHead(200, type === undefined ? {} : { 'content-type': type });
    response.end(body);
  };
};
const answers =
  (status: number, headers: Record<string, string> = {}): RequestListener =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'text/plain', ...headers });
    response.end(POLICY);
  };

test('a policy is asked for by name, at the well-known place, and comes as it is', async () => {
  const seen: unknown[] = [];
  const fetched = await fetchFrom((request, response) => {
    const { method, url, headers } = request;
    seen.push([method, url, headers.host?.replace(/:\d+$/, ''), headers.accept, headers['accept-encoding']]);
    text('text/plain', POLICY)(request, response);
  });
  assert.deepEqual(fetched, { kind: 'text', text: POLICY });
  assert.deepEqual(seen, [['GET', '/.well-known/mta-sts.txt', HOST, 'text/plain', 'identity']]);
});

const TAKEN: readonly (readonly [string, RequestListener, string])[] = [
  ['with a charset', text('text/plain; charset=utf-8', POLICY), POLICY],
  ['with its type in capitals', text('Text/Plain;charset=UTF-8', POLICY), POLICY],
  ['in pieces', (_, response) => sendInPieces(response, POLICY), POLICY],
  ['of 64 KiB to the octet', text('text/plain', 'x'.repeat(65_536)), 'x'.repeat(65_536)],
  ['that is empty', text('text/plain', ''), ''],
];

for (const [title, listener, expected] of TAKEN) {
  test(`a policy ${title} is taken`, async () => {
    assert.deepEqual(await fetchFrom(listener), { kind: 'text', text: expected });
  });
}

const REFUSED: readonly (readonly [string, RequestListener, string])[] = [
  ['status 404', answers(404), 'status 404'],
  ['status 500', answers(500), 'status 500'],
  ['status 206', answers(206), 'status 206'],
  ['status 204', answers(204), 'status 204'],
  ['a redirect to the same host', answers(301, { location: '/policy.txt' }), 'status 301'],
  ['a redirect to another host', answers(302, { location: 'https://www.example.net/' }), 'status 302'],
  ['a 307', answers(307, { location: '/.well-known/mta-sts.txt' }), 'status 307'],
  ['status 304', answers(304), 'status 304'],
  ['HTML', text('text/html', POLICY), 'content type "text/html"'],
  ['a type that begins like the right one', text('text/plainer', POLICY), 'content type "text/plainer"'],
  ['no type', text(undefined, POLICY), 'content type ""'],
  ['gzip', answers(200, { 'content-encoding': 'gzip' }), 'content encoding "gzip"'],
  ['an octet over 64 KiB', text('text/plain', 'x'.repeat(65_537)), 'more than 65536 octets'],
  ['a flood', (_, response) => flood(response, 200), 'more than 65536 octets'],
  ['a flood behind its 404', (_, response) => flood(response, 404), 'status 404'],
  ['half an answer of HTML', (_, response) => flood(response, 200, 'text/html'), 'content type "text/html"'],
];

for (const [title, listener, because] of REFUSED) {
  test(`a policy host that answers with ${title} has no policy`, async () => {
    assert.deepEqual(await fetchFrom(listener), failure('sts-policy-fetch-error', because));
  });
}

const CERTIFICATES: readonly (readonly [string, ServerOptions, string])[] = [
  [
    'nobody vouches for',
    createAuthority('A stranger').issue({ names: [HOST] }),
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ],
  [
    'has expired',
    authority.issue({ names: [HOST], notBefore: days(-2), notAfter: days(-1) }),
    'CERT_HAS_EXPIRED',
  ],
  [
    'is the domain’s own, not the policy host’s',
    authority.issue({ names: ['example.net'] }),
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ],
  [
    'names the host as a common name alone',
    authority.issue({ names: [], commonName: HOST }),
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ],
  [
    'is for another host',
    authority.issue({ names: ['mta-sts.example.org'] }),
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ],
];

for (const [title, certificate, code] of CERTIFICATES) {
  test(`a policy host whose certificate ${title} is not believed`, async () => {
    let asked = 0;
    const fetched = await fetchFrom(
      (request, response) => {
        asked += 1;
        text('text/plain', POLICY)(request, response);
      },
      { certificate },
    );
    assert.ok(fetched.kind === 'failed');
    assert.deepEqual(
      [fetched.failure, fetched.because.split(':')[0], asked],
      ['sts-webpki-invalid', code, 0],
    );
  });
}

test('a wildcard certificate serves many policy hosts', async () => {
  const certificate = authority.issue({ names: ['*.example.net'] });
  assert.deepEqual(await fetchFrom(text('text/plain', POLICY), { certificate }), {
    kind: 'text',
    text: POLICY,
  });
});

test('a policy host that speaks no more than TLS 1.1 has no policy', async () => {
  const certificate: ServerOptions = {
    ...good,
    minVersion: 'TLSv1.1',
    maxVersion: 'TLSv1.1',
    ciphers: 'ALL:@SECLEVEL=0',
  };
  const fetched = await fetchFrom(text('text/plain', POLICY), { certificate });
  assert.ok(fetched.kind === 'failed');
  assert.equal(fetched.failure, 'sts-policy-fetch-error');
  assert.match(fetched.because, /protocol version/);
});

const SLOW: readonly (readonly [string, RequestListener])[] = [
  ['never answers', () => {}],
  [
    'begins and never ends',
    (_, response) => void response.writeHead(200, { 'content-type': 'text/plain' }).write('version'),
  ],
];

// The server closes when its last connection has: that the client hung up is part of each test.
for (const [title, listener] of SLOW) {
  test(`a policy host that ${title} is given up, and its connection closed`, async () => {
    const fetched = await fetchFrom(listener, { timeoutMs: 400 });
    assert.deepEqual(fetched, failure('sts-policy-fetch-error', 'no policy within 0.4 s'));
  });
}

test('a policy host that takes a connection and says nothing is given up', async () => {
  const server = createTcpServer((socket) => socket.resume());
  assert.deepEqual(
    await fetchAt(server, { timeoutMs: 200 }),
    failure('sts-policy-fetch-error', 'no policy within 0.2 s'),
  );
});

test('a policy host whose name server is silent is given up', async () => {
  const server = createTcpServer((socket) => socket.destroy());
  const fetched = await fetchAt(server, { zone: `${HOST} A SILENT`, timeoutMs: 200, dnsTimeoutMs: 300 });
  assert.deepEqual(fetched, failure('sts-policy-fetch-error', 'no policy within 0.2 s'));
});

test('a policy host that breaks off in the middle has no policy', async () => {
  const fetched = await fetchFrom((request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '1000' });
    response.write(POLICY, () => request.socket.destroy());
  });
  assert.deepEqual(fetched, failure('sts-policy-fetch-error', 'ECONNRESET: aborted'));
});

const NAMES: readonly (readonly [string, string, string])[] = [
  ['does not exist', 'example.net A 127.0.0.1', `${HOST} has no address`],
  ['has no address', `${HOST} TXT nothing`, `${HOST} has no address`],
  ['is on a private network', `${HOST} A 10.0.0.1`, `${HOST} [10.0.0.1] is private`],
  [
    'is a metadata service and a loopback',
    `${HOST} A 169.254.169.254\n${HOST} AAAA ::1`,
    `${HOST} [169.254.169.254] is a metadata service, ${HOST} [::1] is loopback`,
  ],
  [
    'has an alias to a private network',
    `${HOST} CNAME in.example.org\nin.example.org A 192.168.0.1`,
    `${HOST} [192.168.0.1] is private`,
  ],
  ['is unknown to a broken name server', `${HOST} A SERVFAIL`, `DNS did not answer for ${HOST}: ESERVFAIL`],
];

for (const [title, zone, because] of NAMES) {
  test(`a policy host that ${title} is never called`, async () => {
    let called = 0;
    const server = createTcpServer((socket) => {
      called += 1;
      socket.destroy();
    });
    assert.deepEqual(await fetchAt(server, { zone }), failure('sts-policy-fetch-error', because));
    assert.equal(called, 0);
  });
}

test('a policy host behind an alias is called where the alias leads, under its own name', async () => {
  const zone = `${HOST} CNAME policies.example.org\npolicies.example.org A 127.0.0.1`;
  const seen: unknown[] = [];
  const fetched = await fetchFrom(
    (request, response) => {
      seen.push(request.headers.host?.replace(/:\d+$/, ''));
      text('text/plain', POLICY)(request, response);
    },
    { zone },
  );
  assert.deepEqual([fetched.kind, seen], ['text', [HOST]]);
});

test('of several addresses the one that answers is used, and a private one beside it is left alone', async () => {
  const zone = `${HOST} A 10.0.0.1\n${HOST} A 127.0.0.3\n${HOST} A 127.0.0.1`;
  const fetched = await fetchFrom(text('text/plain', POLICY), { zone });
  assert.deepEqual(fetched, { kind: 'text', text: POLICY });
});

interface Setting {
  readonly certificate?: ServerOptions;
  readonly zone?: string;
  /** Long, where the test does not wait for it. */
  readonly timeoutMs?: number;
  readonly dnsTimeoutMs?: number;
}

async function fetchFrom(listener: RequestListener, setting: Setting = {}): Promise<StsFetched> {
  const server = createServer({ ...(setting.certificate ?? good) }, listener);
  // A handshake that the client ends is the server's error too.
  server.on('tlsClientError', () => {});
  return fetchAt(server, setting);
}

async function fetchAt(
  server: Server | TcpServer,
  { zone = HERE, timeoutMs = 15_000, dnsTimeoutMs = 5_000 }: Setting,
): Promise<StsFetched> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  await using dns = await startScriptedDns(zone);
  const fetch = createStsFetch({
    dns: createDnsResolver({ servers: [dns.server], timeoutMs: dnsTimeoutMs, tries: 1 }),
    policy: createAddressPolicy({ allow: ['127.0.0.0/8'] }),
    port: address.port,
    ca: authority.cert,
    timeoutMs,
  });
  try {
    return await fetch('example.net');
  } finally {
    server.close();
    await once(server, 'close');
  }
}

function failure(failed: 'sts-policy-fetch-error' | 'sts-webpki-invalid', because: string): StsFetched {
  return { kind: 'failed', failure: failed, because };
}

function sendInPieces(response: Parameters<RequestListener>[1], body: string): void {
  response.writeHead(200, { 'content-type': 'text/plain' });
  const [first = '', ...others] = body;
  const rest = others.join('');
  response.write(first, () => response.end(rest));
}

/** As fast as the client takes it, without end. */
function flood(response: Parameters<RequestListener>[1], status: number, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type });
  const more = () => {
    while (!response.destroyed && response.write('x'.repeat(16_384)));
  };
  response.on('drain', more);
  response.on('error', () => {});
  more();
}
