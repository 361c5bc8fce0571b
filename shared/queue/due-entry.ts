// One entry of the due index, for release: what stands behind it now, and a boundary that keeps one entry's trouble
// from the others.

import type { Log } from '../records/records.ts';
import { type DeliveryItem, isDeliveryItem, type LedgerItem } from './delivery.ts';
import { dueKeys, type QueueLimits } from './parking.ts';
import { pauseBeforeRetry } from './patience.ts';
import {
  type Clock,
  type ContentUsers,
  type DueEntry,
  type DueIndex,
  type Ledger,
  type Random,
  type Spool,
  StoreError,
  type Timers,
} from './ports.ts';
import type { Tempo } from './tempo.ts';

export interface ReleaseDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly users: ContentUsers;
  readonly spool: Spool;
  readonly timers: Timers;
  readonly due: DueIndex;
  readonly log: Log;
  readonly tempo: Tempo;
  readonly limits: QueueLimits;
  /** Where a shard without a cursor begins: deliveries of a stack that was never released are not older. */
  readonly lookbackMs: number;
}

/** Entries that are read, sent for and written at once; a failure costs no more than these. */
export const ENTRY_GROUP = 50;
export const ENTRY_WIDTH = 25;

/** Tries of one entry in one run: a store that throttles, or somebody who was faster. */
const TRIES = 3;

export interface Found {
  readonly item: DeliveryItem;
  readonly commit: LedgerItem | undefined;
}

/** The delivery, if it still stands in this bucket. */
export async function stillThere(
  deps: ReleaseDeps,
  entry: DueEntry,
  bucket: string,
): Promise<Found | undefined> {
  const item = await deps.ledger.readItem(entry.key);
  if (item === undefined || !isDeliveryItem(item) || dueKeys(item, deps.tempo)?.bucket !== bucket) {
    return undefined;
  }
  const own = item.key.chunk === 0;
  return { item, commit: own ? item : await deps.ledger.readItem({ ...item.key, chunk: 0 }) };
}

/**
 * Runs `work` on an entry until it says true, at most three times; false when it never did. A store that fails is
 * asked again; anything else is a bug of this entry alone.
 */
export async function tryEntry(
  deps: ReleaseDeps,
  entry: DueEntry,
  work: () => Promise<boolean>,
): Promise<boolean> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    if (attempt > 0) await pauseBeforeRetry(attempt, deps.clock, deps.random.fraction());
    try {
      if (await work()) return true;
    } catch (error) {
      if (error instanceof StoreError) continue;
      const { message, stack } = error instanceof Error ? error : new Error(String(error));
      deps.log.notice({ level: 'error', code: 'bug', message, detail: { ...entry.key, stack } });
      return false;
    }
  }
  return false;
}
