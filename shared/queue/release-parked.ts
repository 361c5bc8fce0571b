// Parked deliveries that come due get their timer. A crash between the send and the write sends a timer twice, with
// the same mark: of the two, one attempts and the other waits for the next due time with it.

import { type DeliveryItem, revised } from './delivery.ts';
import { ENTRY_GROUP, ENTRY_WIDTH, type ReleaseDeps, stillThere, tryEntry } from './due-entry.ts';
import { inParallel } from './in-parallel.ts';
import { guardAtMs } from './parking.ts';
import type { DueEntry } from './ports.ts';
import { delaySeconds, timerFor } from './timer.ts';
import { isCommitted } from './wake.ts';

/** True when no parked entry stands in the bucket any more. `released` counts the timers. */
export async function releaseParked(
  deps: ReleaseDeps,
  bucket: string,
  tally: { released: number },
): Promise<boolean> {
  let done = true;
  for await (const page of deps.due.entries(bucket, 'parked')) {
    for (let start = 0; start < page.length; start += ENTRY_GROUP) {
      const group = page.slice(start, start + ENTRY_GROUP);
      if (!(await releaseGroup(deps, bucket, group, tally))) done = false;
    }
  }
  return done;
}

async function releaseGroup(
  deps: ReleaseDeps,
  bucket: string,
  group: readonly DueEntry[],
  tally: { released: number },
): Promise<boolean> {
  const parked = new Map<DueEntry, DeliveryItem>();
  const settled = await inParallel(group, ENTRY_WIDTH, (entry) =>
    tryEntry(deps, entry, async () => {
      const found = await stillThere(deps, entry, bucket);
      if (found === undefined) return true;
      if (isCommitted(found.item, found.commit)) parked.set(entry, found.item);
      else return guardOrphan(deps, found.item);
      return true;
    }),
  );
  const nowMs = deps.clock.nowMs();
  const waiting = [...parked];
  const sent = await deps.timers.send(
    waiting.map(([, item]) => ({
      timer: timerFor(item),
      delaySeconds: delaySeconds(item.delivery.dueAtMs, nowMs, deps.limits.maxDelayMs),
    })),
  );
  const moved = await inParallel(waiting, ENTRY_WIDTH, async ([entry, item], index) => {
    if (sent[index] !== true) return false;
    tally.released += 1;
    let current: DeliveryItem | undefined = item;
    return tryEntry(deps, entry, async () => {
      // Deliver may have leased it already: then the entry stands there still, with another revision.
      current ??= (await stillThere(deps, entry, bucket))?.item;
      if (current === undefined) return true;
      const written = await deps.ledger.write(guarded(deps, current, nowMs));
      current = undefined;
      return written;
    });
  });
  return settled.every((ok) => ok) && moved.every((ok) => ok);
}

function guarded(deps: ReleaseDeps, item: DeliveryItem, nowMs: number): DeliveryItem {
  const guard = guardAtMs(Math.max(item.delivery.dueAtMs, nowMs), deps.limits, deps.tempo);
  return revised(item, { parked: false, guardAtMs: guard, sentAtMs: nowMs });
}

// A chunk whose commit is missing goes under a guard: the sweep knows what to do with it.
function guardOrphan(deps: ReleaseDeps, item: DeliveryItem): Promise<boolean> {
  const guard = deps.clock.nowMs() + 2 * deps.tempo.bucketMs;
  return deps.ledger.write(revised(item, { parked: false, guardAtMs: guard }));
}
