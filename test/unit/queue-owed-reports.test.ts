// Which reports are owed for which outcomes, and when a report is paid.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import type { NotifyCondition } from '../../shared/message/envelope.ts';
import type { DeliveryItem, DeliveryRecipient } from '../../shared/queue/delivery.ts';
import { reportId } from '../../shared/queue/pay-reports.ts';
import { expireUnattempted, paid, settle } from '../../shared/queue/settle.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { delaySteps } from '../../shared/report/delay-steps.ts';
import { type Returned, toReturn } from '../../shared/report/original.ts';
import type { Report, ReportedMessage } from '../../shared/report/report.ts';
import type { InlineOriginal, ReportSettings } from '../../shared/report/settings.ts';
import { statusOf } from '../../shared/report/status.ts';
import type { RecipientOutcome } from '../../shared/smtp/client.ts';
import { deliveryItem, MINUTE, NOW } from './queue-fixtures.ts';

const HOUR = 60 * MINUTE;

const SETTINGS: ReportSettings = {
  generateBounces: true,
  generateDelayDsn: false,
  delayDsnRetryIntervalMs: HOUR,
  delayDsnMaxRetryIntervalMs: 0,
  inlineOriginal: 'headers',
  mailerDaemon: 'MAILER-DAEMON@out.example.com',
  reportingMta: 'out.example.com',
};
const DELAYS: ReportSettings = { ...SETTINGS, generateDelayDsn: true };

const delivered: RecipientOutcome = { kind: 'delivered', stage: 'final', reply: { code: 250, text: 'ok' } };
const rejected: RecipientOutcome = { kind: 'permanent', stage: 'rcpt', reply: { code: 550, text: 'no' } };
const deferred: RecipientOutcome = { kind: 'transient', stage: 'rcpt', reply: { code: 451, text: 'later' } };

const LEASE = { id: 'lease-1', untilMs: NOW + 15 * MINUTE };

function leased(recipients: readonly DeliveryRecipient[], changes: Parameters<typeof deliveryItem>[0] = {}) {
  return deliveryItem({ lease: LEASE, everLeased: true, unsettledLeases: 1, recipients, ...changes });
}

/** One recipient, with what it wants to be told of. */
function wanting(notify?: readonly NotifyCondition[]): readonly DeliveryRecipient[] {
  return [{ address: 'one@example.net', ...(notify === undefined ? {} : { notify }) }];
}

function settled(
  item: DeliveryItem,
  outcomes: readonly (RecipientOutcome | undefined)[],
  more: { atMs?: number; reports?: ReportSettings; takesDsn?: boolean } = {},
): DeliveryItem {
  const { atMs = NOW, reports = SETTINGS, takesDsn } = more;
  const peer = {
    host: 'mx.example.net',
    address: '192.0.2.1',
    ...(takesDsn === undefined ? {} : { takesDsn }),
  };
  const attempt = {
    atMs,
    peer,
    outcomes: new Map(
      outcomes.flatMap((outcome, position) => (outcome === undefined ? [] : [[position, outcome] as const])),
    ),
  };
  return settle(item, attempt, {
    leaseId: LEASE.id,
    nowMs: atMs,
    tempo: DEFAULT_TEMPO,
    limits: QUEUE_LIMITS,
    inFlight: 0,
    random: 0.5,
    mark: 'parked-mark',
    reports,
  }).item;
}

/** The same delivery at its next attempt. */
function again(item: DeliveryItem): DeliveryItem {
  return { ...item, delivery: { ...item.delivery, lease: LEASE } };
}

const kinds = (item: DeliveryItem) =>
  item.delivery.owed.map(({ kind, n, recipients }) => [kind, n, ...recipients]);

test('a failure is reported unless NOTIFY lacks FAILURE', () => {
  const table: readonly (readonly [NotifyCondition[] | undefined, string])[] = [
    [undefined, 'owing'],
    [['FAILURE'], 'owing'],
    [['SUCCESS', 'FAILURE', 'DELAY'], 'owing'],
    [['SUCCESS'], 'finished'],
    [['DELAY'], 'finished'],
    [['NEVER'], 'finished'],
  ];
  for (const [notify, state] of table) {
    assert.equal(settled(leased(wanting(notify)), [rejected]).delivery.state, state, String(notify));
  }
});

test('with Generate_Bounces = false no failure is owed', () => {
  const item = settled(leased(wanting()), [rejected], { reports: { ...SETTINGS, generateBounces: false } });
  assert.deepEqual([item.delivery.state, item.delivery.owed], ['finished', []]);
});

test('NOTIFY=SUCCESS is answered by us where the peer does not know DSN, and only there', () => {
  const table: readonly (readonly [NotifyCondition[] | undefined, boolean | undefined, unknown[]])[] = [
    [['SUCCESS'], false, [['relayed', 1, 0]]],
    [['SUCCESS', 'FAILURE'], false, [['relayed', 1, 0]]],
    [['SUCCESS'], true, []],
    [['SUCCESS'], undefined, []],
    [['FAILURE'], false, []],
    [undefined, false, []],
  ];
  for (const [notify, takesDsn, owed] of table) {
    const more = takesDsn === undefined ? {} : { takesDsn };
    assert.deepEqual(
      kinds(settled(leased(wanting(notify)), [delivered], more)),
      owed,
      `${notify} ${takesDsn}`,
    );
  }
});

test('delays are reported at growing intervals, each step once, and none when nobody asked', () => {
  let item = leased(wanting());
  const told: number[] = [];
  for (let minutes = 5; minutes <= 16 * 60; minutes += 5) {
    const before = item.delivery.lastOwed;
    item = again(settled(item, [deferred], { atMs: NOW + minutes * MINUTE, reports: DELAYS }));
    if (item.delivery.lastOwed > before) told.push(minutes);
  }
  assert.deepEqual(told, [60, 180, 420, 900]);
  const unasked = settled(leased(wanting()), [deferred], { atMs: NOW + 10 * HOUR });
  assert.deepEqual(unasked.delivery.owed, []);
});

test('a step that passed between two attempts is not made up for', () => {
  const late = settled(leased(wanting()), [deferred], { atMs: NOW + 10 * HOUR, reports: DELAYS });
  assert.deepEqual([kinds(late), late.delivery.delaySteps], [[['delay', 1, 0]], 3]);
  const soon = settled(again(late), [deferred], { atMs: NOW + 11 * HOUR, reports: DELAYS });
  assert.deepEqual([kinds(soon), soon.delivery.delaySteps], [[['delay', 1, 0]], 3]);
});

test('NOTIFY says who hears of delays, Generate_Delay_DSN only of those without it', () => {
  const recipients: readonly DeliveryRecipient[] = [
    { address: 'a@example.net', notify: ['DELAY'] },
    { address: 'b@example.net', notify: ['FAILURE'] },
    { address: 'c@example.net', notify: ['NEVER'] },
    { address: 'd@example.net' },
  ];
  const outcomes = [deferred, deferred, deferred, deferred];
  const atMs = NOW + HOUR;
  assert.deepEqual(kinds(settled(leased(recipients), outcomes, { atMs })), [['delay', 1, 0]]);
  assert.deepEqual(kinds(settled(leased(recipients), outcomes, { atMs, reports: DELAYS })), [
    ['delay', 1, 0, 3],
  ]);
});

test('the report of a delay keeps what was said to each of its recipients', () => {
  const recipients = [
    { address: 'a@example.net' },
    { address: 'b@example.net' },
    { address: 'c@example.net' },
  ];
  const full: RecipientOutcome = { ...deferred, reply: { code: 452, text: 'mailbox full' } };
  const atMs = NOW + HOUR;
  const host = 'mx.example.net';
  const alike = settled(leased(recipients), [deferred, deferred, delivered], { atMs, reports: DELAYS });
  assert.deepEqual(alike.delivery.owed[0]?.replies, [{ code: 451, text: 'later', host }]);
  const unlike = settled(leased(recipients), [deferred, full, delivered], { atMs, reports: DELAYS });
  assert.deepEqual(unlike.delivery.owed[0]?.replies, [
    { code: 451, text: 'later', host },
    { code: 452, text: 'mailbox full', host },
  ]);
});

test('at expiry a failure is reported and no delay; and a delay that nobody paid is dropped', () => {
  const waiting = settled(leased(wanting()), [deferred], { atMs: NOW + HOUR, reports: DELAYS });
  assert.deepEqual(kinds(waiting), [['delay', 1, 0]]);
  const atMs = waiting.delivery.facts.expiresAtMs;
  const expired = settled(again(waiting), [deferred], { atMs, reports: DELAYS });
  assert.deepEqual([kinds(expired), expired.delivery.state], [[['failure', 2, 0]], 'owing']);
  const gone = settled(again(waiting), [delivered], { atMs: NOW + 2 * HOUR, reports: DELAYS });
  assert.deepEqual([kinds(gone), gone.delivery.state], [[], 'finished']);
});

test('nothing at all is owed to the null reverse path', () => {
  const item = leased(wanting(['SUCCESS', 'FAILURE', 'DELAY']));
  const bounce = { ...item, delivery: { ...item.delivery, facts: { ...item.delivery.facts, sender: '' } } };
  for (const outcome of [delivered, rejected, deferred]) {
    const more = { atMs: NOW + HOUR, reports: DELAYS, takesDsn: false };
    assert.deepEqual(settled(bounce, [outcome], more).delivery.owed, []);
  }
  const { item: expired } = expireUnattempted(bounce, NOW, { code: 450, text: 'late' }, DELAYS);
  assert.equal(expired.delivery.state, 'finished');
});

test('numbers go on when paid reports have left the list', () => {
  const two = [{ address: 'a@example.net' }, { address: 'b@example.net' }];
  const first = settled(leased(two), [rejected, deferred]);
  const afterwards = paid(first, 1, NOW);
  assert.deepEqual([afterwards.delivery.owed, afterwards.delivery.state], [[], 'open']);
  const second = settled(again(afterwards), [undefined, rejected], { atMs: NOW + MINUTE });
  assert.deepEqual(kinds(second), [['failure', 2, 1]]);
});

test('the last payment of a closed delivery finishes it, and its memory ends seven days later', () => {
  const owing = settled(leased([{ address: 'a@example.net' }]), [rejected]);
  assert.deepEqual([owing.delivery.state, owing.ttlAtMs], ['owing', undefined]);
  const finished = paid(owing, 1, NOW + HOUR);
  assert.deepEqual(
    [finished.delivery.state, finished.delivery.owed, finished.ttlAtMs, finished.rev],
    ['finished', [], NOW + HOUR + 7 * 24 * HOUR, owing.rev + 1],
  );
});

test('a report has an id of its own, for good', () => {
  const key = { credential: 'acme', id: 'm1', chunk: 0 };
  const id = 'gc8UkqHcCemuL4rIGs42mQBD4-W04BD5mZ4xrgxwtVQ';
  assert.equal(reportId(key, 1, 1), id);
  const others = [
    reportId(key, 1, 2),
    reportId(key, 2, 1),
    reportId({ ...key, chunk: 1 }, 1, 1),
    reportId({ ...key, credential: 'other' }, 1, 1),
  ];
  assert.equal(new Set([id, ...others]).size, 5);
});

test('when the steps of delays pass', () => {
  const table: readonly (readonly [retry: number, most: number, passed: readonly number[]])[] = [
    [60, 0, [60, 180, 420, 900, 1_860]],
    [60, 120, [60, 180, 300, 420, 540]],
    [60, 30, [60, 120, 180, 240, 300]],
  ];
  for (const [retry, most, passed] of table) {
    const intervals = {
      delayDsnRetryIntervalMs: retry * MINUTE,
      delayDsnMaxRetryIntervalMs: most * MINUTE,
    };
    for (const [index, minutes] of passed.entries()) {
      assert.equal(delaySteps(minutes * MINUTE - 1, intervals), index, `${retry} ${most} before ${minutes}`);
      assert.equal(delaySteps(minutes * MINUTE, intervals), index + 1, `${retry} ${most} at ${minutes}`);
    }
  }
});

test('what of the original is returned', () => {
  const rows: readonly (readonly [Partial<ReportedMessage>, Report['kind'], InlineOriginal, Returned])[] = [
    [{}, 'failure', 'headers', 'headers'],
    [{}, 'failure', 'none', 'none'],
    [{}, 'failure', 'all', 'full'],
    [{ sizeBytes: 50_000 }, 'failure', 'all', 'full'],
    [{ sizeBytes: 50_001 }, 'failure', 'all', 'headers'],
    [{ ret: 'FULL', sizeBytes: 50_001 }, 'failure', 'headers', 'full'],
    [{ ret: 'FULL', sizeBytes: 10_485_761 }, 'failure', 'all', 'headers'],
    [{ ret: 'FULL' }, 'failure', 'none', 'full'],
    [{ ret: 'HDRS' }, 'failure', 'all', 'headers'],
    [{ ret: 'HDRS' }, 'failure', 'none', 'headers'],
    [{ ret: 'FULL' }, 'delay', 'all', 'headers'],
    [{ ret: 'FULL' }, 'relayed', 'all', 'headers'],
    [{}, 'delay', 'none', 'none'],
    [{ ret: 'FULL', requireTls: true }, 'failure', 'all', 'headers'],
  ];
  for (const [changes, kind, inline, returned] of rows) {
    const message: ReportedMessage = {
      id: 'm1',
      sender: 'a@sender.example',
      smtputf8: false,
      requireTls: false,
      sizeBytes: 1_000,
      receivedAtMs: NOW,
      expiresAtMs: NOW,
      ...changes,
    };
    const report: Report = { kind, id: 'x', atMs: NOW, recipients: [], message };
    assert.equal(toReturn(report, inline), returned, JSON.stringify([changes, kind, inline]));
  }
});

test('the status of a report agrees with its action', () => {
  const rows: readonly (readonly [Report['kind'], number, string | undefined, string])[] = [
    ['failure', 550, '5.7.1', '5.7.1'],
    ['failure', 550, undefined, '5.0.0'],
    ['failure', 552, undefined, '5.2.2'],
    ['failure', 553, undefined, '5.1.3'],
    // The basic code decided that it failed; the enhanced one says something else.
    ['failure', 550, '4.7.1', '5.0.0'],
    ['failure', 556, undefined, '5.1.10'],
    ['delay', 451, '4.7.1', '4.7.1'],
    ['delay', 452, undefined, '4.3.1'],
    ['delay', 450, '5.7.1', '4.0.0'],
    ['relayed', 250, '2.6.0', '2.6.0'],
    ['relayed', 250, undefined, '2.0.0'],
  ];
  for (const [kind, code, enhanced, status] of rows) {
    const reply = { code, text: 'x', ...(enhanced === undefined ? {} : { enhanced }) };
    const recipient = { address: 'a@example.net', reply, expired: false, lastAttemptAtMs: NOW };
    assert.equal(statusOf(kind, recipient), status, `${kind} ${code} ${enhanced}`);
    if (kind === 'failure') assert.equal(statusOf(kind, { ...recipient, expired: true }), '4.4.7');
  }
});
