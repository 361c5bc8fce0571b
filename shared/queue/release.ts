// Every minute: timers for parked deliveries that come due, new timers for stragglers whose own was lost (I5),
// and the end of chunks that never got their commit. Work is by shard, each with a cursor in the ledger
// that advances only past buckets that are done: a crash repeats, never skips.

import type { ReleaseDeps } from './due-entry.ts';
import { inParallel } from './in-parallel.ts';
import { bucketName, bucketNumber, INDEX_SHARDS, stateBucket } from './parking.ts';
import { type Cursor, type DueEntry, StoreError } from './ports.ts';
import { releaseParked } from './release-parked.ts';
import { type Swept, sweepGuarded } from './sweep-guarded.ts';
import { wakeOwing } from './wake-owing.ts';

export interface ReleaseSummary {
  /** Timers sent for parked deliveries. */
  readonly released: number;
  readonly stragglers: number;
  readonly orphans: number;
  /** Shards whose cursor stopped before the present: a store failed, time ran out, or stragglers wait. */
  readonly behind: number;
  readonly held: number;
  /** Deliveries that owe a report, and are closed but for that. */
  readonly owing: number;
}

/** While the queue shows more than this visible, its timers are late, not lost. */
export const BACKLOG_VISIBLE = 10_000;

/**
 * A cursor further back than this was stopped for long: the buckets that hold anything are found by one scan, not
 * by a query each. More than stragglers ever wait.
 */
const FAR_BEHIND_BUCKETS = 600;
/** The index may lack what was written a moment ago: young buckets are always queried. */
const YOUNG_BUCKETS = 2;

const SHARD_WIDTH = 16;

type Tally = { -readonly [K in keyof ReleaseSummary]: number };

/** Never rejects for stores that fail: what was not done is done at the next run. */
export async function releaseDue(deps: ReleaseDeps, deadlineMs: number): Promise<ReleaseSummary> {
  const tally: Tally = { released: 0, stragglers: 0, orphans: 0, behind: 0, held: 0, owing: 0 };
  const backlog = await visible(deps);
  const shards = Array.from({ length: INDEX_SHARDS }, (_, shard) => shard);
  let scan: Promise<ReadonlySet<string>> | undefined;
  const occupied = () => {
    scan ??= deps.due.occupied();
    return scan;
  };
  await inParallel(shards, SHARD_WIDTH, async (shard) => {
    try {
      const done = await releaseShard(deps, { shard, deadlineMs, backlog, occupied }, tally);
      if (!done) tally.behind += 1;
      const held = await count(deps, stateBucket('held', shard), 'held');
      tally.held += held;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      tally.behind += 1;
      const message = `a store did not answer (${error.message}); the shard goes on at the next run`;
      deps.log.notice({ level: 'warn', code: 'store-failed', message, detail: { shard } });
    }
  });
  if (tally.behind > 0 && backlog > BACKLOG_VISIBLE) {
    const message = 'stragglers may wait: the queue itself is behind, so their timers are late, not lost';
    deps.log.notice({ level: 'warn', code: 'stragglers-wait', message, detail: { visible: backlog } });
  }
  const noteworthy = Object.values(tally).some((number) => number > 0);
  if (noteworthy) {
    deps.log.notice({ level: 'info', code: 'release-summary', message: 'release', detail: { ...tally } });
  }
  return tally;
}

async function releaseShard(
  deps: ReleaseDeps,
  run: {
    readonly shard: number;
    readonly deadlineMs: number;
    readonly backlog: number;
    readonly occupied: () => Promise<ReadonlySet<string>>;
  },
  tally: Tally,
): Promise<boolean> {
  const nowMs = deps.clock.nowMs();
  const first = bucketNumber(nowMs - deps.lookbackMs, deps.tempo);
  const before = await deps.due.readCursor(run.shard);
  const present = bucketNumber(nowMs, deps.tempo);
  const cursor = before ?? { parkedBucket: first, guardedBucket: first };
  const farBehind = present - Math.min(cursor.parkedBucket, cursor.guardedBucket) > FAR_BEHIND_BUCKETS;
  const occupied = farBehind ? await run.occupied() : undefined;
  const go = () => deps.clock.nowMs() < run.deadlineMs;
  const isEmpty = (bucket: number) =>
    bucket < present - YOUNG_BUCKETS && occupied?.has(bucketName(bucket, run.shard)) === false;
  const visit = async (bucket: number, work: (name: string) => Promise<Swept>): Promise<Swept> => {
    if (isEmpty(bucket)) return 'done';
    try {
      return await work(bucketName(bucket, run.shard));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return 'failed';
    }
  };

  const owing = await visitOwing(deps, run.shard, present, before?.owingBucket, tally);
  const after: Cursor = {
    ...(owing === undefined ? {} : { owingBucket: owing }),
    // The coming bucket too: SQS delays a timer to its exact second.
    parkedBucket: await walk(cursor.parkedBucket, present + 1, go, (bucket) =>
      visit(bucket, async (name) => ((await releaseParked(deps, name, tally)) ? 'done' : 'failed')),
    ),
    guardedBucket: await walk(cursor.guardedBucket, present - 1, go, (bucket) => {
      const ageMs = nowMs - bucket * deps.tempo.bucketMs;
      const mayResend = run.backlog <= BACKLOG_VISIBLE || ageMs > deps.tempo.stragglerPatienceMs;
      return visit(bucket, (name) => sweepGuarded(deps, name, mayResend, tally));
    }),
  };
  const moved =
    after.parkedBucket !== before?.parkedBucket ||
    after.guardedBucket !== before?.guardedBucket ||
    after.owingBucket !== before?.owingBucket;
  if (moved) await deps.due.writeCursor(run.shard, after);
  return after.parkedBucket >= present + 1 && after.guardedBucket >= present - 1;
}

// Counted every time, for the alarm, and woken when their time has come. Answers the bucket of the last wake.
async function visitOwing(
  deps: ReleaseDeps,
  shard: number,
  present: number,
  last: number | undefined,
  tally: Tally,
): Promise<number | undefined> {
  const every = Math.max(1, Math.floor(deps.tempo.owingMs / deps.tempo.bucketMs));
  const wakes = last === undefined || present - last >= every;
  const bucket = stateBucket('owing', shard);
  const owing = wakes
    ? await wakeOwing(deps, bucket)
    : { count: await count(deps, bucket, 'owing'), woken: true };
  tally.owing += owing.count;
  return wakes && owing.woken ? present : last;
}

// Goes on past a bucket that failed, so that one sick entry holds up nobody; answers the last bucket up to which
// everything is done, where the next run begins.
async function walk(
  from: number,
  to: number,
  go: () => boolean,
  work: (bucket: number) => Promise<Swept>,
): Promise<number> {
  let through = from;
  let whole = true;
  for (let bucket = from + 1; bucket <= to && go(); bucket += 1) {
    const result = await work(bucket);
    if (result === 'waits') break;
    whole &&= result === 'done';
    if (whole) through = bucket;
  }
  return through;
}

async function count(deps: ReleaseDeps, bucket: string, kind: DueEntry['kind']): Promise<number> {
  let total = 0;
  for await (const page of deps.due.entries(bucket, kind)) total += page.length;
  return total;
}

async function visible(deps: ReleaseDeps): Promise<number> {
  try {
    return (await deps.timers.depth()).visible;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return 0;
  }
}
