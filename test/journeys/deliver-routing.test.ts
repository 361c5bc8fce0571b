// Where mail goes when DNS or hosts are not as they should be: what counts as an attempt, and what does not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DnsRecords } from '../../local/dns.ts';
import { SINK_ZONE } from '../../local/sink-zone.ts';
import { assertQuiet, inventory } from './inventory.ts';
import {
  advanceTo,
  arrived,
  delivery,
  letter,
  message,
  recordsOf,
  reported,
  reportsTo,
  steady,
  told,
} from './transfers.ts';
import { startWorld } from './world.ts';

test('a domain with a null MX takes no mail: bounced 556 5.1.10 at the first attempt', async () => {
  await using world = await startWorld();
  await world.post(message('null-mx', ['anyone@null-mx.test']));
  assert.equal(await world.deliver(), 2, 'the message, and the report');
  assert.deepEqual(told(world, 'null-mx').slice(1), ['Bounce anyone@null-mx.test 556 connect 1']);
  const { state, recipients } = await delivery(world, 'null-mx');
  assert.equal(state, 'finished');
  assert.deepEqual(reportsTo(world).map(reported), [['anyone@null-mx.test failed 5.1.10']]);
  assert.deepEqual(recipients[0]?.ending?.reply, {
    code: 556,
    enhanced: '5.1.10',
    text: 'null-mx.test takes no mail (null MX)',
  });
  assert.equal((await inventory(world)).timers, 0);
});

test('a domain that does not exist bounces 550 5.1.2', async () => {
  await using world = await startWorld();
  await world.post(message('nowhere', ['anyone@nowhere.test']));
  await world.deliver();
  const [recipient] = (await delivery(world, 'nowhere')).recipients;
  assert.deepEqual(recipient?.ending?.reply, {
    code: 550,
    enhanced: '5.1.2',
    text: 'nowhere.test does not exist',
  });
});

test('DNS that fails puts a message off without an attempt, and not past its expiry', async () => {
  await using world = await startWorld({ random: steady() });
  const expiresAt = new Date(world.clock.nowMs() + 100_000).toISOString();
  await world.post(message('servfail', ['anyone@dns-fails.test'], { sender: '', expiresAt }));
  for (let wakes = 0; wakes < 2; wakes += 1) {
    assert.equal(await world.deliver(), 1);
    const { attempts, state, everLeased } = await delivery(world, 'servfail');
    assert.deepEqual({ attempts, state, everLeased }, { attempts: 0, state: 'open', everLeased: false });
    const delayed = recordsOf(world, 'servfail').at(-1);
    assert.equal(delayed?.type, 'Delayed');
    assert.equal(delayed?.num_attempts, 0);
    // 30 s, spread up to as much again, here by a half.
    assert.equal(Date.parse(delayed?.next_due ?? '') - (delayed?.timestamp ?? 0) * 1_000, 45_000);
    assert.equal(await world.deliver(), 0);
    advanceTo(world, Date.parse(delayed?.next_due ?? ''));
  }
  assert.equal(await world.deliver(), 1);
  assert.equal(recordsOf(world, 'servfail').at(-1)?.next_due, expiresAt, 'the last wake is at the expiry');
  advanceTo(world, Date.parse(expiresAt));
  assert.equal(await world.deliver(), 1);
  const ending = recordsOf(world, 'servfail').at(-1);
  assert.equal(ending?.type, 'Expiration');
  assert.equal(ending?.num_attempts, 0);
  assert.deepEqual([ending?.response?.code, ending?.response?.enhanced_code], [450, '4.4.7']);
  assert.match(ending?.response?.content ?? '', /DNS did not answer for the MX of dns-fails\.test/);
  assert.equal((await delivery(world, 'servfail')).state, 'finished');
  await assertQuiet(world);
});

test('a message that waited for DNS is delivered when DNS is back', async () => {
  const failing: string[] = ['ok.test'];
  const zone: DnsRecords = { ...SINK_ZONE, failing };
  await using world = await startWorld({ random: steady(), zone });
  await world.post(message('back', ['anyone@ok.test']));
  await world.deliver();
  assert.deepEqual(told(world, 'back').slice(1), ['Delayed anyone@ok.test 0']);
  failing.length = 0;
  world.clock.advance(60_000);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(arrived(world, 'anyone@ok.test'), [letter('back')]);
  assert.deepEqual(told(world, 'back').slice(2), ['Delivery anyone@ok.test 250 final 1']);
  await assertQuiet(world);
});

test('a host that refuses connections leaves the mail to the next MX, in the same attempt', async () => {
  await using world = await startWorld();
  await world.post(message('failover', ['anyone@failover.test']));
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(told(world, 'failover').slice(1), ['Delivery anyone@failover.test 250 final 1']);
  assert.deepEqual(recordsOf(world, 'failover').at(-1)?.peer_address, {
    name: 'mx2.sink.test',
    addr: '127.0.0.12',
  });
  await assertQuiet(world);
});

test('a destination none of whose hosts can be reached is tried again later', async () => {
  const zone: DnsRecords = {
    ...SINK_ZONE,
    records: {
      ...SINK_ZONE.records,
      'down.test': [{ type: 'MX', preference: 10, exchange: 'dead.sink.test' }],
    },
  };
  await using world = await startWorld({ random: steady(), zone });
  // Six deliveries for one site: nobody knocks again for each of them.
  for (let number = 1; number <= 6; number += 1) {
    await world.post(message(`down-${number}`, [`user${number}@down.test`]));
  }
  assert.equal(await world.deliver(), 6);
  const { attempts, state, dueAtMs, lastReply } = await delivery(world, 'down-6');
  assert.deepEqual({ attempts, state }, { attempts: 1, state: 'open' });
  assert.deepEqual([lastReply?.code, lastReply?.enhanced, lastReply?.host], [421, '4.4.1', 'dead.sink.test']);
  assert.match(
    lastReply?.text ?? '',
    /^dead\.sink\.test \[127\.0\.0\.19\]:\d+ cannot be reached: ECONNREFUSED$/,
  );
  assert.deepEqual(told(world, 'down-1').slice(1), ['TransientFailure user1@down.test 421 connect 1']);
  const record = recordsOf(world, 'down-1').at(-1);
  assert.equal(dueAtMs - (recordsOf(world, 'down-6').at(-1)?.timestamp ?? 0) * 1_000, 300_000);
  assert.equal(record?.peer_address?.addr, '127.0.0.19');
});

test('a mail host without an address, and one that only has forbidden ones, are transient', async () => {
  const zone: DnsRecords = {
    ...SINK_ZONE,
    records: {
      ...SINK_ZONE.records,
      'inside.test': [{ type: 'MX', preference: 10, exchange: 'inside.sink.test' }],
      'inside.sink.test': [{ type: 'A', data: '10.1.2.3' }],
    },
  };
  await using world = await startWorld({ zone });
  await world.post(message('no-address', ['anyone@no-address.test']));
  await world.post(message('inside', ['anyone@inside.test']));
  assert.equal(await world.deliver(), 2);
  assert.deepEqual(told(world, 'no-address').slice(1), [
    'TransientFailure anyone@no-address.test 451 connect 1',
  ]);
  assert.deepEqual(told(world, 'inside').slice(1), ['TransientFailure anyone@inside.test 451 connect 1']);
  assert.match((await delivery(world, 'inside')).lastReply?.text ?? '', /10\.1\.2\.3/);
});

test('a domain without MX records is its own mail host', async () => {
  await using world = await startWorld();
  await world.post(message('implicit', ['ok@implicit-mx.test']));
  await world.deliver();
  assert.deepEqual(arrived(world, 'ok@implicit-mx.test'), [letter('implicit')]);
  await assertQuiet(world);
});

test('a greeting of 421 defers everything that waits for the host, and the next attempt delivers it', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('busy', ['anyone@busy.test']));
  await world.deliver();
  assert.deepEqual(told(world, 'busy').slice(1), ['TransientFailure anyone@busy.test 421 greeting 1']);
  advanceTo(world, (await delivery(world, 'busy')).dueAtMs);
  await world.deliver();
  assert.deepEqual(arrived(world, 'anyone@busy.test'), [letter('busy')]);
  await assertQuiet(world);
});
