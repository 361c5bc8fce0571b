// The sink's name server, asked by Node's own resolver.

import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { type TestContext, test } from 'node:test';
import { type DnsRecords, startDnsServer } from '../../local/dns.ts';
import { SINK_ZONE } from '../../local/sink-zone.ts';

async function resolverFor(t: TestContext, records: DnsRecords): Promise<Resolver> {
  const server = await startDnsServer(records, { host: '127.0.0.1', port: 0 });
  const resolver = new Resolver({ timeout: 1_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${server.port}`]);
  t.after(async () => {
    resolver.cancel();
    await server.close();
  });
  return resolver;
}

test('a domain of the sink leads to its hosts, and each host to its own address', async (t) => {
  const resolver = await resolverFor(t, SINK_ZONE);
  const hosts = await resolver.resolveMx('greylist.test');
  assert.deepEqual(hosts.map(({ priority, exchange }) => `${priority} ${exchange}`).sort(), [
    '10 mx1.sink.test',
    '20 mx2.sink.test',
  ]);
  assert.deepEqual(await resolver.resolve4('mx2.sink.test'), ['127.0.0.12']);
  assert.deepEqual(await resolver.resolve4('IMPLICIT-MX.test'), ['127.0.0.11']);
});

test('a domain that takes no mail says so with the null MX', async (t) => {
  const resolver = await resolverFor(t, SINK_ZONE);
  const hosts = await resolver.resolveMx('null-mx.test');
  assert.deepEqual(
    hosts.map(({ priority, exchange }) => [priority, exchange]),
    [[0, '']],
  );
});

test('no such name, no such record, a failing name and a foreign name are told apart', async (t) => {
  const resolver = await resolverFor(t, SINK_ZONE);
  await assert.rejects(resolver.resolveMx('nowhere.test'), { code: 'ENOTFOUND' });
  await assert.rejects(resolver.resolveMx('implicit-mx.test'), { code: 'ENODATA' });
  await assert.rejects(resolver.resolveMx('sink.test'), { code: 'ENODATA' });
  await assert.rejects(resolver.resolveMx('dns-fails.test'), { code: 'ESERVFAIL' });
  await assert.rejects(resolver.resolveMx('example.edu'), { code: 'EREFUSED' });
});

test('an answer too long for UDP comes by TCP', async (t) => {
  const addresses = Array.from({ length: 200 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
  const resolver = await resolverFor(t, {
    zones: ['test'],
    records: { 'many.test': addresses.map((data) => ({ type: 'A' as const, data })) },
  });
  const found = await resolver.resolve4('many.test');
  assert.equal(found.length, 200);
});
