// Site names: the same for the same hosts, different for different ones.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { siteName, siteOf } from '../../shared/routing/site.ts';

test('a site is named after its hosts', () => {
  for (const [hosts, name] of [
    [['mx.example.net'], 'mx.example.net'],
    [['MX.Example.NET.', 'mx.example.net'], 'mx.example.net'],
    [['mx2.example.net', 'mx1.example.net'], '(mx1|mx2).example.net'],
    [['mx1.a.example.net', 'mx1.b.example.net'], '(mx1.a|mx1.b).example.net'],
    [
      ['gmail-smtp-in.l.google.com', 'alt2.gmail-smtp-in.l.google.com', 'alt1.gmail-smtp-in.l.google.com'],
      '(alt1|alt2)?.gmail-smtp-in.l.google.com',
    ],
    [['mx.example.net', 'mx.example.org'], '(mx.example.net|mx.example.org)'],
    [['example.net', 'mx.example.net'], '(mx)?.example.net'],
    [['192.0.2.1'], '192.0.2.1'],
  ] as const) {
    assert.equal(siteName(hosts), name);
  }
});

test('a long name is cut to 255 octets and stays unlike others', () => {
  const hosts = Array.from({ length: 40 }, (_, i) => `mail-exchanger-${i}.example.net`);
  const names = [siteName(hosts), siteName(hosts.slice(1)), siteName(hosts.slice(0, -1))];
  assert.equal(new Set(names).size, 3);
  for (const name of names) assert.equal(name.length, 255);
  assert.equal(siteName(hosts.toReversed()), siteName(hosts));
});

test('two sets of hosts share a name only when they are the same set', () => {
  const label = fc.constantFrom('a', 'b', 'mx');
  const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
  const hosts = fc.uniqueArray(host, { minLength: 1, maxLength: 3 });
  const setOf = (names: readonly string[]): string => names.toSorted().join(' ');
  fc.assert(
    fc.property(hosts, hosts, (one, other) => {
      assert.equal(siteName(one) === siteName(other), setOf(one) === setOf(other));
    }),
    { numRuns: 5_000 },
  );
});

test('sessions of one site fit all its mail: ports, operator hosts and skipped addresses make sites of their own', () => {
  const mx = (host: string, port = 25) => ({ host, port, source: 'mx' }) as const;
  const relay = (host: string, port = 25) => ({ host, port, source: 'routes' }) as const;
  const site = (hosts: Parameters<typeof siteOf>[0], skipped: readonly string[] = [], usualPort = 25) =>
    siteOf(hosts, { usualPort, skipped });
  assert.equal(site([mx('mx2.example.net'), mx('mx1.example.net')]), '(mx1|mx2).example.net');
  assert.equal(site([mx('mx1.example.net', 26), mx('mx2.example.net', 26)]), '(mx1|mx2).example.net:26');
  assert.equal(site([mx('mx1.example.net', 26)], [], 26), 'mx1.example.net');
  assert.equal(site([mx('192.0.2.1'), mx('192.0.3.1')]), '([192.0.2.1]|[192.0.3.1])');
  assert.equal(site([mx('2001:db8::1', 26)]), '[2001:db8::1]:26');
  assert.equal(site([relay('relay.internal', 587)]), 'smtp://relay.internal:587');
  assert.equal(
    site([mx('mx.example.net'), relay('relay.internal')]),
    'smtp://(mx.example.net|relay.internal)',
  );
  assert.equal(
    site([mx('mx.example.net')], ['192.0.2.2', '192.0.2.1']),
    site([mx('mx.example.net')], ['192.0.2.1', '192.0.2.2', '192.0.2.1']),
  );
  const names = [[], ['192.0.2.1'], ['192.0.2.2']].map((skipped) => site([mx('mx.example.net')], skipped));
  assert.equal(new Set(names).size, 3);
  const long = Array.from({ length: 40 }, (_, n) => relay(`mail-exchanger-${n}.example.net`));
  assert.equal(site(long).length, 255);
});
