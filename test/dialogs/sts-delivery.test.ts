// Mail to a domain with an MTA-STS policy, from its DNS to the mail host: real DNS questions, a real HTTPS policy
// host, a real SMTP server, certificates of a test's own authority (RFC 8461 §5).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createTcpServer } from 'node:net';
import { test } from 'node:test';
import type { SMTPServerOptions } from 'smtp-server';
import { createAddressPolicy } from '../../shared/routing/address-policy.ts';
import { createRouter } from '../../shared/routing/create-router.ts';
import { createDnsResolver } from '../../shared/routing/dns-resolver.ts';
import type { RouteOutcome, Router } from '../../shared/routing/router.ts';
import { createStsPolicies, type PolicyStore } from '../../shared/routing/sts-cache.ts';
import { createStsFetch } from '../../shared/routing/sts-fetch.ts';
import { createTxtResolver } from '../../shared/routing/sts-txt.ts';
import { sessionObservations } from '../../shared/routing/tls-observations.ts';
import { withTlsPolicy } from '../../shared/routing/tls-policy.ts';
import { memoryStore } from '../unit/sts-world.ts';
import { createAuthority, type ServerCertificate, selfSigned } from './authority.ts';
import { startScriptedDns } from './scripted-dns.ts';
import { client, HELLO, letter, target, told } from './smtp-session.ts';
import { type MailHost, policyServer, portOf, startMailHost } from './sts-hosts.ts';

const authority = createAuthority();
const policyHost = authority.issue({ names: ['mta-sts.example.net'] });
const proved = authority.issue({ names: ['mx.example.net'] });
const unproved = selfSigned({ names: ['mx.example.net'] });

/** The preferred host of the first is an attacker's: whoever can forge DNS can forge MX. */
const ZONE = `
  example.net          MX   10 mx.rogue.example
  example.net          MX   20 mx.example.net
  mx.rogue.example     A    127.0.0.2
  mx.example.net       A    127.0.0.1
  mta-sts.example.net  A    127.0.0.1
`;
const ANNOUNCED = `${ZONE}\n_mta-sts.example.net TXT v=STSv1; id=20261123;`;

test('under an enforced policy mail passes by a forged MX and goes to the proved host, over TLS', async () => {
  await using mail = await startMailHost(proved);
  const outcome = await deliver(mail, { mode: 'enforce' });
  assert.deepEqual(outcome, {
    hosts: ['mx.example.net'],
    said: ['delivered at final: 250 OK: message queued'],
    results: ['successful'],
  });
  assert.deepEqual(mail.arrived, ['TLS']);
});

const UNFIT: readonly (readonly [string, ServerCertificate, SMTPServerOptions, string, string])[] = [
  [
    'whose certificate nobody vouches for',
    unproved,
    {},
    'starttls: 421 4.7.5 TLS must be verified, and the certificate of mx.example.net is not: certificate-not-trusted',
    'certificate-not-trusted',
  ],
  [
    'whose certificate is another host’s',
    authority.issue({ names: ['mx.example.org'] }),
    {},
    'starttls: 421 4.7.5 TLS must be verified, and the certificate of mx.example.net is not: certificate-host-mismatch',
    'certificate-host-mismatch',
  ],
  [
    'that offers no STARTTLS',
    proved,
    { hideSTARTTLS: true, disabledCommands: ['AUTH', 'STARTTLS'] },
    'starttls: 421 4.7.4',
    'starttls-not-supported',
  ],
];

for (const [title, certificate, options, said, result] of UNFIT) {
  test(`under an enforced policy a host ${title} gets no mail, neither over TLS nor in clear`, async () => {
    await using mail = await startMailHost(certificate, options);
    const outcome = await deliver(mail, { mode: 'enforce' });
    assert.deepEqual([outcome.hosts, outcome.results], [['mx.example.net'], [result]]);
    assert.equal(outcome.said[0]?.slice(0, said.length), said);
    assert.deepEqual(mail.arrived, []);
  });
}

test('under a policy in testing the same host gets its mail, and what would have failed is counted', async () => {
  await using mail = await startMailHost(unproved);
  const zone = ANNOUNCED.replace('10 mx.rogue.example', '30 mx.rogue.example');
  const outcome = await deliver(mail, { mode: 'testing', zone });
  assert.deepEqual(outcome, {
    hosts: ['mx.example.net', 'mx.rogue.example'],
    said: ['delivered at final: 250 OK: message queued'],
    results: ['certificate-not-trusted'],
  });
  assert.deepEqual(mail.arrived, ['TLS']);
});

test('a domain of which only forged hosts are left is put off', async () => {
  await using mail = await startMailHost(proved);
  const outcome = await deliver(mail, {
    mode: 'enforce',
    zone: ANNOUNCED.replace('20 mx.example.net', '20 mx.rogue.example'),
  });
  assert.deepEqual(outcome.said, [
    'transient: 451 4.7.5 the MTA-STS policy of example.net does not allow its mail hosts: mx.rogue.example',
  ]);
});

test('a policy that one process fetched is enforced by the next, although DNS and policy host are silenced', async () => {
  const store = memoryStore();
  {
    await using mail = await startMailHost(proved);
    assert.deepEqual((await deliver(mail, { mode: 'enforce', store })).results, ['successful']);
  }
  await using mail = await startMailHost(unproved);
  const zone = `${ZONE}\n_mta-sts.example.net TXT SERVFAIL`;
  const outcome = await deliver(mail, { mode: 'gone', zone, store });
  assert.deepEqual(outcome.results, ['certificate-not-trusted']);
  assert.deepEqual(mail.arrived, []);
});

test('without a policy of its domain mail goes to whoever DNS names', async () => {
  await using mail = await startMailHost(unproved);
  const zone = ZONE.replace('10 mx.rogue.example', '30 mx.rogue.example');
  const outcome = await deliver(mail, { mode: 'enforce', zone });
  assert.deepEqual([outcome.said, outcome.results], [['delivered at final: 250 OK: message queued'], []]);
  assert.deepEqual(mail.arrived, ['TLS']);
});

interface Course {
  readonly mode: 'enforce' | 'testing' | 'gone';
  readonly zone?: string;
  readonly store?: PolicyStore;
}

/** The hosts of the route, what was said at the end, and what is counted for the domain. */
async function deliver(
  mail: MailHost,
  { mode, zone = ANNOUNCED, store = memoryStore() }: Course,
): Promise<{
  readonly hosts: readonly string[];
  readonly said: readonly string[];
  readonly results: readonly string[];
}> {
  await using dns = await startScriptedDns(zone);
  const policies =
    mode === 'gone' ? createTcpServer((socket) => socket.destroy()) : policyServer(policyHost, mode);
  policies.listen(0, '127.0.0.1');
  await once(policies, 'listening');
  try {
    const router = routerOf(dns.server, mail.port, portOf(policies), store);
    return await send(await router.route('example.net'));
  } finally {
    policies.close();
    await once(policies, 'close');
  }
}

async function send(route: RouteOutcome): ReturnType<typeof deliver> {
  if (route.kind !== 'hops') {
    const { code, enhanced, text } = route.reply;
    return { hosts: [], said: [`${route.kind}: ${code} ${enhanced} ${text}`], results: [] };
  }
  const hosts = route.hops.map(({ host }) => host);
  const [hop] = route.hops;
  assert.ok(hop !== undefined);
  const { tls, mxAuthenticated = false } = route;
  const opened = await client().open(target(hop.port, { ...hop, tls, mxAuthenticated }));
  const results = sessionObservations('example.net', route, hop, opened.tlsResult).map(
    ({ result }) => result,
  );
  if (opened.kind === 'failed') {
    const { code, enhanced, text } = opened.reply;
    return { hosts, said: [`${opened.stage}: ${code} ${enhanced} ${text}`], results };
  }
  const said = told(await opened.session.transact(letter('bob@example.net'), HELLO));
  await opened.session.quit();
  return { hosts, said, results };
}

function routerOf(dnsServer: string, smtpPort: number, policyPort: number, store: PolicyStore): Router {
  const asked = { servers: [dnsServer], timeoutMs: 5_000, tries: 1 };
  const dns = createDnsResolver(asked);
  const policy = createAddressPolicy({ allow: ['127.0.0.0/8'] });
  const router = createRouter({
    dns,
    policy,
    routePolicy: policy,
    settingsFor: () => ({
      routes: [],
      port: smtpPort,
      skipHosts: [],
      tls: { mode: 'ifavailable', verify: false, ca: authority.cert },
    }),
    usualPort: smtpPort,
    random: () => 0,
    ownNames: [],
    maxHosts: 5,
  });
  const policies = createStsPolicies({
    txt: createTxtResolver(asked),
    fetch: createStsFetch({ dns, policy, port: policyPort, ca: authority.cert, timeoutMs: 15_000 }),
    store,
    clock: { nowMs: () => 1_795_341_600_000, pause: () => Promise.resolve() },
  });
  return withTlsPolicy(router, policies, { settingsFor: () => ({ enableMtaSts: true, routes: [] }) });
}
