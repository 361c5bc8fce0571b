// STARTTLS: taken when offered, not proved unless a message requires it, and never a reason to keep mail back
// unless it is configured to be one.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import type { SmtpTarget } from '../../shared/smtp/client.ts';
import { createPeerMemory } from '../../shared/smtp/peer-memory.ts';
import { formatReply } from '../../shared/smtp/reply.ts';
import { createSmtpClient } from '../../shared/smtp/smtp-client.ts';
import { greeted, type ScriptedPeer, startScriptedPeer } from './scripted-peer.ts';
import { SELF_SIGNED } from './self-signed.ts';
import { HELLO, letter, open, openFailing, TIMEOUTS, TLS, target, told } from './smtp-session.ts';

const EHLO_AGAIN = `
  C: EHLO out.example.com
  S: 250 mx.example.net
`;

const TRANSACTION = `
  C: MAIL FROM:<alice@example.com>
  S: 250 Ok
  C: RCPT TO:<bob@example.net>
  S: 250 Ok
  C: DATA
  S: 354 Go on
  C: (content)
  S: 250 2.0.0 Ok
`;

const QUIT = `
  C: QUIT
  S: 221 Bye
`;

const FAILED_HANDSHAKE = `
  ${greeted('STARTTLS')}
  C: STARTTLS
  S: 220 Go on
  raw "this is no TLS at all\\r\\n"
`;

test('a self-signed certificate is good enough for opportunistic TLS', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('STARTTLS', 'SIZE 1')}
    C: STARTTLS
    S: 220 Go on
    starttls
    # What was offered in clear no longer counts.
    ${EHLO_AGAIN}
    ${TRANSACTION}
    ${QUIT}
  `);
  const session = await open(peer, { tls: TLS.ifavailable });
  assert.deepEqual(session.tls, { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', verified: false });
  assert.deepEqual(told(await session.transact(letter('bob@example.net'), HELLO)), [
    'delivered at final: 250 2.0.0 Ok',
  ]);
  await session.quit();
  await peer.played();
  assert.equal(String(peer.contents[0]), 'Subject: hello\r\n\r\nhello\r\n');
});

test('with TLS switched off, an offer of STARTTLS is passed over', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('STARTTLS')}
    ${TRANSACTION}
    ${QUIT}
  `);
  const session = await open(peer, { tls: TLS.no });
  assert.equal(session.tls, undefined);
  assert.deepEqual(told(await session.transact(letter('bob@example.net'), HELLO)), [
    'delivered at final: 250 2.0.0 Ok',
  ]);
  await session.quit();
  await peer.played();
});

test('a peer that offers STARTTLS and then refuses it is served in clear, on the same connection', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('STARTTLS', 'SIZE 24')}
    C: STARTTLS
    S: 454 4.7.0 TLS not available due to local problem
    ${QUIT}
  `);
  const session = await open(peer, { tls: TLS.ifavailable });
  assert.equal(session.tls, undefined);
  // What was offered in clear still counts.
  assert.deepEqual(told(await session.transact(letter('bob@example.net'), HELLO)), [
    'permanent at mail: 552 5.3.4 mx.example.net takes 24 octets, not 25',
  ]);
  await session.quit();
  await peer.played();
});

test('a peer that says 421 to STARTTLS is not called again at once', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('STARTTLS')}
    C: STARTTLS
    S: 421 4.3.2 Shutting down
  `);
  const reply = await openFailing(peer, { tls: TLS.ifavailable });
  assert.equal(reply, 'starttls: 421 4.7.4 STARTTLS was answered: 421 4.3.2 Shutting down');
  assert.equal(peer.clients.length, 1);
});

test('a host whose handshake failed is called in clear, at once and for an hour', async () => {
  await using peer = await startScriptedPeer(
    FAILED_HANDSHAKE,
    `${greeted('STARTTLS')} \n ${QUIT}`,
    `${greeted('STARTTLS')} \n ${QUIT}`,
    FAILED_HANDSHAKE,
    `${greeted('STARTTLS')} \n ${QUIT}`,
  );
  let nowMs = 0;
  const client = createSmtpClient({ memory: createPeerMemory({ nowMs: () => nowMs }) });
  for (const at of [0, 3_599_999, 3_600_000]) {
    nowMs = at;
    const outcome = await client.open(target(peer.port, { tls: TLS.ifavailable }));
    if (outcome.kind !== 'opened') assert.fail(formatReply(outcome.reply));
    assert.equal(outcome.session.tls, undefined);
    assert.equal(outcome.tlsResult, 'validation-failure');
    await outcome.session.quit();
  }
  assert.equal(peer.clients.length, 5);
});

test('a host that fails in clear too is not taken for one that cannot do TLS', async () => {
  await using peer = await startScriptedPeer(
    FAILED_HANDSHAKE,
    'S: 421 4.3.2 Not now',
    `${greeted('STARTTLS')}
     C: STARTTLS
     S: 220 Go on
     starttls
     ${EHLO_AGAIN}
     ${QUIT}`,
  );
  const client = createSmtpClient({ memory: createPeerMemory({ nowMs: () => 0 }) });
  const first = await client.open(target(peer.port, { tls: TLS.ifavailable }));
  assert.equal(first.kind === 'failed' && formatReply(first.reply), '421 4.3.2 Not now');
  const second = await client.open(target(peer.port, { tls: TLS.ifavailable }));
  if (second.kind !== 'opened') assert.fail(formatReply(second.reply));
  assert.equal(second.session.tls?.protocol, 'TLSv1.3');
  await second.session.quit();
});

test('a handshake that never ends is given up, and the host is called in clear', async () => {
  await using peer = await startScriptedPeer(
    `${greeted('STARTTLS')}
     C: STARTTLS
     S: 220 Go on
     silence`,
    `${greeted('STARTTLS')} \n ${QUIT}`,
  );
  const session = await open(peer, { tls: TLS.ifavailable, timeouts: { ...TIMEOUTS, tlsMs: 200 } });
  assert.equal(session.tls, undefined);
  await session.quit();
  await peer.played();
});

test('where TLS is required, nothing is said in clear', async () => {
  const required: Partial<SmtpTarget> = { tls: TLS.required };
  await using peer = await startScriptedPeer(
    FAILED_HANDSHAKE,
    `${greeted('PIPELINING')}
     C: STARTTLS
     S: 502 5.5.1 Unknown command`,
    `${greeted('STARTTLS')}
     C: STARTTLS
     S: 220 Go on
     starttls
     ${EHLO_AGAIN}
     ${TRANSACTION}
     ${QUIT}`,
  );
  assert.match(await openFailing(peer, required), /^starttls: 421 4\.7\.5 the TLS handshake failed: /);
  assert.equal(
    await openFailing(peer, required),
    'starttls: 421 4.7.4 TLS is required; STARTTLS was answered: 502 5.5.1 Unknown command',
  );
  const session = await open(peer, required);
  assert.deepEqual(told(await session.transact(letter('bob@example.net'), HELLO)), [
    'delivered at final: 250 2.0.0 Ok',
  ]);
  await session.quit();
});

test('replies that were slipped in behind the 220 to STARTTLS fail the handshake, however they are cut', async () => {
  const injected = `
    ${greeted('STARTTLS')}
    C: STARTTLS
    raw "220 Go on\\r\\n250 mx.evil.example\\r\\n"
    silence`;
  for (const script of [injected, injected.replace('evil.example\\r\\n', 'evil')]) {
    await using peer = await startScriptedPeer(script);
    assert.equal(
      await openFailing(peer, { tls: TLS.required }),
      'starttls: 421 4.7.5 the TLS handshake failed: the peer spoke in clear behind its 220',
    );
    await peer.played();
  }
});

const REQUIRE_TLS = { ...letter('bob@example.net'), requireTls: true };
const REFUSED = [
  'permanent at mail: 550 5.7.30 REQUIRETLS is asked for and mx.example.net does not provide it',
];

/** A peer with REQUIRETLS under TLS, and a transaction that uses it. */
function startRequireTlsPeer(transaction: string): Promise<ScriptedPeer> {
  return startScriptedPeer(`
    ${greeted('STARTTLS')}
    C: STARTTLS
    S: 220 Go on
    starttls
    C: EHLO out.example.com
    S: 250-mx.example.net
    S: 250 REQUIRETLS
    ${transaction}
    ${QUIT}
  `);
}

test('REQUIRETLS goes neither in clear, nor to a peer without it, nor to one that proves no name', async () => {
  await using clear = await startScriptedPeer(`${greeted('REQUIRETLS')} \n ${QUIT}`);
  await using without = await startScriptedPeer(`
    ${greeted('STARTTLS')}
    C: STARTTLS
    S: 220 Go on
    starttls
    ${EHLO_AGAIN}
    ${QUIT}
  `);
  await using unproved = await startRequireTlsPeer('');
  for (const peer of [clear, without, unproved]) {
    const session = await open(peer, { tls: TLS.ifavailable });
    assert.deepEqual(told(await session.transact(REQUIRE_TLS, HELLO)), REFUSED);
    await session.quit();
    await peer.played();
  }
});

test('REQUIRETLS goes to a peer that offers it and proves its name', async () => {
  const before = tls.getCACertificates('default');
  tls.setDefaultCACertificates([SELF_SIGNED.cert]);
  try {
    await using peer = await startRequireTlsPeer(
      TRANSACTION.replace('MAIL FROM:<alice@example.com>', 'MAIL FROM:<alice@example.com> REQUIRETLS'),
    );
    const session = await open(peer, { tls: TLS.ifavailable });
    assert.deepEqual(told(await session.transact(REQUIRE_TLS, HELLO)), ['delivered at final: 250 2.0.0 Ok']);
    await session.quit();
    await peer.played();

    await using other = await startRequireTlsPeer('');
    const misnamed = await open(other, { tls: TLS.ifavailable, host: 'mx.example.org' });
    assert.equal(
      told(await misnamed.transact(REQUIRE_TLS, HELLO))[0]?.startsWith('permanent at mail: 550 5.7.30'),
      true,
    );
    await misnamed.quit();

    await using proved = await startScriptedPeer(`
      ${greeted('STARTTLS')}
      C: STARTTLS
      S: 220 Go on
      starttls
      ${EHLO_AGAIN}
      ${QUIT}
    `);
    const without = await open(proved, { tls: TLS.ifavailable });
    assert.deepEqual(told(await without.transact(REQUIRE_TLS, HELLO)), REFUSED);
    await without.quit();
  } finally {
    tls.setDefaultCACertificates(before);
  }
});

test('destroying a session under TLS closes the connection', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('STARTTLS')}
    C: STARTTLS
    S: 220 Go on
    starttls
    ${EHLO_AGAIN}
    silence
  `);
  const session = await open(peer, { tls: TLS.ifavailable });
  session.destroy();
  assert.equal(session.usable, false);
  await peer.played();
});

test('a host is called by its name in the handshake, and an address literal by none', async () => {
  const named: unknown[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('220 mx.example.net\r\n');
    socket.on('data', (octets) => {
      const line = octets.toString();
      if (line.startsWith('EHLO')) socket.write('250-mx.example.net\r\n250 STARTTLS\r\n');
      if (!line.startsWith('STARTTLS')) return;
      socket.removeAllListeners('data');
      socket.write('220 Go ahead\r\n');
      const secured = new tls.TLSSocket(socket, { isServer: true, ...SELF_SIGNED });
      secured.on('error', () => {});
      secured.on('data', (said) => {
        named.push(Reflect.get(secured, 'servername'));
        secured.write(said.toString().startsWith('EHLO') ? '250 mx.example.net\r\n' : '221 Bye\r\n');
      });
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  for (const host of ['mx.example.net', '127.0.0.1']) {
    const client = createSmtpClient({ memory: createPeerMemory({ nowMs: () => 0 }) });
    const outcome = await client.open(target(address.port, { host, tls: TLS.required }));
    assert.equal(outcome.kind, 'opened');
    if (outcome.kind === 'opened') outcome.session.destroy();
  }
  server.close();
  assert.deepEqual(named, ['mx.example.net', false]);
});

test('a host whose handshake fails is not called in clear where that is forbidden, whatever is remembered', async () => {
  await using peer = await startScriptedPeer(FAILED_HANDSHAKE, FAILED_HANDSHAKE);
  const memory = createPeerMemory({ nowMs: () => 0 });
  const client = createSmtpClient({ memory });
  for (const known of [false, true]) {
    if (known) await memory.note('mx.example.net', peer.port, 'tls-fails');
    const outcome = await client.open(target(peer.port, { tls: { ...TLS.ifavailable, fallsBack: false } }));
    assert.ok(outcome.kind === 'failed');
    assert.match(formatReply(outcome.reply), /^421 4\.7\.5 the TLS handshake failed/);
  }
  assert.equal(peer.clients.length, 2);
});

test('versions and ciphers of TLS are those that the operator names', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('STARTTLS')}
    C: STARTTLS
    S: 220 Go on
    starttls
    ${EHLO_AGAIN}
    ${QUIT}
  `);
  const versions = { least: 'TLSv1.2', most: 'TLSv1.2' } as const;
  const ciphers = 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256';
  const session = await open(peer, { tls: { ...TLS.required, versions, ciphers } });
  assert.equal(session.tls?.protocol, 'TLSv1.2');
  assert.match(session.tls?.cipher ?? '', /^TLS_ECDHE_(RSA|ECDSA)_WITH_AES_128_GCM_SHA256$/);
  await session.quit();
  await peer.played();
});

test('ciphers that OpenSSL does not have fail the handshake, and nothing is thrown', async () => {
  await using peer = await startScriptedPeer(`
    ${greeted('STARTTLS')}
    C: STARTTLS
    S: 220 Go on
  `);
  const reply = await openFailing(peer, { tls: { ...TLS.required, ciphers: 'NONSENSE' } });
  assert.match(reply, /^starttls: 421 4\.7\.5 the TLS handshake failed/);
});
