// One timer, one delivery: lease it, find out what becomes of each recipient, settle, and set the timer aside.
// What is done with a timer is returned as its fate, so that a batch's answer is a total map over its records.

import { Readable } from 'node:stream';
import type { Envelope } from '../message/envelope.ts';
import type { SmtpContent } from '../smtp/client.ts';
import type { Reply } from '../smtp/reply.ts';
import { type DeliveryItem, isDeliveryItem, type LedgerItem, revised } from './delivery.ts';
import {
  dropContent,
  type FinishDeps,
  logAttempt,
  logDelayed,
  logEndings,
  logHeld,
  writeSettled,
} from './finish.ts';
import type { Attempt } from './outcomes.ts';
import { guardAtMs } from './parking.ts';
import { StoreError, type Timer } from './ports.ts';
import { expireUnattempted, hold, positionsOpen, released, type Settled, settle } from './settle.ts';
import { delaySeconds, timerFor } from './timer.ts';
import { adviseWake, isCommitted, MAX_UNSETTLED_LEASES, type WakeAdvice } from './wake.ts';

/** `finished`: the timer is deleted, or may be. `waiting`: it is hidden and must stay. */
export type TimerFate = 'finished' | 'waiting';

export interface Task {
  readonly timer: Timer;
  readonly receipt: string;
  readonly receiveCount: number;
}

/** The invocation that a task runs in. */
export interface Run {
  readonly startedAtMs: number;
  /** The function ends here: leases outlive it by the margin. */
  readonly deadlineMs: number;
  /** Messages in flight as seen when the invocation began, for the choice where to wait. */
  readonly inFlight: number;
}

export interface AttemptDeps extends FinishDeps {
  /** A lease outlives the invocation by this. */
  readonly leaseMarginMs: number;
  /** A timer received this often is replaced by a fresh one. */
  readonly resendReceiveCount: number;
}

/** What the dialogue came to; `unattempted`: nothing was said about this message, try again soon. */
export type Dialogue = (
  envelope: Envelope,
  content: SmtpContent,
  positions: readonly number[],
) => Promise<Attempt | 'unattempted'>;

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
    const atMs = deps.clock.nowMs();
    const last = leased.delivery.lastReply ?? reply;
    const after = await writeSettled(deps, leased, (item) => expireOpen(item, atMs, last), run.deadlineMs);
    if (after === undefined) return 'waiting';
    logEndings(deps.log, after);
    return setAside(deps, task, after);
  });
}

/** Puts a task off without an attempt: our own limits, the invocation's end, DNS that does not answer. */
export async function postpone(deps: AttemptDeps, task: Task, waitMs: number): Promise<TimerFate> {
  return guarded(deps, task, async () => {
    const { item, commit } = await readForWake(deps, task);
    const nowMs = deps.clock.nowMs();
    const advice = adviseWake(item, commit, task.timer, nowMs);
    if (advice.kind !== 'attempt' || item === undefined || !isDeliveryItem(item)) {
      return follow(deps, task, item, advice);
    }
    const { expiresAtMs } = item.delivery.facts;
    const wishedMs = Math.ceil(nowMs + waitMs);
    const untilMs = nowMs < expiresAtMs ? Math.min(wishedMs, expiresAtMs) : wishedMs;
    logDelayed(deps.log, item, nowMs, untilMs);
    // Only when the stragglers' sweep would find it first does the ledger hear of a postponement.
    if (untilMs > item.delivery.guardAtMs) {
      const changes = { dueAtMs: untilMs, guardAtMs: guardAtMs(untilMs, deps.limits, deps.tempo) };
      await deps.ledger.write(revised(item, { ...changes, mark: task.timer.mark }));
    }
    return waitUntil(deps, task, untilMs, item);
  });
}

/** Hides a timer that came before its time; no store is asked. */
export async function hideEarly(deps: AttemptDeps, task: Task): Promise<TimerFate> {
  return guarded(deps, task, () => waitUntil(deps, task, task.timer.notBeforeMs, undefined));
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
    stream = await deps.spool.open(place.key, place.offset, facts.sizeBytes);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return giveBack(deps, task, leased);
  }
  if (stream === undefined) return setHeld(deps, task, leased, 'content-missing');
  const positions = positionsOpen(leased.delivery.recipients);
  const trace = Buffer.from(facts.trace, 'latin1');
  const content: SmtpContent = {
    sizeBytes: trace.length + facts.sizeBytes,
    open: async () => inFrontOf(stream, trace),
  };
  let attempt: Attempt | 'unattempted';
  try {
    attempt = await dialogue(envelopeOf(leased, positions), content, positions);
  } finally {
    stream.destroy();
  }
  if (attempt === 'unattempted') return giveBack(deps, task, leased);
  const made = attempt;
  const context = {
    leaseId: held?.id ?? '',
    tempo: deps.tempo,
    limits: deps.limits,
    inFlight: run.inFlight,
    random: deps.random.fraction(),
    mark: deps.random.name(),
  };
  const change = (item: DeliveryItem) => settle(item, made, { ...context, nowMs: deps.clock.nowMs() });
  const after = await writeSettled(deps, leased, change, run.deadlineMs);
  logAttempt(deps.log, leased, after ?? leased, made);
  return after === undefined ? 'waiting' : setAside(deps, task, after);
}

// Nothing was said about it to anybody: the lease goes back, no attempt is counted.
async function giveBack(deps: AttemptDeps, task: Task, leased: DeliveryItem): Promise<TimerFate> {
  await deps.ledger.write(released(leased));
  return postpone(deps, task, deps.tempo.postponeMs * (1 + deps.random.fraction()));
}

/** The timer of a delivery that was just settled. */
async function setAside(deps: AttemptDeps, task: Task, item: DeliveryItem): Promise<TimerFate> {
  const { delivery } = item;
  switch (delivery.state) {
    case 'finished':
      await dropContent(deps, item);
      return drop(deps, task);
    case 'owing':
    case 'held':
      return drop(deps, task);
    case 'open':
      // Lost the lease: whoever has it, or has settled since, decides what this timer is good for.
      if (delivery.lease !== undefined) return followAdvice(deps, task);
      return delivery.parked ? drop(deps, task) : waitUntil(deps, task, delivery.dueAtMs, item);
  }
}

async function followAdvice(deps: AttemptDeps, task: Task): Promise<TimerFate> {
  const { item, commit } = await readForWake(deps, task);
  return follow(deps, task, item, adviseWake(item, commit, task.timer, deps.clock.nowMs()));
}

async function follow(
  deps: AttemptDeps,
  task: Task,
  item: LedgerItem | undefined,
  advice: WakeAdvice,
): Promise<TimerFate> {
  switch (advice.kind) {
    case 'delete':
      if (advice.because === 'gone') {
        deps.log.notice({
          level: 'warn',
          code: 'timer-gone',
          message:
            'a timer surfaced whose delivery is not in the ledger; it is deleted, nothing is attempted',
          detail: { ...task.timer.key },
        });
      }
      return drop(deps, task);
    case 'finish-again':
      if (item !== undefined && isDeliveryItem(item)) {
        logEndings(deps.log, item);
        if (item.delivery.state === 'finished') await dropContent(deps, item);
      }
      return drop(deps, task);
    case 'hide-until':
      return waitUntil(deps, task, advice.atMs, undefined);
    case 'hold':
      return item !== undefined && isDeliveryItem(item)
        ? setHeld(deps, task, item, 'poisoned')
        : drop(deps, task);
    case 'attempt':
      // It became free between the lease and this look.
      return waitUntil(deps, task, deps.clock.nowMs() + deps.tempo.postponeMs, undefined);
  }
}

async function setHeld(
  deps: AttemptDeps,
  task: Task,
  item: DeliveryItem,
  code: 'content-missing' | 'poisoned',
): Promise<TimerFate> {
  const because =
    code === 'content-missing'
      ? 'its content is missing in the spool'
      : `it was leased ${item.delivery.unsettledLeases} times without a settle`;
  const held = hold(item, because);
  if (!(await deps.ledger.write(held))) return followAdvice(deps, task);
  deps.log.notice({
    level: 'error',
    code,
    message: `a delivery is held: ${because}; it waits for an operator`,
    detail: { ...item.key, content: item.delivery.facts.content.key },
  });
  logHeld(deps.log, held, deps.clock.nowMs());
  return drop(deps, task);
}

async function readForWake(
  deps: AttemptDeps,
  task: Task,
): Promise<{ readonly item: LedgerItem | undefined; readonly commit: LedgerItem | undefined }> {
  const { key } = task.timer;
  const item = await deps.ledger.readItem(key);
  const commit = key.chunk === 0 ? item : await deps.ledger.readItem({ ...key, chunk: 0 });
  return { item, commit };
}

async function drop(deps: AttemptDeps, task: Task): Promise<TimerFate> {
  try {
    await deps.timers.delete(task.receipt);
  } catch (error) {
    // Whoever runs the batch deletes it as well.
    if (!(error instanceof StoreError)) throw error;
  }
  return 'finished';
}

// Never early: whole seconds, rounded up. A timer that was received too often is replaced instead of hidden.
async function waitUntil(
  deps: AttemptDeps,
  task: Task,
  atMs: number,
  item: DeliveryItem | undefined,
): Promise<TimerFate> {
  if (task.receiveCount >= deps.resendReceiveCount && (await replaced(deps, task, item)))
    return drop(deps, task);
  const waitMs = Math.min(Math.max(atMs - deps.clock.nowMs(), 0), deps.limits.maxHideMs);
  await deps.timers.hide(task.receipt, Math.ceil(waitMs / 1_000));
  return 'waiting';
}

async function replaced(deps: AttemptDeps, task: Task, known: DeliveryItem | undefined): Promise<boolean> {
  const item = known ?? (await deps.ledger.readItem(task.timer.key));
  if (item === undefined || !isDeliveryItem(item) || item.delivery.state !== 'open') return false;
  const marked = revised(item, { mark: deps.random.name() });
  if (!(await deps.ledger.write(marked))) return false;
  const delay = delaySeconds(item.delivery.dueAtMs, deps.clock.nowMs(), deps.limits.maxDelayMs);
  const [sent] = await deps.timers.send([{ timer: timerFor(marked), delaySeconds: delay }]);
  return sent === true;
}

// The boundary of one record: whatever goes wrong with it stays with it. Its timer stays in the queue and
// surfaces again after the queue's own visibility.
async function guarded(deps: AttemptDeps, task: Task, work: () => Promise<TimerFate>): Promise<TimerFate> {
  try {
    return await work();
  } catch (error) {
    const detail = { ...task.timer.key };
    if (error instanceof StoreError) {
      const message = `a store did not answer (${error.message}); the timer surfaces again`;
      deps.log.notice({ level: 'warn', code: 'store-failed', message, detail });
    } else {
      const { message, stack } = error instanceof Error ? error : new Error(String(error));
      deps.log.notice({ level: 'error', code: 'bug', message, detail: { ...detail, stack } });
    }
    return 'waiting';
  }
}

function expireOpen(item: DeliveryItem, atMs: number, reply: Reply): Settled {
  const open = positionsOpen(item.delivery.recipients);
  if (open.length === 0) return { item, ended: [], deferred: [], changed: false };
  return expireUnattempted(item, atMs, reply);
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

function inFrontOf(stream: Readable, head: Buffer): Readable {
  return Readable.from(
    (async function* () {
      yield head;
      yield* stream;
    })(),
    { objectMode: false },
  );
}
