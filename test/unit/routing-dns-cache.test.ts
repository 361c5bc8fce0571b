// What DNS said is remembered for as long as it may be.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AddressRecord, DnsAnswer, DnsPort, MxRecord } from '../../shared/routing/dns.ts';
import { createDnsCache } from '../../shared/routing/dns-cache.ts';

/** A DNS that gives these answers in turn, and a clock that the test sets. */
function start(answers: {
  readonly mx?: DnsAnswer<MxRecord>[];
  readonly addresses?: DnsAnswer<AddressRecord>[];
}) {
  const asked: string[] = [];
  const clock = { nowMs: 0 };
  const dns: DnsPort = {
    async mx(name) {
      asked.push(`${name} MX`);
      return answers.mx?.shift() ?? { kind: 'nodata' };
    },
    async addresses(name, family) {
      asked.push(`${name} ${family}`);
      return answers.addresses?.shift() ?? { kind: 'nodata' };
    },
    async alias(name) {
      asked.push(`${name} CNAME`);
      return { kind: 'records', records: ['alias.example.net'] };
    },
  };
  return { cache: createDnsCache({ dns, nowMs: () => clock.nowMs }), asked, clock };
}

const MX: DnsAnswer<MxRecord> = {
  kind: 'records',
  records: [{ preference: 10, exchange: 'mx.example.net' }],
};

function address(ttlSeconds: number): DnsAnswer<AddressRecord> {
  return {
    kind: 'records',
    records: [
      { address: '192.0.2.1', ttlSeconds: 100_000 },
      { address: '192.0.2.2', ttlSeconds },
    ],
  };
}

test('MX records are kept for five minutes', async () => {
  const { cache, asked, clock } = start({ mx: [MX, { kind: 'nxdomain' }] });
  assert.deepEqual(await cache.mx('example.net'), MX);
  clock.nowMs = 299_999;
  assert.deepEqual(await cache.mx('example.net'), MX);
  assert.deepEqual(asked, ['example.net MX']);
  clock.nowMs = 300_000;
  assert.deepEqual(await cache.mx('example.net'), { kind: 'nxdomain' });
});

test('aliases are kept for five minutes as well', async () => {
  const { cache, asked, clock } = start({});
  const alias = { kind: 'records', records: ['alias.example.net'] };
  assert.deepEqual(await cache.alias('example.net'), alias);
  clock.nowMs = 299_999;
  assert.deepEqual(await cache.alias('example.net'), alias);
  assert.deepEqual(asked, ['example.net CNAME']);
  clock.nowMs = 300_000;
  await cache.alias('example.net');
  assert.deepEqual(asked, ['example.net CNAME', 'example.net CNAME']);
});

test('addresses are kept as long as the shortest of their records, at least a minute, at most an hour', async () => {
  for (const [ttlSeconds, keptMs] of [
    [0, 60_000],
    [59, 60_000],
    [300, 300_000],
    [86_400, 3_600_000],
  ] as const) {
    const { cache, asked, clock } = start({ addresses: [address(ttlSeconds), address(ttlSeconds)] });
    await cache.addresses('mx.example.net', 4);
    clock.nowMs = keptMs - 1;
    await cache.addresses('mx.example.net', 4);
    assert.equal(asked.length, 1);
    clock.nowMs = keptMs;
    await cache.addresses('mx.example.net', 4);
    assert.equal(asked.length, 2);
  }
});

test('that a name has no records, or does not exist, is kept for a minute', async () => {
  const { cache, asked, clock } = start({ mx: [{ kind: 'nxdomain' }], addresses: [{ kind: 'nodata' }] });
  for (const atMs of [0, 59_999]) {
    clock.nowMs = atMs;
    assert.deepEqual(await cache.mx('example.net'), { kind: 'nxdomain' });
    assert.deepEqual(await cache.addresses('example.net', 6), { kind: 'nodata' });
  }
  assert.deepEqual(asked, ['example.net MX', 'example.net 6']);
  clock.nowMs = 60_000;
  await cache.mx('example.net');
  assert.equal(asked.length, 3);
});

test('a failure is not kept', async () => {
  const { cache } = start({ mx: [{ kind: 'failed', code: 'ESERVFAIL' }, MX] });
  assert.equal((await cache.mx('example.net')).kind, 'failed');
  assert.deepEqual(await cache.mx('example.net'), MX);
});

test('names and families are kept apart, and lookups at the same time share one question', async () => {
  const { cache, asked } = start({});
  await Promise.all([
    cache.mx('example.net'),
    cache.mx('example.net'),
    cache.mx('example.org'),
    cache.addresses('example.net', 4),
    cache.addresses('example.net', 6),
    cache.addresses('example.net', 4),
  ]);
  assert.deepEqual(asked, ['example.net MX', 'example.org MX', 'example.net 4', 'example.net 6']);
});
