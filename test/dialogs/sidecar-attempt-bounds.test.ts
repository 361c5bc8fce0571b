import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startScriptedDns } from './scripted-dns.ts';
import { greeted, startScriptedPeer } from './scripted-peer.ts';
import {
  ANY_ID,
  attempts,
  DELIVERED,
  firstTo,
  MAIL,
  movableClock,
  startHeldPeer,
  TAKES,
} from './sidecar-attempt-peer.ts';
import { delayedTo, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { connectRaw, deliver, offer } from './sidecar-smtp-client.ts';

test('beyond Max_Outbound_Connections mail goes to the receiver at once', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startHeldPeer('.');
  const configuration = firstTo(receiver.port, peer.port, 'Max_Outbound_Connections = 1');
  const { port, records } = await sidecarFor(t, configuration);
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  await peer.held(1);
  assert.match(await deliver(port, 'a@example.net', `X-Number: 2\r\n${MAIL}`), ANY_ID);
  assert.deepEqual(attempts(records), ['Delayed a@example.net 451 null']);
  peer.release();
  assert.match(await client.reply(), DELIVERED);
  client.socket.destroy();
});

test('a destination that keeps its verdict to itself for two minutes leaves the message in doubt', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startHeldPeer('.');
  const clock = movableClock();
  const { port, records } = await sidecarFor(t, firstTo(receiver.port, peer.port), { clock });
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  await peer.held(1);
  clock.pass(119_000);
  assert.deepEqual(attempts(records), []);
  clock.pass(2_000);
  assert.match(await client.reply(), ANY_ID);
  client.socket.destroy();
  assert.deepEqual(attempts(records), ['Uncertain a@example.net 421 final']);
});

test('content is not begun when too little time is left for its verdict', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startHeldPeer('DATA');
  const clock = movableClock();
  const { port, records } = await sidecarFor(t, firstTo(receiver.port, peer.port), { clock });
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  await peer.held(1);
  clock.pass(76_000);
  peer.release();
  assert.match(await client.reply(), ANY_ID);
  client.socket.destroy();
  assert.deepEqual(attempts(records), ['Delayed a@example.net 451 null']);
  assert.deepEqual(peer.messages, []);
});

test('content that could smuggle is neither tried nor passed on', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer('silence');
  const { port } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  const text = 'a CR or an LF stands alone in the content, which is never passed on (Bare_Newlines = refuse)';
  assert.equal(await deliver(port, 'a@example.net', `${MAIL}one\ntwo\r\n`), `451 4.6.0 ${text}`);
  assert.deepEqual(peer.clients, []);
  assert.deepEqual(receiver.requests, []);
  const converting = await sidecarFor(t, `Bare_Newlines = convert\n${firstTo(receiver.port, peer.port)}`);
  assert.match(await deliver(converting.port, 'a@example.net', `${MAIL}one\ntwo\r\n`), ANY_ID);
  assert.deepEqual(peer.clients, [], 'the receiver converts it');
});

test('destinations are found by DNS, and what DNS does not tell is no attempt', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startHeldPeer('DATA');
  await using dns = await startScriptedDns(`
    example.net      MX  10 mx.example.net
    mx.example.net   A   127.0.0.1
    sick.example     MX  SERVFAIL
    quiet.example    MX  0 .
    inside.example   MX  10 mx.inside.example
    mx.inside.example A  10.1.2.3`);
  const configuration = `${delayedTo([receiver.port])} Attempt_First = true EHLO_Hostname = out.example.com`;
  const { port, records } = await sidecarFor(t, configuration, {
    destinations: { dnsServers: [dns.server], allowedNetworks: ['127.0.0.0/8'], smtpPort: peer.port },
  });
  const delivering = deliver(port, 'a@example.net', MAIL);
  await peer.held(1);
  peer.release();
  assert.match(await delivering, DELIVERED);
  assert.match(await deliver(port, 'a@sick.example', MAIL), ANY_ID);
  assert.match(await deliver(port, 'a@inside.example', MAIL), ANY_ID);
  assert.match(await deliver(port, 'a@gone.example', MAIL), /^550 5\.1\.2 gone\.example/);
  assert.match(await deliver(port, 'a@quiet.example', MAIL), /^55\d 5\.1\.10 /);
  assert.deepEqual(
    attempts(records).map((line) => line.split(' ').slice(0, 2).join(' ')),
    [
      'Delivery a@example.net',
      'Delayed a@sick.example',
      'TransientFailure a@inside.example',
      'Bounce a@gone.example',
      'Bounce a@quiet.example',
    ],
  );
  assert.equal(receiver.requests.length, 2);
});

test('an attempt takes TLS where it is offered, and the log says which', async (t) => {
  const receiver = await receiverFor(t);
  const transaction = TAKES.slice(TAKES.indexOf('C: MAIL'));
  await using peer = await startScriptedPeer(`
    ${greeted('STARTTLS')}
    C: STARTTLS
    S: 220 go on
    starttls
    C: EHLO out.example.com
    S: 250 mx.example.net
    ${transaction}`);
  const { port, records } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  assert.match(await deliver(port, 'a@example.net', MAIL), DELIVERED);
  const record = records.find(({ type }) => type === 'Delivery');
  assert.ok(record?.type === 'Delivery');
  assert.equal(record.tls_protocol_version, 'TLSv1.3');
  assert.match(record.tls_cipher ?? '', /^TLS_/);
});

test('a domain that demands TLS is not tried in clear: its mail goes to the receiver', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer(`
    ${greeted()}
    C: QUIT
    S: 221 bye`);
  const { port, records } = await sidecarFor(t, firstTo(receiver.port, peer.port, 'TLS = required'));
  assert.match(await deliver(port, 'a@example.net', MAIL), ANY_ID);
  assert.match(attempts(records)[0] ?? '', /^TransientFailure a@example\.net 4\d\d starttls$/);
  assert.equal(peer.contents.length, 0);
});
