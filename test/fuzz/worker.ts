// Plays every n-th case in a thread of its own, many at once, and tells of those that failed.

import { parentPort, workerData } from 'node:worker_threads';
import * as z from 'zod/mini';
import { createCasePlayer } from './cases.ts';

/** In flight: most wait for a timer of milliseconds now and then. */
const AT_ONCE = 32;
/** Failures told by one worker, at most: one bug shows in many cases. */
const MAX_TOLD = 50;

const share = z
  .object({
    seed: z.number(),
    first: z.number(),
    step: z.number(),
    /** No case from here on. */
    before: z.number(),
    /** Of `Date.now`. */
    untilMs: z.number(),
  })
  .parse(workerData);

export type WorkerWord =
  | {
      readonly kind: 'failed';
      readonly index: number;
      readonly what: string;
      readonly faults: readonly string[];
      readonly story: string;
    }
  /** Cases by kind, and within a kind how they ended. */
  | { readonly kind: 'played'; readonly count: number; readonly ends: Readonly<Record<string, number>> }
  | { readonly kind: 'done' };

function tell(word: WorkerWord): void {
  parentPort?.postMessage(word);
}

const underWay = new Set<number>();
let told = 0;
for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(event, (reason: unknown) => {
    const why = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
    const [index = share.first] = underWay;
    told += 1;
    if (told > MAX_TOLD) return;
    const faults = [`${event}, in one of the cases ${[...underWay].join(' ')}`];
    tell({ kind: 'failed', index, what: 'process', faults, story: why });
  });
}

const player = await createCasePlayer();
let next = share.first;
let count = 0;
let ends: Record<string, number> = {};

async function playOn(): Promise<void> {
  while (next < share.before && Date.now() < share.untilMs) {
    const index = next;
    next += share.step;
    underWay.add(index);
    const played = await player.play(share.seed, index);
    underWay.delete(index);
    count += 1;
    for (const end of played.ends) {
      const key = `${played.kind} ${end}`;
      ends[key] = (ends[key] ?? 0) + 1;
    }
    if (played.faults.length > 0 && told < MAX_TOLD) {
      told += 1;
      tell({ kind: 'failed', index, what: played.kind, faults: played.faults, story: played.story() });
    }
    if (count % 1_000 === 0) flush();
  }
}

function flush(): void {
  tell({ kind: 'played', count, ends });
  count = 0;
  ends = {};
}

await Promise.all(Array.from({ length: AT_ONCE }, playOn));
flush();
await player.close();
// What hangs may keep timers: the thread is ended from outside.
tell({ kind: 'done' });
