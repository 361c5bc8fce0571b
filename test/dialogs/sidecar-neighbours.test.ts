// What becomes of one message must not be at the cost of those beside it and after it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../sidecar/clock.ts';
import type { HandOverResult } from '../../sidecar/push/held-message.ts';
import { receiverFor } from './sidecar-fixture.ts';
import { createLedger } from './sidecar-ledger.ts';
import { contentOf, pusherFor } from './sidecar-push.ts';
import { type Answer, accept, hang, type ScriptedReceiver, status } from './sidecar-receiver.ts';

interface HeldClock extends Clock {
  /** What is due by then wakes, in its order. */
  advance(byMs: number): void;
  /** Resolves when something waits for exactly so long. */
  untilAwaited(delayMs: number): Promise<void>;
}

/** Time that stands still until the test moves it. */
function heldClock(): HeldClock {
  let nowMs = 1_700_000_000_000;
  const timers = new Map<object, { dueMs: number; delayMs: number; wake: () => void }>();
  let told: (() => void)[] = [];
  return {
    nowMs: () => nowMs,
    after(delayMs, wake) {
      const key = {};
      timers.set(key, { dueMs: nowMs + delayMs, delayMs, wake });
      for (const tell of told.splice(0)) tell();
      return () => void timers.delete(key);
    },
    advance(byMs) {
      const endMs = nowMs + byMs;
      for (;;) {
        const [next] = [...timers].toSorted(([, a], [, b]) => a.dueMs - b.dueMs);
        if (next === undefined || next[1].dueMs > endMs) break;
        timers.delete(next[0]);
        nowMs = Math.max(nowMs, next[1].dueMs);
        next[1].wake();
      }
      nowMs = endMs;
    },
    async untilAwaited(delayMs) {
      while (![...timers.values()].some((timer) => timer.delayMs === delayMs)) {
        await new Promise<void>((tell) => {
          told = [...told, tell];
        });
      }
    },
  };
}

test('mail in a hurry that hears nothing in its short time closes no route for patient mail', async (t) => {
  const ledger = createLedger();
  const receiver = await receiverFor(t);
  const clock = heldClock();
  const { push, notices } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], { clock });
  receiver.script('DELETE', [], ledger.honest);
  for (let count = 1; count <= 6; count += 1) {
    receiver.script('POST', [hang], accept);
    const hurried = push(`hurried ${count}\r\n`, { withinMs: 2_001 });
    clock.advance(1);
    await receiver.until('POST', count);
    clock.advance(2_000);
    const { ending, reason, withdrawal } = await hurried;
    assert.deepEqual([ending, reason, withdrawal], ['in-doubt', 'no answer within 2000 ms', 'withdrawn']);
  }
  const patient = push('patient\r\n');
  clock.advance(1);
  assert.equal((await patient).ending, 'accepted');
  assert.deepEqual(notices, []);
});

for (const [withinMs, ending, codes] of [
  [701, 'accepted', []],
  [120_001, 'no-route', ['route-down']],
] as const) {
  test(`a connection that does not stand in the time of a message with ${withinMs} ms: the next is ${ending}`, async (t) => {
    const receiver = await receiverFor(t);
    const clock = heldClock();
    const lookups: (() => void)[] = [];
    const { push, notices } = pusherFor(t, [`xfer://r.example.com?port=${receiver.port}`], {
      clock,
      lookup(_name, options, done) {
        const found = { address: '127.0.0.1', family: 4 };
        const answer = () => (options.all ? done(null, [found]) : done(null, found.address, found.family));
        // The first one hears of no address in time.
        if (lookups.push(answer) > 1) answer();
      },
    });
    const first = push('first\r\n', { withinMs });
    clock.advance(1);
    await clock.untilAwaited(Math.min(withinMs - 1, 10_000));
    clock.advance(Math.min(withinMs - 1, 10_000));
    assert.deepEqual((await first).withdrawal, null);
    const second = push('second\r\n');
    clock.advance(1);
    assert.equal((await second).ending, ending);
    assert.deepEqual(
      notices.map(({ code }) => code),
      codes,
    );
  });
}

test('the withdrawal of a message does not keep those waiting that shared its transfer', async (t) => {
  const ledger = createLedger();
  const receiver = await receiverFor(t);
  const clock = heldClock();
  const { push, outbox } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], { clock });
  const leaving = new AbortController();
  let withdraw = (): void => undefined;
  receiver.script('POST', [
    (request, response) => {
      leaving.abort();
      ledger.storing(status(503))(request, response);
    },
  ]);
  receiver.script('DELETE', [
    (request, response) => {
      withdraw = () => ledger.honest(request, response);
    },
  ]);
  let settled = 0;
  const left = push('left\r\n', { gone: leaving.signal }).finally(() => {
    settled += 1;
  });
  const stayed = push('stayed\r\n');
  clock.advance(1);
  await receiver.until('DELETE', 1);
  receiver.script('POST', [], ledger.honest);
  await clock.untilAwaited(500);
  clock.advance(500);
  assert.equal((await stayed).ending, 'duplicate');
  assert.equal(settled, 0);
  let idle = false;
  const ended = outbox.idle().then(() => {
    idle = true;
  });
  const next = push('next\r\n');
  clock.advance(1);
  await next;
  assert.equal(idle, false);
  withdraw();
  assert.deepEqual([(await left).ending, (await left).withdrawal], ['in-doubt', 'withdrawn']);
  await ended;
  assert.equal(settled, 1);
  assert.deepEqual([...ledger.held().values()].map(String), ['stayed\r\n', 'next\r\n']);
});

test('a message that its receiver dies of does not close a quiet route', async (t) => {
  const ledger = createLedger();
  const receiver = await receiverFor(t);
  const clock = heldClock();
  const { push, notices } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], { clock });
  receiver.script('POST', [], (request, response) => {
    const isPoison = request.frames.some(({ content }) => String(content) === 'poison\r\n');
    (isPoison ? status(500) : ledger.honest)(request, response);
  });
  const poison = push('poison\r\n', { mode: 'rerouted', withinMs: 18_000 });
  clock.advance(1);
  for (const delayMs of [500, 1_000, 2_000, 4_000, 5_000]) {
    await clock.untilAwaited(delayMs);
    clock.advance(delayMs);
  }
  assert.deepEqual([(await poison).ending, (await poison).tries], ['in-doubt', 6]);
  const other = push('other\r\n', { mode: 'rerouted' });
  clock.advance(1);
  assert.equal((await other).ending, 'accepted');
  assert.deepEqual(notices, []);
});

test('a large message that tests a route keeps nobody out while its content goes up', async (t) => {
  const receiver = await receiverFor(t);
  const clock = heldClock();
  const { push, health, target, notices } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], {
    clock,
  });
  health.claim(target, clock.nowMs(), new Set())?.unreachable(clock.nowMs(), 'connect ECONNREFUSED');
  clock.advance(5_000);
  receiver.script('POST', [ticketFor(receiver)]);
  let stored = (): void => undefined;
  receiver.script('PUT', [
    (request, response) => {
      stored = () => status(200)(request, response);
    },
  ]);
  const large = push(Buffer.alloc(5_000_000, 'x'));
  await receiver.until('PUT', 1);
  const small = push('small\r\n');
  clock.advance(1);
  assert.equal((await small).ending, 'accepted');
  stored();
  assert.equal((await large).ending, 'accepted');
  assert.deepEqual(
    notices.map(({ code }) => code),
    ['route-down', 'route-up'],
  );
});

test('a message that cannot be written as a frame ends alone, and leaves its route and its transfer to others', async (t) => {
  const receiver = await receiverFor(t);
  const route = `xfer://127.0.0.1?port=${receiver.port}`;
  const { push, outbox, notices } = pusherFor(t, [route], { outbox: { maxTransfers: 1 } });
  const content = contentOf('odd\r\n');
  const header = {
    id: 'odd',
    envelope: { sender: '', recipients: [], smtputf8: false, requireTls: false, body: '7BIT' as const },
    sizeBytes: content.sizeBytes,
    attempts: 1,
    upload: false,
    receivedAtMs: Number.NaN,
    meta: {},
  };
  const gone = new AbortController().signal;
  const odd = await new Promise<HandOverResult>((settle) => {
    outbox.add({
      mode: 'delayed',
      header,
      content,
      deadlineAtMs: Date.now() + 60_000,
      gone,
      settle: (result) => void settle(result),
    });
  });
  assert.deepEqual(
    [odd.ending, odd.withdrawal, odd.reason],
    ['untaken', null, 'the request cannot be made: Invalid time value'],
  );
  assert.equal((await push('next\r\n')).ending, 'accepted');
  await outbox.idle();
  assert.deepEqual(
    notices.map(({ code }) => code),
    ['cannot-send'],
  );
});

/** Says where to put the content: below /spool of the same receiver. */
function ticketFor(receiver: ScriptedReceiver): Answer {
  return (_, response) => {
    const url = `http://127.0.0.1:${receiver.port}/spool/key`;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ url, method: 'PUT', headers: {}, expiresAt: '2099-01-01T00:00:00Z' }));
  };
}

test('messages whose content fills a request do not share it, since their header lines come on top', async (t) => {
  const receiver = await receiverFor(t);
  const { push } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], { outbox: { windowMs: 200 } });
  // Together their content alone is 4 MiB to the octet.
  const half = (letter: string) => Buffer.alloc(2 * 1024 * 1024, letter);
  const results = await Promise.all([push(half('a')), push(half('b'))]);
  assert.deepEqual(
    results.map(({ ending }) => ending),
    ['accepted', 'accepted'],
  );
  assert.deepEqual(
    receiver.requests.map(({ ids }) => ids.length),
    [1, 1],
  );
});
