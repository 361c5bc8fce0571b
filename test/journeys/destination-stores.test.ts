// What invocations share about destinations in the ledger's table: MTA-STS policies and what peers did, over the
// emulator, and over a ledger that does not answer.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { GetItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { type EmulatorClients, emulatorClients } from '../../local/clients.ts';
import { type Emulators, startEmulators } from '../../local/emulators.ts';
import { createDestinationStores, type DestinationStores } from '../../shared/aws/stores.ts';
import { StoreError } from '../../shared/queue/ports.ts';
import type { DnsAnswer } from '../../shared/routing/dns.ts';
import { createStsPolicies, type StsPolicies } from '../../shared/routing/sts-cache.ts';
import { createPeerMemory } from '../../shared/smtp/peer-memory.ts';

let emulators: Emulators;
let clients: EmulatorClients;
before(async () => {
  emulators = await startEmulators();
  clients = emulatorClients(emulators);
});
after(async () => {
  clients.destroy();
  await emulators.close();
});

const NOW_MS = 1_795_341_600_000;
const KEPT = {
  id: '20261123',
  text: 'version: STSv1\nmode: enforce\nmx: mx.example.net\nmax_age: 604800',
  fetchedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 604_800_000,
};
const FAILED = {
  failure: 'sts-webpki-invalid',
  because: 'CERT_HAS_EXPIRED: certificate has expired',
} as const;

test('a policy is kept as it was fetched, and its item outlives it by a day', async () => {
  const { policies } = stores();
  assert.equal(await policies.read('kept.example'), undefined);
  await policies.keep('kept.example', KEPT, NOW_MS + 60_000);
  assert.deepEqual(await policies.read('kept.example'), {
    policy: KEPT,
    fetch: { id: '20261123', againAtMs: NOW_MS + 60_000 },
  });
  const key = { pk: { S: 'sts#kept.example' }, sk: { S: 'sts' } };
  const { Item } = await clients.dynamodb.send(new GetItemCommand({ TableName: emulators.table, Key: key }));
  assert.deepEqual(Item?.['ttl'], { N: String(1_795_341_600 + 604_800 + 86_400) });
});

test('one process has the right to fetch, until it is over or the id is another', async () => {
  const { policies } = stores();
  const claim = (id: string, nowMs: number) => policies.claim('claimed.example', id, nowMs, nowMs + 15_000);
  const claims = await Promise.all([1, 2, 3, 4].map(() => claim('1', NOW_MS)));
  assert.deepEqual(claims.sort(), [false, false, false, true]);
  assert.equal(await claim('1', NOW_MS + 14_999), false);
  assert.equal(await claim('2', NOW_MS + 14_999), true);
  assert.equal(await claim('2', NOW_MS + 29_998), false);
  assert.equal(await claim('2', NOW_MS + 29_999), true);
});

test('a failed fetch is told to all, bars the next, and leaves the policy', async () => {
  const { policies } = stores();
  await policies.keep('failed.example', KEPT, NOW_MS);
  assert.equal(await policies.claim('failed.example', '2', NOW_MS, NOW_MS + 15_000), true);
  await policies.fail('failed.example', '2', FAILED, NOW_MS + 300_000);
  assert.deepEqual(await policies.read('failed.example'), {
    policy: KEPT,
    fetch: { id: '2', againAtMs: NOW_MS + 300_000, failed: FAILED },
  });
  assert.equal(await policies.claim('failed.example', '2', NOW_MS + 299_999, NOW_MS), false);
  assert.equal(await policies.claim('failed.example', '2', NOW_MS + 300_000, NOW_MS + 315_000), true);
  assert.deepEqual((await policies.read('failed.example'))?.fetch, { id: '2', againAtMs: NOW_MS + 315_000 });
  await policies.fail('failed.example', '2', FAILED, NOW_MS + 600_000);
  await policies.keep('failed.example', { ...KEPT, id: '2' }, NOW_MS + 700_000);
  assert.deepEqual(await policies.read('failed.example'), {
    policy: { ...KEPT, id: '2' },
    fetch: { id: '2', againAtMs: NOW_MS + 700_000 },
  });
});

test('a failure without a policy is an item of its own, with the words that fit', async () => {
  const { policies } = stores();
  await policies.fail('none.example', '1', { ...FAILED, because: 'x'.repeat(1_000) }, NOW_MS + 300_000);
  assert.deepEqual(await policies.read('none.example'), {
    fetch: { id: '1', againAtMs: NOW_MS + 300_000, failed: { ...FAILED, because: 'x'.repeat(200) } },
  });
});

test('two processes share a policy: the second fetches nothing, also when the record is gone', async () => {
  const clock = { nowMs: NOW_MS };
  const fetches: string[] = [];
  const zone: { txt: DnsAnswer<readonly string[]> } = {
    txt: { kind: 'records', records: [['v=STSv1; id=1']] },
  };
  const process = () => policiesOf(stores(clock), clock, zone, fetches);
  const [first, second] = [process(), process()];
  const modes = await Promise.all([first, second].map((policies) => modeOf(policies, 'shared.example')));
  assert.deepEqual([modes, fetches], [['enforce', 'enforce'], ['shared.example']]);
  zone.txt = { kind: 'failed', code: 'ESERVFAIL' };
  clock.nowMs += 604_800_000 - 1;
  assert.equal(await modeOf(process(), 'shared.example'), 'enforce');
  clock.nowMs += 1;
  assert.equal(await modeOf(process(), 'shared.example'), undefined);
  assert.deepEqual(fetches, ['shared.example']);
});

test('what a peer did is known to other processes for an hour, for its port, in one item', async () => {
  const clock = { nowMs: NOW_MS };
  const here = stores(clock).peers;
  const there = stores(clock).peers;
  await here.note('MX.example.net', 25, 'tls-fails');
  clock.nowMs += 1_800_000;
  await here.note('mx.example.net', 25, 'no-overlap');
  assert.deepEqual([...(await there.recall('mx.example.net', 25))].sort(), ['no-overlap', 'tls-fails']);
  assert.deepEqual([...(await there.recall('mx.example.net', 587))], []);
  clock.nowMs += 1_800_000;
  assert.deepEqual([...(await there.recall('mx.example.net', 25))], ['no-overlap']);
  clock.nowMs += 1_800_000;
  assert.deepEqual([...(await there.recall('mx.example.net', 25))], []);
  const { Items } = await clients.dynamodb.send(
    new ScanCommand({
      TableName: emulators.table,
      FilterExpression: 'begins_with(pk, :peer)',
      ExpressionAttributeValues: { ':peer': { S: 'h#' } },
    }),
  );
  assert.deepEqual(Items, [
    {
      pk: { S: 'h#mx.example.net:25' },
      sk: { S: 'h' },
      'tls-fails': { N: String(NOW_MS + 3_600_000) },
      'no-overlap': { N: String(NOW_MS + 5_400_000) },
      ttl: { N: String(1_795_341_600 + 5_400) },
    },
  ]);
});

test('a process that keeps its own memory before the ledger finds what others noted', async () => {
  const clock = { nowMs: NOW_MS };
  const process = () => createPeerMemory({ nowMs: () => clock.nowMs, behind: stores(clock).peers });
  await process().note('mx.example.org', 25, 'no-pipelining');
  assert.deepEqual([...(await process().recall('mx.example.org', 25))], ['no-pipelining']);
});

test('a ledger that cannot be reached is a StoreError to policies, and to peers as if nothing were known', async () => {
  const closed = await closedPort();
  const broken = emulatorClients({ ...emulators, dynamodbEndpoint: `http://127.0.0.1:${closed}` });
  const told: unknown[] = [];
  const { policies, peers } = stores({ nowMs: NOW_MS }, broken, (error) => told.push(error));
  const refused = (error: unknown) => error instanceof StoreError && error.code === 'not-applied';
  await assert.rejects(policies.read('example.net'), refused);
  await assert.rejects(policies.claim('example.net', '1', NOW_MS, NOW_MS), refused);
  await assert.rejects(policies.keep('example.net', KEPT, NOW_MS), refused);
  await assert.rejects(policies.fail('example.net', '1', FAILED, NOW_MS), refused);
  await peers.note('mx.example.net', 25, 'tls-fails');
  assert.deepEqual([...(await peers.recall('mx.example.net', 25))], []);
  assert.deepEqual(told.map(refused), [true, true]);
  broken.destroy();
});

function stores(
  clock: { readonly nowMs: number } = { nowMs: NOW_MS },
  through: EmulatorClients = clients,
  onFailure: (error: unknown) => void = (error) => assert.fail(String(error)),
): DestinationStores {
  const options = { clock: { nowMs: () => clock.nowMs, pause }, onFailure };
  return createDestinationStores(through, emulators, options);
}

function policiesOf(
  { policies }: DestinationStores,
  clock: { readonly nowMs: number },
  zone: { readonly txt: DnsAnswer<readonly string[]> },
  fetches: string[],
): StsPolicies {
  return createStsPolicies({
    txt: async () => zone.txt,
    fetch: async (domain) => {
      fetches.push(domain);
      return { kind: 'text', text: KEPT.text };
    },
    store: policies,
    clock: { nowMs: () => clock.nowMs, pause },
    onStoreFailure: (error) => assert.fail(String(error)),
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.min(ms, 250)));
}

async function modeOf(policies: StsPolicies, domain: string): Promise<string | undefined> {
  return (await policies.policyFor(domain)).policy?.mode;
}

/** A port at which nobody listens any more. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  server.close();
  await once(server, 'close');
  return address.port;
}
