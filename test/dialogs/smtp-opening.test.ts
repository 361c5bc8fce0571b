// A session opens within a bounded time, at an address that may be spoken to, and tells how TLS came out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpenOutcome, PeerTrait, SmtpTarget } from '../../shared/smtp/client.ts';
import { formatReply } from '../../shared/smtp/reply.ts';
import { createSmtpClient, type SmtpClientOptions } from '../../shared/smtp/smtp-client.ts';
import { greeted, type ScriptedPeer, startScriptedPeer } from './scripted-peer.ts';
import { SELF_SIGNED } from './self-signed.ts';
import { openFailing, TIMEOUTS, TLS, target } from './smtp-session.ts';

const QUIT = 'C: QUIT\nS: 221 Bye';
const HANDSHAKE = `
  ${greeted('STARTTLS')}
  C: STARTTLS
  S: 220 Go on
  starttls
`;
const SECURED = `
  ${HANDSHAKE}
  C: EHLO out.example.com
  S: 250 mx.example.net
`;
const FAILED_HANDSHAKE = `
  ${greeted('STARTTLS')}
  C: STARTTLS
  S: 220 Go on
  raw "this is no TLS at all\\r\\n"
`;

interface Opened {
  readonly outcome: OpenOutcome;
  readonly noted: readonly PeerTrait[];
}

async function openAt(
  peer: ScriptedPeer,
  more: Partial<SmtpTarget>,
  known: readonly PeerTrait[] = [],
  options: Partial<SmtpClientOptions> = {},
): Promise<Opened> {
  const noted: PeerTrait[] = [];
  const memory = {
    recall: async () => new Set(known),
    note: async (_host: string, _port: number, trait: PeerTrait) => void noted.push(trait),
  };
  const outcome = await createSmtpClient({ memory, ...options }).open(target(peer.port, more));
  if (outcome.kind === 'opened') await outcome.session.quit();
  return { outcome, noted };
}

test('a peer that greets and then ponders over EHLO is given up when the opening has lasted too long', async () => {
  await using peer = await startScriptedPeer('S: 220 mx.example.net ESMTP\nC: EHLO out.example.com\nsilence');
  const failure = await openFailing(peer, { timeouts: { ...TIMEOUTS, openingMs: 200 } });
  assert.match(failure, /^ehlo: 421 4\.4\.2 /);
});

test('an address that the policy refuses is left before a word is said', async () => {
  await using peer = await startScriptedPeer('no more');
  const asked: string[] = [];
  const { outcome } = await openAt(peer, {}, [], {
    permits: (address, source) => {
      asked.push(`${address} by ${source}`);
      return 'is a loopback address';
    },
  });
  if (outcome.kind !== 'failed') assert.fail('the session opened');
  assert.equal(
    `${outcome.stage}: ${formatReply(outcome.reply)}`,
    `connect: 421 4.4.1 mx.example.net [127.0.0.1]:${peer.port} is not spoken to: is a loopback address`,
  );
  assert.deepEqual(asked, ['127.0.0.1 by mx']);
  await peer.played();
});

test('the policy is asked again for the second connection, in clear', async () => {
  await using peer = await startScriptedPeer(FAILED_HANDSHAKE, 'no more');
  let asked = 0;
  const { outcome } = await openAt(peer, { tls: TLS.ifavailable }, [], {
    permits: () => (asked++ === 0 ? undefined : 'has moved'),
  });
  assert.equal(outcome.kind, 'failed');
  assert.equal(asked, 2);
});

test('a peer that refuses us hears QUIT, and nobody waits for its reply', async () => {
  await using peer = await startScriptedPeer(
    'S: 554 5.7.1 Not you\nC: QUIT\nno more',
    'S: 220 mx\nC: EHLO out.example.com\nS: 450 4.7.1 Later\nC: QUIT\nno more',
    'S: 220 mx\nC: EHLO out.example.com\nS: 502 What?\nC: HELO out.example.com\nS: 550 No\nC: QUIT\nno more',
  );
  assert.equal(await openFailing(peer), 'greeting: 554 5.7.1 Not you');
  assert.equal(await openFailing(peer), 'ehlo: 450 4.7.1 Later');
  assert.equal(await openFailing(peer), 'ehlo: 550 No');
  await peer.played();
});

for (const [phase, timeouts, script, tls, expected] of [
  ['greeting', { greetingMs: 60 }, 'silence', TLS.no, 'greeting: 421 4.4.2 timed out'],
  [
    'EHLO',
    { ehloMs: 60 },
    'S: 220 mx\nC: EHLO out.example.com\nsilence',
    TLS.no,
    'ehlo: 421 4.4.2 timed out',
  ],
  [
    'STARTTLS',
    { ehloMs: 400 },
    `${greeted('STARTTLS')}\nC: STARTTLS\nsilence`,
    TLS.required,
    'starttls: 421 4.4.2 timed out',
  ],
  [
    'the handshake',
    { tlsMs: 60 },
    `${greeted('STARTTLS')}\nC: STARTTLS\nS: 220 Go\nsilence`,
    TLS.required,
    'starttls: 421 4.7.5 the TLS handshake failed',
  ],
] as const) {
  test(`a peer that keeps ${phase} to itself is left when its own time is over`, async () => {
    await using peer = await startScriptedPeer(script);
    const failure = await openFailing(peer, { tls, timeouts: { ...TIMEOUTS, ...timeouts } });
    assert.equal(failure.slice(0, expected.length), expected);
    await peer.played();
  });
}

test('how TLS came out is told in the words of RFC 8460', async () => {
  const trusted = { ...TLS.required, verify: true, ca: SELF_SIGNED.cert };
  for (const [tls, host, scripts, expected] of [
    [TLS.no, 'mx.example.net', [`${greeted('STARTTLS')}\n${QUIT}`], 'opened, undefined'],
    [TLS.ifavailable, 'mx.example.net', [`${greeted()}\n${QUIT}`], 'opened, starttls-not-supported'],
    [TLS.ifavailable, 'mx.example.net', [`${SECURED}\n${QUIT}`], 'opened, certificate-not-trusted'],
    [trusted, 'mx.example.net', [`${SECURED}\n${QUIT}`], 'opened, successful'],
    [trusted, 'mx.example.org', [`${HANDSHAKE}\nno more`], 'failed, certificate-host-mismatch'],
    [
      TLS.ifavailable,
      'mx.example.net',
      [FAILED_HANDSHAKE, `${greeted()}\n${QUIT}`],
      'opened, validation-failure',
    ],
    [TLS.required, 'mx.example.net', [FAILED_HANDSHAKE], 'failed, validation-failure'],
    [
      TLS.required,
      'mx.example.net',
      [`${greeted()}\nC: STARTTLS\nS: 502 What?`],
      'failed, starttls-not-supported',
    ],
    [TLS.required, 'mx.example.net', ['S: 554 No'], 'failed, undefined'],
  ] as const) {
    await using peer = await startScriptedPeer(...scripts);
    const { outcome } = await openAt(peer, { tls, host });
    assert.equal(`${outcome.kind}, ${outcome.tlsResult}`, expected);
  }
});

test('a certificate that must be good and is not keeps mail back, and says why', async () => {
  await using peer = await startScriptedPeer(`${HANDSHAKE}\nno more`);
  assert.equal(
    await openFailing(peer, { tls: { ...TLS.required, verify: true } }),
    'starttls: 421 4.7.5 TLS must be verified, and the certificate of mx.example.net is not: certificate-not-trusted',
  );
});

test('what is remembered of TLS counts where clear is allowed, and only there', async () => {
  await using peer = await startScriptedPeer(
    `${greeted('STARTTLS')}\n${QUIT}`,
    `${SECURED}\n${QUIT}`,
    FAILED_HANDSHAKE,
    `${greeted()}\n${QUIT}`,
  );
  const inClear = await openAt(peer, { tls: TLS.ifavailable }, ['tls-fails']);
  assert.equal(inClear.outcome.kind === 'opened' && inClear.outcome.session.tls, undefined);
  const required = await openAt(peer, { tls: TLS.required }, ['tls-fails']);
  assert.equal(required.outcome.kind === 'opened' && required.outcome.session.tls?.protocol, 'TLSv1.3');
  const fresh = await openAt(peer, { tls: TLS.ifavailable });
  assert.deepEqual([inClear.noted, required.noted, fresh.noted], [[], [], ['tls-fails']]);
});

test('an address literal is called without a server name', async () => {
  await using peer = await startScriptedPeer(`${SECURED}\n${QUIT}`);
  const { outcome } = await openAt(peer, { tls: TLS.ifavailable, host: '127.0.0.1' });
  assert.equal(`${outcome.kind}, ${outcome.tlsResult}`, 'opened, certificate-not-trusted');
});
