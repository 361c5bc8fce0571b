import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliverBatch } from '../../shared/queue/deliver.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import type { Terms } from '../../shared/queue/terms.ts';
import { formatTimer, timerFor } from '../../shared/queue/timer.ts';
import type { Router } from '../../shared/routing/router.ts';
import { MINUTE, NOW } from './queue-fixtures.ts';
import { delivered, stage } from './queue-site-stage.ts';

const SUSPENDED: Terms = {
  tempo: DEFAULT_TEMPO,
  reports: undefined,
  handling: 'wait',
  attemptsExpired: true,
};

/** What is done with the timer of a suspended domain while so many messages are in flight. */
async function suspended(inFlight: number) {
  const site = stage(['m1'], () => delivered);
  const done: string[] = [];
  const router: Router = { route: () => assert.fail('it was routed') };
  const timers = {
    send: async (sent: readonly { readonly delaySeconds: number }[]) => {
      done.push(...sent.map(({ delaySeconds }) => `sent with a delay of ${delaySeconds} s`));
      return sent.map(() => true);
    },
    hide: async (_receipt: string, seconds: number) => void done.push(`hidden for ${seconds} s`),
    delete: async () => void done.push('deleted'),
    depth: async () => ({ visible: 0, inFlight }),
  };
  const records = [...site.items.values()].map((item) => ({
    messageId: item.key.id,
    receipt: 'r',
    body: formatTimer(timerFor(item)),
    receiveCount: 1,
  }));
  const invocation = { deadlineMs: NOW + 15 * MINUTE, signal: new AbortController().signal };
  const fates = await deliverBatch(
    { ...site.deps, timers, termsFor: () => SUSPENDED, router },
    records,
    invocation,
  );
  return { done, fate: fates.get('m1'), delivery: site.state('m1'), opened: site.opened };
}

test('mail of a suspended domain waits hidden in the queue, and nothing is attempted', async () => {
  const { done, fate, delivery, opened } = await suspended(0);
  assert.deepEqual(done, ['hidden for 450 s']);
  assert.deepEqual([fate, delivery?.attempts, delivery?.everLeased, opened], ['waiting', 0, false, []]);
});

test('where the queue is full of hidden timers, mail of a suspended domain leaves it to others', async () => {
  const { done, fate, delivery } = await suspended(110_000);
  assert.deepEqual(done, ['sent with a delay of 450 s', 'deleted']);
  assert.equal(fate, 'finished');
  assert.deepEqual(
    [delivery?.state, delivery?.attempts, delivery?.parked, delivery?.dueAtMs],
    ['open', 0, false, NOW + 450_000],
  );
});
