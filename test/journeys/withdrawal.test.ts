// DELETE /delay_message/{id}: the sender takes a message back, which it may until the first attempt begins.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHaltedDelivery } from './halted-delivery.ts';
import { assertQuiet, inventory } from './inventory.ts';
import {
  advanceTo,
  arrived,
  deliveries,
  delivery,
  frame,
  letter,
  message,
  postFrames,
  steady,
  told,
  withdraw,
} from './transfers.ts';
import { startWorld, WIDE_BUCKETS } from './world.ts';

const HOUR = 3_600_000;

function withdrawn(id: string) {
  return { status: 200, type: 'application/json', body: { id, status: 'withdrawn' } };
}

/** Code, enhanced code and first words of the only refusal. */
function refusal(body: unknown): string {
  const [first] = Object(body).messages;
  return `${first.reply.code} ${first.reply.enhanced} ${first.reply.text}`;
}

test('a message withdrawn before its first attempt is never attempted, and nothing of it is kept', async () => {
  await using world = await startWorld();
  await world.post(message('back', ['a@ok.test', 'b@ok.test'], { attempts: 1 }));
  assert.deepEqual(await withdraw(world, 'back'), withdrawn('back'));
  const { state, recipients } = await delivery(world, 'back');
  assert.equal(state, 'finished');
  assert.deepEqual(
    recipients.map(({ ending }) => ending?.kind),
    ['withdrawn', 'withdrawn'],
  );
  assert.deepEqual((await inventory(world)).objects, []);
  world.clock.advance(130_000);
  assert.equal(await world.deliver(), 1, 'its timer surfaces, and is deleted');
  assert.equal(world.sink.received.length, 0);
  assert.deepEqual(told(world, 'back').slice(2, 4), [
    'Withdrawn a@ok.test 250 0',
    'Withdrawn b@ok.test 250 0',
  ]);
  await assertQuiet(world);
});

test('a withdrawal is idempotent', async () => {
  await using world = await startWorld();
  await world.post(message('again', ['a@ok.test'], { attempts: 1 }));
  assert.deepEqual(await withdraw(world, 'again'), withdrawn('again'));
  assert.deepEqual(await withdraw(world, 'again'), withdrawn('again'));
  assert.equal((await delivery(world, 'again')).state, 'finished');
});

test('a withdrawn id is barred for an hour, then taken afresh and delivered once', async () => {
  await using world = await startWorld();
  const recipients = ['a@ok.test', 'b@utf8.test'];
  await world.post(message('fresh', recipients, { attempts: 1 }));
  await withdraw(world, 'fresh');
  const early = await world.post(message('fresh', recipients));
  assert.equal(early.status, 422);
  assert.match(refusal(early.body), /^451 4\.3\.0 this id was withdrawn; it can be sent again after \d{4}-/);
  assert.deepEqual((await inventory(world)).objects, [], 'the refused content is gone');

  world.clock.advance(HOUR + 1_000);
  assert.deepEqual(await world.post(message('fresh', recipients)), {
    status: 200,
    body: { messages: [{ id: 'fresh', status: 'accepted' }] },
  });
  const items = await deliveries(world, 'fresh');
  assert.deepEqual(
    items.map(({ generation, delivery: { state } }) => [generation, state]),
    [
      [2, 'open'],
      [2, 'open'],
    ],
  );
  // Timers of both generations surface; only those of the second may attempt.
  assert.equal(await world.deliver(), 4);
  assert.deepEqual(arrived(world, 'a@ok.test'), [letter('fresh')]);
  assert.deepEqual(arrived(world, 'b@utf8.test'), [letter('fresh')]);
  await assertQuiet(world);
});

test('a withdrawal of several deliveries takes all of them back', async () => {
  await using world = await startWorld();
  await world.post(message('three', ['a@ok.test', 'b@utf8.test', 'c@mixed.test'], { attempts: 1 }));
  assert.deepEqual(await withdraw(world, 'three'), withdrawn('three'));
  assert.deepEqual(
    (await deliveries(world, 'three')).map(({ delivery: { state } }) => state),
    ['finished', 'finished', 'finished'],
  );
  world.clock.advance(130_000);
  assert.equal(await world.deliver(), 3);
  assert.equal(world.sink.received.length, 0);
  await assertQuiet(world);
});

test('a withdrawal during the first attempt comes too late: 409, and the message is delivered', async () => {
  await using halted = await startHaltedDelivery();
  const { world } = halted;
  await world.post(message('during', ['a@ok.test']));
  await halted.begin();
  const { status, type, body } = await withdraw(world, 'during');
  assert.equal(status, 409);
  assert.equal(type, 'application/problem+json');
  const { code, id, state } = Object(body);
  assert.deepEqual({ code, id, state }, { code: 'not-withdrawn', id: 'during', state: 'open' });
  await halted.finish();
  assert.deepEqual(arrived(world, 'a@ok.test'), [letter('during')]);
  await assertQuiet(world);
});

test('a withdrawal after a deferral, and after the end, is refused with the state', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('late', ['defer-1@ok.test']));
  await world.deliver();
  const deferred = await withdraw(world, 'late');
  assert.deepEqual([deferred.status, Object(deferred.body).state], [409, 'open']);
  const { lease, dueAtMs } = await delivery(world, 'late');
  assert.equal(lease, undefined, 'no lease of the withdrawal stays behind');
  advanceTo(world, dueAtMs);
  await world.deliver();
  assert.deepEqual(arrived(world, 'defer-1@ok.test'), [letter('late')]);
  const ended = await withdraw(world, 'late');
  assert.deepEqual([ended.status, Object(ended.body).state], [409, 'finished']);

  await world.post(message('bounced', ['reject@ok.test']));
  await world.deliver();
  const bounced = await withdraw(world, 'bounced');
  assert.deepEqual([bounced.status, Object(bounced.body).state], [409, 'finished']);
});

test('when one of several deliveries was attempted, the others go on', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('partly', ['a@ok.test', 'defer-1@utf8.test']));
  await world.deliver();
  assert.equal((await withdraw(world, 'partly')).status, 409);
  world.clock.advance(301_000);
  await world.deliver();
  assert.deepEqual(arrived(world, 'defer-1@utf8.test'), [letter('partly')]);
  await assertQuiet(world);
});

test('an id that was never seen is barred for an hour, so that a late transfer cannot undo its withdrawal', async () => {
  await using world = await startWorld();
  assert.deepEqual(await withdraw(world, 'unseen'), withdrawn('unseen'));
  assert.deepEqual(await withdraw(world, 'unseen'), withdrawn('unseen'));
  const barred = await world.post(message('unseen', ['a@ok.test']));
  assert.match(refusal(barred.body), /^451 4\.3\.0 this id is barred after a withdrawal/);
  await assertQuiet(world);
  world.clock.advance(HOUR + 1_000);
  assert.equal((await world.post(message('unseen', ['a@ok.test']))).status, 200);
  await world.deliver();
  assert.deepEqual(arrived(world, 'a@ok.test'), [letter('unseen')]);
  await assertQuiet(world);
});

test('a parked message is withdrawn, and release has nothing to send', async () => {
  await using world = await startWorld({ lookbackMs: 0, tempo: WIDE_BUCKETS });
  await world.release();
  const dueAt = new Date(world.clock.nowMs() + 1_200_000).toISOString();
  await world.post(message('parked', ['a@ok.test'], { dueAt }));
  assert.deepEqual(await withdraw(world, 'parked'), withdrawn('parked'));
  world.clock.advance(1_200_000);
  assert.equal((await world.release()).released, 0);
  assert.equal(await world.deliver(), 0);
  await assertQuiet(world);
});

test('withdrawing one message of a transfer leaves the content of the others', async () => {
  await using world = await startWorld();
  await postFrames(world, [
    frame('keep', ['a@ok.test'], letter('keep')),
    frame('drop', ['b@ok.test'], letter('drop')),
  ]);
  assert.deepEqual(await withdraw(world, 'drop'), withdrawn('drop'));
  assert.equal((await inventory(world)).objects.length, 1);
  await world.deliver();
  assert.deepEqual(arrived(world, 'a@ok.test'), [letter('keep')]);
  assert.deepEqual(arrived(world, 'b@ok.test'), []);
  await assertQuiet(world);
});
