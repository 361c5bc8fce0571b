// Reports on their whole way: a destination says no, or nothing for long, and the sender's own server gets the
// report, read by the parsers of two mail programs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REPORT_CREDENTIAL, reportId } from '../../shared/queue/pay-reports.ts';
import { assertQuiet } from './inventory.ts';
import { onlyReport } from './read-reports.ts';
import {
  advanceTo,
  delivery,
  letter,
  message,
  postFrames,
  recordsOf,
  reported,
  reportsTo,
  SENDER,
  steady,
  told,
} from './transfers.ts';
import { startWorld, TRACE_HOST, type World } from './world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** From due time to due time, until the delivery is closed. */
async function runToTheEnd(world: World, id: string): Promise<void> {
  for (let turns = 0; turns < 50; turns += 1) {
    await world.deliver();
    const { state, dueAtMs } = await delivery(world, id);
    if (state !== 'open') return;
    advanceTo(world, dueAtMs);
  }
  assert.fail(`${id} has no end`);
}

test('the sender of a refused message gets one report, and it is mail like any other', async () => {
  await using world = await startWorld();
  const content = `Message-ID: <one@sender.example>\r\n${letter('no')}`;
  await world.post(message('no', ['anyone@reject.test'], { content, receivedFrom: 'mx1.sender.example' }));
  await world.deliver();

  const { from, to, subject, text, message: about, recipients, parts, enclosed } = await onlyReport(world);
  assert.deepEqual(
    [from, to, subject],
    [`MAILER-DAEMON@${TRACE_HOST}`, SENDER, 'Undelivered Mail Returned to Sender'],
  );
  assert.match(
    text,
    /<anyone@reject\.test>: host mx1\.sink\.test said:\n {4}550 5\.1\.1 no such mailbox here/,
  );
  assert.deepEqual(
    [about['reporting-mta'], about['received-from-mta']],
    [`dns; ${TRACE_HOST}`, 'dns; mx1.sender.example'],
  );
  const [{ 'last-attempt-date': _date, ...recipient } = {}, ...others] = recipients;
  assert.deepEqual(
    [recipient, others],
    [
      {
        'final-recipient': 'rfc822; anyone@reject.test',
        action: 'failed',
        status: '5.1.1',
        'remote-mta': 'dns; mx1.sink.test',
        'diagnostic-code': 'smtp; 550 5.1.1 no such mailbox here',
        'final-log-id': 'no',
      },
      [],
    ],
  );
  assert.deepEqual(parts, ['message/delivery-status', 'text/rfc822-headers']);
  assert.match(String(enclosed), /^Message-ID: <one@sender\.example>\r?\nFrom: a@sender\.example/);
  assert.match(reportsTo(world)[0] ?? '', /^In-Reply-To: <one@sender\.example>\r$/m);

  assert.deepEqual(told(world, 'no').slice(1), ['Bounce anyone@reject.test 550 rcpt 1']);
  const id = reportId({ credential: 'tester', id: 'no', chunk: 0 }, 1, 1);
  assert.deepEqual(told(world, id), [`XferIn ${SENDER} 0`, `Delivery ${SENDER} 250 final 1`]);
  const [accepted] = recordsOf(world, id);
  assert.deepEqual(
    [accepted?.credential, accepted?.sender, accepted?.meta],
    [REPORT_CREDENTIAL, '', { report: { kind: 'failure', credential: 'tester', id: 'no', chunk: 0, n: 1 } }],
  );
  const [mail] = world.sink.received;
  assert.match(
    String(mail?.content),
    new RegExp(`^Received: from ${TRACE_HOST}\\r\\n\\tby ${TRACE_HOST} \\(delay-xfer\\) with XFER id ${id};`),
  );
  await assertQuiet(world);
});

test('an expired message is reported as such, with the last that was said', async () => {
  await using world = await startWorld({ random: steady() });
  const expiresAt = new Date(world.clock.nowMs() + 2 * MINUTE).toISOString();
  await world.post(message('late', ['defer-99@ok.test'], { expiresAt }));
  await runToTheEnd(world, 'late');
  await world.deliver();
  const { recipients, text } = await onlyReport(world);
  assert.deepEqual(
    [recipients[0]?.['action'], recipients[0]?.['status'], recipients[0]?.['diagnostic-code']],
    ['failed', '4.4.7', 'smtp; 450 4.2.1 mailbox busy, refusal 2 of 99'],
  );
  assert.match(text, /delivery time expired/);
  await assertQuiet(world);
});

test('what DNS kept from every attempt is reported in our own words', async () => {
  await using world = await startWorld({ random: steady() });
  const expiresAt = new Date(world.clock.nowMs() + MINUTE).toISOString();
  await world.post(message('dns', ['anyone@dns-fails.test'], { expiresAt }));
  for (let turns = 0; turns < 6; turns += 1) {
    await world.deliver();
    world.clock.advance(MINUTE);
  }
  const [recipient] = (await onlyReport(world)).recipients;
  assert.deepEqual([recipient?.['status'], recipient?.['remote-mta']], ['4.4.7', undefined]);
  assert.match(recipient?.['diagnostic-code'] ?? '', /^x-delay-xfer; 450 4\.4\.7 delivery time expired/);
});

test('two recipients that fail at different attempts are told of in two reports', async () => {
  await using world = await startWorld({ random: steady() });
  const expiresAt = new Date(world.clock.nowMs() + 2 * MINUTE).toISOString();
  await world.post(message('two', ['reject@mixed.test', 'defer-99@mixed.test'], { expiresAt }));
  await runToTheEnd(world, 'two');
  await world.deliver();
  const reports = reportsTo(world);
  assert.deepEqual(reports.map(reported), [
    ['reject@mixed.test failed 5.1.1'],
    ['defer-99@mixed.test failed 4.4.7'],
  ]);
  const ids = reports.map((report) => /^Message-ID: (.*)\r$/m.exec(report)?.[1]);
  assert.equal(new Set(ids).size, 2);
  await assertQuiet(world);
});

test('nobody is told: NOTIFY=NEVER, the null reverse path, Generate_Bounces = false', async () => {
  for (const [reports, fields, code] of [
    [{}, { recipients: [{ address: 'x@reject.test', notify: ['NEVER'] }] }, undefined],
    [{}, { sender: '' }, 'no-report'],
    [{ generateBounces: false }, {}, 'no-report'],
  ] as const) {
    await using world = await startWorld({ reports });
    await world.post(message('quiet', ['x@reject.test'], fields));
    assert.equal(await world.deliver(), 1);
    assert.equal((await delivery(world, 'quiet')).state, 'finished');
    assert.equal(world.notices.find((notice) => notice.code === 'no-report')?.code, code);
    await assertQuiet(world);
  }
});

test('a delay is reported when its step has passed, once, to whom NOTIFY or the option says', async () => {
  await using world = await startWorld({ random: steady() });
  const asked = { address: 'defer-9@mixed.test', notify: ['DELAY', 'FAILURE'] };
  const unasked = { address: 'defer-8@mixed.test', notify: ['FAILURE'] };
  const silent = 'defer-7@mixed.test';
  const startMs = world.clock.nowMs();
  await world.post(message('slow', [asked, unasked, silent]));
  while (world.clock.nowMs() < startMs + 2 * HOUR) {
    await world.deliver();
    advanceTo(world, (await delivery(world, 'slow')).dueAtMs);
  }
  const { recipients, subject } = await onlyReport(world);
  assert.equal(subject, 'Delayed Mail (still being retried)');
  assert.deepEqual(
    recipients.map((each) => [each['final-recipient'], each['action'], each['status']]),
    [['rfc822; defer-9@mixed.test', 'delayed', '4.2.1']],
  );
  const { facts, delaySteps, owed } = await delivery(world, 'slow');
  assert.equal(
    Date.parse(recipients[0]?.['will-retry-until'] ?? ''),
    Math.floor(facts.expiresAtMs / 1_000) * 1_000,
  );
  assert.deepEqual([delaySteps, owed], [1, []]);
});

test('with Generate_Delay_DSN senders who asked for nothing hear of delays', async () => {
  const reports = { generateDelayDsn: true, delayDsnRetryIntervalMs: 10 * MINUTE };
  await using world = await startWorld({ random: steady(), reports });
  await world.post(message('slow', ['defer-3@ok.test']));
  await runToTheEnd(world, 'slow');
  const [report, ...others] = reportsTo(world).map(reported);
  assert.deepEqual([report, others], [['defer-3@ok.test delayed 4.2.1'], []]);
  assert.equal((await delivery(world, 'slow')).state, 'finished');
  await assertQuiet(world);
});

test('a sender with a mailbox in UTF-8 gets a report in UTF-8', async () => {
  await using world = await startWorld();
  const sender = 'δοκιμή@utf8.test';
  await world.post(
    message('utf8', ['jörg+reject@utf8.test', 'reject+jörg@utf8.test'], { sender, smtputf8: true }),
  );
  await world.deliver();
  const mail = world.sink.received.find(({ recipients }) => recipients[0]?.address === sender);
  assert.deepEqual([mail?.sender, mail?.parameters['SMTPUTF8']], ['', true]);
  const octets = mail?.content ?? Buffer.alloc(0);
  assert.ok(octets.includes('\r\nContent-Type: message/global-delivery-status\r\n'));
  assert.ok(octets.includes('\r\nFinal-Recipient: utf-8; reject+jörg@utf8.test\r\nAction: failed\r\n'));
});

test('RET says what is enclosed; large mail is returned whole only on request', async () => {
  await using world = await startWorld({ reports: { inlineOriginal: 'all' } });
  const large = `Subject: large\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(4_000)}`;
  const cases = [
    ['small', {}, 'message/rfc822', 60],
    ['hdrs', { ret: 'HDRS' }, 'text/rfc822-headers', 30],
    ['large', { content: large }, 'text/rfc822-headers', 15],
    ['full', { content: large, ret: 'FULL' }, 'message/rfc822', 320_000],
  ] as const;
  for (const [id, fields, type, least] of cases) {
    await world.post(message(id, ['x@reject.test'], { sender: `${id}@sender.example`, ...fields }));
    await world.deliver();
    const { parts, enclosed } = await onlyReport(world, `${id}@sender.example`);
    assert.equal(parts[1], type, id);
    assert.ok((enclosed?.length ?? 0) >= least, `${id}: ${enclosed?.length}`);
  }
  const [full = ''] = reportsTo(world, 'full@sender.example');
  assert.ok(full.includes(`\r\n\r\n${large}\r\n--=_`), 'octet for octet');
  await assertQuiet(world);
});

test('8-bit content comes back octet for octet, declared as such', async () => {
  await using world = await startWorld();
  const content = 'Subject: 8 bit\r\n\r\n\x80\xff.\r\n.\r\nend\r\n';
  const octets = Buffer.from(content, 'latin1');
  const line = {
    id: 'eight',
    sender: SENDER,
    recipients: ['x@reject.test'],
    ret: 'FULL',
    sizeBytes: octets.length,
  };
  await postFrames(world, [Buffer.concat([Buffer.from(`${JSON.stringify(line)}\n`), octets])]);
  await world.deliver();
  assert.equal(world.sink.received[0]?.parameters['BODY'], '8BITMIME');
  assert.ok(reportsTo(world)[0]?.includes(`8bit\r\n\r\n${content}\r\n--=_`));
});

test('who asks for news of success hears that a host took the mail which tells no more; a host with DSN was asked itself', async () => {
  await using world = await startWorld();
  const recipient = (address: string) => ({ address, notify: ['SUCCESS'] });
  await world.post(message('relayed', [recipient('you@plain.test')]));
  await world.post(message('passed-on', [recipient('you@ok.test')]));
  await world.deliver();
  const { subject, recipients } = await onlyReport(world);
  assert.match(subject ?? '', /relayed/i);
  assert.deepEqual(
    recipients.map(({ action, status, 'final-recipient': address }) => [action, status, address]),
    [['relayed', '2.0.0', 'rfc822; you@plain.test']],
  );
  for (const id of ['relayed', 'passed-on']) assert.equal((await delivery(world, id)).state, 'finished');
});

test('a delay is reported as well where DNS is what delays', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('no-dns', [{ address: 'you@dns-fails.test', notify: ['DELAY', 'FAILURE'] }]));
  await world.deliver();
  assert.deepEqual(reportsTo(world), []);
  world.clock.advance(HOUR + MINUTE);
  await world.deliver();
  const { recipients } = await onlyReport(world);
  assert.deepEqual(
    recipients.map(({ action, 'diagnostic-code': code }) => [action, code]),
    [['delayed', 'x-delay-xfer; 451 4.4.3 DNS did not answer for the MX of dns-fails.test: ESERVFAIL']],
  );
  assert.equal((await delivery(world, 'no-dns')).attempts, 0);
});
