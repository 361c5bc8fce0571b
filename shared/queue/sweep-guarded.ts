// Deliveries that made no news past their guard (I5): their timers are sent anew. Chunks that never got their commit
// are ended, after their id was ruled out.

import { type DeliveryItem, hasLiveLease, type LedgerItem, revised } from './delivery.ts';
import { ENTRY_WIDTH, type ReleaseDeps, stillThere, tryEntry } from './due-entry.ts';
import { dropContent } from './finish.ts';
import { inParallel } from './in-parallel.ts';
import { guardAtMs } from './parking.ts';
import type { DueEntry } from './ports.ts';
import { withdrawn } from './settle.ts';
import { delaySeconds, timerFor } from './timer.ts';
import { isCommitted } from './wake.ts';
import { barItem, finishChunks } from './withdraw.ts';

/** `done`: no guarded entry stands in the bucket any more. `waits`: stragglers do, since the queue is behind. */
export type Swept = 'done' | 'waits' | 'failed';

interface Tally {
  stragglers: number;
  orphans: number;
}

/** The bucket has passed. Where a write was refused the entry is looked at again, whatever the faster one did. */
export async function sweepGuarded(
  deps: ReleaseDeps,
  bucket: string,
  mayResend: boolean,
  tally: Tally,
): Promise<Swept> {
  let swept: Swept = 'done';
  for await (const page of deps.due.entries(bucket, 'guarded')) {
    const results = await inParallel(page, ENTRY_WIDTH, (entry) =>
      sweepEntry(deps, entry, bucket, mayResend, tally),
    );
    if (results.includes('failed')) swept = 'failed';
    else if (results.includes('waits')) return 'waits';
  }
  return swept;
}

async function sweepEntry(
  deps: ReleaseDeps,
  entry: DueEntry,
  bucket: string,
  mayResend: boolean,
  tally: Tally,
): Promise<Swept> {
  let waits = false;
  const done = await tryEntry(deps, entry, async () => {
    const found = await stillThere(deps, entry, bucket);
    if (found === undefined) return true;
    const { item, commit } = found;
    const nowMs = deps.clock.nowMs();
    if (!isCommitted(item, commit)) return sweepOrphan(deps, item, commit, nowMs, tally);
    if (hasLiveLease(item.delivery, nowMs)) {
      const untilMs = item.delivery.lease?.untilMs ?? nowMs;
      return deps.ledger.write(revised(item, { guardAtMs: guardAtMs(untilMs, deps.limits, deps.tempo) }));
    }
    waits = !mayResend;
    return waits || resend(deps, item, nowMs, tally);
  });
  if (!done) return 'failed';
  return waits ? 'waits' : 'done';
}

// The mark goes first, so that the lost timer, should it turn up, is known as surplus.
async function resend(deps: ReleaseDeps, item: DeliveryItem, nowMs: number, tally: Tally): Promise<boolean> {
  const marked = revised(item, {
    mark: deps.random.name(),
    guardAtMs: nowMs + deps.tempo.stragglerResendMs,
    sentAtMs: nowMs,
  });
  if (!(await deps.ledger.write(marked))) return false;
  tally.stragglers += 1;
  deps.log.notice({
    level: 'warn',
    code: 'straggler',
    message: 'a delivery made no news past its guard; its timer is sent again',
    detail: { ...item.key, domain: item.delivery.facts.domain },
  });
  const delay = delaySeconds(item.delivery.dueAtMs, nowMs, deps.limits.maxDelayMs);
  const [sent] = await deps.timers.send([{ timer: timerFor(marked), delaySeconds: delay }]);
  if (sent === true) return true;
  // Back under the bucket that is being swept: it is tried again at the next run.
  await deps.ledger.write(revised(marked, { guardAtMs: item.delivery.guardAtMs }));
  return false;
}

async function sweepOrphan(
  deps: ReleaseDeps,
  item: DeliveryItem,
  commit: LedgerItem | undefined,
  nowMs: number,
  tally: Tally,
): Promise<boolean> {
  const oldAtMs = item.delivery.facts.acceptedAtMs + deps.tempo.orphanAfterMs;
  if (oldAtMs > nowMs) {
    return deps.ledger.write(revised(item, { guardAtMs: Math.max(oldAtMs, nowMs + deps.tempo.bucketMs) }));
  }
  // The id is ruled out first: a commit that is on its way finds the bar, not a missing chunk.
  if (commit === undefined && !(await deps.ledger.write(barItem(item.key, item.generation, nowMs))))
    return false;
  tally.orphans += 1;
  deps.log.notice({
    level: 'warn',
    code: 'orphan-removed',
    message: 'a chunk without a commit is put away: its transfer ended before it was accepted',
    detail: { ...item.key },
  });
  // What was ours and was withdrawn has an end to tell.
  if (commit?.commit?.state === 'withdrawn' && commit.generation === item.generation) {
    return finishChunks(deps, [item], commit, nowMs);
  }
  // Ended, not removed: the revisions of an item that is made anew would be taken for those of this one.
  if (!(await deps.ledger.write(withdrawn(item, nowMs)))) return false;
  await dropContent(deps, item);
  return true;
}
