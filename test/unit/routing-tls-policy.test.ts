// What a domain's published TLS policy does to its route, and what is counted of it (RFC 8461 §4, §5, RFC 8460).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SmtpRoute } from '../../shared/config/routes.ts';
import type { StsPolicy } from '../../shared/routing/mta-sts-policy.ts';
import type { Hop, RouteOutcome } from '../../shared/routing/router.ts';
import type { StsDecision } from '../../shared/routing/sts-cache.ts';
import { leftOutObservations, sessionObservations } from '../../shared/routing/tls-observations.ts';
import { type PolicySettings, withTlsPolicy } from '../../shared/routing/tls-policy.ts';
import type { TlsDemand } from '../../shared/smtp/client.ts';
import { ownReply } from '../../shared/smtp/reply.ts';

const MX1: Hop = { host: 'mx1.example.net', address: '192.0.2.1', port: 25, source: 'mx' };
const MX1_6: Hop = { host: 'mx1.example.net', address: '2001:db8::1', port: 25, source: 'mx' };
const MX2: Hop = { host: 'mx2.example.net', address: '192.0.2.2', port: 25, source: 'mx' };
const ROGUE: Hop = { host: 'mx.rogue.example', address: '198.51.100.1', port: 25, source: 'mx' };
const RELAY: Hop = { host: 'relay.internal', address: '10.0.0.1', port: 587, source: 'routes' };

const LINES = ['version: STSv1', 'mode: enforce', 'mx: *.example.net', 'max_age: 86400'];
const ENFORCE = policy('enforce', ['*.example.net']);
const FACTS = { type: 'sts', mode: 'enforce', id: '1', mx: ['*.example.net'], lines: LINES } as const;

test('under an enforced policy a host that it does not allow is left out, and TLS must prove the others', async () => {
  const route = hops([MX1, ROGUE, MX1_6], { mode: 'ifavailable', verify: false });
  assert.deepEqual(await routed(route, ENFORCE), {
    kind: 'hops',
    site: 'the site-c3c23489',
    hops: [MX1, MX1_6],
    tls: { mode: 'required', verify: true },
    mxAuthenticated: true,
    policy: FACTS,
    leftOut: [ROGUE],
  });
});

test('a site whose hosts are all allowed keeps its name', async () => {
  const outcome = await routed(hops([MX1, MX2]), ENFORCE);
  assert.ok(outcome.kind === 'hops');
  assert.deepEqual([outcome.site, outcome.leftOut, outcome.hops], ['the site', undefined, [MX1, MX2]]);
});

test('domains of one site whose policies allow different hosts share no sessions', async () => {
  const route = hops([MX1, MX2]);
  const sites = await Promise.all(
    [['mx1.example.net'], ['mx2.example.net'], ['*.example.net']].map(async (mx) => {
      const outcome = await routed(route, policy('enforce', mx));
      return outcome.kind === 'hops' ? outcome.site : outcome.kind;
    }),
  );
  assert.deepEqual(sites, ['the site-a3e13b91', 'the site-ee798668', 'the site']);
});

const DEMANDS: readonly (readonly [TlsDemand, TlsDemand])[] = [
  [
    { mode: 'ifavailable', verify: false },
    { mode: 'required', verify: true },
  ],
  [
    { mode: 'required', verify: false },
    { mode: 'required', verify: true },
  ],
  [
    { mode: 'required', verify: true, ca: 'PEM' },
    { mode: 'required', verify: true, ca: 'PEM' },
  ],
  // Only Enable_MTA_STS = false makes an enforced policy void.
  [
    { mode: 'no', verify: false },
    { mode: 'required', verify: true },
  ],
];

for (const [configured, demanded] of DEMANDS) {
  test(`under an enforced policy, TLS = "${configured.mode}" (verify ${configured.verify}) is verified TLS`, async () => {
    const outcome = await routed(hops([MX1], configured), ENFORCE);
    assert.deepEqual(outcome.kind === 'hops' && outcome.tls, demanded);
  });

  test(`under a policy in testing, TLS = "${configured.mode}" (verify ${configured.verify}) stays`, async () => {
    const outcome = await routed(hops([MX1, ROGUE], configured), policy('testing', ['*.example.net']));
    assert.deepEqual(outcome, {
      ...hops([MX1, ROGUE], configured),
      policy: { ...FACTS, mode: 'testing' },
    });
  });
}

test('a domain of which no host is allowed is put off, and the reply names it and its hosts', async () => {
  assert.deepEqual(await routed(hops([ROGUE, { ...ROGUE, address: '198.51.100.2' }]), ENFORCE), {
    kind: 'transient',
    reply: {
      code: 451,
      enhanced: '4.7.5',
      text: 'the MTA-STS policy of example.net does not allow its mail hosts: mx.rogue.example',
    },
    policy: FACTS,
    leftOut: [ROGUE, { ...ROGUE, address: '198.51.100.2' }],
  });
});

test('a host that the operator names stays beside the domain’s own, under the TLS that the policy demands', async () => {
  const outcome = await routed(hops([ROGUE, MX1, RELAY]), ENFORCE);
  assert.ok(outcome.kind === 'hops');
  assert.deepEqual([outcome.hops, outcome.leftOut], [[MX1, RELAY], [ROGUE]]);
  assert.deepEqual(outcome.tls, { mode: 'required', verify: true });
});

const OWN_MX: SmtpRoute = { scheme: 'smtp', target: { kind: 'own-mx' }, port: undefined, pref: undefined };
const HOST: SmtpRoute = { ...OWN_MX, target: { kind: 'host', host: 'relay.internal' } };
const HUB: SmtpRoute = { ...OWN_MX, target: { kind: 'mx-of', domain: 'hub.example' } };

test('where only hosts that the operator named are left, nobody waits for a policy', async () => {
  const never = { policyFor: () => new Promise<StsDecision>(() => {}) };
  const settingsFor = () => ({ enableMtaSts: true, routes: [OWN_MX, HOST] });
  const router = withTlsPolicy({ route: async () => hops([RELAY]) }, never, { settingsFor });
  assert.deepEqual(await router.route('example.net'), { ...hops([RELAY]), mxAuthenticated: false });
});

const ROUTES: readonly (readonly [string, PolicySettings, Hop, boolean, boolean | undefined])[] = [
  ['its own hosts', { enableMtaSts: true, routes: [] }, MX1, true, undefined],
  ['its own hosts, with MTA-STS switched off', { enableMtaSts: false, routes: [] }, MX1, false, undefined],
  ['its own hosts and then a relay', { enableMtaSts: true, routes: [OWN_MX, HOST] }, MX1, true, undefined],
  ['a relay', { enableMtaSts: true, routes: [HOST, HOST] }, RELAY, false, true],
  ['a relay, with MTA-STS switched off', { enableMtaSts: false, routes: [HOST] }, RELAY, false, true],
  // DNS says which hosts these are: nobody vouches for its word.
  ['the hosts of a hub', { enableMtaSts: true, routes: [HUB] }, RELAY, false, false],
  ['a relay and then the hosts of a hub', { enableMtaSts: true, routes: [HOST, HUB] }, RELAY, false, false],
];

for (const [title, settings, hop, isAsked, isAuthenticated] of ROUTES) {
  test(`of a domain whose mail goes to ${title}, the policy is ${isAsked ? '' : 'not '}asked for`, async () => {
    const asked: string[] = [];
    const policies = {
      policyFor: async (domain: string) => {
        asked.push(domain);
        return {};
      },
    };
    const router = withTlsPolicy({ route: async () => hops([hop]) }, policies, {
      settingsFor: () => settings,
    });
    const outcome = await router.route('example.net');
    assert.deepEqual(asked, isAsked ? ['example.net'] : []);
    assert.deepEqual(outcome.kind === 'hops' && outcome.mxAuthenticated, isAuthenticated);
  });
}

test('a policy is looked up while the route is, and not at all where it is switched off', async () => {
  const order: string[] = [];
  const routing = Promise.withResolvers<RouteOutcome>();
  const router = withTlsPolicy(
    {
      route: (domain) => {
        order.push(`route ${domain}`);
        return routing.promise;
      },
    },
    {
      policyFor: async (domain) => {
        order.push(`policy ${domain}`);
        return {};
      },
    },
    {
      settingsFor: (domain) => {
        order.push(`asked ${domain}`);
        return { enableMtaSts: domain !== 'off.example', routes: [] };
      },
    },
  );
  const outcomes = ['b\u00fccher.example', 'off.example', '[192.0.2.1]'].map((domain) =>
    router.route(domain),
  );
  assert.deepEqual(order, [
    'asked xn--bcher-kva.example',
    'policy b\u00fccher.example',
    'route b\u00fccher.example',
    'asked off.example',
    'route off.example',
    'asked [192.0.2.1]',
    'policy [192.0.2.1]',
    'route [192.0.2.1]',
  ]);
  routing.resolve(hops([MX1]));
  assert.deepEqual(await Promise.all(outcomes), [hops([MX1]), hops([MX1]), hops([MX1])]);
});

const UNTOUCHED: readonly (readonly [string, RouteOutcome])[] = [
  ['permanent', { kind: 'permanent', reply: ownReply(556, '5.1.10', 'no mail') }],
  ['transient', { kind: 'transient', reply: ownReply(451, '4.4.4', 'no address') }],
  ['postponed', { kind: 'postpone', reply: ownReply(451, '4.4.3', 'no answer') }],
];

for (const [title, outcome] of UNTOUCHED) {
  test(`a route that is ${title} stays so under an enforced policy`, async () => {
    assert.deepEqual(await routed(outcome, ENFORCE), outcome);
  });
}

const FAILED = { id: '2', failure: 'sts-policy-fetch-error', because: 'status 404' } as const;

test('a policy that cannot be had leaves the route as it is, and says why', async () => {
  assert.deepEqual(await routed(hops([MX1]), { failed: FAILED }), {
    ...hops([MX1]),
    policyTrouble: { result: 'sts-policy-fetch-error', id: '2', because: 'status 404' },
  });
});

test('while the last good policy holds, it is the one that is counted', async () => {
  const outcome = await routed(hops([MX1]), { ...ENFORCE, failed: FAILED });
  assert.ok(outcome.kind === 'hops');
  assert.deepEqual([outcome.policy, outcome.policyTrouble], [FACTS, undefined]);
});

test('each session for a domain with a policy is counted, and each host that it leaves out', async () => {
  const outcome = await routed(hops([MX1, ROGUE]), ENFORCE);
  assert.ok(outcome.kind === 'hops');
  const session = {
    policyDomains: ['example.net'],
    policy: FACTS,
    mxHost: 'mx1.example.net',
    receivingIp: '192.0.2.1',
  };
  assert.deepEqual(sessionObservations('example.net', outcome, MX1, 'successful'), [
    { ...session, result: 'successful' },
  ]);
  assert.deepEqual(sessionObservations('example.net', outcome, MX1, 'validation-failure', 'EPROTO'), [
    { ...session, result: 'validation-failure', reason: 'EPROTO' },
  ]);
  assert.deepEqual(leftOutObservations('example.net', outcome), [
    {
      ...session,
      mxHost: 'mx.rogue.example',
      receivingIp: '198.51.100.1',
      result: 'validation-failure',
      reason: 'mx-mismatch',
    },
  ]);
});

test('in testing, a good session with a host that the policy does not allow is counted as one that fails', async () => {
  const outcome = await routed(hops([ROGUE]), policy('testing', ['*.example.net']));
  assert.ok(outcome.kind === 'hops');
  const [seen] = sessionObservations('example.net', outcome, ROGUE, 'successful');
  assert.deepEqual([seen?.result, seen?.reason], ['validation-failure', 'mx-mismatch']);
  assert.deepEqual(leftOutObservations('example.net', outcome), []);
});

test('without a policy nothing is counted, unless one is announced that cannot be had', async () => {
  assert.deepEqual(sessionObservations('example.net', {}, MX1, 'successful'), []);
  assert.deepEqual(leftOutObservations('example.net', {}), []);
  const outcome = await routed(hops([MX1]), { failed: FAILED });
  assert.ok(outcome.kind === 'hops');
  assert.deepEqual(sessionObservations('example.net', outcome, MX1, 'successful'), [
    {
      policyDomains: ['example.net'],
      mxHost: 'mx1.example.net',
      receivingIp: '192.0.2.1',
      result: 'sts-policy-fetch-error',
      reason: 'status 404',
    },
  ]);
  assert.deepEqual(sessionObservations('example.net', outcome, MX1, undefined), []);
});

/** Hops of either kind may be left. */
const BOTH: PolicySettings = { enableMtaSts: true, routes: [OWN_MX, HOST] };

function policy(mode: StsPolicy['mode'], mx: readonly string[]): StsDecision {
  return { policy: { mode, mx, maxAgeSeconds: 86_400, lines: LINES, id: '1' } };
}

function hops(list: readonly Hop[], tls: TlsDemand = { mode: 'ifavailable', verify: false }): RouteOutcome {
  return { kind: 'hops', site: 'the site', hops: list, tls };
}

function routed(outcome: RouteOutcome, decision: StsDecision): Promise<RouteOutcome> {
  const router = { route: async () => outcome };
  return withTlsPolicy(router, { policyFor: async () => decision }, { settingsFor: () => BOTH }).route(
    'example.net',
  );
}

test('hosts that the MX of a hub leads to are not vouched for by the policy of the domain beside it', async () => {
  const settingsFor = () => ({ enableMtaSts: true, routes: [OWN_MX, HUB] });
  const policies = { policyFor: async () => ENFORCE };
  const router = withTlsPolicy({ route: async () => hops([MX1, RELAY]) }, policies, { settingsFor });
  const outcome = await router.route('example.net');
  assert.ok(outcome.kind === 'hops');
  assert.deepEqual([outcome.mxAuthenticated, outcome.tls], [false, { mode: 'required', verify: true }]);
});
