// One timer, one delivery: lease it, find out what becomes of each recipient, settle, and set the timer aside.
// What is done with a timer is returned as its fate, so that a batch's answer is a total map over its records.

import { Readable } from 'node:stream';
import type { Envelope } from '../message/envelope.ts';
import type { ReportSettings } from '../report/settings.ts';
import type { SmtpContent } from '../smtp/client.ts';
import { ownReply, type Reply } from '../smtp/reply.ts';
import { type DeliveryItem, isDeliveryItem, revised } from './delivery.ts';
import { logAttempt, logDelayed, logEndings, logUntold, writeSettled } from './finish.ts';
import type { Attempt } from './outcomes.ts';
import { withOwed } from './owed-reports.ts';
import { chooseParking, guardAtMs } from './parking.ts';
import { payReports } from './pay-reports.ts';
import { StoreError } from './ports.ts';
import { readContent } from './read-content.ts';
import { expireUnattempted, positionsOpen, released, type Settled, settle } from './settle.ts';
import { termsOf } from './terms.ts';
import {
  type AttemptDeps,
  follow,
  followAdvice,
  guarded,
  readForWake,
  setAside,
  setHeld,
  type Task,
  type TimerFate,
  waitUntil,
} from './timer-fate.ts';
import { adviseWake, isCommitted, MAX_UNSETTLED_LEASES } from './wake.ts';

/** The invocation that a task runs in. */
export interface Run {
  readonly startedAtMs: number;
  /** The function ends here: leases outlive it by the margin. */
  readonly deadlineMs: number;
  /** Messages in flight as seen when the invocation began, for the choice where to wait. */
  readonly inFlight: number;
}

/** What the dialogue came to; `unattempted`: nothing was said about this message, try again soon. */
export interface Dialogue {
  /** False: the outcome is known already, nothing will be read. */
  readonly needsContent: boolean;
  speak(
    envelope: Envelope,
    content: SmtpContent,
    positions: readonly number[],
  ): Promise<Attempt | 'unattempted'>;
}

/** Leases, speaks, settles. Stores that fail leave the timer waiting; nothing is thrown for them. */
export async function attemptDelivery(
  deps: AttemptDeps,
  run: Run,
  task: Task,
  dialogue: Dialogue,
): Promise<TimerFate> {
  return guarded(deps, task, async () => {
    const leased = await lease(deps, run, task);
    if (leased === undefined) return followAdvice(deps, task);
    return speak(deps, run, task, leased, dialogue);
  });
}

/** Ends a delivery that cannot be attempted and whose time is up. */
export async function expireDelivery(
  deps: AttemptDeps,
  run: Run,
  task: Task,
  reply: Reply,
): Promise<TimerFate> {
  return guarded(deps, task, async () => {
    const leased = await lease(deps, run, task);
    if (leased === undefined) return followAdvice(deps, task);
    return expireLeased(deps, run, task, leased, reply);
  });
}

/**
 * Puts a task off without an attempt: our own limits, the invocation's end, DNS that does not answer. The sender hears
 * of a delay by an `obstacle` as of any other. With `inFlight`, a queue that is full of hidden timers gets no more of
 * them: it is meant for waits that come again and again.
 */
export async function postpone(
  deps: AttemptDeps,
  task: Task,
  waitMs: number,
  obstacle?: Reply,
  inFlight = 0,
): Promise<TimerFate> {
  return guarded(deps, task, async () => {
    const { item: found, commit } = await readForWake(deps, task);
    const nowMs = deps.clock.nowMs();
    const advice = adviseWake(found, commit, task.timer, nowMs);
    if (advice.kind !== 'attempt' || found === undefined || !isDeliveryItem(found)) {
      return follow(deps, task, found, advice);
    }
    // What an earlier attempt left owed waits for no later one.
    const item = await payReports(deps, await oweDelay(deps, found, nowMs, obstacle));
    const { expiresAtMs } = item.delivery.facts;
    const wishedMs = Math.ceil(nowMs + waitMs);
    const untilMs = nowMs < expiresAtMs ? Math.min(wishedMs, expiresAtMs) : wishedMs;
    logDelayed(deps.log, item, nowMs, untilMs);
    const parking = chooseParking(untilMs - nowMs, inFlight, deps.limits, deps.tempo);
    if (parking !== 'hidden') {
      const after = revised(item, {
        dueAtMs: untilMs,
        guardAtMs: guardAtMs(untilMs, deps.limits, deps.tempo),
        parked: parking === 'ledger',
        mark: deps.random.name(),
      });
      return (await deps.ledger.write(after)) ? setAside(deps, task, after) : followAdvice(deps, task);
    }
    // Only when the stragglers' sweep would find it first does the ledger hear of a postponement.
    if (untilMs > item.delivery.guardAtMs) {
      const changes = { dueAtMs: untilMs, guardAtMs: guardAtMs(untilMs, deps.limits, deps.tempo) };
      await deps.ledger.write(revised(item, { ...changes, mark: task.timer.mark }));
    }
    return waitUntil(deps, task, untilMs, item);
  });
}

async function oweDelay(
  deps: AttemptDeps,
  item: DeliveryItem,
  atMs: number,
  obstacle: Reply | undefined,
): Promise<DeliveryItem> {
  if (obstacle === undefined) return item;
  const { delivery } = item;
  const deferred = new Map(positionsOpen(delivery.recipients).map((position) => [position, obstacle]));
  const news = { atMs, recipients: delivery.recipients, ended: [], deferred, takesDsn: undefined };
  const { reports } = termsOf(deps, delivery.facts.domain);
  const owing = withOwed(delivery, news, reports);
  if (owing.lastOwed === delivery.lastOwed) return item;
  const after = revised(item, owing);
  return (await deps.ledger.write(after)) ? after : item;
}

async function lease(deps: AttemptDeps, run: Run, task: Task): Promise<DeliveryItem | undefined> {
  const { timer } = task;
  if (timer.key.chunk !== 0) {
    // A withdrawal leases every chunk before it rules the commit out, and keeps those leases longer than any
    // pause between this read and our lease: one of the two sees the other.
    const commit = await deps.ledger.readItem({ ...timer.key, chunk: 0 });
    if (!isCommitted({ key: timer.key, rev: 0, generation: timer.generation }, commit)) return undefined;
  }
  const wanted = { id: deps.random.name(), untilMs: run.deadlineMs + deps.leaseMarginMs };
  const request = {
    key: timer.key,
    generation: timer.generation,
    lease: wanted,
    mark: timer.mark,
    nowMs: deps.clock.nowMs(),
    maxUnsettled: MAX_UNSETTLED_LEASES,
  };
  try {
    const leased = await deps.ledger.lease(request);
    if (leased !== undefined) return leased;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
  // Refused, or unanswered: perhaps ours after all.
  const stored = await deps.ledger.readItem(timer.key);
  const ours = stored !== undefined && isDeliveryItem(stored) && stored.delivery.lease?.id === wanted.id;
  return ours ? stored : undefined;
}

async function speak(
  deps: AttemptDeps,
  run: Run,
  task: Task,
  leased: DeliveryItem,
  dialogue: Dialogue,
): Promise<TimerFate> {
  const { facts, lease: held } = leased.delivery;
  const { content: place } = facts;
  let stream: Readable | undefined;
  try {
    stream = dialogue.needsContent
      ? await deps.spool.open(place.key, place.offset, facts.sizeBytes)
      : Readable.from([]);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return giveBack(deps, run, task, leased);
  }
  if (stream === undefined) return setHeld(deps, task, leased, 'content-missing');
  const positions = positionsOpen(leased.delivery.recipients);
  const trace = Buffer.from(facts.trace, 'latin1');
  // The stream that proved the content to be there is read first; a second opening gets another.
  let opened: Readable | undefined = stream;
  let isOver = false;
  const content: SmtpContent = {
    sizeBytes: trace.length + facts.sizeBytes,
    open: async () => {
      if (isOver) throw new StoreError('not-applied', 'the attempt is over');
      const source = {
        trace,
        place,
        sizeBytes: facts.sizeBytes,
        ...(opened === undefined ? {} : { opened }),
      };
      opened = undefined;
      return readContent(deps.spool, source);
    },
  };
  let attempt: Attempt | 'unattempted';
  try {
    attempt = await dialogue.speak(envelopeOf(leased, positions), content, positions);
  } finally {
    isOver = true;
    stream.destroy();
  }
  if (attempt === 'unattempted') return giveBack(deps, run, task, leased);
  const made = attempt;
  const { tempo, reports } = termsOf(deps, leased.delivery.facts.domain);
  const context = {
    leaseId: held?.id ?? '',
    tempo,
    limits: deps.limits,
    inFlight: run.inFlight,
    random: deps.random.fraction(),
    mark: deps.random.name(),
    ...(reports === undefined ? {} : { reports }),
  };
  const change = (item: DeliveryItem) => settle(item, made, { ...context, nowMs: deps.clock.nowMs() });
  const after = await writeSettled(deps, leased, change, run.deadlineMs);
  logAttempt(deps.log, leased, after ?? leased, made);
  // A crash may have kept the log from the endings of earlier attempts: the last one tells them again.
  if (after !== undefined && after.delivery.state !== 'open') logEndings(deps.log, leased);
  return after === undefined ? 'waiting' : close(deps, task, leased, after);
}

// The log knows; then the sender hears of it, and only then the timer goes.
async function close(
  deps: AttemptDeps,
  task: Task,
  before: DeliveryItem,
  after: DeliveryItem,
): Promise<TimerFate> {
  logUntold(deps.log, before, after, termsOf(deps, after.delivery.facts.domain).reports);
  return setAside(deps, task, await payReports(deps, after));
}

// Nothing was said about it to anybody: the lease goes back, no attempt is counted. Expiry fires all the same.
async function giveBack(deps: AttemptDeps, run: Run, task: Task, leased: DeliveryItem): Promise<TimerFate> {
  if (deps.clock.nowMs() >= leased.delivery.facts.expiresAtMs) {
    return expireLeased(deps, run, task, leased, ownReply(450, '4.4.7', 'delivery time expired'));
  }
  const give = (item: DeliveryItem): Settled => {
    const isOurs = item.delivery.lease?.id === leased.delivery.lease?.id;
    return { item: isOurs ? released(item) : item, ended: [], deferred: [], changed: isOurs };
  };
  await writeSettled(deps, leased, give, run.deadlineMs);
  return postpone(deps, task, deps.tempo.postponeMs * (1 + deps.random.fraction()));
}

async function expireLeased(
  deps: AttemptDeps,
  run: Run,
  task: Task,
  leased: DeliveryItem,
  reply: Reply,
): Promise<TimerFate> {
  const atMs = deps.clock.nowMs();
  const last = leased.delivery.lastReply ?? reply;
  const { reports } = termsOf(deps, leased.delivery.facts.domain);
  const expire = (item: DeliveryItem) => expireOpen(item, atMs, last, reports);
  const after = await writeSettled(deps, leased, expire, run.deadlineMs);
  if (after === undefined) return 'waiting';
  logEndings(deps.log, after);
  return close(deps, task, leased, after);
}

function expireOpen(
  item: DeliveryItem,
  atMs: number,
  reply: Reply,
  reports: ReportSettings | undefined,
): Settled {
  const open = positionsOpen(item.delivery.recipients);
  if (open.length === 0) return { item, ended: [], deferred: [], changed: false };
  return expireUnattempted(item, atMs, reply, reports);
}

function envelopeOf(item: DeliveryItem, positions: readonly number[]): Envelope {
  const { facts, recipients } = item.delivery;
  return {
    sender: facts.sender,
    recipients: positions.flatMap((position) => {
      const recipient = recipients[position];
      if (recipient === undefined) return [];
      const { ending: _ending, ...plain } = recipient;
      return [plain];
    }),
    body: facts.body,
    smtputf8: facts.smtputf8,
    requireTls: facts.requireTls,
    ...(facts.envid === undefined ? {} : { envid: facts.envid }),
    ...(facts.ret === undefined ? {} : { ret: facts.ret }),
  };
}
