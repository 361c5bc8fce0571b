// The same id again: before, during and after delivery, with the same content or another, with more recipients.
// Nothing is delivered twice, and nothing is dropped on a guess.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHaltedDelivery } from './halted-delivery.ts';
import { assertQuiet, inventory, NOTHING } from './inventory.ts';
import {
  advanceTo,
  arrived,
  deliveries,
  delivery,
  letter,
  message,
  recordsOf,
  SENDER,
  steady,
  told,
} from './transfers.ts';
import { startWorld, type World } from './world.ts';

function verdict(id: string, status: 'accepted' | 'duplicate') {
  return { status: 200, body: { messages: [{ id, status }] } };
}

function refusal(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'messages' in body ? body.messages : undefined;
}

async function onlyOnce(world: World, id: string, address: string): Promise<void> {
  assert.deepEqual(arrived(world, address), [letter(id)]);
  assert.equal((await delivery(world, id)).state, 'finished');
  await assertQuiet(world);
}

test('a transfer repeated before its delivery is a duplicate, and delivered once', async () => {
  await using world = await startWorld();
  const body = message('before', ['anyone@ok.test']);
  assert.deepEqual(await world.post(body), verdict('before', 'accepted'));
  const { mark } = await delivery(world, 'before');
  assert.deepEqual(await world.post(body), verdict('before', 'duplicate'));
  const repeated = await delivery(world, 'before');
  assert.notEqual(repeated.mark, mark, 'a never attempted delivery gets its timer again');
  assert.equal((await inventory(world)).timers, 2);
  assert.deepEqual(await world.post(body), verdict('before', 'duplicate'));
  assert.equal((await inventory(world)).timers, 2, 'but not within the same minute');
  world.clock.advance(61_000);
  assert.deepEqual(await world.post(body), verdict('before', 'duplicate'));
  assert.equal((await inventory(world)).timers, 3);
  assert.equal((await inventory(world)).objects.length, 1, 'repeats leave no content of their own');
  assert.equal(await world.deliver(), 3);
  await world.deliver();
  world.clock.advance(1_000_000);
  await world.deliver();
  await onlyOnce(world, 'before', 'anyone@ok.test');
  // Timers sent again may follow a doubt in which the log has missed the acceptance: it is told again, as the same event.
  const accepted = recordsOf(world, 'before').filter(({ type }) => type === 'XferIn');
  assert.equal(new Set(accepted.map(({ event_id }) => event_id)).size, 1);
});

test('a transfer repeated during its attempt is a duplicate, and delivered once', async () => {
  await using halted = await startHaltedDelivery();
  const { world } = halted;
  const body = message('during', ['anyone@ok.test']);
  await world.post(body);
  await halted.begin();
  assert.deepEqual(await world.post(body), verdict('during', 'duplicate'));
  assert.equal((await inventory(world)).timers, 1, 'a leased delivery gets no second timer');
  await halted.finish();
  await onlyOnce(world, 'during', 'anyone@ok.test');
});

test('a transfer repeated between two attempts, and after the last, is a duplicate', async () => {
  await using world = await startWorld({ random: steady() });
  const body = message('after', ['defer-1@ok.test']);
  await world.post(body);
  await world.deliver();
  assert.deepEqual(await world.post(body), verdict('after', 'duplicate'));
  assert.equal((await inventory(world)).timers, 1);
  advanceTo(world, (await delivery(world, 'after')).dueAtMs);
  await world.deliver();
  assert.deepEqual(await world.post(body), verdict('after', 'duplicate'));
  assert.equal(await world.deliver(), 0);
  await onlyOnce(world, 'after', 'defer-1@ok.test');
  // A week later nobody remembers: by then the sender has long had its answer.
  world.clock.advance(6 * 24 * 3_600_000);
  assert.deepEqual(await world.post(body), verdict('after', 'duplicate'));
});

test('a rejected message stays a duplicate and is not tried again', async () => {
  await using world = await startWorld();
  const body = message('rejected', ['anyone@reject.test']);
  await world.post(body);
  await world.deliver();
  assert.deepEqual(await world.post(body), verdict('rejected', 'duplicate'));
  assert.equal(await world.deliver(), 0);
  assert.deepEqual(told(world, 'rejected').length, 2);
});

for (const [what, changes] of [
  ['other content', { content: `${letter('reused')}more\r\n` }],
  ['another sender', { sender: 'somebody@else.example' }],
] as const) {
  test(`an id that comes back with ${what} is refused 451, with a notice, and the first is delivered`, async () => {
    await using world = await startWorld();
    await world.post(message('reused', ['anyone@ok.test']));
    const { status, body } = await world.post(message('reused', ['anyone@ok.test'], changes));
    assert.equal(status, 422);
    assert.deepEqual(refusal(body), [
      {
        id: 'reused',
        status: 'refused',
        reply: {
          code: 451,
          enhanced: '4.3.0',
          text: 'id-reused: this id was given to a message with other content or another sender; use a new id',
        },
      },
    ]);
    assert.deepEqual(
      world.notices.map(({ level, code, detail }) => ({ level, code, detail })),
      [{ level: 'error', code: 'id-reused', detail: { credential: 'tester', id: 'reused' } }],
    );
    assert.equal((await inventory(world)).objects.length, 1, 'the refused content is gone');
    await world.deliver();
    await onlyOnce(world, 'reused', 'anyone@ok.test');
    assert.equal(world.sink.received[0]?.sender, SENDER);
    assert.equal((await world.post(message('reused', ['anyone@ok.test'], changes))).status, 422);
    assert.equal(await world.deliver(), 0);
  });
}

test('the same id with a new recipient delivers to that one too, and to nobody twice', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('more', ['a@ok.test']));
  await world.deliver();
  const answer = await world.post(message('more', ['a@ok.test', 'b@ok.test', 'c@utf8.test']));
  assert.deepEqual(answer, verdict('more', 'accepted'));
  const items = await deliveries(world, 'more');
  assert.deepEqual(
    items.map(({ key, delivery: { recipients, state } }) => [key.chunk, recipients[0]?.address, state]),
    [
      [0, 'a@ok.test', 'finished'],
      [1, 'b@ok.test', 'open'],
      [2, 'c@utf8.test', 'open'],
    ],
  );
  assert.equal(await world.deliver(), 2);
  for (const address of ['a@ok.test', 'b@ok.test', 'c@utf8.test']) {
    assert.deepEqual(arrived(world, address), [letter('more')], address);
  }
  assert.deepEqual(
    await world.post(message('more', ['a@ok.test', 'b@ok.test', 'c@utf8.test'])),
    verdict('more', 'duplicate'),
  );
  assert.equal(await world.deliver(), 0);
  await assertQuiet(world);
});

test('the same id with fewer recipients is a duplicate: none is taken back', async () => {
  await using world = await startWorld();
  await world.post(message('fewer', ['a@ok.test', 'b@ok.test']));
  assert.deepEqual(await world.post(message('fewer', ['b@ok.test'])), verdict('fewer', 'duplicate'));
  await world.deliver();
  world.clock.advance(1_000_000);
  await world.deliver();
  assert.deepEqual(arrived(world, 'a@ok.test'), [letter('fewer')]);
  assert.deepEqual(arrived(world, 'b@ok.test'), [letter('fewer')]);
  await assertQuiet(world);
});

test('a new recipient while the first waits for its retry leaves that wait alone', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('joins', ['defer-1@ok.test']));
  await world.deliver();
  const { dueAtMs } = await delivery(world, 'joins');
  await world.post(message('joins', ['defer-1@ok.test', 'z@ok.test']));
  const [first] = await deliveries(world, 'joins');
  assert.equal(first?.delivery.dueAtMs, dueAtMs);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(arrived(world, 'z@ok.test'), [letter('joins')]);
  advanceTo(world, dueAtMs);
  await world.deliver();
  assert.deepEqual(arrived(world, 'defer-1@ok.test'), [letter('joins')]);
  assert.deepEqual(arrived(world, 'z@ok.test').length, 1);
  await assertQuiet(world);
});

test('ids belong to their credential: two senders may use the same', async () => {
  await using mine = await startWorld();
  await mine.post(message('common', ['anyone@ok.test']));
  assert.deepEqual(await mine.items({ credential: 'somebody', id: 'common' }), []);
  assert.notDeepEqual(await inventory(mine), NOTHING);
});
