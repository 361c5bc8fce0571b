// An attempt's outcomes into the ledger (I2, I6, I8). Delivered and permanent outcomes are facts: they end a
// recipient that is still open, lease or not. A transient outcome only moves the schedule, and needs the lease.
// Pure: applied again to a newer item after a refused write, it gives the same ending once.

import type { ReportSettings } from '../report/settings.ts';
import type { RecipientOutcome } from '../smtp/client.ts';
import { type HostReply, ownReply } from '../smtp/reply.ts';
import { COMMIT_KEPT_AFTER_EXPIRY_MS } from './accept.ts';
import {
  type Delivery,
  type DeliveryItem,
  type DeliveryRecipient,
  type Ending,
  unleased,
} from './delivery.ts';
import type { Attempt } from './outcomes.ts';
import { type News, withOwed, withoutDelays } from './owed-reports.ts';
import { chooseParking, guardAtMs, type QueueLimits } from './parking.ts';
import { nextDueMs } from './schedule.ts';
import type { Tempo } from './tempo.ts';

export interface SettleContext {
  readonly leaseId: string;
  /** When this is written, which may be later than the attempt: a parked entry must never be born too late. */
  readonly nowMs: number;
  readonly tempo: Tempo;
  readonly limits: QueueLimits;
  /** Approximate messages in flight, for the choice where to wait. */
  readonly inFlight: number;
  readonly random: number;
  /** The next timer's mark, should the delivery be parked. */
  readonly mark: string;
  readonly reports?: ReportSettings;
}

/** What was new in this settle, for the log. */
export interface Settled {
  readonly item: DeliveryItem;
  /** Positions of recipients that ended now. */
  readonly ended: readonly number[];
  /** Positions that stay open and were deferred now; empty when the lease was lost. */
  readonly deferred: readonly number[];
  /** False: the item already says all this, nothing needs to be written. */
  readonly changed: boolean;
}

const FINISHED_KEPT_MS = 7 * 24 * 3_600_000;

export function settle(item: DeliveryItem, attempt: Attempt, context: SettleContext): Settled {
  const { delivery } = item;
  const ours = delivery.lease?.id === context.leaseId;
  const settledAttempts = delivery.attempts + 1;
  const facts = withFacts(delivery.recipients, attempt);
  const open = positionsOpen(facts.recipients);
  const deferred = ours ? open.filter((position) => attempt.outcomes.has(position)) : [];
  const dueAtMs =
    deferred.length === 0
      ? undefined
      : nextDueMs(settledAttempts, delivery.facts.expiresAtMs, attempt.atMs, context.random, context.tempo);
  const expired = deferred.length > 0 && dueAtMs === undefined ? deferred : [];
  const lastReply = lastReplyOf(deferred, attempt) ?? delivery.lastReply;
  const recipients = withExpired(facts.recipients, expired, attempt.atMs, lastReply);
  const ended = [...facts.ended, ...expired];
  if (ended.length === 0 && deferred.length === 0 && !ours) {
    return { item, ended, deferred, changed: false };
  }
  const base: Delivery = {
    ...(ours ? unleased(delivery) : delivery),
    recipients,
    ...withOwed(delivery, newsOf(recipients, ended, deferred, attempt), context.reports),
    ...(ours ? { unsettledLeases: 0 } : {}),
    ...(lastReply === undefined ? {} : { lastReply }),
  };
  const finished = positionsOpen(recipients).length === 0;
  const next = finished
    ? closed({ ...base, attempts: ours ? settledAttempts : delivery.attempts })
    : ours
      ? // Recipients who were not named in an attempt wait for the next session, and for nothing else.
        waiting(
          base,
          dueAtMs ?? delivery.dueAtMs,
          deferred.length === 0 ? delivery.attempts : settledAttempts,
          context,
        )
      : base;
  return {
    item: {
      ...item,
      rev: item.rev + 1,
      delivery: next,
      ...(next.state === 'finished' ? { ttlAtMs: finishedTtlMs(item, attempt.atMs) } : {}),
    },
    ended,
    deferred: deferred.filter((position) => !expired.includes(position)),
    changed: true,
  };
}

/** Everything still open ends as expired, without an attempt: DNS never answered until the expiry. */
export function expireUnattempted(
  item: DeliveryItem,
  atMs: number,
  reply: HostReply,
  reports?: ReportSettings,
): Settled {
  const open = positionsOpen(item.delivery.recipients);
  const recipients = withExpired(item.delivery.recipients, open, atMs, reply);
  const news = { atMs, recipients, ended: open, deferred: new Map(), takesDsn: undefined };
  const owing = withOwed(item.delivery, news, reports);
  const delivery = closed({ ...unleased(item.delivery), recipients, ...owing, lastReply: reply });
  const ttl = delivery.state === 'finished' ? { ttlAtMs: finishedTtlMs(item, atMs) } : {};
  return { item: { ...item, rev: item.rev + 1, delivery, ...ttl }, ended: open, deferred: [], changed: true };
}

/** The delivery ends by the sender's withdrawal. */
export function withdrawn(item: DeliveryItem, atMs: number): DeliveryItem {
  const reply = ownReply(250, '2.0.0', 'withdrawn by the sender before any attempt');
  const recipients = item.delivery.recipients.map(
    (recipient): DeliveryRecipient =>
      recipient.ending === undefined
        ? { ...recipient, ending: { kind: 'withdrawn', atMs, reply } }
        : recipient,
  );
  return {
    ...item,
    rev: item.rev + 1,
    delivery: { ...unleased(item.delivery), recipients, state: 'finished', parked: false },
    ttlAtMs: finishedTtlMs(item, atMs),
  };
}

/** A report was accepted as a message of its own. The last one of a delivery that is closed finishes it. */
export function paid(item: DeliveryItem, n: number, atMs: number): DeliveryItem {
  const owed = item.delivery.owed.filter((report) => report.n !== n);
  const finishes = item.delivery.state === 'owing' && owed.length === 0;
  return {
    ...item,
    rev: item.rev + 1,
    delivery: { ...item.delivery, owed, ...(finishes ? { state: 'finished' } : {}) },
    ...(finishes ? { ttlAtMs: finishedTtlMs(item, atMs) } : {}),
  };
}

/** A lease given back without an attempt: nothing is counted. */
export function released(item: DeliveryItem): DeliveryItem {
  const { delivery } = item;
  const unsettledLeases = Math.max(0, delivery.unsettledLeases - 1);
  return { ...item, rev: item.rev + 1, delivery: { ...unleased(delivery), unsettledLeases } };
}

/** Kept out of circulation with its content, until an operator decides. */
export function hold(item: DeliveryItem, because: string): DeliveryItem {
  return {
    ...item,
    rev: item.rev + 1,
    delivery: { ...unleased(item.delivery), state: 'held', heldBecause: because, parked: false },
  };
}

export function positionsOpen(recipients: readonly DeliveryRecipient[]): readonly number[] {
  return recipients.flatMap((recipient, position) => (recipient.ending === undefined ? [position] : []));
}

/** A repeat is recognised for 7 days after the end; the commit in the same item needs no longer. */
function finishedTtlMs(item: DeliveryItem, atMs: number): number {
  // Other chunks may run on: their commit must stay as long as any of them can.
  const others = item.commit !== undefined && item.commit.chunks > 0;
  return others ? item.delivery.facts.expiresAtMs + COMMIT_KEPT_AFTER_EXPIRY_MS : atMs + FINISHED_KEPT_MS;
}

function withFacts(
  recipients: readonly DeliveryRecipient[],
  attempt: Attempt,
): { readonly recipients: readonly DeliveryRecipient[]; readonly ended: readonly number[] } {
  const ended: number[] = [];
  const after = recipients.map((recipient, position): DeliveryRecipient => {
    const outcome = attempt.outcomes.get(position);
    const kind = outcome === undefined ? undefined : endingKind(outcome);
    if (outcome === undefined || kind === undefined || recipient.ending !== undefined) return recipient;
    ended.push(position);
    return { ...recipient, ending: { kind, atMs: attempt.atMs, reply: said(attempt, outcome.reply) } };
  });
  return { recipients: after, ended };
}

function endingKind(outcome: RecipientOutcome): Ending['kind'] | undefined {
  switch (outcome.kind) {
    case 'delivered':
      return 'delivered';
    case 'permanent':
      return 'bounced';
    case 'transient':
    case 'uncertain':
      return undefined;
  }
}

function withExpired(
  recipients: readonly DeliveryRecipient[],
  positions: readonly number[],
  atMs: number,
  lastReply: HostReply | undefined,
): readonly DeliveryRecipient[] {
  const reply: HostReply =
    lastReply ?? ownReply(450, '4.4.7', 'delivery time expired before any attempt was possible');
  return recipients.map((recipient, position) =>
    positions.includes(position) ? { ...recipient, ending: { kind: 'expired', atMs, reply } } : recipient,
  );
}

function newsOf(
  recipients: readonly DeliveryRecipient[],
  ended: readonly number[],
  deferred: readonly number[],
  attempt: Attempt,
): News {
  return {
    atMs: attempt.atMs,
    recipients,
    ended,
    deferred: new Map(
      deferred.flatMap((position) => {
        const outcome = attempt.outcomes.get(position);
        return outcome === undefined ? [] : [[position, said(attempt, outcome.reply)] as const];
      }),
    ),
    takesDsn: attempt.peer?.takesDsn,
  };
}

function closed(delivery: Delivery): Delivery {
  const owed = withoutDelays(delivery.owed);
  return { ...delivery, owed, state: owed.length > 0 ? 'owing' : 'finished', parked: false };
}

function waiting(delivery: Delivery, dueAtMs: number, attempts: number, context: SettleContext): Delivery {
  const parking = chooseParking(dueAtMs - context.nowMs, context.inFlight, context.limits, context.tempo);
  return {
    ...delivery,
    attempts,
    dueAtMs,
    guardAtMs: guardAtMs(dueAtMs, context.limits, context.tempo),
    parked: parking === 'ledger',
    // The next timer has a name before it is sent: the old one is surplus from here on.
    mark: parking === 'hidden' ? delivery.mark : context.mark,
  };
}

function lastReplyOf(deferred: readonly number[], attempt: Attempt): HostReply | undefined {
  for (const position of deferred) {
    const outcome = attempt.outcomes.get(position);
    if (outcome !== undefined) return said(attempt, outcome.reply);
  }
  return undefined;
}

function said(attempt: Attempt, reply: HostReply): HostReply {
  return attempt.peer === undefined ? reply : { ...reply, host: attempt.peer.host };
}
