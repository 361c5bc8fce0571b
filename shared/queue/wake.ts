// A timer surfaced: what is to be done with it, judging by what the ledger holds now. Pure; asked after a lease
// was refused, and before a postponement.

import { hasLiveLease, type LedgerItem } from './delivery.ts';
import type { Timer } from './ports.ts';

/** So many leases without a settle are crashes that this delivery causes: it is held. */
export const MAX_UNSETTLED_LEASES = 10;

export type WakeAdvice =
  /** Nothing will ever be attempted by this timer again. */
  | { readonly kind: 'delete'; readonly because: 'gone' | 'withdrawn' | 'surplus' | 'set-aside' | 'parked' }
  /** It ended before: the log and the spool may lack it, if a crash came between; then delete. */
  | { readonly kind: 'finish-again' }
  /** Everybody has an ending, and the sender is owed reports of it; the log may lack the endings. */
  | { readonly kind: 'pay' }
  | { readonly kind: 'hide-until'; readonly atMs: number; readonly because: 'leased' | 'early' }
  | { readonly kind: 'hold' }
  /** Open, due, unleased. */
  | { readonly kind: 'attempt' };

/**
 * `item` is the timer's own; `commit` is the message's commit item, which is the same item for chunk 0.
 */
export function adviseWake(
  item: LedgerItem | undefined,
  commit: LedgerItem | undefined,
  timer: Timer,
  nowMs: number,
): WakeAdvice {
  const delivery = item?.delivery;
  if (item === undefined || delivery === undefined || item.generation !== timer.generation) {
    return { kind: 'delete', because: 'gone' };
  }
  const current = delivery.mark === timer.mark;
  if (delivery.state === 'finished') {
    return current ? { kind: 'finish-again' } : { kind: 'delete', because: 'surplus' };
  }
  if (!isCommitted(item, commit)) return { kind: 'delete', because: 'withdrawn' };
  if (delivery.state === 'owing') {
    return current ? { kind: 'pay' } : { kind: 'delete', because: 'set-aside' };
  }
  if (delivery.state === 'held') return { kind: 'delete', because: 'set-aside' };
  if (hasLiveLease(delivery, nowMs)) {
    return { kind: 'hide-until', atMs: delivery.lease?.untilMs ?? nowMs, because: 'leased' };
  }
  if (delivery.dueAtMs > nowMs) {
    if (delivery.parked) return { kind: 'delete', because: 'parked' };
    return current
      ? { kind: 'hide-until', atMs: delivery.dueAtMs, because: 'early' }
      : { kind: 'delete', because: 'surplus' };
  }
  if (delivery.unsettledLeases >= MAX_UNSETTLED_LEASES) return { kind: 'hold' };
  return { kind: 'attempt' };
}

/** Whether the commit covers this chunk in this generation. */
export function isCommitted(item: LedgerItem, commit: LedgerItem | undefined): boolean {
  return (
    commit?.commit?.state === 'committed' &&
    commit.generation === item.generation &&
    item.key.chunk <= commit.commit.chunks
  );
}
