import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { readListenerTls } from '../../sidecar/smtp/tls.ts';
import { SELF_SIGNED } from './self-signed.ts';
import { connectRaw, rawOver, secureRaw } from './sidecar-smtp-client.ts';
import { listenerFor, selfSignedTls, strangeAddress } from './sidecar-smtp-listener.ts';

test('after STARTTLS everything begins anew, and mail passes', async (t) => {
  const { port, taken, trace } = await listenerFor(t, { settings: { tls: selfSignedTls() } });
  const plain = await connectRaw(port);
  assert.match(await plain.say('EHLO plain.example.com'), /\n250-STARTTLS\n/);
  await plain.say('XFORWARD NAME=upstream.example.com');
  await plain.say('MAIL FROM:<before@example.com>');
  await plain.say('RCPT TO:<before@example.net>');
  assert.equal(await plain.say('STARTTLS now'), '501 5.5.4 STARTTLS stands alone');
  assert.equal(await plain.say('starttls'), '220 2.0.0 begin TLS');
  const client = await secureRaw(plain);
  assert.equal(await client.say('DATA'), '503 5.5.1 say MAIL first');
  assert.equal(await client.say('MAIL FROM:<>'), '503 5.5.1 say EHLO first');
  const offered = await client.say('EHLO secure.example.com');
  assert.doesNotMatch(offered, /STARTTLS/);
  assert.match(offered, /\n250-REQUIRETLS\n/);
  assert.equal(await client.say('STARTTLS'), '503 5.5.1 TLS is on already');
  await client.say('MAIL FROM:<after@example.com>');
  await client.say('RCPT TO:<a@example.net>');
  await client.say('DATA');
  const content = `${'0123456789'.repeat(30_000)}\r\n`;
  client.write(`${content}.\r\n`);
  assert.equal(await client.reply(), '250 2.0.0 taken');
  assert.equal(await client.say('QUIT'), '221 2.0.0 bye');
  await client.closed;
  assert.deepEqual(
    taken.map(({ client: { name, forwarded }, envelope: { sender, requireTls }, content: { length } }) => [
      name,
      forwarded.size,
      sender,
      requireTls,
      length,
    ]),
    [['secure.example.com', 0, 'after@example.com', false, content.length]],
  );
  assert.ok(trace.includes('event TLSv1.3 TLS_AES_256_GCM_SHA384'), trace.join('\n'));
});

test('REQUIRETLS is for TLS alone, and goes on with the message', async (t) => {
  const { port, taken } = await listenerFor(t, { settings: { tls: selfSignedTls() } });
  const plain = await connectRaw(port);
  assert.doesNotMatch(await plain.say('EHLO mta.example.com'), /REQUIRETLS/);
  assert.equal(
    await plain.say('MAIL FROM:<s@example.com> REQUIRETLS'),
    '455 4.5.4 the parameter REQUIRETLS is not understood as it stands',
  );
  await plain.say('STARTTLS');
  const client = await secureRaw(plain);
  await client.say('EHLO mta.example.com');
  assert.equal(await client.say('MAIL FROM:<s@example.com> REQUIRETLS'), '250 2.1.0 ok');
  await client.say('RCPT TO:<a@example.net>');
  await client.say('DATA');
  client.write('Hello.\r\n.\r\n');
  await client.reply();
  assert.equal(taken[0]?.envelope.requireTls, true);
  client.socket.destroy();
});

test('commands that come in clear behind STARTTLS are dropped, and the session ends', async (t) => {
  const { port, taken, trace } = await listenerFor(t, { settings: { tls: selfSignedTls() } });
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  client.write('STARTTLS\r\nMAIL FROM:<injected@example.com>\r\n');
  assert.equal(await client.reply(), '421 4.7.0 commands came behind STARTTLS, before TLS');
  await client.closed;
  assert.ok(trace.includes('event 34 octets came in clear behind STARTTLS'), trace.join('\n'));
  assert.ok(!trace.some((line) => line.includes('injected')));
  assert.deepEqual(taken, []);
});

test('commands that come in clear behind the 220 of STARTTLS are no handshake, and are never heard', async (t) => {
  const { port, trace } = await listenerFor(t, { settings: { tls: selfSignedTls() } });
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  assert.equal(await client.say('STARTTLS'), '220 2.0.0 begin TLS');
  client.write('EHLO injected\r\nMAIL FROM:<injected@example.com>\r\n');
  await client.closed;
  assert.ok(!trace.some((line) => line.startsWith('client') && line.includes('injected')));
  assert.equal(trace.at(-1), 'event ended');
});

test('a client that can do nothing newer than TLS 1.1 is refused, and the listener goes on', async (t) => {
  const { port } = await listenerFor(t, { settings: { tls: selfSignedTls() } });
  const old = await connectRaw(port);
  await old.say('EHLO mta.example.com');
  await old.say('STARTTLS');
  await assert.rejects(
    secureRaw(old, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }),
  );
  const later = await connectRaw(port);
  await later.say('EHLO mta.example.com');
  await later.say('STARTTLS');
  const client = await secureRaw(later, { maxVersion: 'TLSv1.2' });
  assert.match(await client.say('EHLO mta.example.com'), /^250-/);
  client.socket.destroy();
});

test('a client that leaves during the handshake leaves nothing behind', async (t) => {
  const { port, close } = await listenerFor(t, { settings: { tls: selfSignedTls() } });
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  await client.say('STARTTLS');
  client.socket.destroy();
  await close(60_000);
});

test('a handshake that never comes holds up no stop', async (t) => {
  const { port, close } = await listenerFor(t, { settings: { tls: selfSignedTls() } });
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  await client.say('STARTTLS');
  await close(60_000);
  await client.closed;
});

test('a handshake that never comes is not waited for', async (t) => {
  const { port } = await listenerFor(t, { settings: { tls: selfSignedTls(), idleTimeoutMs: 1_000 } });
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  await client.say('STARTTLS');
  await client.closed;
});

test('TLS_Required holds for other machines, and not for this one', async (t) => {
  const { port, change } = await listenerFor(t, { settings: { tls: selfSignedTls(true) } });
  const local = await connectRaw(port);
  await local.say('EHLO mta.example.com');
  assert.equal(await local.say('MAIL FROM:<>'), '250 2.1.0 ok');
  local.socket.destroy();
  const localAddress = strangeAddress();
  if (localAddress === undefined) return t.skip('this machine has no address but loopback ones');
  change({ relayHosts: [{ text: localAddress, contains: (address) => address === localAddress }] });
  const plain = rawOver(connect({ host: '127.0.0.1', port, localAddress, noDelay: true }));
  await plain.reply();
  await plain.say('EHLO mta.example.com');
  assert.equal(await plain.say('MAIL FROM:<>'), '451 4.7.0 say STARTTLS first: TLS_Required');
  assert.equal(await plain.say('RCPT TO:<a@example.net>'), '451 4.7.0 say STARTTLS first: TLS_Required');
  await plain.say('STARTTLS');
  const client = await secureRaw(plain);
  await client.say('EHLO mta.example.com');
  assert.equal(await client.say('MAIL FROM:<>'), '250 2.1.0 ok');
  client.socket.destroy();
});

test('the certificate of a reload is shown at the next connection', async (t) => {
  const { port, change } = await listenerFor(t, {});
  const before = await connectRaw(port);
  assert.doesNotMatch(await before.say('EHLO mta.example.com'), /STARTTLS/);
  change({ tls: selfSignedTls(), hostName: 'renamed.example.com' });
  assert.equal(await before.say('STARTTLS'), '500 5.5.2 command not known here');
  const plain = await connectRaw(port);
  assert.match(
    await plain.say('EHLO mta.example.com'),
    /^250-renamed\.example\.com\n(?:.*\n)*250-STARTTLS\n/,
  );
  await plain.say('STARTTLS');
  const client = await secureRaw(plain);
  const { socket } = client;
  assert.equal(isTls(socket) ? socket.getPeerCertificate().subject.CN : '', 'mx.example.net');
  before.socket.destroy();
  client.socket.destroy();
});

function isTls(socket: object): socket is TLSSocket {
  return 'getPeerCertificate' in socket;
}

test('a certificate or key that cannot serve is refused, each with its reason, and an old one is noted', () => {
  const { cert, key } = SELF_SIGNED;
  const now = Date.UTC(2027, 0, 1);
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const judged = [
    readListenerTls('', key, now),
    readListenerTls(`${cert}\n${broken}`, key, now),
    readListenerTls(cert, cert, now),
    readListenerTls(cert, OTHER_KEY, now),
    readListenerTls(cert, key, Date.UTC(2200, 0, 1)),
  ].map((result) => (result.ok ? ['ok', result.warning] : [result.file, result.message]));
  assert.deepEqual(judged, [
    ['certificate', 'it holds no certificate in PEM that can be read'],
    ['certificate', 'its certificate 2 cannot be read'],
    ['key', 'it holds no private key in PEM without a passphrase'],
    ['key', 'it is not the key of the certificate that stands first'],
    ['ok', 'the certificate ended at 2126-10-29T22:36:21.000Z'],
  ]);
});

const OTHER_KEY = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----`;
