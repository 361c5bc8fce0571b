// A message with as many recipients as one may have: split into deliveries, each recipient served once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertQuiet } from './inventory.ts';
import { advanceTo, deliveries, letter, message, steady, withoutTrace } from './transfers.ts';
import { startWorld } from './world.ts';

const numbered = (count: number, local: string) =>
  Array.from({ length: count }, (_, index) => `${local}+${String(index).padStart(4, '0')}@ok.test`);

test('1,000 recipients in one domain are 20 deliveries, and each recipient gets the message once', async () => {
  await using world = await startWorld();
  const recipients = numbered(1_000, 'ok');
  // In another order than that of the chunks.
  const asked = [...recipients].reverse();
  const answer = await world.post(message('thousand', asked));
  assert.deepEqual(answer, {
    status: 200,
    body: { messages: [{ id: 'thousand', status: 'accepted' }] },
  });
  const chunks = await deliveries(world, 'thousand');
  assert.equal(chunks.length, 20);
  assert.deepEqual(
    chunks.map(({ key, delivery }) => [key.chunk, delivery.recipients.length]),
    Array.from({ length: 20 }, (_, index) => [index + 1, 50]),
  );
  assert.equal(await world.deliver(), 20);
  assert.equal(world.sink.received.length, 20);
  assert.ok(world.sink.received.every((mail) => withoutTrace(mail.content) === letter('thousand')));
  const served = world.sink.received.flatMap((mail) => mail.recipients.map(({ address }) => address));
  assert.deepEqual(served.sort(), recipients);
  const states = (await deliveries(world, 'thousand')).map(({ delivery }) => delivery.state);
  assert.deepEqual(new Set(states), new Set(['finished']));
  await assertQuiet(world);
});

test('of 120 recipients the one who is deferred is served later, and the others not again', async () => {
  await using world = await startWorld({ random: steady() });
  const recipients = [...numbered(119, 'ok'), 'defer-1@ok.test'];
  // A recipient who is named twice is one recipient.
  await world.post(message('one-later', [...recipients, 'ok+0017@ok.test']));
  assert.equal(await world.deliver(), 3);
  const open = (await deliveries(world, 'one-later')).filter(({ delivery }) => delivery.state === 'open');
  assert.deepEqual(
    open.map(({ key }) => key.chunk),
    [1],
  );
  advanceTo(world, open[0]?.delivery.dueAtMs ?? 0);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(
    world.sink.received.map((mail) => mail.recipients.length).sort((a, b) => b - a),
    [50, 49, 20, 1],
  );
  const served = world.sink.received.flatMap((mail) => mail.recipients.map(({ address }) => address));
  assert.deepEqual(served.sort(), [...recipients].sort());
  await assertQuiet(world);
});
