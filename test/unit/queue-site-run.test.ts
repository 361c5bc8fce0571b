import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { SMTP_TIMEOUTS } from '../../functions/deliver/egress.ts';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import { deliverBatch } from '../../shared/queue/deliver.ts';
import type { DeliveryItem } from '../../shared/queue/delivery.ts';
import type { LeaseRequest } from '../../shared/queue/ports.ts';
import { type Egress, runSite } from '../../shared/queue/site-run.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { formatTimer, owingTimerFor, timerFor } from '../../shared/queue/timer.ts';
import { createTlsResults } from '../../shared/records/tls-results.ts';
import type { Hop, Router } from '../../shared/routing/router.ts';
import type { SessionTerms } from '../../shared/routing/session-terms.ts';
import type {
  OpenOutcome,
  RecipientOutcome,
  SmtpClient,
  SmtpSession,
  SmtpTarget,
  TransactionResult,
} from '../../shared/smtp/client.ts';
import { NO_EXTENSIONS } from '../../shared/smtp/ehlo.ts';
import { ownReply } from '../../shared/smtp/reply.ts';
import { deliveryItem, NOW } from './queue-fixtures.ts';

const HOPS: readonly Hop[] = [
  { host: 'silent.example.net', address: '192.0.2.1', port: 25, source: 'mx' as const },
  { host: 'good.example.net', address: '192.0.2.2', port: 25, source: 'mx' as const },
];
const delivered: RecipientOutcome = { kind: 'delivered', stage: 'final', reply: { code: 250, text: 'ok' } };
const enough: RecipientOutcome = {
  kind: 'transient',
  stage: 'mail',
  reply: ownReply(421, '4.7.0', 'enough of this session'),
};

function terms(deliveriesPerSession: number, ehloName = 'out.example.com'): SessionTerms {
  return { opening: { ehloName, timeouts: SMTP_TIMEOUTS }, deliveriesPerSession };
}

/** A site with a clock of its own: opening at a silent host takes a minute. */
function stage(
  itemIds: readonly string[],
  answers: (n: number) => RecipientOutcome,
  startMs = NOW,
  behaviour: Partial<SmtpSession> = {},
) {
  let nowMs = startMs;
  const items = new Map<string, DeliveryItem>(
    itemIds.map((id) => [id, deliveryItem({}, { key: { credential: 'acme', id, chunk: 0 }, rev: 1 })]),
  );
  const opened: string[] = [];
  const fates: string[] = [];
  let transactions = 0;
  const sessionTo = (target: SmtpTarget): SmtpSession => ({
    target,
    tls: undefined,
    extensions: NO_EXTENSIONS,
    async ready() {},
    usable: true,
    async transact(envelope) {
      transactions += 1;
      const outcomes = envelope.recipients.map(() => answers(transactions));
      const isOver = transactions > 1 && outcomes.every(({ reply }) => reply.code === 421);
      return isOver ? { kind: 'unattempted', because: 'enough' } : { kind: 'settled', outcomes };
    },
    async quit() {},
    destroy() {},
    ...behaviour,
  });
  const deps = {
    clock: { nowMs: () => nowMs, pause: async () => {} },
    random: { fraction: () => 0.5, name: () => `name-${nowMs}-${transactions}` },
    tempo: DEFAULT_TEMPO,
    limits: QUEUE_LIMITS,
    log: { record: () => {}, notice: (notice: object) => assert.fail(JSON.stringify(notice)) },
    ledger: {
      readMessage: async () => [],
      readItem: async ({ id }: { id: string }) => items.get(id),
      write: async (item: object) => {
        const delivery = item as DeliveryItem;
        items.set(delivery.key.id, delivery);
        return true;
      },
      lease: async ({ key, lease }: LeaseRequest) => {
        const item = items.get(key.id);
        if (item === undefined) return undefined;
        const leased = { ...item, delivery: { ...item.delivery, lease, everLeased: true } };
        items.set(key.id, leased);
        return leased;
      },
      remove: async () => true,
    },
    users: { add: async () => true, remove: async () => true, forget: async () => {} },
    spool: {
      put: async () => {},
      open: async () => Readable.from([Buffer.from('content')]),
      remove: async () => {},
      presignPut: async () => ({ url: '', headers: {} }),
    },
    timers: {
      send: async (timers: readonly object[]) => timers.map(() => true),
      hide: async () => {},
      delete: async () => {},
      depth: async () => ({ visible: 0, inFlight: 0 }),
    },
    smtp: {
      async open(target: SmtpTarget): Promise<OpenOutcome> {
        opened.push(target.host);
        if (target.host.startsWith('good')) return { kind: 'opened', session: sessionTo(target) };
        nowMs += 60_000;
        return { kind: 'failed', stage: 'greeting', reply: ownReply(421, '4.4.2', 'silence') };
      },
    },
    sessionTermsFor: () => terms(2),
    sessionsFor: () => 1,
    tlsResults: createTlsResults(),
    leaseMarginMs: 60_000,
    resendReceiveCount: 500,
  };
  const run = async (
    hops = HOPS,
    deliveriesPerSession = 2,
    more: Partial<typeof deps> & { readonly sessions?: number } = {},
  ) => {
    const tasks = [...items.values()].map((item) => ({
      timer: timerFor(item),
      receipt: 'r',
      receiveCount: 1,
    }));
    const signal = new AbortController().signal;
    const at = { startedAtMs: nowMs, deadlineMs: nowMs + 900_000, inFlight: 0, signal };
    await runSite(
      { ...deps, ...more },
      at,
      {
        name: 'site',
        hops,
        tls: { mode: 'no', verify: false },
        mxAuthenticated: false,
        terms: terms(deliveriesPerSession),
        sessions: more.sessions ?? 1,
        tasks,
        findings: new Map(),
      },
      (task) => void fates.push(task.timer.key.id),
    );
  };
  const advance = (ms: number) => {
    nowMs += ms;
  };
  return {
    run,
    deps,
    items,
    opened,
    fates,
    advance,
    sessionTo,
    state: (id: string) => items.get(id)?.delivery,
  };
}

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

test('mail whose worker gets no session while the other one is leaving gets a fate all the same', async () => {
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
    [1, 0, 1],
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

/** What `opened` is after a batch with one message for each of two domains, routed so. */
async function openedFor(
  route: (domain: string) => readonly Hop[],
  site = 'mx.example.net',
  more: Partial<Pick<Egress, 'sessionTermsFor'>> = {},
) {
  const place = stage(['m1', 'm2'], () => delivered);
  for (const [id, domain] of [
    ['m1', 'a.example'],
    ['m2', 'b.example'],
  ] as const) {
    const item = deliveryItem({}, { key: { credential: 'acme', id, chunk: 0 }, rev: 1 });
    const facts = { ...item.delivery.facts, domain };
    place.items.set(id, { ...item, delivery: { ...item.delivery, facts } });
  }
  const tls = { mode: 'no', verify: false } as const;
  const router: Router = { route: async (domain) => ({ kind: 'hops', site, hops: route(domain), tls }) };
  const records = [...place.items.values()].map((item) => ({
    messageId: item.key.id,
    receipt: 'r',
    body: formatTimer(timerFor(item)),
    receiveCount: 1,
  }));
  const invocation = { deadlineMs: NOW + 900_000, signal: new AbortController().signal };
  await deliverBatch({ ...place.deps, ...more, router }, records, invocation);
  assert.deepEqual(
    ['m1', 'm2'].map((id) => place.state(id)?.state),
    ['finished', 'finished'],
  );
  return place.opened.toSorted();
}

test('domains with the same hosts share a session', async () => {
  const hop: Hop = { host: 'good.example.net', address: '192.0.2.2', port: 25, source: 'mx' };
  assert.deepEqual(await openedFor(() => [hop]), ['good.example.net']);
});

test('domains whose routes the operator ordered differently share no session', async () => {
  const hop = (host: string): Hop => ({ host, address: '192.0.2.1', port: 25, source: 'routes' });
  const [eu, us] = [hop('good-eu'), hop('good-us')];
  const route = (domain: string) => (domain === 'a.example' ? [eu, us] : [us, eu]);
  assert.deepEqual(await openedFor(route, 'smtp://good-(eu|us)'), ['good-eu', 'good-us']);
});
