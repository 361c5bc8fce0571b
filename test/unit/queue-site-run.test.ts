import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliverBatch } from '../../shared/queue/deliver.ts';
import type { DeliveryItem } from '../../shared/queue/delivery.ts';
import { formatTimer, owingTimerFor } from '../../shared/queue/timer.ts';
import type { Router } from '../../shared/routing/router.ts';
import type { SmtpClient, TransactionResult } from '../../shared/smtp/client.ts';
import { ownReply } from '../../shared/smtp/reply.ts';
import { deliveryItem, NOW } from './queue-fixtures.ts';
import { delivered, enough, HOPS, stage } from './queue-site-stage.ts';

test('a first host that takes the connection and says nothing keeps no mail from the second', async () => {
  const site = stage(['m1'], () => delivered);
  await site.run();
  assert.deepEqual(site.opened, ['silent.example.net', 'good.example.net']);
  assert.equal(site.state('m1')?.state, 'finished');
});

test('the host that answered is asked first for the next session', async () => {
  const site = stage(['m1', 'm2', 'm3', 'm4'], () => delivered);
  // Two deliveries a session; the second session begins after the window for starts, so put the good host's time at 0.
  await site.run([...HOPS].reverse());
  assert.deepEqual(site.opened, ['good.example.net', 'good.example.net']);
});

test('hosts that are all silent defer the mail, however many there are', async () => {
  const site = stage(['m1'], () => delivered);
  await site.run(
    Array.from({ length: 12 }, (_, i) => ({
      host: `silent-${i}`,
      address: `192.0.2.${i}`,
      port: 25,
      source: 'mx' as const,
    })),
  );
  assert.equal(site.opened.length, 2);
  assert.equal(site.state('m1')?.attempts, 1);
  assert.equal(site.state('m1')?.lastReply?.text, 'silence');
});

test('a message past its expiry that the site leaves no time for ends as expired', async () => {
  const expiresAtMs = deliveryItem().delivery.facts.expiresAtMs;
  const site = stage(['m1', 'm2'], () => delivered, expiresAtMs);
  const slow = [HOPS[0], HOPS[0]].flatMap((hop) => hop ?? []);
  await site.run(slow);
  assert.equal(site.state('m1')?.recipients[0]?.ending?.kind, 'expired');
  assert.equal(site.state('m2')?.recipients[0]?.ending?.kind, 'expired');
});

test('421 to the second MAIL of a session is not held against that message', async () => {
  const site = stage(['m1', 'm2'], (n) => (n === 1 ? delivered : enough));
  await site.run([...HOPS].reverse());
  assert.equal(site.state('m1')?.state, 'finished');
  assert.equal(site.state('m2')?.state, 'open');
  assert.equal(site.state('m2')?.attempts, 0);
  assert.equal(site.state('m2')?.lease, undefined);
});

test('421 to the first MAIL of a session is the answer to that message', async () => {
  const site = stage(['m1'], () => enough);
  await site.run([...HOPS].reverse());
  assert.equal(site.state('m1')?.attempts, 1);
  assert.equal(site.state('m1')?.lastReply?.code, 421);
});

test('the next delivery is leased while the one before it awaits its reply, never more than the session is ready for', async () => {
  const story: string[] = [];
  let underWay = 0;
  let changed = Promise.withResolvers<void>();
  const site = stage(['m1', 'm2', 'm3', 'm4'], () => delivered, NOW, {
    async transact(envelope) {
      underWay += 1;
      story.push(`${underWay} under way`);
      // The reply comes when a second delivery is there, or no further one will come.
      while (underWay < 2 && story.length < 4) await changed.promise;
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
      changed.resolve();
      changed = Promise.withResolvers();
      return { kind: 'settled', outcomes: envelope.recipients.map(() => delivered) };
    },
    async ready() {
      changed.resolve();
      changed = Promise.withResolvers();
      while (underWay >= 2) await changed.promise;
    },
  });
  await site.run([...HOPS].reverse(), 4);
  assert.deepEqual(Math.max(...story.map((line) => Number(line[0]))), 2);
  assert.deepEqual(
    ['m1', 'm2', 'm3', 'm4'].map((id) => site.state(id)?.state),
    ['finished', 'finished', 'finished', 'finished'],
  );
});

test('content handed over ahead and asked for too late for a reply to its final dot is not sent', async () => {
  const story: string[] = [];
  let before: Promise<unknown> = Promise.resolve();
  const site = stage(['m1', 'm2'], () => delivered, NOW, {
    // One behind the other, as on a session.
    transact(envelope, content) {
      const transaction = before.then(async (): Promise<TransactionResult> => {
        await new Promise((resolve) => setImmediate(resolve));
        try {
          const source = await content.open();
          story.push('content');
          await source[Symbol.asyncIterator]().return?.();
        } catch {
          return { kind: 'unattempted', because: 'no content' };
        }
        // The reply to the final dot takes five minutes.
        site.advance(300_000);
        return { kind: 'settled', outcomes: envelope.recipients.map(() => delivered) };
      });
      before = transaction;
      return transaction;
    },
  });
  await site.run([...HOPS].reverse(), 10);
  assert.equal(site.state('m1')?.state, 'finished');
  assert.deepEqual([site.state('m2')?.state, site.state('m2')?.attempts], ['open', 0]);
  assert.equal(site.state('m2')?.lease, undefined);
  assert.deepEqual(story, ['content']);
});

test('mail whose worker gets no session goes over that of another', async () => {
  const lastReply = Promise.withResolvers<void>();
  const handedOver = Promise.withResolvers<void>();
  let sent = 0;
  let opens = 0;
  const site = stage(['m1', 'm2', 'm3'], () => delivered, NOW, {
    async transact(envelope) {
      sent += 1;
      if (sent === 2) {
        handedOver.resolve();
        await lastReply.promise;
      }
      return { kind: 'settled', outcomes: envelope.recipients.map(() => delivered) };
    },
  });
  // The host takes one connection of ours, and refuses the second when the first has no more to do.
  const smtp: SmtpClient = {
    async open(target) {
      opens += 1;
      if (opens === 1) return { kind: 'opened', session: site.sessionTo(target) };
      await handedOver.promise;
      for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
      setImmediate(lastReply.resolve);
      return { kind: 'failed', stage: 'greeting', reply: ownReply(421, '4.7.0', 'one connection at a time') };
    },
  };
  await site.run(HOPS.slice(1), 10, { smtp, sessions: 2 });
  assert.deepEqual(site.fates.toSorted(), ['m1', 'm2', 'm3']);
  assert.deepEqual(
    ['m1', 'm2', 'm3'].map((id) => site.state(id)?.attempts),
    [1, 1, 1],
  );
});

test('a timer for reports alone is not routed and opens no session', async () => {
  const site = stage(['m1'], () => delivered);
  const item = deliveryItem({}, { key: { credential: 'acme', id: 'm1', chunk: 0 }, rev: 1 });
  const owing: DeliveryItem = {
    ...item,
    delivery: {
      ...item.delivery,
      state: 'owing',
      owed: [{ n: 1, kind: 'failure', atMs: NOW, recipients: [0] }],
      lastOwed: 1,
    },
  };
  site.items.set('m1', owing);
  const body = formatTimer(owingTimerFor(owing, NOW));
  const router: Router = { route: () => assert.fail('it was routed') };
  const fates = await deliverBatch(
    { ...site.deps, router },
    [{ messageId: 'one', receipt: 'r', body, receiveCount: 1 }],
    { deadlineMs: NOW + 900_000, signal: new AbortController().signal },
  );
  assert.deepEqual([...fates], [['one', 'finished']]);
  assert.deepEqual(site.opened, []);
});

/** A host whose sessions judge so many messages, and then hang up on the next. */
function judging(site: ReturnType<typeof stage>, messages: number): SmtpClient {
  return {
    async open(target) {
      site.opened.push(target.host);
      let said = 0;
      let isOver = false;
      const session = site.sessionTo(target);
      return {
        kind: 'opened',
        session: {
          ...session,
          get usable() {
            return !isOver;
          },
          async transact(envelope, content) {
            said += 1;
            if (said <= messages) return session.transact(envelope, content);
            isOver = true;
            return { kind: 'unattempted', because: '421 enough' };
          },
        },
      };
    },
  };
}

test('what an ended session did not speak of goes over the next one, and not for ever', async () => {
  const site = stage(['m1', 'm2', 'm3'], () => delivered);
  await site.run(HOPS.slice(1), 100, { smtp: judging(site, 1) });
  assert.equal(site.opened.length, 3);
  assert.deepEqual(site.fates.toSorted(), ['m1', 'm2', 'm3']);
  assert.deepEqual(
    ['m1', 'm2', 'm3'].map((id) => [site.state(id)?.state, site.state(id)?.attempts]),
    [
      ['finished', 1],
      ['finished', 1],
      ['finished', 1],
    ],
  );
  const mute = stage(['m1'], () => delivered);
  await mute.run(HOPS.slice(1), 100, { smtp: judging(mute, 0) });
  assert.equal(mute.opened.length, 3);
  assert.deepEqual(mute.fates, ['m1']);
  const { state, attempts, lease, unsettledLeases } = mute.state('m1') ?? {};
  assert.deepEqual([state, attempts, lease, unsettledLeases], ['open', 0, undefined, 0]);
});

test('what was put back when no session can be had any more is put off, with its lease given back', async () => {
  const site = stage(['m1', 'm2'], () => delivered);
  const once = judging(site, 1);
  const smtp: SmtpClient = {
    open: (target) =>
      site.opened.length === 0
        ? once.open(target)
        : Promise.resolve({ kind: 'failed', stage: 'greeting', reply: ownReply(421, '4.7.0', 'not now') }),
  };
  await site.run(HOPS.slice(1), 100, { smtp });
  assert.deepEqual(site.fates.toSorted(), ['m1', 'm2']);
  const { state, attempts, lease } = site.state('m2') ?? {};
  assert.deepEqual([state, attempts, lease], ['open', 0, undefined]);
});
