import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryPolicies } from '../../shared/routing/memory-policies.ts';
import { createDeliveredMemory } from '../../sidecar/attempt/delivered-memory.ts';

test('who was delivered is remembered for ten hours, a hundred thousand at most, the oldest forgotten first', () => {
  let nowMs = 0;
  const memory = createDeliveredMemory(() => nowMs);
  memory.remember('first');
  memory.remember('second');
  memory.forget('second');
  assert.deepEqual([memory.has('first'), memory.has('second'), memory.has('third')], [true, false, false]);
  nowMs = 10 * 3_600_000 - 1;
  assert.equal(memory.has('first'), true);
  nowMs += 1;
  assert.equal(memory.has('first'), false);
  memory.remember('first');
  for (let at = 0; at < 99_999; at += 1) memory.remember(`other ${at}`);
  assert.equal(memory.has('first'), true);
  memory.remember('one too many');
  assert.equal(memory.has('first'), false);
  assert.equal(memory.has('other 0'), true);
});

test('a policy in memory is fetched by one at a time, survives a failed fetch, and makes room for others', async () => {
  const policies = createMemoryPolicies(2);
  assert.equal(await policies.read('a.example'), undefined);
  assert.equal(await policies.claim('a.example', '1', 0, 10), true);
  assert.equal(await policies.claim('a.example', '1', 9, 20), false, 'another has it');
  assert.equal(await policies.claim('a.example', '2', 9, 20), true, 'a new id is fetched at once');
  assert.equal(await policies.claim('a.example', '2', 20, 30), true, 'who died while fetching gives way');
  const policy = { id: '2', text: 'version: STSv1', fetchedAtMs: 20, expiresAtMs: 1_000 };
  await policies.keep('a.example', policy, 40);
  const failed = { failure: 'sts-policy-fetch-error', because: 'status 404' } as const;
  await policies.fail('a.example', '3', failed, 50);
  assert.deepEqual(await policies.read('a.example'), { policy, fetch: { id: '3', againAtMs: 50, failed } });
  await policies.claim('b.example', '1', 0, 10);
  await policies.claim('c.example', '1', 0, 10);
  assert.equal(await policies.read('a.example'), undefined, 'the one kept longest is forgotten');
});
