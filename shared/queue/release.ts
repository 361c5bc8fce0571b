// Every minute: timers for parked deliveries that come due, new timers for stragglers whose own was lost (I5),
// and the removal of chunks that never got their commit. Work is by shard, each with a cursor in the ledger
// that advances only past buckets that are done: a crash repeats, never skips.

import type { Log } from '../records/records.ts';
import { type DeliveryItem, hasLiveLease, isDeliveryItem, type LedgerItem, revised } from './delivery.ts';
import { dropContent } from './finish.ts';
import { inParallel } from './in-parallel.ts';
import {
  bucketName,
  bucketNumber,
  dueKeys,
  guardAtMs,
  INDEX_SHARDS,
  type QueueLimits,
  stateBucket,
} from './parking.ts';
import {
  type Clock,
  type ContentUsers,
  type Cursor,
  type DueEntry,
  type DueIndex,
  type Ledger,
  type Random,
  type Spool,
  StoreError,
  type Timers,
} from './ports.ts';
import type { Tempo } from './tempo.ts';
import { delaySeconds, timerFor } from './timer.ts';
import { isCommitted } from './wake.ts';
import { barItem, finishChunks } from './withdraw.ts';

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

export interface ReleaseSummary {
  /** Timers sent for parked deliveries. */
  readonly released: number;
  readonly stragglers: number;
  readonly orphans: number;
  /** Shards whose cursor stopped before the present: a store failed, time ran out, or stragglers wait. */
  readonly behind: number;
  readonly held: number;
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
const ITEM_WIDTH = 25;

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
      const owing = await count(deps, stateBucket('owing', shard), 'owing');
      // Added when both are known: other shards add meanwhile.
      tally.held += held;
      tally.owing += owing;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      tally.behind += 1;
      const message = `a store did not answer (${error.message}); the shard goes on at the next run`;
      deps.log.notice({ level: 'warn', code: 'store-failed', message, detail: { shard } });
    }
  });
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
  let { parkedBucket, guardedBucket } = before ?? { parkedBucket: first, guardedBucket: first };
  const farBehind = present - Math.min(parkedBucket, guardedBucket) > FAR_BEHIND_BUCKETS;
  const occupied = farBehind ? await run.occupied() : undefined;
  const go = () => deps.clock.nowMs() < run.deadlineMs;
  const isEmpty = (bucket: number) =>
    bucket < present - YOUNG_BUCKETS && occupied?.has(bucketName(bucket, run.shard)) === false;

  // The coming bucket too: SQS delays a timer to its exact second.
  while (go() && parkedBucket < present + 1) {
    const bucket = parkedBucket + 1;
    if (!isEmpty(bucket) && !(await releaseParked(deps, bucketName(bucket, run.shard), tally))) break;
    parkedBucket = bucket;
  }
  while (go() && guardedBucket < present - 1) {
    const bucket = guardedBucket + 1;
    const bucketAgeMs = nowMs - bucket * deps.tempo.bucketMs;
    const mayResend = run.backlog <= BACKLOG_VISIBLE || bucketAgeMs > deps.tempo.stragglerPatienceMs;
    const name = bucketName(bucket, run.shard);
    if (!isEmpty(bucket) && !(await sweepGuarded(deps, name, mayResend, tally))) break;
    guardedBucket = bucket;
  }
  const after: Cursor = { parkedBucket, guardedBucket };
  const moved = parkedBucket !== before?.parkedBucket || guardedBucket !== before?.guardedBucket;
  if (moved) await deps.due.writeCursor(run.shard, after);
  return parkedBucket >= present + 1 && guardedBucket >= present - 1;
}

// True when every parked entry of the bucket has its timer and stands under its guard.
async function releaseParked(deps: ReleaseDeps, bucket: string, tally: Tally): Promise<boolean> {
  let done = true;
  for await (const page of deps.due.entries(bucket, 'parked')) {
    const found = await inParallel(page, ITEM_WIDTH, (entry) => stillThere(deps, entry, bucket));
    const parked = found.filter((entry) => entry !== undefined);
    const ours = parked.filter(({ item, commit }) => isCommitted(item, commit)).map(({ item }) => item);
    const orphans = parked.filter(({ item, commit }) => !isCommitted(item, commit));
    const nowMs = deps.clock.nowMs();
    const sent = await deps.timers.send(
      ours.map((item) => ({
        timer: timerFor(item),
        delaySeconds: delaySeconds(item.delivery.dueAtMs, nowMs, deps.limits.maxDelayMs),
      })),
    );
    const guarded = await inParallel(ours, ITEM_WIDTH, async (item, index) => {
      if (sent[index] !== true) return false;
      tally.released += 1;
      const guard = guardAtMs(Math.max(item.delivery.dueAtMs, nowMs), deps.limits, deps.tempo);
      return deps.ledger.write(revised(item, { parked: false, guardAtMs: guard, sentAtMs: nowMs }));
    });
    // A chunk whose commit is missing goes under a guard: the sweep knows what to do with it.
    const swept = await inParallel(orphans, ITEM_WIDTH, ({ item }) =>
      deps.ledger.write(revised(item, { parked: false, guardAtMs: nowMs + 2 * deps.tempo.bucketMs })),
    );
    // Whoever was faster may have left the entry where it stands: the bucket is read again.
    done &&= [...guarded, ...swept].every((moved) => moved);
  }
  return done;
}

// Guarded entries whose bucket has passed and that still stand there have made no news for too long. True when none
// stands there any more: where a write was refused, the bucket is read again, whatever the faster one did.
async function sweepGuarded(
  deps: ReleaseDeps,
  bucket: string,
  mayResend: boolean,
  tally: Tally,
): Promise<boolean> {
  for await (const page of deps.due.entries(bucket, 'guarded')) {
    const swept = await inParallel(page, ITEM_WIDTH, async (entry) => {
      const found = await stillThere(deps, entry, bucket);
      if (found === undefined) return true;
      const { item, commit } = found;
      const nowMs = deps.clock.nowMs();
      if (!isCommitted(item, commit)) return sweepOrphan(deps, item, commit, nowMs, tally);
      if (hasLiveLease(item.delivery, nowMs)) {
        const untilMs = item.delivery.lease?.untilMs ?? nowMs;
        return deps.ledger.write(revised(item, { guardAtMs: guardAtMs(untilMs, deps.limits, deps.tempo) }));
      }
      return mayResend && resend(deps, item, nowMs, tally);
    });
    if (!swept.every((done) => done)) return false;
  }
  return true;
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
    message: 'a chunk without a commit is removed: its transfer ended before it was accepted',
    detail: { ...item.key },
  });
  if (
    commit?.commit !== undefined &&
    commit.commit.state !== 'committed' &&
    commit.generation === item.generation
  ) {
    return finishChunks(deps, [item], commit, nowMs);
  }
  if (!(await deps.ledger.remove(item))) return false;
  await dropContent(deps, item);
  return true;
}

async function stillThere(
  deps: ReleaseDeps,
  entry: DueEntry,
  bucket: string,
): Promise<{ readonly item: DeliveryItem; readonly commit: LedgerItem | undefined } | undefined> {
  const item = await deps.ledger.readItem(entry.key);
  if (item === undefined || !isDeliveryItem(item) || dueKeys(item, deps.tempo)?.bucket !== bucket) {
    return undefined;
  }
  const own = item.key.chunk === 0;
  return { item, commit: own ? item : await deps.ledger.readItem({ ...item.key, chunk: 0 }) };
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
