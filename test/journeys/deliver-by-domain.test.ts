// Options of deliveries where they are written: for all mail, for a domain, for the binding that carries all mail.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfiguration } from '../../shared/config/load.ts';
import {
  advanceTo,
  deliveries,
  delivery,
  message,
  recordsOf,
  reported,
  reportsTo,
  steady,
  told,
} from './transfers.ts';
import { startWorld, type World } from './world.ts';

async function startConfigured(text: string): Promise<World> {
  const loaded = loadConfiguration([{ path: 'x.conf', text }]);
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return startWorld({ configuration: loaded.configuration, random: steady() });
}

/** The seconds from the last attempt to the next. */
async function waits(world: World, id: string): Promise<number> {
  const { dueAtMs } = await delivery(world, id);
  return Math.round(dueAtMs / 1_000 - (recordsOf(world, id).at(-1)?.timestamp ?? 0));
}

test('retries and expiry are those of the recipient domain, nearest first', async () => {
  await using world = await startConfigured(`
    Retry_Interval = 400
    Message_Expiration = 86400
    Domain gmail.com { Retry_Interval = 60  Max_Retry_Interval = 90  Message_Expiration = 3600 }
    Domain "/^example[.](com|net)$/" { Never_Retry = true  Generate_Bounces = false }
    Domain defer-data.test { Max_Retries = 0 }
    Domain example.org { Never_Attempt_Expired_Messages = true  Message_Expiration = 600 }
    Binding_Group all {
      Max_Retry_Interval = 350
      Binding default { Domain mixed.test { Retry_Interval = 10 } }
    }`);
  const startMs = world.clock.nowMs();
  for (const [id, domain] of [
    ['own', 'gmail.com'],
    ['group', 'ok.test'],
    ['binding', 'mixed.test'],
    ['never', 'example.net'],
  ] as const) {
    await world.post(message(id, [`defer-9+${id}@${domain}`]));
  }
  await world.post(message('both', ['ok@gmail.com', 'ok@ok.test'], { dueAt: iso(startMs + 1_000_000) }));
  await world.deliver();
  assert.deepEqual(
    [await waits(world, 'own'), await waits(world, 'group'), await waits(world, 'binding')],
    [60, 350, 10],
  );
  assert.deepEqual(told(world, 'never').slice(1), [
    'TransientFailure defer-9+never@example.net 450 rcpt 1',
    'Expiration defer-9+never@example.net 450 1',
  ]);
  assert.deepEqual(reportsTo(world), [], 'Generate_Bounces is false there');

  await world.post(message('untried', ['defer-9+untried@defer-data.test']));
  await world.deliver();
  const untried = (reportsTo(world)[0] ?? '').replaceAll('=\r\n', '');
  assert.deepEqual(reported(untried), ['defer-9+untried@defer-data.test failed 4.4.7']);
  assert.match(untried, /attempts were made since .*, and no more are made\./);
  assert.doesNotMatch(untried, /delivery time expired/);

  const lifetimes = (await deliveries(world, 'both')).map(({ delivery: { facts } }) => [
    facts.domain,
    (facts.expiresAtMs - facts.receivedAtMs) / 1_000,
  ]);
  assert.deepEqual(lifetimes, [
    ['gmail.com', 3_600],
    ['ok.test', 86_400],
  ]);

  // What the group says of the cap stands before what the Domain says.
  advanceTo(world, (await delivery(world, 'own')).dueAtMs);
  await world.deliver();
  assert.equal(await waits(world, 'own'), 120);

  const long = { receivedAt: iso(world.clock.nowMs() - 700_000) };
  await world.post(message('over', ['ok+over@example.org'], long));
  await world.deliver();
  assert.deepEqual(told(world, 'over').slice(1), ['Expiration ok+over@example.org 450 0']);
  assert.deepEqual(reportsTo(world).slice(1).map(reported), [['ok+over@example.org failed 4.4.7']]);
  await world.post(
    message('late', ['ok+late@gmail.com'], { receivedAt: iso(world.clock.nowMs() - 3_700_000) }),
  );
  await world.deliver();
  assert.deepEqual(told(world, 'late').slice(1), ['Delivery ok+late@gmail.com 250 final 1']);
});

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}

test('mail waits, fails or goes elsewhere as its domain says', async () => {
  await using world = await startConfigured(`
    Prohibited_Hosts = ( "127.0.0.13" )
    Domain ok.test { Suspend_Delivery = true  Message_Expiration = 600 }
    Domain mixed.test { Blackhole = "internal"  Mailerdaemon = "postmaster@mixed.test" }
    Domain nowhere.test { Gateway = "mx2.sink.test" }
    Domain gmail.com { Response_Transcode_Pattern = "^450 .*"  Response_Transcode_Replace = "550 5.1.1 read: $0" }`);
  await world.post(message('held', ['ok@ok.test']));
  await world.post(message('black', ['ok@mixed.test']));
  await world.post(message('relayed', ['ok@nowhere.test']));
  await world.post(message('prohibited', ['ok@plain.test']));
  await world.post(message('read', ['defer-9@gmail.com']));
  await world.deliver();

  assert.deepEqual(told(world, 'black').slice(1), ['Bounce ok@mixed.test 554 connect 1']);
  assert.equal(
    recordsOf(world, 'black').at(-1)?.response?.content,
    'mail for mixed.test fails without an attempt (Blackhole)',
  );
  assert.deepEqual(told(world, 'relayed').slice(1), ['Delivery ok@nowhere.test 250 final 1']);
  assert.equal(recordsOf(world, 'relayed').at(-1)?.site, 'smtp://mx2.sink.test');
  assert.deepEqual(told(world, 'prohibited').slice(1), ['Bounce ok@plain.test 550 connect 1']);
  const read = recordsOf(world, 'read').at(-1);
  assert.deepEqual([read?.type, read?.response?.code, read?.response_read_as?.code], ['Bounce', 450, 550]);
  assert.deepEqual(reportsTo(world).map(reported).toSorted(), [
    ['defer-9@gmail.com failed 5.0.0'],
    ['ok@mixed.test failed 5.7.1'],
    ['ok@plain.test failed 5.4.4'],
  ]);

  const from = (address: string) =>
    /^From: .*<(.*)>/.exec(reportsTo(world).find((report) => report.includes(address)) ?? '')?.[1];
  assert.equal(from('ok@mixed.test'), 'postmaster@mixed.test');
  assert.equal(from('ok@plain.test'), 'MAILER-DAEMON@xfer.test.example');

  const delayed = recordsOf(world, 'held').at(-1);
  assert.deepEqual([delayed?.type, delayed?.num_attempts], ['Delayed', 0]);
  assert.equal(Math.round(Date.parse(delayed?.next_due ?? '') / 1_000 - (delayed?.timestamp ?? 0)), 450);
  advanceTo(world, (await delivery(world, 'held')).facts.expiresAtMs);
  await world.deliver();
  assert.deepEqual(told(world, 'held').slice(-1), ['Expiration ok@ok.test 450 0']);
  assert.match(recordsOf(world, 'held').at(-1)?.response?.content ?? '', /held back \(Suspend_Delivery\)/);
  assert.deepEqual(
    world.sink.received.map(({ recipients }) => recipients[0]?.address).filter((to) => to?.startsWith('ok')),
    ['ok@nowhere.test'],
  );
});

test('a transaction and a session take as many recipients as the domain says, and all are served once', async () => {
  await using world = await startConfigured(`
    Domain gmail.com { Max_Recipients_Per_Batch = 2 }
    Domain example.com { Max_Recipients_Per_Connection = 3 }
    Domain example.net { Max_Recipients_Per_Batch = 1  Max_Recipients_Per_Connection = 2 }`);
  const five = (domain: string) => [1, 2, 3, 4, 5].map((n) => `ok+${n}@${domain}`);
  for (const domain of ['gmail.com', 'example.com', 'example.net']) {
    await world.post(message(`to-${domain.replace('.', '-')}`, five(domain)));
  }
  await world.deliver();
  const sizes = (domain: string) =>
    world.sink.received
      .filter(({ recipients }) => recipients[0]?.address.endsWith(`@${domain}`))
      .map(({ recipients }) => recipients.length);
  assert.deepEqual(sizes('gmail.com'), [2, 2, 1]);
  assert.deepEqual(sizes('example.com'), [3, 2]);
  assert.deepEqual(sizes('example.net'), [1, 1, 1, 1, 1]);
  const served = world.sink.received.flatMap((mail) => mail.recipients.map(({ address }) => address));
  assert.deepEqual(served.toSorted(), ['gmail.com', 'example.com', 'example.net'].flatMap(five).toSorted());
  assert.deepEqual((await delivery(world, 'to-example-net')).attempts, 1);
  assert.equal((await delivery(world, 'to-example-net')).state, 'finished');
});
