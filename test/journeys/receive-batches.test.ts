// Transfers of many messages: each has its own verdict, in the order of the request, and they share what can be
// shared: one object, few calls.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stores } from '../../shared/aws/stores.ts';
import { assertQuiet, inventory, NOTHING } from './inventory.ts';
import { advanceTo, arrived, delivery, frame, letter, message, postFrames, steady } from './transfers.ts';
import { startWorld, type World } from './world.ts';

const ids = (count: number) =>
  Array.from({ length: count }, (_, index) => `m-${String(index + 1).padStart(2, '0')}`);

function frames(names: readonly string[]): readonly Buffer[] {
  return names.map((id) => frame(id, [`${id}@ok.test`], letter(id)));
}

/** `id status`, or `id code enhanced`, in the order of the answer. */
function verdicts(body: unknown): readonly string[] {
  if (typeof body !== 'object' || body === null || !('messages' in body) || !Array.isArray(body.messages)) {
    throw new Error(`no verdicts: ${JSON.stringify(body)}`);
  }
  return body.messages.map(({ id, status, reply }) =>
    reply === undefined ? `${id} ${status}` : `${id} ${reply.code} ${reply.enhanced}`,
  );
}

function tally(names: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

test('a transfer of 25 messages costs one S3 put, 26 ledger writes and 3 SQS calls', async () => {
  await using world = await startWorld();
  const names = ids(25);
  const { status, body } = await postFrames(world, frames(names));
  assert.equal(status, 200);
  assert.deepEqual(
    verdicts(body),
    names.map((id) => `${id} accepted`),
  );
  assert.deepEqual(tally(world.awsCalls), {
    PutObjectCommand: 1,
    // The count of the object's users, then one item per message.
    UpdateItemCommand: 1,
    PutItemCommand: 25,
    SendMessageBatchCommand: 3,
  });
  assert.equal((await inventory(world)).objects.length, 1);
  assert.equal(await world.deliver(), 25);
  for (const id of names) assert.deepEqual(arrived(world, `${id}@ok.test`), [letter(id)], id);
  await assertQuiet(world);
});

test('a message alone costs one S3 put, one ledger write and one SQS call', async () => {
  await using world = await startWorld();
  await world.post(message('alone', ['a@ok.test', 'b@ok.test']));
  assert.deepEqual(world.awsCalls, ['PutObjectCommand', 'PutItemCommand', 'SendMessageBatchCommand']);
});

test('in a transfer of 25, what is refused is refused alone, and its content is not kept for others', async () => {
  await using world = await startWorld({ random: steady() });
  await postFrames(world, [frame('m-05', ['old@ok.test'], 'Subject: another\r\n\r\nold\r\n')]);
  await postFrames(world, [frame('m-06', ['m-06@ok.test'], letter('m-06'))]);
  const sent = [...frames(ids(25))];
  sent[1] = frame('m-02', ['no mailbox'], letter('m-02'));
  sent[2] = frame('m-03', ['m-03@ok.test'], 'Subject: bare\r\n\r\none\ntwo\r\n');
  sent[3] = frame('m-04', ['m-04@ok.test'], letter('m-04'), { sha256: '0'.repeat(64) });
  sent[7] = frame('m-08', ['m-08@ok.test'], letter('m-08'), { expires: 'never' });
  sent[9] = frame('m-10', ['defer-1@ok.test'], letter('m-10'));
  const { status, body } = await postFrames(world, sent);
  assert.equal(status, 200);
  assert.deepEqual(verdicts(body), [
    'm-01 accepted',
    'm-02 501 5.1.3',
    'm-03 554 5.6.0',
    'm-04 451 4.6.0',
    'm-05 451 4.3.0',
    'm-06 duplicate',
    'm-07 accepted',
    'm-08 501 5.5.4',
    ...ids(25)
      .slice(8)
      .map((id) => `${id} accepted`),
  ]);
  const shared = (await delivery(world, 'm-01')).facts.content;
  assert.equal(shared.shared, true);
  assert.equal((await inventory(world)).objects.length, 3);

  // 19 new ones, the two from before, and the timer that the duplicate was sent again.
  assert.equal(await world.deliver(), 22);
  world.clock.advance(1_000_000);
  await world.deliver();
  world.clock.advance(1_000_000);
  await world.deliver();
  const served = world.sink.received.flatMap((mail) => mail.recipients.map(({ address }) => address)).sort();
  assert.deepEqual(
    served,
    [
      'defer-1@ok.test',
      'old@ok.test',
      ...[
        '01',
        '06',
        '07',
        '09',
        ...ids(25)
          .slice(10)
          .map((id) => id.slice(2)),
      ].map((n) => `m-${n}@ok.test`),
    ].sort(),
  );
  await assertQuiet(world);
});

test('a shared object stays until the last of its deliveries has ended', async () => {
  await using world = await startWorld({ random: steady() });
  await postFrames(world, [
    frame('first', ['a@ok.test'], letter('first')),
    frame('second', ['defer-1@ok.test'], letter('second')),
    frame('third', ['c@ok.test', 'd@utf8.test'], letter('third')),
  ]);
  const { objects } = await inventory(world);
  assert.equal(objects.length, 1);
  assert.equal(await world.deliver(), 4);
  assert.deepEqual((await inventory(world)).objects, objects);
  advanceTo(world, (await delivery(world, 'second')).dueAtMs);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(arrived(world, 'defer-1@ok.test'), [letter('second')]);
  await assertQuiet(world);
});

test('a transfer of which everything is refused answers 422 and stores nothing', async () => {
  await using world = await startWorld();
  const bare = 'Subject: x\r\n\r\na\nb\r\n';
  const { status, type, body } = await postFrames(world, [
    frame('one', ['a@ok.test'], bare),
    frame('two', ['@'], letter('two')),
  ]);
  assert.equal(status, 422);
  assert.equal(type, 'application/problem+json');
  assert.deepEqual(verdicts(body), ['one 554 5.6.0', 'two 501 5.1.3']);
  assert.deepEqual(await inventory(world), NOTHING);
});

test('the same id twice in a transfer is taken once', async () => {
  await using world = await startWorld();
  const { body } = await postFrames(world, [
    frame('twin', ['a@ok.test'], letter('twin')),
    frame('other', ['b@ok.test'], letter('other')),
    frame('twin', ['a@ok.test'], letter('twin')),
    frame('twin', ['a@ok.test'], 'Subject: changed\r\n\r\n'),
  ]);
  assert.deepEqual(verdicts(body), ['twin accepted', 'other accepted', 'twin duplicate', 'twin 451 4.3.0']);
  await world.deliver();
  world.clock.advance(1_000_000);
  await world.deliver();
  assert.deepEqual(arrived(world, 'a@ok.test'), [letter('twin')]);
  assert.deepEqual(arrived(world, 'b@ok.test'), [letter('other')]);
  await assertQuiet(world);
});

test('when everything of a transfer is known, its own object is dropped and the first one serves', async () => {
  await using world = await startWorld();
  const sent = frames(ids(3));
  await postFrames(world, sent);
  const before = await inventory(world);
  const { body } = await postFrames(world, sent);
  assert.deepEqual(verdicts(body), ['m-01 duplicate', 'm-02 duplicate', 'm-03 duplicate']);
  const after = await inventory(world);
  assert.deepEqual([after.objects, after.items], [before.objects, before.items]);
});

test('an object goes also when its deliveries end before the receiver is done with it', async () => {
  const late: { world?: World } = {};
  const wrap = (stores: Stores, role: string): Stores =>
    role !== 'receive'
      ? stores
      : {
          ...stores,
          users: {
            ...stores.users,
            remove: async (key, users, nowMs) => {
              await late.world?.deliver();
              return stores.users.remove(key, users, nowMs);
            },
          },
        };
  await using world = await startWorld({ wrap });
  await postFrames(world, frames(ids(1)));
  late.world = world;
  const { body } = await postFrames(world, frames(ids(3)));
  assert.deepEqual(verdicts(body), ['m-01 duplicate', 'm-02 accepted', 'm-03 accepted']);
  assert.equal(world.sink.received.length, 3);
  world.clock.advance(1_000_000);
  await world.deliver();
  await assertQuiet(world);
});

test('1,001 messages are too many for one transfer: it is refused whole', async () => {
  await using world = await startWorld();
  const many = Array.from({ length: 1_001 }, (_, index) =>
    frame(`n-${index}`, ['a@ok.test'], 'S: x\r\n\r\n'),
  );
  const { status, body } = await postFrames(world, many);
  assert.equal(status, 413);
  assert.ok(typeof body === 'object' && body !== null && 'code' in body);
  assert.equal(body.code, 'too-many-frames');
  assert.deepEqual(await inventory(world), NOTHING);
});

test('a transfer for over 2,000 domains is refused whole, with the number and the mend', async () => {
  await using world = await startWorld();
  const frames = Array.from({ length: 3 }, (_, n) =>
    frame(
      `many-${n}`,
      Array.from({ length: 700 }, (_, i) => `a@d${n}-${i}.test`),
      letter('many'),
    ),
  );
  const answer = await postFrames(world, frames);
  assert.deepEqual([answer.status, Object(answer.body).code], [413, 'too-many-deliveries']);
  assert.match(Object(answer.body).detail, /^2100 deliveries; at most 2000 are taken/);
  assert.deepEqual(await inventory(world), NOTHING);
});
