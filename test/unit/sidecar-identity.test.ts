import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRoute, type XferRoute } from '../../shared/config/routes.ts';
import { deriveId, type Identity } from '../../sidecar/intake/derived-id.ts';
import { backoffMs } from '../../sidecar/push/backoff.ts';
import { createSigner, regionOf } from '../../sidecar/push/signature.ts';

const IDENTITY: Identity = {
  instance: 'mx1.example.com',
  sender: 'sender@example.com',
  recipients: ['a@example.net'],
  contentSha256: Buffer.from('d21d383f80a22e64fb2ba9638e45c11bd9585e86e9c18ccc3029100816406fd5', 'hex'),
  forwarded: new Map(),
};

test('an id follows from what the message is, in 43 characters', () => {
  assert.equal(deriveId(IDENTITY), '-KjDRiThMnrBbc5glhXv2LmmiWnWOR8Mm-1k9-uAJic');
});

test('the order of recipients does not change an id, anything else does', () => {
  const two = { ...IDENTITY, recipients: ['a@example.net', 'b@example.net'] };
  assert.equal(deriveId(two), deriveId({ ...two, recipients: ['b@example.net', 'a@example.net'] }));
  const different = [
    IDENTITY,
    two,
    { ...IDENTITY, instance: 'mx2.example.com' },
    { ...IDENTITY, sender: '' },
    { ...IDENTITY, recipients: ['A@example.net'] },
    { ...IDENTITY, contentSha256: Buffer.alloc(32) },
    { ...IDENTITY, forwarded: new Map([['IDENT', '4XyZ']]) },
    { ...IDENTITY, forwarded: new Map([['ADDR', '4XyZ']]) },
  ];
  assert.equal(new Set(different.map(deriveId)).size, different.length);
});

test('an XFORWARD attribute that may change between two repeats is no part of an id', () => {
  const named = { ...IDENTITY, forwarded: new Map([['NAME', 'client.example.com']]) };
  assert.equal(deriveId(named), deriveId(IDENTITY));
});

test('tries follow each other after 0.5, 1, 2, 4 and then 5 seconds, give or take a fifth', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 60].map((tried) => backoffMs(tried, 0.5)),
    [500, 1000, 2000, 4000, 5000, 5000, 5000],
  );
  assert.equal(backoffMs(1, 0), 400);
  assert.equal(backoffMs(1, 1), 600);
});

function route(text: string): XferRoute {
  const reading = parseRoute(text);
  assert.ok(reading.ok && reading.route.scheme === 'xfer');
  return reading.route;
}

test('a request is signed as AWS expects it', async () => {
  const credentials = {
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
    sessionToken: 'SESSION',
  };
  const sign = createSigner(
    async () => credentials,
    () => Date.UTC(2026, 10, 22, 10),
  );
  const host = 'abc.execute-api.eu-west-1.amazonaws.com';
  const signed = await sign(route(`xfer://${host}?tls=1&sigv4=1`), {
    method: 'POST',
    path: '/delay_message',
    headers: { host, 'content-type': 'application/vnd.delay-xfer.v1' },
    body: [Buffer.from('{"id":"x"}\n'), Buffer.from('Hello.\r\n')],
  });
  // As botocore 1.43 signs the same request.
  assert.deepEqual(signed, {
    host,
    'content-type': 'application/vnd.delay-xfer.v1',
    'x-amz-content-sha256': 'c624deb7f77c1e8769454b2aaedea2ba8d2e7ff99d74df2a552fe3895d7abcd8',
    'x-amz-date': '20261122T100000Z',
    'x-amz-security-token': 'SESSION',
    authorization:
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/eu-west-1/execute-api/aws4_request, ' +
      'SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, ' +
      'Signature=575260f76219a42d137ce45b579405ee3dc8ff46904de8910c1f1589c97c21bd',
  });
});

test('the region comes from the host of an API, or from the route', () => {
  assert.equal(
    regionOf(route('xfer://abc.execute-api.ap-southeast-2.amazonaws.com?tls=1')),
    'ap-southeast-2',
  );
  assert.equal(regionOf(route('xfer://mail.example.com?tls=1&region=us-east-1')), 'us-east-1');
  assert.throws(() => regionOf(route('xfer://mail.example.com?tls=1')), /add region= to its route/);
});
