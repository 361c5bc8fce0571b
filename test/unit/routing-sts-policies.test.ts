// Which MTA-STS policy is in force, as time passes and DNS, policy hosts and stores come and go (RFC 8461 §3.3,
// §5.1). The store is one in memory that several processes may share; the clock stands until it is moved.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DnsAnswer } from '../../shared/routing/dns.ts';
import type { StsDecision, StsPolicies } from '../../shared/routing/sts-cache.ts';
import { startWorld } from './sts-world.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

test('a domain without a record has no policy, and is asked about again after five minutes', async () => {
  const world = startWorld();
  const process = world.process();
  assert.equal(await mode(process, 'example.net'), 'absent');
  world.move(5 * MINUTE_MS - 1);
  assert.equal(await mode(process, 'example.net'), 'absent');
  assert.deepEqual(world.calls, ['txt _mta-sts.example.net', 'read example.net']);
  world.move(1);
  assert.equal(await mode(process, 'example.net'), 'absent');
  // That the store has nothing is believed for an hour.
  assert.deepEqual(world.calls.slice(2), ['txt _mta-sts.example.net']);
});

test('a domain with a record gets its policy, which other processes then take from the store', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 7 * 86_400);
  const decision = await world.process().policyFor('example.net');
  assert.deepEqual(decision, {
    policy: {
      id: '1',
      mode: 'enforce',
      mx: ['mx.example.net'],
      maxAgeSeconds: 604_800,
      lines: ['version: STSv1', 'mode: enforce', 'mx: mx.example.net', 'max_age: 604800'],
    },
  });
  assert.deepEqual(await world.process().policyFor('example.net'), decision);
  assert.deepEqual(world.calls, [
    'txt _mta-sts.example.net',
    'read example.net',
    'claim example.net 1',
    'fetch example.net',
    'keep example.net 1',
    'txt _mta-sts.example.net',
    'read example.net',
  ]);
});

test('mail of one moment for one domain shares one lookup', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 86_400);
  const process = world.process();
  const modes = await Promise.all([1, 2, 3].map(() => mode(process, 'example.net')));
  assert.deepEqual(modes, ['enforce', 'enforce', 'enforce']);
  assert.equal(world.count('fetch'), 1);
  assert.equal(world.count('txt'), 1);
});

test('a domain is looked up as A-labels, in lower case, and for itself alone; an address has no policy', async () => {
  const world = startWorld();
  const process = world.process();
  await process.policyFor('B\u00fccher.Example');
  await process.policyFor('mail.b\u00fccher.example.');
  await process.policyFor('[192.0.2.1]');
  await process.policyFor('[IPv6:2001:db8::1]');
  assert.deepEqual(
    world.calls.filter((call) => call.startsWith('txt')),
    ['txt _mta-sts.xn--bcher-kva.example', 'txt _mta-sts.mail.xn--bcher-kva.example'],
  );
});

const UNUSABLE: readonly (readonly [string, DnsAnswer<readonly string[]>])[] = [
  ['SERVFAIL', { kind: 'failed', code: 'ESERVFAIL' }],
  ['a timeout', { kind: 'failed', code: 'ETIMEOUT' }],
  ['no such name', { kind: 'nxdomain' }],
  ['no TXT', { kind: 'nodata' }],
  ['a record that cannot be read', { kind: 'records', records: [['v=STSv1; id=not-one']] }],
  ['two records', { kind: 'records', records: [['v=STSv1; id=1'], ['v=STSv1; id=2']] }],
];

for (const [title, answer] of UNUSABLE) {
  test(`a good policy holds under ${title} until its max_age is over, also in a new process`, async () => {
    const world = startWorld();
    world.publish('1', 'enforce', 86_400);
    const old = world.process();
    assert.equal(await mode(old, 'example.net'), 'enforce');
    world.txt = answer;
    world.move(DAY_MS - 1);
    assert.equal(await mode(old, 'example.net'), 'enforce');
    assert.equal(await mode(world.process(), 'example.net'), 'enforce');
    world.move(1);
    assert.equal(await mode(old, 'example.net'), 'absent');
    assert.equal(await mode(world.process(), 'example.net'), 'absent');
    assert.equal(world.count('fetch'), 1);
  });
}

test('without a policy, an answer that DNS did not give is asked for again after a minute', async () => {
  const world = startWorld();
  world.txt = { kind: 'failed', code: 'ESERVFAIL' };
  const process = world.process();
  assert.equal(await mode(process, 'example.net'), 'absent');
  world.publish('1', 'enforce', 86_400);
  world.move(MINUTE_MS - 1);
  assert.equal(await mode(process, 'example.net'), 'absent');
  world.move(1);
  assert.equal(await mode(process, 'example.net'), 'enforce');
});

test('a new id brings the new policy at the next look', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 7 * 86_400);
  const process = world.process();
  assert.equal(await mode(process, 'example.net'), 'enforce');
  world.publish('2', 'testing', 7 * 86_400);
  world.move(5 * MINUTE_MS);
  assert.equal(await mode(process, 'example.net'), 'testing');
  assert.equal(world.count('fetch'), 2);
});

test('a new policy that another process fetched is taken from the store', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 7 * 86_400);
  const [first, second] = [world.process(), world.process()];
  assert.deepEqual(
    [await mode(first, 'example.net'), await mode(second, 'example.net')],
    ['enforce', 'enforce'],
  );
  world.publish('2', 'testing', 7 * 86_400);
  world.move(5 * MINUTE_MS);
  assert.equal(await mode(first, 'example.net'), 'testing');
  world.move(2 * MINUTE_MS);
  assert.equal(await mode(second, 'example.net'), 'testing');
  assert.equal(world.count('fetch'), 2);
});

test('a new policy of mode none ends the old one, and is kept as one that says so', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 7 * 86_400);
  const process = world.process();
  await process.policyFor('example.net');
  world.publish('2', 'none', 86_400);
  world.move(5 * MINUTE_MS);
  assert.deepEqual(await process.policyFor('example.net'), {});
  world.move(5 * MINUTE_MS);
  assert.deepEqual(await process.policyFor('example.net'), {});
  assert.equal(world.count('fetch'), 2);
});

const REFRESHES: readonly (readonly [string, number, number])[] = [
  ['two weeks', 14 * 86_400, DAY_MS],
  ['two days', 2 * 86_400, DAY_MS],
  ['a day', 86_400, DAY_MS / 2],
  ['an hour', 3_600, HOUR_MS / 2],
];

for (const [life, maxAgeSeconds, afterMs] of REFRESHES) {
  test(`a policy that lives ${life} is fetched again after ${afterMs / HOUR_MS} h, under the same id`, async () => {
    const world = startWorld();
    world.publish('1', 'enforce', maxAgeSeconds);
    const process = world.process();
    await process.policyFor('example.net');
    world.move(afterMs - 1);
    await process.policyFor('example.net');
    assert.equal(world.count('fetch'), 1);
    world.move(5 * MINUTE_MS);
    assert.equal(await mode(process, 'example.net'), 'enforce');
    assert.equal(world.count('fetch'), 2);
  });
}

test('a policy that lives no second holds for the five minutes between two looks', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 0);
  const process = world.process();
  assert.equal(await mode(process, 'example.net'), 'enforce');
  world.move(5 * MINUTE_MS - 1);
  assert.equal(await mode(process, 'example.net'), 'enforce');
  assert.equal(world.count('fetch'), 1);
  world.move(1);
  assert.equal(await mode(process, 'example.net'), 'enforce');
  assert.equal(world.count('fetch'), 2);
  world.txt = { kind: 'nxdomain' };
  world.move(5 * MINUTE_MS);
  assert.equal(await mode(process, 'example.net'), 'absent');
});

test('a fetch that fails is told once, not repeated for five minutes, and takes no policy away', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 7 * 86_400);
  const process = world.process();
  await process.policyFor('example.net');
  world.publish('2', 'enforce', 7 * 86_400);
  world.fetched = { kind: 'failed', failure: 'sts-webpki-invalid', because: 'CERT_HAS_EXPIRED' };
  world.move(5 * MINUTE_MS);
  const failed = { id: '2', failure: 'sts-webpki-invalid', because: 'CERT_HAS_EXPIRED' };
  const decision = await process.policyFor('example.net');
  assert.deepEqual([decision.policy?.id, decision.policy?.mode, decision.failed], ['1', 'enforce', failed]);
  // Another process learns of the failure from the store.
  assert.deepEqual(await world.process().policyFor('example.net'), decision);
  assert.equal(world.count('fetch'), 2);
  assert.deepEqual(world.failures, ['example.net 2 sts-webpki-invalid']);
  world.move(5 * MINUTE_MS);
  world.publish('2', 'testing', 7 * 86_400);
  assert.deepEqual([await mode(process, 'example.net'), world.count('fetch')], ['testing', 3]);
  assert.equal((await process.policyFor('example.net')).failed, undefined);
});

test('without a policy, one that cannot be had or read leaves the domain as it was, and says so', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 86_400);
  world.fetched = { kind: 'text', text: '<html>no policy here</html>' };
  const process = world.process();
  assert.deepEqual(await process.policyFor('example.net'), {
    failed: { id: '1', failure: 'sts-policy-invalid', because: 'line "<html>no policy here</html>"' },
  });
  world.move(4 * MINUTE_MS);
  await world.process().policyFor('example.net');
  assert.equal(world.count('fetch'), 1);
});

test('a new id is fetched at once although the one before it failed', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 86_400);
  world.fetched = { kind: 'failed', failure: 'sts-policy-fetch-error', because: 'status 404' };
  await world.process().policyFor('example.net');
  world.publish('2', 'enforce', 86_400);
  assert.equal(await mode(world.process(), 'example.net'), 'enforce');
});

test('processes that meet a domain at the same moment fetch its policy once, and the others wait for it', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 86_400);
  const fetching = world.holdFetches();
  const modes = [1, 2, 3, 4].map(() => mode(world.process(), 'example.net'));
  await fetching.begun;
  fetching.release();
  assert.deepEqual(await Promise.all(modes), ['enforce', 'enforce', 'enforce', 'enforce']);
  assert.equal(world.count('fetch'), 1);
});

test('while a policy is fetched anew, other processes go on with the one they have', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 86_400);
  const others = [world.process(), world.process()];
  await Promise.all(others.map((process) => process.policyFor('example.net')));
  world.move(13 * HOUR_MS);
  const fetching = world.holdFetches();
  const refreshing = mode(world.process(), 'example.net');
  await fetching.begun;
  assert.deepEqual(await Promise.all(others.map((process) => mode(process, 'example.net'))), [
    'enforce',
    'enforce',
  ]);
  fetching.release();
  assert.equal(await refreshing, 'enforce');
  assert.equal(world.count('fetch'), 2);
});

test('a process that died while fetching gives way after fifteen seconds', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 86_400);
  await world.store.claim('example.net', '1', world.nowMs(), world.nowMs() + 15_000);
  // Each look of the waiting process moves the clock by what it would have paused.
  const process = world.process({ pausesMoveClock: true });
  // It looks for ten seconds, then sends its mail as if there were no policy; the next look is its own.
  assert.equal(await mode(process, 'example.net'), 'absent');
  world.move(MINUTE_MS);
  assert.equal(await mode(process, 'example.net'), 'enforce');
});

test('name servers that disagree about the id do not make processes fetch in turns', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 86_400);
  assert.equal(await mode(world.process(), 'example.net'), 'enforce');
  world.publish('2', 'enforce', 86_400);
  world.move(59_999);
  assert.equal(await mode(world.process(), 'example.net'), 'enforce');
  assert.equal(world.count('fetch'), 1);
  world.move(1);
  assert.equal(await mode(world.process(), 'example.net'), 'enforce');
  assert.equal(world.count('fetch'), 2);
});

test('without its store a process fetches for itself and keeps what it has', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 86_400);
  world.isStoreDown = true;
  const process = world.process();
  assert.equal(await mode(process, 'example.net'), 'enforce');
  world.txt = { kind: 'nxdomain' };
  world.move(2 * HOUR_MS);
  assert.equal(await mode(process, 'example.net'), 'enforce');
  assert.equal(world.count('fetch'), 1);
  assert.equal(new Set(world.storeFailures).size, 1);
  assert.match(String(world.storeFailures[0]), /StoreError: down/);
});

test('a stored policy that cannot be read is fetched anew', async () => {
  const world = startWorld();
  world.publish('1', 'enforce', 86_400);
  await world.store.keep('example.net', { id: '1', text: 'v2', fetchedAtMs: 0, expiresAtMs: DAY_MS }, 0);
  assert.equal(await mode(world.process(), 'example.net'), 'enforce');
  assert.equal(world.count('fetch'), 1);
});

test('past the largest number of domains the one seen longest ago is asked for anew', async () => {
  const world = startWorld();
  const process = world.process({ maxDomains: 2 });
  for (const domain of ['a.example', 'b.example', 'c.example', 'c.example', 'b.example', 'a.example']) {
    await process.policyFor(domain);
  }
  assert.deepEqual(
    world.calls.filter((call) => call.startsWith('txt')),
    ['a', 'b', 'c', 'a'].map((name) => `txt _mta-sts.${name}.example`),
  );
});

async function mode(policies: StsPolicies, domain: string): Promise<string> {
  const { policy }: StsDecision = await policies.policyFor(domain);
  return policy?.mode ?? 'absent';
}
