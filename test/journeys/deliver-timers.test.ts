// Timers are facts about a delivery, never its state: lost, doubled, worn or foreign ones do no harm.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stores } from '../../shared/aws/stores.ts';
import type { Timer } from '../../shared/queue/ports.ts';
import { formatTimer, timerFor } from '../../shared/queue/timer.ts';
import { assertQuiet, inventory, removeObject, sendToQueue, wearOut } from './inventory.ts';
import {
  advanceTo,
  arrived,
  deliveries,
  delivery,
  letter,
  message,
  recordsOf,
  steady,
  told,
} from './transfers.ts';
import { startWorld, WIDE_BUCKETS, type World } from './world.ts';

async function currentTimer(world: World, id: string): Promise<Timer> {
  const [item] = await deliveries(world, id);
  assert.ok(item !== undefined);
  return timerFor(item);
}

test('a surplus timer of a delivery that waits is deleted, and the current one keeps its time', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('surplus', ['defer-1@ok.test']));
  await world.deliver();
  const timer = await currentTimer(world, 'surplus');
  await sendToQueue(world, formatTimer({ ...timer, mark: 'another', notBeforeMs: world.clock.nowMs() }));
  assert.equal((await inventory(world)).timers, 2);
  assert.equal(await world.deliver(), 1);
  assert.equal((await inventory(world)).timers, 1);
  advanceTo(world, timer.notBeforeMs);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(arrived(world, 'defer-1@ok.test'), [letter('surplus')]);
  await assertQuiet(world);
});

test('a surplus timer that surfaces when its delivery is due attempts it, and becomes the current one', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('due', ['defer-2@ok.test'], { attempts: 1 }));
  const timer = await currentTimer(world, 'due');
  advanceTo(world, timer.notBeforeMs);
  await sendToQueue(world, formatTimer({ ...timer, mark: 'another' }));
  assert.equal(await world.deliver(), 2);
  // One of the two attempted it; the other found it leased or waiting.
  assert.deepEqual(told(world, 'due').slice(1), ['TransientFailure defer-2@ok.test 450 rcpt 1']);
  advanceTo(world, (await delivery(world, 'due')).dueAtMs);
  await world.deliver();
  world.clock.advance(1_200_000);
  await world.deliver();
  world.clock.advance(1_200_000);
  await world.deliver();
  assert.deepEqual(arrived(world, 'defer-2@ok.test'), [letter('due')]);
  await assertQuiet(world);
});

test('a timer of a message that ended is deleted, and nothing is delivered again', async () => {
  await using world = await startWorld();
  await world.post(message('ended', ['anyone@ok.test']));
  const timer = await currentTimer(world, 'ended');
  await world.deliver();
  await sendToQueue(world, formatTimer(timer));
  await sendToQueue(world, formatTimer({ ...timer, mark: 'another' }));
  assert.equal(await world.deliver(), 2);
  assert.equal(world.sink.received.length, 1);
  const [first, again, ...others] = recordsOf(world, 'ended').slice(1);
  assert.deepEqual(others, []);
  // The current timer's return says the ending again, for a log that may lack it.
  assert.equal(first?.type, 'Delivery');
  assert.equal(again?.type, 'Delivery');
  assert.equal(again?.event_id, first?.event_id);
  assert.equal(again?.num_attempts, first?.num_attempts);
  await assertQuiet(world);
});

test('a timer whose delivery is not in the ledger is told, deleted, and never attempted', async () => {
  await using world = await startWorld();
  await world.post(message('known', ['anyone@ok.test'], { attempts: 1 }));
  const timer = await currentTimer(world, 'known');
  const key = { ...timer.key, id: 'unknown' };
  await sendToQueue(world, formatTimer({ ...timer, key, notBeforeMs: world.clock.nowMs() }));
  await sendToQueue(world, formatTimer({ ...timer, generation: 7, notBeforeMs: world.clock.nowMs() }));
  assert.equal(await world.deliver(), 2);
  assert.deepEqual(
    world.notices.map(({ code, detail }) => [code, detail?.['id']]),
    [
      ['timer-gone', 'unknown'],
      ['timer-gone', 'known'],
    ],
  );
  assert.equal(world.sink.received.length, 0);
  assert.equal((await inventory(world)).timers, 1);
});

test('what is no timer at all is told and deleted', async () => {
  await using world = await startWorld();
  const bodies = ['', '{', 'null', '{"v":1}', '{"v":2,"credential":"a"}', '\u2603'].filter(Boolean);
  for (const body of bodies) await sendToQueue(world, body);
  assert.equal(await world.deliver(), 5);
  assert.deepEqual(
    world.notices.map(({ code }) => code),
    Array.from({ length: 5 }, () => 'timer-malformed'),
  );
  await assertQuiet(world);
});

test('a lost timer is sent again by release, once its guard has passed', async () => {
  let lose = false;
  const wrap = (stores: Stores, role: string): Stores =>
    role !== 'receive'
      ? stores
      : {
          ...stores,
          // SQS says that it has them, and loses them.
          timers: {
            ...stores.timers,
            send: async (timers) => (lose ? timers.map(() => true) : stores.timers.send(timers)),
          },
        };
  await using world = await startWorld({ random: steady(), wrap, tempo: WIDE_BUCKETS, lookbackMs: 0 });
  await world.release();
  lose = true;
  await world.post(message('lost', ['anyone@ok.test']));
  assert.equal((await inventory(world)).timers, 0);
  // Due at once; the guard is the queue's visibility of 961 s and 300 s later.
  const { guardAtMs, dueAtMs, mark } = await delivery(world, 'lost');
  assert.equal(guardAtMs - dueAtMs, 1_261_000);
  world.clock.advance(1_250_000);
  assert.equal((await world.release()).stragglers, 0);
  // Past the end of the guard's partition and one more.
  world.clock.advance(620_000);
  assert.equal((await world.release()).stragglers, 1);
  assert.notEqual((await delivery(world, 'lost')).mark, mark);
  assert.deepEqual(
    world.notices.filter(({ code }) => code === 'straggler').map(({ detail }) => detail?.['id']),
    ['lost'],
  );
  assert.equal((await world.release()).stragglers, 0, 'once is enough');
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(arrived(world, 'anyone@ok.test'), [letter('lost')]);
  await assertQuiet(world);
});

test('a timer received 500 times is replaced by a fresh one, and the schedule does not notice', async () => {
  await using world = await startWorld({ random: steady() });
  const dueAt = new Date(world.clock.nowMs() + 60_000).toISOString();
  // The third deferral waits 1,200 s: longer than SQS can delay a message.
  await world.post(message('worn', ['defer-1@ok.test'], { attempts: 2, dueAt }));
  advanceTo(world, Date.parse(dueAt));
  await wearOut(world, 499);
  const { mark } = await delivery(world, 'worn');
  assert.equal(await world.deliver(), 1);
  const replaced = await delivery(world, 'worn');
  assert.notEqual(replaced.mark, mark);
  assert.equal((await inventory(world)).timers, 1);

  world.clock.advance(901_000);
  assert.equal(await world.deliver(), 1, 'the fresh timer surfaces early');
  assert.equal(world.sink.received.length, 0);
  advanceTo(world, replaced.dueAtMs);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(told(world, 'worn').slice(1), [
    'TransientFailure defer-1@ok.test 450 rcpt 3',
    'Delivery defer-1@ok.test 250 final 4',
  ]);
  await assertQuiet(world);
});

test('a timer received 499 times is hidden like any other', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('nearly', ['defer-1@ok.test']));
  await wearOut(world, 498);
  const { mark } = await delivery(world, 'nearly');
  assert.equal(await world.deliver(), 1);
  assert.equal((await delivery(world, 'nearly')).mark, mark);
});

test('a delivery whose content is missing is held with an alarm, and stays in the ledger', async () => {
  await using world = await startWorld({ lookbackMs: 0 });
  await world.post(message('hollow', ['b@ok.test', 'a@ok.test']));
  const { content } = (await delivery(world, 'hollow')).facts;
  await removeObject(world, content.key);
  assert.equal(await world.deliver(), 1);
  const held = await delivery(world, 'hollow');
  assert.deepEqual([held.state, held.heldBecause], ['held', 'its content is missing in the spool']);
  assert.ok(held.recipients.every(({ ending }) => ending === undefined));
  assert.deepEqual(told(world, 'hollow').slice(2), ['Held a@ok.test 0', 'Held b@ok.test 0']);
  const alarm = world.notices.find(({ code }) => code === 'content-missing');
  assert.equal(alarm?.level, 'error');
  assert.deepEqual(alarm?.detail, {
    credential: 'tester',
    id: 'hollow',
    chunk: 0,
    content: content.key,
  });
  assert.equal(world.sink.received.length, 0);
  assert.equal((await inventory(world)).timers, 0);
  assert.equal((await world.release()).held, 1);
});
