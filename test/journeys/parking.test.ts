// Long waits: in the ledger, without a timer, until release sends one for the exact second.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import { assertQuiet, inventory } from './inventory.ts';
import {
  advanceTo,
  arrived,
  delivery,
  frame,
  letter,
  message,
  postFrames,
  steady,
  told,
} from './transfers.ts';
import { startWorld, WIDE_BUCKETS, type World } from './world.ts';

const MINUTE = 60_000;
/** Partitions of five minutes; a shard without a cursor begins at the present. */
const WIDE = { tempo: WIDE_BUCKETS, lookbackMs: 0, random: steady() };
const BUCKET_MS = WIDE_BUCKETS.bucketMs;

/** To this long after the beginning of the n-th partition before the one that holds `atMs`. */
function toBucketBefore(world: World, atMs: number, n: number, plusMs: number): void {
  const start = (Math.floor(atMs / BUCKET_MS) - n) * BUCKET_MS;
  world.clock.advance(start + plusMs - world.clock.nowMs());
}

test('a message due in two hours is parked without a timer, and released on time', async () => {
  await using world = await startWorld(WIDE);
  const dueAtMs = world.clock.nowMs() + 120 * MINUTE;
  const dueAt = new Date(dueAtMs).toISOString();
  await world.post(message('later', ['anyone@ok.test'], { attempts: 2, dueAt }));
  assert.equal((await delivery(world, 'later')).parked, true);
  assert.equal((await inventory(world)).timers, 0);

  toBucketBefore(world, dueAtMs, 2, 30_000);
  assert.equal((await world.release()).released, 0, 'its partition is not the next yet');
  toBucketBefore(world, dueAtMs, 1, 30_000);
  assert.equal((await world.release()).released, 1);
  assert.equal((await delivery(world, 'later')).parked, false);
  assert.equal((await inventory(world)).timers, 1);
  assert.equal((await world.release()).released, 0);
  assert.equal((await inventory(world)).timers, 1, 'a second run sends no second timer');

  world.clock.advance(dueAtMs - 3_000 - world.clock.nowMs());
  assert.equal(await world.deliver(), 0, 'three seconds early');
  advanceTo(world, dueAtMs);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(arrived(world, 'anyone@ok.test'), [letter('later')]);
  await assertQuiet(world);
});

test('a release that comes late sends what came due meanwhile, at once', async () => {
  await using world = await startWorld(WIDE);
  const dueAtMs = world.clock.nowMs() + 20 * MINUTE;
  const dueAt = new Date(dueAtMs).toISOString();
  await postFrames(world, [
    frame('late-1', ['a@ok.test'], letter('late-1'), { dueAt }),
    frame('late-2', ['b@ok.test', 'c@utf8.test'], letter('late-2'), { dueAt }),
  ]);
  assert.equal((await inventory(world)).timers, 0);
  toBucketBefore(world, dueAtMs, 2, 0);
  await world.release();
  // Nobody ran release for a quarter of an hour.
  world.clock.advance(5 * BUCKET_MS);
  assert.equal((await world.release()).released, 3);
  assert.equal(await world.deliver(), 3);
  for (const address of ['a@ok.test', 'b@ok.test', 'c@utf8.test']) {
    assert.equal(arrived(world, address).length, 1, address);
  }
  await assertQuiet(world);
});

const OVER_THE_MARK = { ...WIDE, queueLimits: { ...QUEUE_LIMITS, inFlightMark: 0 } };

test('with too much in flight, a wait of 1,200 s is parked: its timer is gone until release sends another', async () => {
  await using world = await startWorld(OVER_THE_MARK);
  const dueAt = new Date(world.clock.nowMs() + MINUTE).toISOString();
  await world.post(message('crowded', ['defer-1@ok.test'], { attempts: 2, dueAt }));
  const { mark } = await delivery(world, 'crowded');
  advanceTo(world, Date.parse(dueAt));
  assert.equal(await world.deliver(), 1);
  const parked = await delivery(world, 'crowded');
  assert.deepEqual([parked.parked, parked.state, parked.attempts], [true, 'open', 3]);
  assert.notEqual(parked.mark, mark, 'the old timer is surplus, should it come back');
  assert.equal((await inventory(world)).timers, 0);

  toBucketBefore(world, parked.dueAtMs, 1, 1_000);
  assert.equal((await world.release()).released, 1);
  world.clock.advance(parked.dueAtMs - 3_000 - world.clock.nowMs());
  assert.equal(await world.deliver(), 0);
  advanceTo(world, parked.dueAtMs);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(told(world, 'crowded').slice(1), [
    'TransientFailure defer-1@ok.test 450 rcpt 3',
    'Delivery defer-1@ok.test 250 final 4',
  ]);
  await assertQuiet(world);
});

test('with too much in flight, a wait of 900 s or less stays hidden in the queue', async () => {
  await using world = await startWorld(OVER_THE_MARK);
  await world.post(message('short', ['defer-2@ok.test']));
  for (const wait of [300_000, 600_000]) {
    await world.deliver();
    const { parked } = await delivery(world, 'short');
    assert.equal(parked, false, `${wait} ms`);
    assert.equal((await inventory(world)).timers, 1);
    world.clock.advance(wait + 1_000);
  }
  await world.deliver();
  assert.equal((await delivery(world, 'short')).state, 'finished');
});

test('with little in flight, a wait of four hours stays hidden in the queue', async () => {
  await using world = await startWorld(WIDE);
  const dueAt = new Date(world.clock.nowMs() + MINUTE).toISOString();
  await world.post(message('long', ['defer-1@ok.test'], { attempts: 9, dueAt }));
  advanceTo(world, Date.parse(dueAt));
  await world.deliver();
  const { parked, dueAtMs } = await delivery(world, 'long');
  assert.equal(parked, false);
  assert.equal(Math.round((dueAtMs - world.clock.nowMs()) / MINUTE), 240);
  assert.equal((await inventory(world)).timers, 1);
  advanceTo(world, dueAtMs);
  await world.deliver();
  assert.deepEqual(arrived(world, 'defer-1@ok.test'), [letter('long')]);
  await assertQuiet(world);
});

test('a message that comes after its due time is attempted at once', async () => {
  await using world = await startWorld();
  const dueAt = new Date(world.clock.nowMs() - 60 * MINUTE).toISOString();
  await world.post(message('overdue', ['a@ok.test'], { attempts: 1, dueAt }));
  assert.equal(await world.deliver(), 1);
  assert.equal((await delivery(world, 'overdue')).state, 'finished');
});
