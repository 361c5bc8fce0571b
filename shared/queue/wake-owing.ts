// Closed deliveries whose reports could not be paid get a timer, again and again until they are (I9), beyond their
// expiry too. Of two timers for one both pay, and the second finds that it was done: nothing is written here.

import type { DeliveryItem } from './delivery.ts';
import { ENTRY_GROUP, ENTRY_WIDTH, type ReleaseDeps, stillThere, tryEntry } from './due-entry.ts';
import { inParallel } from './in-parallel.ts';
import { owingTimerFor } from './timer.ts';

/** What came to owe so lately is being paid: bounds real work, and is no part of a tempo. */
const BEING_PAID_MS = 30_000;

/** Everything in the bucket. `woken`: nobody is left without a timer. */
export async function wakeOwing(
  deps: ReleaseDeps,
  bucket: string,
): Promise<{ readonly count: number; readonly woken: boolean }> {
  let count = 0;
  let woken = true;
  for await (const page of deps.due.entries(bucket, 'owing')) {
    count += page.length;
    for (let start = 0; start < page.length; start += ENTRY_GROUP) {
      const group = page.slice(start, start + ENTRY_GROUP);
      const found = await inParallel(group, ENTRY_WIDTH, async (entry) => {
        let item: Awaited<ReturnType<typeof stillThere>>;
        const read = await tryEntry(deps, entry, async () => {
          item = await stillThere(deps, entry, bucket);
          return true;
        });
        woken &&= read;
        return item?.item;
      });
      const nowMs = deps.clock.nowMs();
      const items = found.flatMap((item) => (item === undefined || isYoung(item, nowMs) ? [] : [item]));
      if (items.length === 0) continue;
      const sent = await deps.timers.send(
        items.map((item) => ({ timer: owingTimerFor(item, nowMs), delaySeconds: 0 })),
      );
      woken &&= sent.every((taken) => taken);
    }
  }
  return { count, woken };
}

function isYoung({ delivery }: DeliveryItem, nowMs: number): boolean {
  return delivery.owed.some(({ atMs }) => atMs > nowMs - BEING_PAID_MS);
}
