// How TLS failures are named in reports (RFC 8460 §4.3), over real handshakes with real certificates.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { test } from 'node:test';
import { connect, createServer, type TlsOptions } from 'node:tls';
import {
  CERTIFICATE_FAULTS,
  certificateResult,
  handshakeResult,
  tlsErrorCode,
} from '../../shared/smtp/tls-result.ts';
import { createAuthority, selfSigned } from './authority.ts';
import { SELF_SIGNED } from './self-signed.ts';

const HOST = 'mx.example.net';
const authority = createAuthority();
const stranger = createAuthority('Authority that nobody knows');
const good = { names: [HOST] };
const days = (count: number) => new Date(Date.now() + count * 86_400_000);

/** The chain as the server sends it: its own certificate first. */
function chain(served: { key: string; cert: string }, ...above: readonly { cert: string }[]): TlsOptions {
  return { key: served.key, cert: [served, ...above].map(({ cert }) => cert).join('') };
}

const intermediate = authority.intermediate({ name: 'Authority between' });
const lastOne = authority.intermediate({ name: 'Authority with no other below', pathLength: 0 });
const oneTooMany = lastOne.intermediate({ name: 'Authority too far down' });
const constrained = authority.intermediate({ name: 'Authority for others', constrainedTo: 'example.org' });
const noAuthority = authority.intermediate({ name: 'No authority', isAuthority: false });
const impostor = createAuthority();

const CERTIFICATES: readonly (readonly [string, TlsOptions, string | undefined, string])[] = [
  ['a good certificate', chain(authority.issue(good)), undefined, 'successful'],
  ['a wildcard', chain(authority.issue({ names: ['*.example.net'] })), undefined, 'successful'],
  ['a chain over an intermediate', chain(intermediate.issue(good), intermediate), undefined, 'successful'],
  ['a stored self-signed one', SELF_SIGNED, 'DEPTH_ZERO_SELF_SIGNED_CERT', 'certificate-not-trusted'],
  ['a self-signed one', chain(selfSigned(good)), 'DEPTH_ZERO_SELF_SIGNED_CERT', 'certificate-not-trusted'],
  [
    'an unknown authority',
    chain(stranger.issue(good)),
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'certificate-not-trusted',
  ],
  [
    'an unknown authority that is sent along',
    chain(stranger.issue(good), stranger),
    'SELF_SIGNED_CERT_IN_CHAIN',
    'certificate-not-trusted',
  ],
  [
    'a missing intermediate',
    chain(intermediate.issue(good)),
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'certificate-not-trusted',
  ],
  [
    "another key under the authority's name",
    chain(impostor.issue(good)),
    'CERT_SIGNATURE_FAILURE',
    'certificate-not-trusted',
  ],
  [
    'an issuer that is no authority',
    chain(noAuthority.issue(good), noAuthority),
    'INVALID_PURPOSE',
    'certificate-not-trusted',
  ],
  [
    'an authority too far down',
    chain(oneTooMany.issue(good), oneTooMany, lastOne),
    'PATH_LENGTH_EXCEEDED',
    'certificate-not-trusted',
  ],
  [
    'a name outside of the constraints',
    chain(constrained.issue(good), constrained),
    'UNSPECIFIED',
    'certificate-not-trusted',
  ],
  [
    'a certificate for clients',
    chain(authority.issue({ ...good, purpose: 'client' })),
    'INVALID_PURPOSE',
    'certificate-not-trusted',
  ],
  [
    'a certificate of tomorrow',
    chain(authority.issue({ ...good, notBefore: days(1), notAfter: days(2) })),
    'CERT_NOT_YET_VALID',
    'certificate-not-trusted',
  ],
  [
    'a certificate of yesterday',
    chain(authority.issue({ ...good, notBefore: days(-2), notAfter: days(-1) })),
    'CERT_HAS_EXPIRED',
    'certificate-expired',
  ],
  [
    'a certificate for another host',
    chain(authority.issue({ names: ['mx.example.org'] })),
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'certificate-host-mismatch',
  ],
  [
    'a wildcard one label too high',
    chain(authority.issue({ names: ['*.net'] })),
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'certificate-host-mismatch',
  ],
  [
    'an expired certificate for another host',
    chain(authority.issue({ names: ['mx.example.org'], notBefore: days(-2), notAfter: days(-1) })),
    'CERT_HAS_EXPIRED',
    'certificate-expired',
  ],
];

for (const [title, options, code, result] of CERTIFICATES) {
  test(`${title} counts as ${result}`, async () => {
    const tolerated = await handshake(createServer(options), { rejectUnauthorized: false });
    assert.deepEqual([tolerated.code, certificateResult(tolerated.seen)], [code, result]);
    const demanded = await handshake(createServer(options), { rejectUnauthorized: true });
    assert.equal(demanded.code, code);
    assert.equal(demanded.seen === undefined ? 'successful' : handshakeResult(demanded.seen), result);
  });
}

const DAMAGED: readonly (readonly [string, () => Server, string])[] = [
  [
    'a peer that speaks no TLS',
    () => createTcpServer((socket) => socket.resume().end('500 what?\r\n')),
    'ERR_SSL_',
  ],
  ['a peer that hangs up', () => createTcpServer((socket) => socket.destroy()), 'ECONNRESET'],
  ['a peer without a certificate', () => createServer({}), 'ERR_SSL_'],
  [
    'a peer of TLS 1.1',
    () =>
      createServer({
        ...chain(authority.issue(good)),
        minVersion: 'TLSv1.1',
        maxVersion: 'TLSv1.1',
        ciphers: 'ALL:@SECLEVEL=0',
      }),
    'ERR_SSL_',
  ],
];

for (const [title, server, code] of DAMAGED) {
  test(`${title} counts as validation-failure`, async () => {
    const { seen } = await handshake(server(), { rejectUnauthorized: false });
    assert.ok(seen instanceof Error);
    assert.equal(tlsErrorCode(seen).startsWith(code), true, tlsErrorCode(seen));
    assert.equal(handshakeResult(seen), 'validation-failure');
  });
}

test('a handshake that fell silent counts as validation-failure, and a new word for a certificate as distrust', () => {
  assert.equal(handshakeResult(undefined), 'validation-failure');
  assert.equal(certificateResult('A_CODE_OF_A_LATER_NODE'), 'certificate-not-trusted');
  assert.equal(certificateResult(null), 'successful');
  assert.equal(tlsErrorCode(undefined), 'UNKNOWN');
});

test('every certificate fault has one of the four names that RFC 8460 gives to failures', () => {
  const named = Map.groupBy(CERTIFICATE_FAULTS, ([, result]) => result);
  assert.deepEqual(
    [...named].map(([result, codes]) => [result, codes.length]),
    [
      ['certificate-host-mismatch', 3],
      ['certificate-expired', 1],
      ['certificate-not-trusted', 26],
      ['validation-failure', 1],
    ],
  );
});

/** What a client of the host sees: the code, and the thing it was read from. */
async function handshake(
  server: Server,
  { rejectUnauthorized }: { readonly rejectUnauthorized: boolean },
): Promise<{ readonly seen: unknown; readonly code: string | undefined }> {
  // A handshake that a client ends is the server's error too.
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = addressOf(server);
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: HOST,
    ca: authority.cert,
    rejectUnauthorized,
  });
  const failed = await new Promise<unknown>((resolve) => {
    socket.once('error', resolve);
    socket.once('secureConnect', () => resolve(undefined));
  });
  const seen = failed ?? socket.authorizationError ?? undefined;
  socket.destroy();
  server.close();
  await once(server, 'close');
  return { seen, code: seen === undefined ? undefined : tlsErrorCode(seen) };
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return address;
}
