// Whatever DNS and a configuration say: hops go only where they may, each once, in order, and a permanent verdict
// needs an answer that says so.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SmtpRoute } from '../../shared/config/routes.ts';
import { createAddressPolicy, createRoutePolicy } from '../../shared/routing/address-policy.ts';
import { createRouter } from '../../shared/routing/create-router.ts';
import type { AddressRecord, DnsAnswer, DnsPort, MxRecord } from '../../shared/routing/dns.ts';

const DOMAIN = 'example.net';
const NAMES = ['mx1.example.net', 'mx2.example.net', 'mx3.example.org', 'relay.example.com', DOMAIN];
const policy = createAddressPolicy({ allow: ['203.0.113.0/24'] });
const routePolicy = createRoutePolicy({ allow: [] });
const isSkipped = (address: string): boolean => address === '8.8.8.8';

function answerOf<T>(record: fc.Arbitrary<T>, most = 6): fc.Arbitrary<DnsAnswer<T>> {
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .array(record, { minLength: 1, maxLength: most })
        .map((records) => ({ kind: 'records' as const, records })),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'nodata' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'nxdomain' as const }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('ESERVFAIL', 'ETIMEOUT').map((code) => ({ kind: 'failed' as const, code })),
    },
  );
}

const exchange = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...NAMES, 'MX1.Example.NET', 'mx2.example.net.') },
  { weight: 1, arbitrary: fc.constantFrom('', '8.8.4.4', '10.0.0.1', '2606:4700::1111', 'bad name', '..') },
  { weight: 1, arbitrary: fc.string() },
);
const mx = answerOf<MxRecord>(fc.record({ preference: fc.integer({ min: 0, max: 4 }), exchange }), 12);
const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom(
    '8.8.8.8',
    '8.8.4.4',
    '203.0.113.7',
    '10.0.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '::1',
    'nonsense',
  ),
);
const addresses = answerOf<AddressRecord>(fc.record({ address, ttlSeconds: fc.nat(9_999) }));
const alias = answerOf(exchange, 1);

const target: fc.Arbitrary<SmtpRoute['target']> = fc.oneof(
  fc.constant({ kind: 'own-mx' as const }),
  fc
    .constantFrom(...NAMES, '10.0.0.2', 'fd00::1', '127.0.0.1', '169.254.169.254')
    .map((host) => ({ kind: 'host' as const, host })),
  fc.constantFrom(...NAMES).map((domain) => ({ kind: 'mx-of' as const, domain })),
);
const route: fc.Arbitrary<SmtpRoute> = fc.record({
  scheme: fc.constant('smtp' as const),
  target,
  port: fc.constantFrom(undefined, 25, 587),
  pref: fc.constantFrom(undefined, 0, 10, 20),
});

const world = fc.record({
  /** By `name type`; a name that is not there does not exist. */
  mx: fc.dictionary(fc.constantFrom(...NAMES), mx),
  addresses: fc.dictionary(
    fc.constantFrom(...NAMES.flatMap((name) => [`${name} 4`, `${name} 6`])),
    addresses,
  ),
  alias,
  own: mx,
  routes: fc.oneof(fc.constant<SmtpRoute[]>([]), fc.array(route, { maxLength: 4 })),
  seeds: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 20 }),
});
type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

function dnsOf(said: World): DnsPort {
  return {
    mx: async (name) => (name === DOMAIN ? said.own : (said.mx[name] ?? { kind: 'nxdomain' })),
    addresses: async (name, family) => said.addresses[`${name} ${family}`] ?? { kind: 'nodata' },
    alias: async () => said.alias,
  };
}

async function outcomeIn(said: World) {
  let drawn = 0;
  const router = createRouter({
    dns: dnsOf(said),
    policy,
    routePolicy,
    settingsFor: () => ({
      routes: said.routes,
      port: 25,
      skipHosts: [{ contains: isSkipped }],
      tls: { mode: 'ifavailable', verify: false },
    }),
    usualPort: 25,
    random: () => said.seeds[drawn++ % said.seeds.length] ?? 0,
    ownNames: ['relay.example.com'],
    maxHosts: 5,
  });
  return router.route(DOMAIN);
}

test('hops go only where the policy lets them, each address once, under proper names', async () => {
  let seen = 0;
  await fc.assert(
    fc.asyncProperty(world, async (said) => {
      const outcome = await outcomeIn(said);
      if (outcome.kind !== 'hops') return;
      seen += 1;
      assert.ok(outcome.hops.length > 0);
      assert.ok(outcome.site.length > 0 && outcome.site.length <= 255);
      for (const hop of outcome.hops) {
        assert.equal((hop.source === 'mx' ? policy : routePolicy)(hop.address), undefined, hop.address);
        assert.ok(!isSkipped(hop.address));
        assert.match(hop.host, /^[a-z0-9_.:-]+$/);
        assert.doesNotMatch(hop.host, /\.$/);
      }
      const places = outcome.hops.map((hop) => `${hop.address} ${hop.port}`);
      assert.equal(new Set(places).size, places.length);
      if (said.routes.length === 0)
        assert.ok(outcome.hops.every((hop) => hop.source === 'mx' && hop.port === 25));
    }),
    { numRuns: 3_000 },
  );
  assert.ok(seen > 100, `only ${seen} cases were of this kind`);
});

test('the hosts of a domain are tried by preference, none at or behind our own place in the list', async () => {
  let seen = 0;
  await fc.assert(
    fc.asyncProperty(world, async (said) => {
      const outcome = await outcomeIn({ ...said, routes: [] });
      if (outcome.kind !== 'hops' || said.own.kind !== 'records') return;
      seen += 1;
      const records = said.own.records.map((record) => ({
        ...record,
        host: record.exchange.toLowerCase().replace(/\.$/, ''),
      }));
      const preferenceOf = (host: string): number =>
        Math.min(...records.filter((record) => record.host === host).map((record) => record.preference));
      const ours = preferenceOf('relay.example.com');
      const tried = outcome.hops.map((hop) => preferenceOf(hop.host));
      assert.deepEqual(
        tried,
        tried.toSorted((a, b) => a - b),
      );
      assert.ok(tried.every((preference) => preference < ours));
    }),
    { numRuns: 3_000 },
  );
  assert.ok(seen > 100, `only ${seen} cases were of this kind`);
});

test('a permanent verdict needs an answer of the domain itself, and no other route', async () => {
  let seen = 0;
  await fc.assert(
    fc.asyncProperty(world, async (said) => {
      const outcome = await outcomeIn(said);
      if (outcome.kind !== 'permanent') return;
      seen += 1;
      assert.ok(said.routes.every((one) => one.target.kind === 'own-mx'));
      switch (said.own.kind) {
        case 'failed':
          return assert.fail('DNS did not answer');
        case 'nxdomain':
          return assert.equal(outcome.reply.enhanced, '5.1.2');
        case 'nodata': {
          assert.equal(outcome.reply.enhanced, '5.1.2');
          for (const family of [4, 6]) {
            const known = said.addresses[`${DOMAIN} ${family}`]?.kind ?? 'nodata';
            assert.ok(known === 'nodata' || known === 'nxdomain');
          }
          return assert.ok(said.alias.kind === 'nodata' || said.alias.kind === 'nxdomain');
        }
        case 'records': {
          const isNull = said.own.records.every((record) => /^\.?$/.test(record.exchange));
          const isLoop = said.own.records.some((record) => record.exchange === 'relay.example.com');
          return assert.ok(isNull || isLoop);
        }
      }
    }),
    { numRuns: 3_000 },
  );
  assert.ok(seen > 100, `only ${seen} cases were of this kind`);
});
