// What is remembered of peers in a process, alone and before a memory that all processes share.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerMemory, PeerTrait } from '../../shared/smtp/client.ts';
import { createPeerMemory } from '../../shared/smtp/peer-memory.ts';

const MINUTE_MS = 60_000;

test('what a peer did counts for an hour, for its port alone, whatever the case of its name', async () => {
  const clock = { nowMs: 0 };
  const memory = createPeerMemory({ nowMs: () => clock.nowMs });
  await memory.note('MX.example.net', 25, 'tls-fails');
  await memory.note('mx.example.net', 25, 'no-overlap');
  assert.deepEqual(await traits(memory, 'mx.example.net', 25), ['no-overlap', 'tls-fails']);
  assert.deepEqual(await traits(memory, 'mx.example.net', 587), []);
  clock.nowMs = 59 * MINUTE_MS;
  await memory.note('mx.example.net', 25, 'no-overlap');
  clock.nowMs = 60 * MINUTE_MS;
  assert.deepEqual(await traits(memory, 'mx.example.net', 25), ['no-overlap']);
});

test('past the largest number of peers the one noted longest ago is forgotten', async () => {
  const memory = createPeerMemory({ nowMs: () => 0, maxPeers: 2 });
  await memory.note('a.example', 25, 'tls-fails');
  await memory.note('b.example', 25, 'tls-fails');
  await memory.note('a.example', 25, 'no-overlap');
  await memory.note('c.example', 25, 'tls-fails');
  assert.deepEqual(await traits(memory, 'a.example', 25), ['no-overlap', 'tls-fails']);
  assert.deepEqual(await traits(memory, 'b.example', 25), []);
  assert.deepEqual(await traits(memory, 'c.example', 25), ['tls-fails']);
});

test('the shared memory is asked once in five minutes for each peer, also when it knows nothing', async () => {
  const clock = { nowMs: 1_000 };
  const shared = scripted({ recall: (host) => (host === 'known.example' ? ['no-pipelining'] : []) });
  const memory = createPeerMemory({ nowMs: () => clock.nowMs, behind: shared });
  for (const host of ['known.example', 'unknown.example', 'known.example', 'unknown.example']) {
    assert.deepEqual(await traits(memory, host, 25), host === 'known.example' ? ['no-pipelining'] : []);
  }
  assert.deepEqual(shared.calls, ['recall known.example:25', 'recall unknown.example:25']);
  clock.nowMs += 5 * MINUTE_MS;
  await memory.recall('known.example', 25);
  await memory.recall('known.example', 25);
  assert.deepEqual(shared.calls.slice(2), ['recall known.example:25']);
});

test('sessions that open to a peer at once share one question', async () => {
  const shared = scripted({ recall: () => ['tls-fails'] });
  const memory = createPeerMemory({ nowMs: () => 0, behind: shared });
  const answers = await Promise.all([1, 2, 3].map(() => traits(memory, 'mx.example.net', 25)));
  assert.deepEqual(answers, [['tls-fails'], ['tls-fails'], ['tls-fails']]);
  assert.deepEqual(shared.calls, ['recall mx.example.net:25']);
});

test('what the shared memory said ends with its five minutes, what was noted here with its hour', async () => {
  const clock = { nowMs: 0 };
  const said: PeerTrait[] = ['tls-fails'];
  const memory = createPeerMemory({ nowMs: () => clock.nowMs, behind: scripted({ recall: () => said }) });
  await memory.note('mx.example.net', 25, 'no-overlap');
  assert.deepEqual(await traits(memory, 'mx.example.net', 25), ['no-overlap', 'tls-fails']);
  said.length = 0;
  clock.nowMs = 5 * MINUTE_MS;
  assert.deepEqual(await traits(memory, 'mx.example.net', 25), ['no-overlap']);
});

test('a note goes through to the shared memory, the same again after five minutes at the earliest', async () => {
  const clock = { nowMs: 0 };
  const shared = scripted({});
  const memory = createPeerMemory({ nowMs: () => clock.nowMs, behind: shared });
  await memory.note('mx.example.net', 25, 'tls-fails');
  await memory.note('mx.example.net', 25, 'tls-fails');
  await memory.note('mx.example.net', 25, 'no-overlap');
  clock.nowMs = 5 * MINUTE_MS;
  await memory.note('mx.example.net', 25, 'tls-fails');
  assert.deepEqual(shared.calls, [
    'note mx.example.net:25 tls-fails',
    'note mx.example.net:25 no-overlap',
    'note mx.example.net:25 tls-fails',
  ]);
});

test('a shared memory that rejects counts as one that knows nothing', async () => {
  const broken: PeerMemory = {
    recall: () => Promise.reject(new Error('out of order')),
    note: () => Promise.reject(new Error('out of order')),
  };
  const memory = createPeerMemory({ nowMs: () => 0, behind: broken });
  await memory.note('mx.example.net', 25, 'tls-fails');
  assert.deepEqual(await traits(memory, 'mx.example.net', 25), ['tls-fails']);
  assert.deepEqual(await traits(memory, 'other.example', 25), []);
});

test('a shared memory that is slow holds nobody up, and what it says at last counts for the next', async () => {
  const answer = Promise.withResolvers<ReadonlySet<PeerTrait>>();
  const slow: PeerMemory = { recall: () => answer.promise, note: () => new Promise(() => {}) };
  const memory = createPeerMemory({ nowMs: () => 0, behind: slow, patienceMs: 10 });
  await memory.note('mx.example.net', 25, 'no-overlap');
  assert.deepEqual(await traits(memory, 'mx.example.net', 25), ['no-overlap']);
  answer.resolve(new Set<PeerTrait>(['tls-fails']));
  await answer.promise;
  assert.deepEqual(await traits(memory, 'mx.example.net', 25), ['no-overlap', 'tls-fails']);
});

test('what the shared memory said once does not outlive its five minutes when it falls silent', async () => {
  const clock = { nowMs: 0 };
  const answers: Promise<ReadonlySet<PeerTrait>>[] = [
    Promise.resolve(new Set<PeerTrait>(['tls-fails'])),
    new Promise(() => {}),
  ];
  const shared: PeerMemory = {
    recall: () => answers.shift() ?? Promise.reject(new Error('asked too often')),
    note: () => Promise.resolve(),
  };
  const memory = createPeerMemory({ nowMs: () => clock.nowMs, behind: shared, patienceMs: 10 });
  assert.deepEqual(await traits(memory, 'mx.example.net', 25), ['tls-fails']);
  clock.nowMs = 5 * MINUTE_MS;
  assert.deepEqual(await traits(memory, 'mx.example.net', 25), []);
});

async function traits(memory: PeerMemory, host: string, port: number): Promise<readonly PeerTrait[]> {
  return [...(await memory.recall(host, port))].sort();
}

function scripted(script: { readonly recall?: (host: string) => readonly PeerTrait[] }): PeerMemory & {
  readonly calls: readonly string[];
} {
  const calls: string[] = [];
  return {
    calls,
    recall(host, port) {
      calls.push(`recall ${host}:${port}`);
      return Promise.resolve(new Set(script.recall?.(host) ?? []));
    },
    note(host, port, trait) {
      calls.push(`note ${host}:${port} ${trait}`);
      return Promise.resolve();
    },
  };
}
