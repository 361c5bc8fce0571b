import assert from 'node:assert/strict';
import { test } from 'node:test';
import { receiverFor } from './sidecar-fixture.ts';
import { createLedger } from './sidecar-ledger.ts';
import { fastClock, pusherFor, targetOf } from './sidecar-push.ts';
import { type Answer, hang } from './sidecar-receiver.ts';

test('two receivers at one address are two: what one may have does not come to the other', async (t) => {
  const [a, b] = [createLedger(), createLedger()];
  const server = await receiverFor(t);
  const route = `xfer://127.0.0.1?port=${server.port}`;
  const next = targetOf([route], { domain: 'b.xfer', host: 'b.test', handoffDeadlineMs: 8_000 });
  const { push, health, target } = pusherFor(t, [route], {
    clock: fastClock(20),
    target: { domain: 'a.xfer', host: 'a.test', handoffDeadlineMs: 8_000, responseTimeoutMs: 4_000, next },
  });
  const byHost =
    (forA: Answer, forB: Answer): Answer =>
    (request, response) =>
      (request.headers['host'] === 'b.test' ? forB : forA)(request, response);
  server.script('POST', [], byHost(a.honest, b.storing(hang)));
  // The first one takes no mail: the second one gets it, and does not say so.
  for (const [index, id] of ['m1', 'm2', 'm3', 'm4', 'm5'].entries()) {
    const startedAtMs = index * 1_000;
    const passage = health.claim(target, startedAtMs, new Set());
    passage?.failed(Date.now() * 2, { startedAtMs, ids: [id], reason: 'HTTP 503' });
  }
  assert.equal(health.firstUp(target, Date.now()), next.routes[0]);
  assert.equal((await push('m\r\n', { mode: 'rerouted' })).ending, 'in-doubt');
  // Both are well again.
  server.script('POST', [], byHost(a.honest, b.honest));
  health.claim(target, Date.now() * 3, new Set())?.answered();
  assert.equal((await push('m\r\n', { mode: 'rerouted' })).ending, 'duplicate');
  assert.deepEqual([a.held().size, b.held().size], [0, 1]);
});
