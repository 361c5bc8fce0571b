// The whole way of a delivery, as a third client: timers from the queue, a lease each, content from the spool, the
// dialogue, settling, the timer's end. Everything of the functions but the AWS SDK: the stores are in memory and
// take as long to answer as AWS does, so that a next message must be fetched while the one before is on its way.

import { setTimeout as pause } from 'node:timers/promises';
import { SMTP_TIMEOUTS } from '../../functions/deliver/egress.ts';
import { RESEND_RECEIVE_COUNT } from '../../shared/aws/limits.ts';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import { systemClock, systemRandom } from '../../shared/aws/system.ts';
import { deliverBatch } from '../../shared/queue/deliver.ts';
import { patienceUntil } from '../../shared/queue/patience.ts';
import { receiveTransfer } from '../../shared/queue/receive.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { createJsonLog } from '../../shared/records/json-lines.ts';
import { createTlsResults } from '../../shared/records/tls-results.ts';
import type { Router } from '../../shared/routing/router.ts';
import type { XferMessage } from '../../shared/xfer/message.ts';
import { createMemoryStores, type MemoryStores } from '../../test/journeys/port-memory.ts';
import type { StoreLatency } from '../meter.ts';
import { mailOf } from './letters.ts';
import { EHLO_NAME, HOST, smtpClient } from './senders.ts';

/** Room for everything: the function's own deadline is not what is measured. */
const DEADLINE_MS = 3_600_000;
const TRANSFER = 25;

const shared = {
  clock: systemClock,
  random: systemRandom,
  tempo: DEFAULT_TEMPO,
  limits: QUEUE_LIMITS,
  // Written out as in Lambda, and thrown away.
  log: createJsonLog((line) => void Buffer.from(line), Date.now),
};

/** Delivers so many messages over one connection; `begun` is called when they are accepted and wait. */
export async function deliverAll(
  port: number,
  seed: number,
  count: number,
  latency: StoreLatency,
  begun: () => void,
): Promise<void> {
  const stores = createMemoryStores({ clock: systemClock, tempo: DEFAULT_TEMPO });
  await accept(stores, mailOf(seed, count));
  const timers = stores.receive(DEADLINE_MS);
  begun();
  const fates = await deliverBatch(
    {
      ...shared,
      ...slowed(stores, latency),
      smtp: smtpClient(),
      router: routerTo(port),
      tlsResults: createTlsResults(),
      sessionTermsFor: () => ({
        opening: { ehloName: EHLO_NAME, timeouts: SMTP_TIMEOUTS },
        deliveriesPerSession: count,
        recipientsPerSession: Infinity,
        recipientsPerTransaction: 50,
      }),
      sessionsFor: () => 1,
      leaseMarginMs: 0,
      resendReceiveCount: RESEND_RECEIVE_COUNT,
    },
    timers,
    { deadlineMs: Date.now() + DEADLINE_MS, signal: new AbortController().signal },
  );
  const finished = [...fates.values()].filter((fate) => fate === 'finished').length;
  if (finished !== count) throw new Error(`${finished} of ${count} deliveries are finished`);
}

async function accept(stores: MemoryStores, messages: readonly XferMessage[]): Promise<void> {
  const deps = { ...shared, ...stores, bareNewlines: 'refuse', traceHost: 'xfer.example.com' } as const;
  for (let start = 0; start < messages.length; start += TRANSFER) {
    const outcome = await receiveTransfer(deps, {
      credential: 'bench',
      messages: messages.slice(start, start + TRANSFER),
      patience: patienceUntil(Date.now() + DEADLINE_MS, systemClock),
    });
    const taken =
      outcome.kind === 'verdicts' && outcome.verdicts.every(({ status }) => status === 'accepted');
    if (!taken) throw new Error(`a transfer was not accepted: ${JSON.stringify(outcome).slice(0, 500)}`);
  }
}

function slowed(stores: MemoryStores, { dynamodbMs, s3Ms, sqsMs }: StoreLatency) {
  const { ledger, users, spool, timers } = stores;
  return {
    ledger: {
      readMessage: after(dynamodbMs, ledger.readMessage),
      readItem: after(dynamodbMs, ledger.readItem),
      write: after(dynamodbMs, ledger.write),
      lease: after(dynamodbMs, ledger.lease),
    },
    users: {
      add: after(dynamodbMs, users.add),
      remove: after(dynamodbMs, users.remove),
      forget: after(dynamodbMs, users.forget),
    },
    spool: {
      put: after(s3Ms, spool.put),
      open: after(s3Ms, spool.open),
      remove: after(s3Ms, spool.remove),
      presignPut: spool.presignPut,
    },
    timers: {
      send: after(sqsMs, timers.send),
      hide: after(sqsMs, timers.hide),
      delete: after(sqsMs, timers.delete),
      depth: after(sqsMs, timers.depth),
    },
  };
}

function after<A extends readonly unknown[], R>(
  ms: number,
  call: (...args: A) => Promise<R>,
): (...args: A) => Promise<R> {
  if (ms === 0) return call;
  return async (...args) => {
    await pause(ms);
    return call(...args);
  };
}

function routerTo(port: number): Router {
  return {
    route: async () => ({
      kind: 'hops',
      site: HOST,
      hops: [{ host: HOST, address: HOST, port, source: 'mx' as const }],
      tls: { mode: 'no', verify: false },
    }),
  };
}
