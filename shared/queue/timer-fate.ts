// What becomes of a timer: deleted, hidden until its delivery is due, or replaced by a fresh one. The ledger has
// spoken before; a timer only follows it.

import type { LedgerItem } from './delivery.ts';
import { type DeliveryItem, isDeliveryItem, revised } from './delivery.ts';
import { dropContent, type FinishDeps, logEndings, logHeld } from './finish.ts';
import { payReports } from './pay-reports.ts';
import { StoreError, type Timer } from './ports.ts';
import { hold } from './settle.ts';
import { delaySeconds, timerFor } from './timer.ts';
import { adviseWake, type WakeAdvice } from './wake.ts';

/** `finished`: the timer is deleted, or may be. `waiting`: it is hidden and must stay. */
export type TimerFate = 'finished' | 'waiting';

export interface Task {
  readonly timer: Timer;
  readonly receipt: string;
  readonly receiveCount: number;
}

export interface AttemptDeps extends FinishDeps {
  /** A lease outlives the invocation by this. */
  readonly leaseMarginMs: number;
  /** A timer received this often is replaced by a fresh one. */
  readonly resendReceiveCount: number;
}

/** Hides a timer that came before its time; no store is asked. */
export async function hideEarly(deps: AttemptDeps, task: Task): Promise<TimerFate> {
  return guarded(deps, task, () => waitUntil(deps, task, task.timer.notBeforeMs, undefined));
}

/** A timer that release sent for reports alone: nothing is attempted, whatever the delivery has come to. */
export async function payOwed(deps: AttemptDeps, task: Task): Promise<TimerFate> {
  return guarded(deps, task, () => followAdvice(deps, task));
}

/** The timer of a delivery that was just settled. */
export async function setAside(deps: AttemptDeps, task: Task, item: DeliveryItem): Promise<TimerFate> {
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
      if (delivery.parked) return drop(deps, task);
      // Another mark than the timer's: the settle asked for a fresh timer, which is not in flight while it waits.
      if (delivery.mark !== task.timer.mark && (await sent(deps, item))) return drop(deps, task);
      return waitUntil(deps, task, delivery.dueAtMs, item);
  }
}

export async function followAdvice(deps: AttemptDeps, task: Task): Promise<TimerFate> {
  const { item, commit } = await readForWake(deps, task);
  return follow(deps, task, item, adviseWake(item, commit, task.timer, deps.clock.nowMs()));
}

export async function follow(
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
        await dropContent(deps, item);
      }
      return drop(deps, task);
    case 'pay':
      if (item === undefined || !isDeliveryItem(item)) return drop(deps, task);
      logEndings(deps.log, item);
      return setAside(deps, task, await payReports(deps, item));
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

export async function setHeld(
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
  // No wake of its own will pay what it owes of earlier attempts.
  await payReports(deps, held);
  return drop(deps, task);
}

export async function readForWake(
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
export async function waitUntil(
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
  return (await deps.ledger.write(marked)) && sent(deps, marked);
}

async function sent(deps: AttemptDeps, item: DeliveryItem): Promise<boolean> {
  const delay = delaySeconds(item.delivery.dueAtMs, deps.clock.nowMs(), deps.limits.maxDelayMs);
  const [taken] = await deps.timers.send([{ timer: timerFor(item), delaySeconds: delay }]);
  return taken === true;
}

// The boundary of one record: whatever goes wrong with it stays with it. Its timer stays in the queue and
// surfaces again after the queue's own visibility.
export async function guarded(
  deps: AttemptDeps,
  task: Task,
  work: () => Promise<TimerFate>,
): Promise<TimerFate> {
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
