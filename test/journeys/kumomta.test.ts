// A KumoMTA node hands its queue over, in its own protocol: framed by its rules, gzipped, with what its queue knew.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { assertQuiet, inventory, NOTHING } from './inventory.ts';
import { advanceTo, arrived, delivery, letter, recordsOf, request, steady, told } from './transfers.ts';
import { startWorld, type World } from './world.ts';

const MINUTE = 60_000;

/** A version 1 UUID in simple form, whose time is this moment (RFC 9562 §5.1). */
function uuidAt(atMs: number): string {
  const ticks = ((BigInt(atMs) + 12_219_292_800_000n) * 10_000n).toString(16).padStart(15, '0');
  return `${ticks.slice(7)}${ticks.slice(3, 7)}1${ticks.slice(0, 3)}a8c8000c29c33806`;
}

function inject(world: World, line: object, content: string, gzip = true) {
  const body = Buffer.from(`${JSON.stringify(line)}\n${content}`);
  return request(world, '/api/xfer/inject/v1', {
    method: 'POST',
    headers: gzip ? { 'content-encoding': 'gzip' } : {},
    body: gzip ? gzipSync(body) : body,
  });
}

test('a gzipped transfer of KumoMTA keeps attempts and due time, and is delivered when it is due', async () => {
  await using world = await startWorld({ random: steady() });
  const createdMs = world.clock.nowMs() - 30 * MINUTE;
  const id = uuidAt(createdMs);
  const due = new Date(world.clock.nowMs() + 10 * MINUTE).toISOString();
  const line = {
    id,
    sender: 'b@sender.example',
    recipient: ['defer-1@ok.test'],
    meta: {
      tenant: 'acme',
      xfer_queue_info: {
        queue: 'promo:acme@ok.test',
        campaign: 'promo',
        num_attempts: 3,
        due,
        schedule: {},
      },
    },
  };
  const answer = await inject(world, line, letter('kumo'));
  assert.deepEqual([answer.status, answer.body], [200, { id }]);

  const accepted = await delivery(world, id);
  assert.equal(accepted.dueAtMs, Date.parse(due));
  assert.equal(accepted.attempts, 3);
  assert.equal(accepted.facts.receivedAtMs, createdMs);
  assert.equal(accepted.facts.expiresAtMs, createdMs + 432_000_000);
  assert.equal(recordsOf(world, id)[0]?.created, createdMs / 1_000);

  world.clock.advance(9 * MINUTE);
  assert.equal(await world.deliver(), 0);
  advanceTo(world, Date.parse(due));
  assert.equal(await world.deliver(), 1);
  const deferred = recordsOf(world, id).at(-1);
  // The fourth deferral: 300 s × 2³.
  assert.equal(Date.parse(deferred?.next_due ?? '') - (deferred?.timestamp ?? 0) * 1_000, 2_400_000);
  advanceTo(world, (await delivery(world, id)).dueAtMs);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(told(world, id), [
    'XferIn defer-1@ok.test 3',
    'TransientFailure defer-1@ok.test 450 rcpt 4',
    'Delivery defer-1@ok.test 250 final 5',
  ]);
  assert.equal(recordsOf(world, id).at(-1)?.meta['tenant'], 'acme');
  assert.deepEqual(arrived(world, 'defer-1@ok.test'), [letter('kumo')]);
  assert.equal(world.sink.received[0]?.sender, 'b@sender.example');
  await assertQuiet(world);
});

test('a transfer that KumoMTA repeats, for want of our answer, is delivered once', async () => {
  await using world = await startWorld();
  const id = uuidAt(world.clock.nowMs());
  const line = { id, sender: '', recipient: 'anyone@ok.test', meta: {} };
  for (let time = 0; time < 2; time += 1) {
    const { status, body } = await inject(world, line, letter('repeated'), false);
    assert.deepEqual([status, body], [200, { id }]);
  }
  await world.deliver();
  world.clock.advance(1_000_000);
  await world.deliver();
  const again = await inject(world, line, letter('repeated'));
  assert.deepEqual([again.status, again.body], [200, { id }]);
  assert.equal(await world.deliver(), 0);
  assert.deepEqual(arrived(world, 'anyone@ok.test'), [letter('repeated')]);
  await assertQuiet(world);
});

test('what is refused is a 422 to KumoMTA, which then keeps its message', async () => {
  await using world = await startWorld();
  const id = uuidAt(world.clock.nowMs());
  const { status, type, body } = await inject(
    world,
    { id, sender: 'b@sender.example', recipient: ['no mailbox'], meta: {} },
    letter('refused'),
  );
  assert.equal(status, 422);
  assert.equal(type, 'application/problem+json');
  assert.equal(Object(body).id, id);
  assert.match(Object(body).detail, /^501 5\.1\.3 recipients\[0\]\.address has no @/);
  assert.deepEqual(await inventory(world), NOTHING);
});

for (const [what, body, code] of [
  ['without a line end', '{"id":"d7ef132b5d7711eea8c8000c29c33806"}', 'frame-truncated'],
  ['whose id is no UUID', '{"id":"../x","sender":"","recipient":["a@ok.test"]}\nx', 'bad-id'],
  ['whose line is no JSON', 'id=1\nSubject: x\r\n\r\n', 'bad-frame'],
] as const) {
  test(`a KumoMTA transfer ${what} is refused with ${code}`, async () => {
    await using world = await startWorld();
    const answer = await request(world, '/api/xfer/inject/v1', { method: 'POST', body });
    assert.equal(answer.status, 400);
    assert.equal(Object(answer.body).code, code);
    assert.deepEqual(await inventory(world), NOTHING);
  });
}
