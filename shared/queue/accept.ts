// Acceptance as a plan: what to write for an incoming message, given what the ledger holds under its id.
// Pure: the caller executes the plan with conditional writes and plans again when one was refused because
// somebody else was faster. A plan never drops a recipient on a guess: whatever does not fit is refused
// 451, and the message stays with its sender.

import type { Envelope } from '../message/envelope.ts';
import { ownReply, type Reply } from '../smtp/reply.ts';
import { type Chunk, splitIntoChunks } from './chunks.ts';
import type {
  Commit,
  ContentLocation,
  Delivery,
  DeliveryFacts,
  DeliveryItem,
  LedgerItem,
  MessageKey,
} from './delivery.ts';
import { isDeliveryItem, revised } from './delivery.ts';
import { guardAtMs, parksAtAcceptance, type QueueLimits } from './parking.ts';
import type { Times } from './schedule.ts';
import type { Tempo } from './tempo.ts';

/** A checked message, its content stored, its clock set. */
export interface Incoming {
  readonly key: MessageKey;
  readonly envelope: Envelope;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly content: ContentLocation;
  readonly trace: string;
  readonly times: Times;
  /** By domain, where they are not `times`: those then last longest. */
  readonly timesOf?: ReadonlyMap<string, Times>;
  readonly binding: string;
  readonly priorAttempts: number;
  readonly lastReply?: Delivery['lastReply'];
  readonly meta: Readonly<Record<string, unknown>>;
}

export function timesFor({ times, timesOf }: Incoming, domain: string): Times {
  return timesOf?.get(domain) ?? times;
}

export interface PlanContext {
  readonly nowMs: number;
  readonly limits: QueueLimits;
  readonly tempo: Tempo;
  /** A fresh timer mark. */
  readonly mark: () => string;
}

export type AcceptancePlan =
  | { readonly kind: 'refuse'; readonly reply: Reply; readonly idReused: boolean }
  | {
      readonly kind: 'write';
      /** Written first, in any order. */
      readonly chunks: readonly DeliveryItem[];
      /** Written when all chunks are: the message is ours from then on. May hold the only delivery. */
      readonly commit: LedgerItem | undefined;
      /** Deliveries that need a timer before the verdict. */
      readonly wake: readonly DeliveryItem[];
      /** Those of `wake` that were in the ledger before: they get a fresh mark first and `sentAtMs` after. */
      readonly resend: readonly DeliveryItem[];
      readonly status: 'accepted' | 'duplicate';
    };

/** A repeat sends timers of never-leased deliveries again at most this often. */
export const RESEND_INTERVAL_MS = 60_000;

export function planAcceptance(
  existing: readonly LedgerItem[],
  incoming: Incoming,
  context: PlanContext,
): AcceptancePlan {
  const commitItem = existing.find((item) => item.key.chunk === 0);
  const commit = commitItem?.commit;
  if (commitItem === undefined || commit === undefined) {
    return planWhole(existing, uncommittedGeneration(existing), incoming, context);
  }
  if (commit.state !== 'committed') {
    const barredUntilMs = commit.barredUntilMs ?? 0;
    if (context.nowMs < barredUntilMs) return refuse(barredReply(commit, barredUntilMs));
    return planWhole(existing, commitItem.generation + 1, incoming, context);
  }
  if (commit.sha256 !== incoming.sha256 || commit.sender !== incoming.envelope.sender) return refuseReused();
  return planRepeat(existing, commitItem, commit, incoming, context);
}

function planWhole(
  existing: readonly LedgerItem[],
  generation: number,
  incoming: Incoming,
  context: PlanContext,
): AcceptancePlan {
  const wanted = splitIntoChunks(incoming.envelope.recipients);
  const commitRev = (existing.find((item) => item.key.chunk === 0)?.rev ?? 0) + 1;
  const only = wanted.length === 1 ? wanted[0] : undefined;
  const laid = layChunks(existing, generation, 0, only === undefined ? wanted : [], incoming, context);
  if (laid === undefined) return refuseUnfinished(existing, incoming);
  if (only !== undefined) {
    const item = {
      key: { ...incoming.key, chunk: 0 },
      rev: commitRev,
      generation,
      commit: newCommit(incoming, 0),
      delivery: newDelivery(incoming, only, context),
    };
    return written([], item, [item], [], 'accepted');
  }
  const commit = {
    key: { ...incoming.key, chunk: 0 },
    rev: commitRev,
    generation,
    commit: newCommit(incoming, wanted.length),
    ttlAtMs: commitTtlMs(incoming),
  };
  return written(laid, commit, laid, [], 'accepted');
}

function planRepeat(
  existing: readonly LedgerItem[],
  commitItem: LedgerItem,
  commit: Commit,
  incoming: Incoming,
  context: PlanContext,
): AcceptancePlan {
  const { generation } = commitItem;
  const ours = existing
    .filter(isDeliveryItem)
    .filter((item) => item.generation === generation && item.key.chunk <= commit.chunks);
  const known = new Set(ours.flatMap((item) => item.delivery.recipients.map((r) => r.address)));
  const unknown = incoming.envelope.recipients.filter((recipient) => !known.has(recipient.address));
  const awaiting = neverSent(ours, context);
  if (unknown.length === 0) return written([], undefined, [], awaiting, 'duplicate');
  const wanted = splitIntoChunks(unknown);
  const laid = layChunks(existing, generation, commit.chunks, wanted, incoming, context);
  if (laid === undefined) return refuseUnfinished(existing, incoming);
  const raised: LedgerItem = {
    ...commitItem,
    rev: commitItem.rev + 1,
    commit: { ...commit, chunks: commit.chunks + wanted.length },
    ttlAtMs: commitTtlMs(incoming),
  };
  // A delivery in the commit item itself is marked by the same write, not by one of its own.
  const inCommit = isDeliveryItem(raised) && awaiting.some((item) => item.key.chunk === 0);
  const commitWrite = inCommit
    ? { ...raised, delivery: { ...raised.delivery, mark: context.mark() } }
    : raised;
  const fresh = inCommit && isDeliveryItem(commitWrite) ? [...laid, commitWrite] : laid;
  const resend = awaiting.filter((item) => item.key.chunk !== 0);
  return written(laid, commitWrite, fresh, resend, 'accepted');
}

/**
 * The wanted chunks under the numbers after `last`. Chunks of this generation that are there without being
 * committed come from a try that crashed or is under way: they are taken over only when they are exactly what
 * is wanted, never overwritten, since that try's commit may follow. Those that the sweep has ended are overwritten,
 * and older generations'.
 * Undefined: something else is in the way.
 */
function layChunks(
  existing: readonly LedgerItem[],
  generation: number,
  last: number,
  wanted: readonly Chunk[],
  incoming: Incoming,
  context: PlanContext,
): readonly DeliveryItem[] | undefined {
  const laid: DeliveryItem[] = [];
  const beyond = existing.filter((item) => item.key.chunk > last);
  const mayFollow = (item: LedgerItem) =>
    item.generation >= generation && (item.delivery === undefined || item.delivery.state === 'open');
  if (beyond.some((item) => mayFollow(item) && item.key.chunk > last + wanted.length)) return undefined;
  for (const [index, chunk] of wanted.entries()) {
    const number = last + 1 + index;
    const there = beyond.find((item) => item.key.chunk === number);
    if (there !== undefined && mayFollow(there)) {
      // An id whose bar has vanished begins anew; chunks of a later generation may still be about, and stay void.
      const ours = isDeliveryItem(there) && there.generation === generation;
      if (!ours || !sameDelivery(there, chunk, incoming)) return undefined;
      laid.push(takenOver(there, context));
    } else {
      laid.push({
        key: { ...incoming.key, chunk: number },
        rev: (there?.rev ?? 0) + 1,
        generation,
        delivery: newDelivery(incoming, chunk, context),
      });
    }
  }
  return laid;
}

// Chunks outlive a bar, and those that it ended are no part of what comes now: they would bring their endings.
function uncommittedGeneration(existing: readonly LedgerItem[]): number {
  const latest = Math.max(1, ...existing.map((item) => item.generation));
  const ended = existing.some((item) => item.generation === latest && item.delivery?.state !== 'open');
  return ended ? latest + 1 : latest;
}

// Written again, with a new age and revision: from now on the sweep for chunks without a commit leaves it alone.
function takenOver(item: DeliveryItem, context: PlanContext): DeliveryItem {
  const facts = { ...item.delivery.facts, acceptedAtMs: context.nowMs };
  return revised(item, { facts, mark: context.mark() });
}

// Open, never attempted, and no timer known to have been sent within the last minute. Each gets a new mark, so
// that a timer that was sent after all is known as surplus.
function neverSent(items: readonly DeliveryItem[], context: PlanContext): readonly DeliveryItem[] {
  return items
    .filter(({ delivery }) => {
      const sentLately =
        delivery.sentAtMs !== undefined && context.nowMs - delivery.sentAtMs < RESEND_INTERVAL_MS;
      return delivery.state === 'open' && !delivery.everLeased && !delivery.parked && !sentLately;
    })
    .map((item) => revised(item, { mark: context.mark() }));
}

function newDelivery(incoming: Incoming, chunk: Chunk, context: PlanContext): Delivery {
  const { envelope } = incoming;
  const times = timesFor(incoming, chunk.domain);
  const facts: DeliveryFacts = {
    domain: chunk.domain,
    binding: incoming.binding,
    sender: envelope.sender,
    body: envelope.body,
    smtputf8: envelope.smtputf8,
    requireTls: envelope.requireTls,
    ...(envelope.envid === undefined ? {} : { envid: envelope.envid }),
    ...(envelope.ret === undefined ? {} : { ret: envelope.ret }),
    sizeBytes: incoming.sizeBytes,
    sha256: incoming.sha256,
    content: incoming.content,
    trace: incoming.trace,
    receivedAtMs: times.receivedAtMs,
    acceptedAtMs: context.nowMs,
    expiresAtMs: times.expiresAtMs,
    priorAttempts: incoming.priorAttempts,
    meta: incoming.meta,
  };
  return {
    facts,
    state: 'open',
    recipients: chunk.recipients,
    dueAtMs: times.dueAtMs,
    attempts: times.attempts,
    everLeased: false,
    unsettledLeases: 0,
    mark: context.mark(),
    parked: parksAtAcceptance(times.dueAtMs - context.nowMs, context.limits, context.tempo),
    ...(incoming.lastReply === undefined ? {} : { lastReply: incoming.lastReply }),
    owed: [],
    lastOwed: 0,
    delaySteps: 0,
    guardAtMs: guardAtMs(times.dueAtMs, context.limits, context.tempo),
  };
}

function newCommit(incoming: Incoming, chunks: number): Commit {
  return { state: 'committed', chunks, sha256: incoming.sha256, sender: incoming.envelope.sender };
}

/** A commit without a delivery outlives its chunks: they vanish at most 7 days after the last of them ended. */
export const COMMIT_KEPT_AFTER_EXPIRY_MS = 30 * 24 * 3_600_000;

function commitTtlMs(incoming: Incoming): number {
  return incoming.times.expiresAtMs + COMMIT_KEPT_AFTER_EXPIRY_MS;
}

function written(
  chunks: readonly DeliveryItem[],
  commit: LedgerItem | undefined,
  fresh: readonly DeliveryItem[],
  resend: readonly DeliveryItem[],
  status: 'accepted' | 'duplicate',
): AcceptancePlan {
  const wake = [...fresh.filter((item) => !item.delivery.parked), ...resend];
  return { kind: 'write', chunks, commit, wake, resend, status };
}

function sameDelivery(item: DeliveryItem, chunk: Chunk, incoming: Incoming): boolean {
  const { facts, recipients } = item.delivery;
  return (
    facts.sha256 === incoming.sha256 &&
    facts.sender === incoming.envelope.sender &&
    recipients.length === chunk.recipients.length &&
    recipients.every((recipient, index) => recipient.address === chunk.recipients[index]?.address)
  );
}

function refuse(reply: Reply): AcceptancePlan {
  return { kind: 'refuse', reply, idReused: false };
}

function refuseReused(): AcceptancePlan {
  const text = 'id-reused: this id was given to a message with other content or another sender; use a new id';
  return { kind: 'refuse', reply: ownReply(451, '4.3.0', text), idReused: true };
}

function refuseUnfinished(existing: readonly LedgerItem[], incoming: Incoming): AcceptancePlan {
  const other = existing
    .filter(isDeliveryItem)
    .some((item) => item.delivery.facts.sha256 !== incoming.sha256);
  if (other) return refuseReused();
  const text =
    'an unfinished transfer of this id has other recipients; try again in an hour, or use a new id';
  return refuse(ownReply(451, '4.3.0', text));
}

function barredReply(commit: Commit, untilMs: number): Reply {
  const what = commit.state === 'withdrawn' ? 'was withdrawn' : 'is barred after a withdrawal';
  return ownReply(
    451,
    '4.3.0',
    `this id ${what}; it can be sent again after ${new Date(untilMs).toISOString()}`,
  );
}
