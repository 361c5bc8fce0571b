// Connections that are lost around the content: what is known, and what is not (I6).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertQuiet } from './inventory.ts';
import { advanceTo, arrived, delivery, letter, message, recordsOf, steady, told } from './transfers.ts';
import { startWorld } from './world.ts';

test('a connection lost after the final dot is uncertain: not the next MX, but the next attempt delivers', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('doubt', ['anyone@drop-final.test']));
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(told(world, 'doubt').slice(1), ['Uncertain anyone@drop-final.test 421 final 1']);
  assert.equal(world.sinkEvents.length, 1, 'the second MX was not asked');
  assert.equal(world.sinkEvents[0]?.reply, 'cut after the final dot');
  const { state, attempts, dueAtMs, lastReply } = await delivery(world, 'doubt');
  assert.deepEqual({ state, attempts }, { state: 'open', attempts: 1 });
  assert.deepEqual([lastReply?.code, lastReply?.enhanced], [421, '4.4.2']);
  const uncertain = recordsOf(world, 'doubt').at(-1);
  assert.equal(dueAtMs - (uncertain?.timestamp ?? 0) * 1_000, 300_000);
  assert.equal(uncertain?.next_due, new Date(dueAtMs).toISOString());

  advanceTo(world, dueAtMs);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(arrived(world, 'anyone@drop-final.test'), [letter('doubt')]);
  assert.deepEqual(told(world, 'doubt').slice(2), ['Delivery anyone@drop-final.test 250 final 2']);
  await assertQuiet(world);
});

test('a message that is in doubt until its expiry expires, and the doubt is in the log', async () => {
  await using world = await startWorld({ random: steady() });
  const expiresAt = new Date(world.clock.nowMs() + 200_000).toISOString();
  await world.post(message('never', ['drop-final-9@ok.test'], { expiresAt, sender: '' }));
  await world.deliver();
  assert.equal((await delivery(world, 'never')).dueAtMs, Date.parse(expiresAt));
  advanceTo(world, Date.parse(expiresAt));
  await world.deliver();
  assert.deepEqual(told(world, 'never').slice(1), [
    'Uncertain drop-final-9@ok.test 421 final 1',
    'Uncertain drop-final-9@ok.test 421 final 2',
    'Expiration drop-final-9@ok.test 421 2',
  ]);
  await assertQuiet(world);
});

test('a connection lost in the middle of the content is a plain deferral', async () => {
  await using world = await startWorld({ random: steady() });
  const content = `Subject: long\r\n\r\n${'x'.repeat(70)}\r\n`.repeat(20_000);
  await world.post(message('half', ['anyone@drop.test'], { content }));
  await world.deliver();
  assert.deepEqual(told(world, 'half').slice(1), ['TransientFailure anyone@drop.test 421 content 1']);
  assert.equal(world.sink.received.length, 0);
  advanceTo(world, (await delivery(world, 'half')).dueAtMs);
  await world.deliver();
  assert.deepEqual(arrived(world, 'anyone@drop.test'), [content]);
  await assertQuiet(world);
});

test('a deferral after the content defers each recipient, and all get it at the next attempt', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('full', ['a@defer-data.test', 'b@defer-data.test']));
  await world.deliver();
  assert.deepEqual(told(world, 'full').slice(2), [
    'TransientFailure a@defer-data.test 452 final 1',
    'TransientFailure b@defer-data.test 452 final 1',
  ]);
  advanceTo(world, (await delivery(world, 'full')).dueAtMs);
  await world.deliver();
  assert.deepEqual(
    world.sink.received.map((mail) => mail.recipients.map(({ address }) => address)),
    [['a@defer-data.test', 'b@defer-data.test']],
  );
  await assertQuiet(world);
});
