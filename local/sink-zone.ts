// The sink's hosts and the DNS zone that leads to them. Each host is a loopback address of its own, all on one
// port, so that MX preference, failover and a host's missing extensions are real.
// Limit: systems whose loopback interface has only 127.0.0.1 need the others added (macOS: ifconfig lo0 alias).

import type { DnsData, DnsRecords } from './dns.ts';

export interface SinkHost {
  readonly name: string;
  readonly address: string;
  /** No 8BITMIME, SMTPUTF8, DSN, PIPELINING or enhanced status codes. */
  readonly plain: boolean;
  /** Greets every other connection, from the first on, with 421. */
  readonly busy: boolean;
}

const host = (name: string, address: string, traits: { plain?: true; busy?: true } = {}): SinkHost => ({
  name,
  address,
  plain: traits.plain ?? false,
  busy: traits.busy ?? false,
});

export const SINK_HOSTS: readonly SinkHost[] = [
  host('mx1.sink.test', '127.0.0.11'),
  host('mx2.sink.test', '127.0.0.12'),
  host('plain.sink.test', '127.0.0.13', { plain: true }),
  host('busy.sink.test', '127.0.0.14', { busy: true }),
  // Of its own: mail of one site shares sessions, and here they break off.
  host('drop.sink.test', '127.0.0.15'),
];

/** Nothing listens there. */
const DEAD_HOST = { name: 'dead.sink.test', address: '127.0.0.19' };

const mx = (...names: readonly string[]): DnsData[] =>
  names.map((name, index) => ({ type: 'MX', preference: (index + 1) * 10, exchange: `${name}.sink.test` }));

const BOTH_HOSTS = [
  'ok',
  'mixed',
  'utf8',
  'greylist',
  'defer-twice',
  'defer-data',
  'reject',
  'reject-data',
  'tarpit',
  // Whoever sends the demo's mail: reports go there.
  'sender',
  // bücher.test
  'xn--bcher-kva',
];

/** Names that examples are written with lead here too, so that nothing of a first try leaves the machine. */
const EXAMPLE_DOMAINS = ['example.com', 'example.net', 'example.org', 'gmail.com'];

export const SINK_ZONE: DnsRecords = {
  zones: ['test', ...EXAMPLE_DOMAINS],
  records: {
    ...Object.fromEntries(EXAMPLE_DOMAINS.map((name) => [name, mx('mx1', 'mx2')])),
    ...Object.fromEntries(BOTH_HOSTS.map((label) => [`${label}.test`, mx('mx1', 'mx2')])),
    'plain.test': mx('plain'),
    'busy.test': mx('busy'),
    'drop.test': mx('drop'),
    'drop-final.test': mx('drop'),
    'failover.test': mx('dead', 'mx2'),
    'implicit-mx.test': [{ type: 'A', data: '127.0.0.11' }],
    'null-mx.test': [{ type: 'MX', preference: 0, exchange: '.' }],
    'no-address.test': [{ type: 'MX', preference: 10, exchange: 'missing.sink.test' }],
    ...Object.fromEntries(
      [...SINK_HOSTS, DEAD_HOST].map(({ name, address }) => [name, [{ type: 'A' as const, data: address }]]),
    ),
  },
  failing: ['dns-fails.test'],
};
