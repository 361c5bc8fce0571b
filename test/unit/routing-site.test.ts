// Site names: the same for the same hosts, different for different ones.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { siteName } from '../../shared/routing/site.ts';

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
