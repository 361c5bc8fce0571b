// One site with a clock of its own, played by memory: for tests of who gets which session.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { SMTP_TIMEOUTS } from '../../functions/deliver/egress.ts';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import type { DeliveryItem } from '../../shared/queue/delivery.ts';
import type { LeaseRequest } from '../../shared/queue/ports.ts';
import { runSite } from '../../shared/queue/site-run.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { timerFor } from '../../shared/queue/timer.ts';
import { createTlsResults } from '../../shared/records/tls-results.ts';
import type { Hop } from '../../shared/routing/router.ts';
import type { SessionTerms } from '../../shared/routing/session-terms.ts';
import type { OpenOutcome, RecipientOutcome, SmtpSession, SmtpTarget } from '../../shared/smtp/client.ts';
import { NO_EXTENSIONS } from '../../shared/smtp/ehlo.ts';
import { ownReply } from '../../shared/smtp/reply.ts';
import { deliveryItem, NOW } from './queue-fixtures.ts';

export const HOPS: readonly Hop[] = [
  { host: 'silent.example.net', address: '192.0.2.1', port: 25, source: 'mx' as const },
  { host: 'good.example.net', address: '192.0.2.2', port: 25, source: 'mx' as const },
];
export const delivered: RecipientOutcome = {
  kind: 'delivered',
  stage: 'final',
  reply: { code: 250, text: 'ok' },
};
export const enough: RecipientOutcome = {
  kind: 'transient',
  stage: 'mail',
  reply: ownReply(421, '4.7.0', 'enough of this session'),
};

export function terms(deliveriesPerSession: number, ehloName = 'out.example.com'): SessionTerms {
  return {
    opening: { ehloName, timeouts: SMTP_TIMEOUTS },
    deliveriesPerSession,
    recipientsPerSession: Infinity,
    recipientsPerTransaction: 50,
  };
}

/** A site with a clock of its own: opening at a silent host takes a minute. */
export function stage(
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
    more: Partial<typeof deps> & { readonly sessions?: number; readonly terms?: SessionTerms } = {},
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
        terms: more.terms ?? terms(deliveriesPerSession),
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
