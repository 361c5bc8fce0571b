// One case of routing: what DNS says of every name is drawn, the real router decides, and what it decided is held
// against what was said: a permanent outcome needs proof from DNS, and no hop leads where mail must not go.

import { createAddressPolicy, createRoutePolicy } from '../../shared/routing/address-policy.ts';
import { createRouter } from '../../shared/routing/create-router.ts';
import type { AddressFamily, AddressRecord, DnsAnswer, DnsPort, MxRecord } from '../../shared/routing/dns.ts';
import { createDnsCache } from '../../shared/routing/dns-cache.ts';
import type { RouteOutcome } from '../../shared/routing/router.ts';
import { type Draw, drawOf } from './draw.ts';

export interface RouteReport {
  readonly faults: readonly string[];
  readonly kind: string;
  readonly story: () => string;
}

const OURS = 'out.example.com';
const HOSTS = [
  'mx1.example.net',
  'mx2.example.net',
  'MX3.Example.NET.',
  'alias.example.net',
  OURS,
  '192.0.2.1',
  'xn--mx-fka.example',
  'a'.repeat(63),
  'bad host',
  'x\0y.example',
  '_mx.example.net',
  '*.example.net',
  'localhost',
  '',
];
const DOMAINS = [
  'example.net',
  'EXAMPLE.NET',
  'bücher.example',
  'xn--bcher-kva.example',
  'localhost',
  'a.',
  '.',
  'a..b',
  `${'a'.repeat(64)}.example`,
  '[192.0.2.1]',
  '[93.184.216.34]',
  '[IPv6:2606:2800::1]',
  '[ipv6:::1]',
  '[x]',
  '[IPv6:fe80::1%eth0]',
];
export const PUBLIC = [
  '93.184.216.34',
  '93.184.216.35',
  '151.101.1.7',
  '2606:2800:220:1::1',
  '2a00:1450:4001::1a',
];
export const FORBIDDEN = [
  '127.0.0.1',
  '10.1.2.3',
  '192.168.0.1',
  '169.254.169.254',
  '172.16.0.9',
  '100.64.0.1',
  '0.0.0.0',
  '224.0.0.1',
  '255.255.255.255',
  '168.63.129.16',
  '192.0.2.1',
  '::1',
  '::',
  'fe80::1',
  'fd00:ec2::254',
  'ff02::1',
  '::ffff:127.0.0.1',
  '64:ff9b::7f00:1',
  '2001:db8::1',
  '2002:7f00:1::',
];

export async function routeCase(seed: number, index: number): Promise<RouteReport> {
  const draw = drawOf(seed, index);
  const said: string[] = [];
  const world = drawWorld(draw, said);
  const domain = draw.pick(draw.chance(0.6) ? ['example.net'] : DOMAINS);
  const router = createRouter({
    dns: draw.chance(0.5) ? world.dns : createDnsCache({ dns: world.dns, nowMs: () => 0 }),
    policy: createAddressPolicy({ allow: [] }),
    routePolicy: createRoutePolicy({ allow: [] }),
    settingsFor: () => ({ routes: [], port: 25, skipHosts: [], tls: { mode: 'ifavailable', verify: false } }),
    usualPort: 25,
    random: () => draw.below(1_000_000) / 1_000_000,
    ownNames: [OURS],
    maxHosts: 5,
  });
  const faults: string[] = [];
  let outcome: RouteOutcome | undefined;
  try {
    outcome = await router.route(domain);
    judge(domain, outcome, world, faults);
  } catch (error) {
    faults.push(`threw ${error instanceof Error ? error.stack : String(error)}`);
  }
  return {
    faults,
    kind: outcome?.kind ?? 'threw',
    story: () => [`route ${JSON.stringify(domain)}`, ...said, JSON.stringify(outcome)].join('\n'),
  };
}

interface World {
  readonly dns: DnsPort;
  readonly mxAnswers: DnsAnswer<MxRecord>[];
  readonly addressAnswers: DnsAnswer<AddressRecord>[];
  readonly aliasAnswers: DnsAnswer<string>[];
  /** `host address` as they were given. */
  readonly given: Set<string>;
}

/** One answer for each name and type, the same at each question. */
function drawWorld(draw: Draw, said: string[]): World {
  const mxAnswers: DnsAnswer<MxRecord>[] = [];
  const addressAnswers: DnsAnswer<AddressRecord>[] = [];
  const aliasAnswers: DnsAnswer<string>[] = [];
  const given = new Set<string>();
  const known = new Map<string, unknown>();
  const trouble = draw.pick([0, 0.1, 0.5]);
  const safety = draw.pick([1, 0.7, 0]);

  function drawAnswer<T>(records: () => readonly T[]): DnsAnswer<T> {
    if (draw.chance(trouble)) {
      return draw.pick<DnsAnswer<T>>([
        { kind: 'nxdomain' },
        { kind: 'nodata' },
        { kind: 'failed', code: 'ESERVFAIL' },
        { kind: 'failed', code: 'ETIMEOUT' },
      ]);
    }
    const list = records();
    return list.length === 0 ? { kind: 'nodata' } : { kind: 'records', records: list };
  }

  function remember<T>(question: string, into: DnsAnswer<T>[], make: () => DnsAnswer<T>): DnsAnswer<T> {
    const before = into[Number(known.get(question) ?? -1)];
    if (before !== undefined) return before;
    const answer = make();
    known.set(question, into.length);
    into.push(answer);
    said.push(`${JSON.stringify(question)} ${JSON.stringify(answer)}`);
    return answer;
  }

  const dns: DnsPort = {
    mx: async (name) =>
      remember(`mx ${name}`, mxAnswers, () =>
        drawAnswer(() =>
          Array.from(
            {
              length: draw.weighted([
                [2, 0],
                [5, 1],
                [4, 3],
                [1, 60],
              ]),
            },
            (_, at) => ({
              preference: draw.pick([0, 10, 10, 20, 65_535]),
              exchange: draw.chance(0.7) ? `mx${at}.example.net` : draw.pick(HOSTS),
            }),
          ),
        ),
      ),
    addresses: async (name: string, family: AddressFamily) =>
      remember(`${family} ${name}`, addressAnswers, () => {
        const fits = (address: string) => address.includes(':') === (family === 6);
        const answer = drawAnswer(() =>
          Array.from(
            {
              length: draw.weighted([
                [2, 0],
                [5, 1],
                [1, 8],
              ]),
            },
            () => ({
              address: draw.pick((draw.chance(safety) ? PUBLIC : FORBIDDEN).filter(fits)),
              ttlSeconds: draw.pick([0, 60, 2_147_483_647]),
            }),
          ),
        );
        if (answer.kind === 'records')
          for (const { address } of answer.records) given.add(`${name} ${address}`);
        return answer;
      }),
    alias: async (name) =>
      remember(`alias ${name}`, aliasAnswers, () =>
        drawAnswer(() => (draw.chance(0.3) ? ['gone.example'] : [])),
      ),
  };
  return { dns, mxAnswers, addressAnswers, aliasAnswers, given };
}

function judge(domain: string, outcome: RouteOutcome, world: World, faults: string[]): void {
  const [mx] = world.mxAnswers;
  const isLiteral = domain.startsWith('[');
  const answers = [...world.mxAnswers, ...world.addressAnswers, ...world.aliasAnswers];
  const isNothing = ({ kind }: DnsAnswer<unknown>): boolean => kind === 'nodata' || kind === 'nxdomain';
  switch (outcome.kind) {
    case 'hops': {
      if (outcome.hops.length === 0) faults.push('no hop in hops');
      for (const { host, address } of outcome.hops) {
        if (FORBIDDEN.includes(address)) faults.push(`a hop to ${address}, where no mail may go`);
        if (!isLiteral && host !== address && !world.given.has(`${host} ${address}`))
          faults.push(`DNS never gave ${address} for ${host}`);
        if (host === OURS) faults.push('a hop to ourselves');
      }
      if (mx?.kind === 'failed') faults.push('hops although the MX is not known');
      if (mx?.kind === 'records') judgeOrder(outcome.hops, mx.records, faults);
      return;
    }
    case 'permanent': {
      const code = outcome.reply.code;
      const exchanges =
        mx?.kind === 'records'
          ? mx.records.map(({ exchange }) => exchange.replace(/\.$/, '').toLowerCase())
          : [];
      const isProved =
        (isLiteral && !PUBLIC.includes(domain.slice(1, -1)) && domain !== '[IPv6:2606:2800::1]') ||
        mx === undefined ||
        mx.kind === 'nxdomain' ||
        (mx.kind === 'nodata' &&
          world.addressAnswers.length === 2 &&
          world.aliasAnswers.length === 1 &&
          [...world.addressAnswers, ...world.aliasAnswers].every(isNothing)) ||
        (exchanges.length > 0 && exchanges.every((exchange) => exchange === '')) ||
        (code === 554 && exchanges.includes(OURS));
      if (!isProved) faults.push(`permanent without proof: ${code} ${outcome.reply.text}`);
      return;
    }
    case 'postpone':
      if (!answers.some(({ kind }) => kind === 'failed'))
        faults.push('postponed although DNS answered everything');
      return;
    case 'transient': {
      const isGood =
        !isLiteral &&
        world.given.size > 0 &&
        [...world.given].every((pair) => PUBLIC.includes(pair.split(' ')[1] ?? ''));
      if (isGood) faults.push(`no hop although usable addresses were given: ${outcome.reply.text}`);
      return;
    }
  }
}

/** Less preferred hosts come later, and none that is not preferred to us. */
function judgeOrder(
  hops: readonly { readonly host: string }[],
  records: readonly MxRecord[],
  faults: string[],
): void {
  const best = (host: string): number =>
    Math.min(
      ...records
        .filter(({ exchange }) => exchange.replace(/\.$/, '').toLowerCase() === host)
        .map(({ preference }) => preference),
    );
  const preferences = hops.map(({ host }) => best(host));
  if (preferences.some((preference, at) => preference < (preferences[at - 1] ?? 0)))
    faults.push('hops out of the order of preference');
  if (preferences.some((preference) => preference >= best(OURS)))
    faults.push('a hop behind ourselves in the list');
  if (preferences.includes(Number.POSITIVE_INFINITY)) faults.push('a hop that is no mail host of the domain');
}
