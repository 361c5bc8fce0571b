// From transfer to ending: the schedule that a message lives by. Jitter is known here, so that due times are whole
// tables of seconds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Router } from '../../shared/routing/router.ts';
import { startScriptedPeer } from '../dialogs/scripted-peer.ts';
import { assertQuiet } from './inventory.ts';
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
  withoutTrace,
} from './transfers.ts';
import { startWorld, type World } from './world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Seconds from each deferral to the attempt that it asked for. */
function waits(world: World, id: string): readonly number[] {
  return recordsOf(world, id).flatMap(({ type, timestamp, next_due }) =>
    type === 'TransientFailure' && next_due !== undefined
      ? [(Date.parse(next_due) - timestamp * 1_000) / 1_000]
      : [],
  );
}

/** Lets a delivery have its attempts, each at its due time, until it is no longer open. */
async function runToTheEnd(world: World, id: string): Promise<void> {
  for (let left = 100; left > 0; left -= 1) {
    await world.deliver();
    const { state, dueAtMs } = await delivery(world, id);
    if (state !== 'open') return;
    advanceTo(world, dueAtMs);
  }
  throw new Error(`${id} never ends`);
}

test('a message for a healthy destination is delivered at once, octet for octet behind its trace', async () => {
  await using world = await startWorld();
  assert.deepEqual(await world.post(message('once', ['anyone@ok.test'])), {
    status: 200,
    body: { messages: [{ id: 'once', status: 'accepted' }] },
  });
  assert.equal(await world.deliver(), 1);
  const [mail] = world.sink.received;
  assert.ok(mail !== undefined);
  assert.match(
    mail.content.toString('latin1'),
    /^Received: from unknown\r\n\tby xfer\.test\.example \(delay-xfer\) with XFER id once;\r\n\t\w{3}, /,
  );
  assert.equal(withoutTrace(mail.content), letter('once'));
  assert.equal(mail.sender, 'a@sender.example');
  assert.deepEqual(told(world, 'once'), ['XferIn anyone@ok.test 0', 'Delivery anyone@ok.test 250 final 1']);
  assert.equal((await delivery(world, 'once')).state, 'finished');
  await assertQuiet(world);
});

test('a message deferred at RCPT and then greylisted is tried after 300 and 600 s, and delivered', async () => {
  const opening = `
    S: 220 mx.twice.example ESMTP
    C: EHLO out.test.example
    S: 250-mx.twice.example
    S: 250 ENHANCEDSTATUSCODES
    C: MAIL FROM:<a@sender.example>
    S: 250 2.1.0 Ok
    C: RCPT TO:<b@twice.example>`;
  const closing = `
    C: RSET
    S: 250 2.0.0 Ok
    C: QUIT
    S: 221 2.0.0 Bye`;
  await using peer = await startScriptedPeer(
    `${opening}\nS: 450 4.2.1 mailbox busy\n${closing}`,
    `${opening}\nS: 451 4.7.1 greylisted, come back later\n${closing}`,
    `${opening}
     S: 250 2.1.5 Ok
     C: DATA
     S: 354 Go on
     C: (content)
     S: 250 2.0.0 queued as 4711
     C: QUIT
     S: 221 2.0.0 Bye`,
  );
  const hop = { host: 'mx.twice.example', address: '127.0.0.1', port: peer.port, source: 'mx' } as const;
  const tls = { mode: 'no', verify: false } as const;
  const router: Router = {
    route: async () => ({ kind: 'hops', site: 'mx.twice.example', hops: [hop], tls }),
  };
  await using world = await startWorld({ random: steady(), router });

  await world.post(message('twice', ['b@twice.example']));
  assert.equal(await world.deliver(), 1);
  const first = await delivery(world, 'twice');
  assert.deepEqual(first.lastReply, {
    code: 450,
    enhanced: '4.2.1',
    text: 'mailbox busy',
    host: 'mx.twice.example',
  });
  assert.equal(first.attempts, 1);

  world.clock.advance(first.dueAtMs - 5_000 - world.clock.nowMs());
  assert.equal(await world.deliver(), 0, 'five seconds early, nobody knocks');
  advanceTo(world, first.dueAtMs);
  assert.equal(await world.deliver(), 1);
  const second = await delivery(world, 'twice');
  assert.equal(second.attempts, 2);

  world.clock.advance(second.dueAtMs - 5_000 - world.clock.nowMs());
  assert.equal(await world.deliver(), 0);
  advanceTo(world, second.dueAtMs);
  assert.equal(await world.deliver(), 1);

  await peer.played();
  assert.deepEqual(waits(world, 'twice'), [300, 600]);
  assert.deepEqual(told(world, 'twice'), [
    'XferIn b@twice.example 0',
    'TransientFailure b@twice.example 450 rcpt 1',
    'TransientFailure b@twice.example 451 rcpt 2',
    'Delivery b@twice.example 250 final 3',
  ]);
  assert.deepEqual(peer.contents.map(withoutTrace), [letter('twice')]);
  assert.equal((await delivery(world, 'twice')).state, 'finished');
  await assertQuiet(world);
});

test('a greylisting that lasts 400 s is outlived at the second retry', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('grey', ['greylist-400@ok.test']));
  await runToTheEnd(world, 'grey');
  assert.deepEqual(waits(world, 'grey'), [300, 600]);
  assert.deepEqual(arrived(world, 'greylist-400@ok.test'), [letter('grey')]);
  await assertQuiet(world);
});

test('a message that is deferred for ever is tried for five days, the last time at its expiry', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('patient', ['defer-9999@ok.test']));
  const { expiresAtMs, receivedAtMs } = (await delivery(world, 'patient')).facts;
  assert.equal(expiresAtMs - receivedAtMs, 432_000_000);
  await runToTheEnd(world, 'patient');

  const every = waits(world, 'patient');
  assert.deepEqual(every.slice(0, 7), [300, 600, 1_200, 2_400, 4_800, 9_600, 14_400]);
  assert.deepEqual(new Set(every.slice(6, -1)), new Set([14_400]));
  assert.equal(every.length, 35);
  const [last, ending] = recordsOf(world, 'patient').slice(-2);
  assert.equal(last?.type, 'TransientFailure');
  assert.equal(last?.next_due, undefined);
  assert.equal(last?.num_attempts, 36);
  assert.equal(ending?.type, 'Expiration');
  assert.equal(ending?.num_attempts, 36);
  assert.deepEqual(ending?.response, {
    code: 450,
    enhanced_code: '4.2.1',
    content: 'mailbox busy, refusal 36 of 9999',
    command: null,
  });
  // The wake before the last was asked for at the expiry itself.
  const lastWake = recordsOf(world, 'patient').at(-3)?.next_due ?? '';
  assert.equal(Date.parse(lastWake), expiresAtMs);
  const { state, owed } = await delivery(world, 'patient');
  assert.deepEqual([state, owed], ['finished', []]);
  await world.deliver();
  const [report = '', ...others] = reportsTo(world);
  assert.deepEqual([reported(report), others], [['defer-9999@ok.test failed 4.4.7'], []]);
  assert.match(report, /^Diagnostic-Code: smtp; 450 4.2.1 mailbox busy, refusal 36 of 9999\r$/m);
});

test('an expiry that the sender sets cuts the last wait short', async () => {
  await using world = await startWorld({ random: steady() });
  const startMs = world.clock.nowMs();
  const expiresAt = new Date(startMs + HOUR).toISOString();
  await world.post(message('hour', ['defer-9999@ok.test'], { expiresAt, sender: '' }));
  await runToTheEnd(world, 'hour');
  assert.deepEqual(waits(world, 'hour').slice(0, 3), [300, 600, 1_200]);
  assert.equal(waits(world, 'hour').length, 4);
  assert.equal(recordsOf(world, 'hour').at(-3)?.next_due, expiresAt);
  assert.deepEqual(told(world, 'hour').slice(-2), [
    'TransientFailure defer-9999@ok.test 450 rcpt 5',
    'Expiration defer-9999@ok.test 450 5',
  ]);
  await assertQuiet(world);
});

for (const [fraction, expected] of [
  [0, [270, 540, 1_080]],
  [0.5, [300, 600, 1_200]],
  [0.999_999, [330, 660, 1_320]],
] as const) {
  test(`with jitter at ${fraction} of its range, the waits are ${expected.join(', ')} s`, async () => {
    await using world = await startWorld({ random: steady(fraction) });
    await world.post(message('jitter', ['defer-3@ok.test']));
    await runToTheEnd(world, 'jitter');
    assert.deepEqual(
      waits(world, 'jitter').map((seconds) => Math.round(seconds)),
      expected,
    );
  });
}

for (const [fraction, seconds] of [
  [0, 60],
  [0.5, 90],
  [0.999_999, 120],
] as const) {
  test(`mail attempted elsewhere, without a due time, is first tried after ${seconds} s of 60 to 120`, async () => {
    await using world = await startWorld({ random: steady(fraction) });
    await world.post(message('elsewhere', ['anyone@ok.test'], { attempts: 1 }));
    const { dueAtMs, facts, attempts } = await delivery(world, 'elsewhere');
    assert.equal(Math.round((dueAtMs - facts.acceptedAtMs) / 1_000), seconds);
    assert.equal(attempts, 0, 'attempts from other addresses do not lengthen the first waits');
    assert.equal(await world.deliver(), 0);
    world.clock.advance((seconds - 2) * 1_000);
    assert.equal(await world.deliver(), 0);
    advanceTo(world, dueAtMs);
    assert.equal(await world.deliver(), 1);
    assert.deepEqual(arrived(world, 'anyone@ok.test'), [letter('elsewhere')]);
    await assertQuiet(world);
  });
}

test('attempts that come with a due time count: after the fourth deferral 2,400 s pass', async () => {
  await using world = await startWorld({ random: steady() });
  const dueAt = new Date(world.clock.nowMs() + 10 * MINUTE).toISOString();
  await world.post(message('counted', ['defer-1@ok.test'], { attempts: 3, dueAt }));
  assert.equal((await delivery(world, 'counted')).dueAtMs, Date.parse(dueAt));
  assert.equal(await world.deliver(), 0);
  await runToTheEnd(world, 'counted');
  assert.deepEqual(waits(world, 'counted'), [2_400]);
  assert.deepEqual(told(world, 'counted').slice(1), [
    'TransientFailure defer-1@ok.test 450 rcpt 4',
    'Delivery defer-1@ok.test 250 final 5',
  ]);
});

test('time that a message spent with its sender counts against its expiry', async () => {
  await using world = await startWorld({ random: steady() });
  const receivedAt = new Date(world.clock.nowMs() - 119 * HOUR).toISOString();
  await world.post(message('old', ['defer-9999@ok.test'], { receivedAt, sender: '' }));
  await runToTheEnd(world, 'old');
  assert.deepEqual(waits(world, 'old').slice(0, 3), [300, 600, 1_200]);
  assert.equal(waits(world, 'old').length, 4);
  assert.equal(recordsOf(world, 'old').at(-1)?.type, 'Expiration');
  assert.equal(
    recordsOf(world, 'old').at(-3)?.next_due,
    new Date(Date.parse(receivedAt) + 120 * HOUR).toISOString(),
  );
});
