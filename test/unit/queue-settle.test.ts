import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import type { DeliveryItem } from '../../shared/queue/delivery.ts';
import { chooseParking, dueKeys } from '../../shared/queue/parking.ts';
import { expireUnattempted, hold, released, settle } from '../../shared/queue/settle.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import type { RecipientOutcome } from '../../shared/smtp/client.ts';
import { deliveryItem, MINUTE, NOW } from './queue-fixtures.ts';

const delivered: RecipientOutcome = { kind: 'delivered', stage: 'final', reply: { code: 250, text: 'ok' } };
const rejected: RecipientOutcome = {
  kind: 'permanent',
  stage: 'rcpt',
  reply: { code: 550, enhanced: '5.1.1', text: 'no such user' },
};
const greylisted: RecipientOutcome = {
  kind: 'transient',
  stage: 'rcpt',
  reply: { code: 451, enhanced: '4.7.1', text: 'later' },
};
const uncertain: RecipientOutcome = {
  kind: 'uncertain',
  stage: 'final',
  reply: { code: 421, enhanced: '4.4.2', text: 'lost' },
};

const LEASE = { id: 'lease-1', untilMs: NOW + 15 * MINUTE };
const twoRecipients = [{ address: 'one@example.net' }, { address: 'two@example.net' }];

function leased(changes: Parameters<typeof deliveryItem>[0] = {}): DeliveryItem {
  return deliveryItem({ lease: LEASE, everLeased: true, unsettledLeases: 1, ...changes });
}

function settled(item: DeliveryItem, outcomes: readonly RecipientOutcome[], inFlight = 0, atMs = NOW) {
  const attempt = {
    atMs,
    outcomes: new Map(outcomes.map((outcome, position) => [position, outcome])),
    peer: { host: 'mx.example.net', address: '192.0.2.1' },
  };
  return settle(item, attempt, {
    leaseId: LEASE.id,
    nowMs: atMs,
    tempo: DEFAULT_TEMPO,
    limits: QUEUE_LIMITS,
    inFlight,
    random: 0.5,
    mark: 'parked-mark',
  });
}

test('a delivered message is finished, kept for seven days, and its lease is gone', () => {
  const { item, ended } = settled(leased(), [delivered]);
  assert.equal(item.delivery.state, 'finished');
  assert.equal(item.ttlAtMs, NOW + 7 * 24 * 60 * MINUTE);
  assert.equal(item.delivery.lease, undefined);
  assert.deepEqual(ended, [0]);
  assert.deepEqual(item.delivery.recipients[0]?.ending, {
    kind: 'delivered',
    atMs: NOW,
    reply: { code: 250, text: 'ok', host: 'mx.example.net' },
  });
  assert.equal(dueKeys(item, DEFAULT_TEMPO), undefined);
});

test('a deferred message waits five minutes with its reply, hidden in the queue', () => {
  const { item, deferred } = settled(leased(), [greylisted]);
  assert.deepEqual(deferred, [0]);
  assert.equal(item.delivery.state, 'open');
  assert.equal(item.delivery.dueAtMs, NOW + 5 * MINUTE);
  assert.equal(item.delivery.attempts, 1);
  assert.equal(item.delivery.parked, false);
  assert.equal(item.delivery.mark, 'mark-1');
  assert.equal(item.delivery.unsettledLeases, 0);
  assert.equal(item.delivery.lastReply?.text, 'later');
  assert.equal(item.delivery.guardAtMs, NOW + 5 * MINUTE + 961_000 + 300_000);
});

test('a long wait while the queue is full of hidden timers is parked in the ledger under a new mark', () => {
  const { item } = settled(leased({ attempts: 3 }), [greylisted], 60_001);
  assert.equal(item.delivery.dueAtMs, NOW + 40 * MINUTE);
  assert.equal(item.delivery.parked, true);
  assert.equal(item.delivery.mark, 'parked-mark');
  assert.match(dueKeys(item, DEFAULT_TEMPO)?.key ?? '', /^p\|default#example\.net#/);
});

test('two recipients with different verdicts: one ends, the other waits', () => {
  const { item, ended, deferred } = settled(leased({ recipients: twoRecipients }), [delivered, greylisted]);
  assert.deepEqual([ended, deferred], [[0], [1]]);
  assert.equal(item.delivery.state, 'open');
  assert.equal(item.delivery.recipients[0]?.ending?.kind, 'delivered');
  assert.equal(item.delivery.recipients[1]?.ending, undefined);
});

test('a rejected recipient ends bounced and a report is owed; the delivery is owing', () => {
  const { item } = settled(leased(), [rejected]);
  assert.equal(item.delivery.state, 'owing');
  assert.deepEqual(item.delivery.owed, [{ n: 1, kind: 'failure', atMs: NOW, recipients: [0] }]);
  assert.equal(item.ttlAtMs, undefined);
});

test('recipients that fail at different attempts are owed two reports', () => {
  const first = settled(leased({ recipients: twoRecipients }), [rejected, greylisted]).item;
  const again = deliveryItem({ ...first.delivery, lease: LEASE });
  const second = settle(
    again,
    { atMs: NOW + MINUTE, outcomes: new Map([[1, rejected]]) },
    {
      leaseId: LEASE.id,
      nowMs: NOW + MINUTE,
      tempo: DEFAULT_TEMPO,
      limits: QUEUE_LIMITS,
      inFlight: 0,
      random: 0.5,
      mark: 'x',
    },
  ).item;
  assert.deepEqual(
    second.delivery.owed.map(({ n, recipients }) => [n, recipients]),
    [
      [1, [0]],
      [2, [1]],
    ],
  );
});

test('nothing is owed for the null reverse path, or to a sender who asked for silence', () => {
  const silent = leased({ recipients: [{ address: 'one@example.net', notify: ['NEVER'] }] });
  assert.equal(settled(silent, [rejected]).item.delivery.state, 'finished');
  const plain = leased();
  const bounce = {
    ...plain,
    delivery: { ...plain.delivery, facts: { ...plain.delivery.facts, sender: '' } },
  };
  assert.equal(settled(bounce, [rejected]).item.delivery.state, 'finished');
});

test('a deferral at expiry ends the message as expired with the last reply', () => {
  const item = leased();
  const late = item.delivery.facts.expiresAtMs;
  const after = settled(item, [greylisted], 0, late);
  assert.deepEqual(after.ended, [0]);
  assert.equal(after.item.delivery.recipients[0]?.ending?.kind, 'expired');
  assert.equal(after.item.delivery.recipients[0]?.ending?.reply.text, 'later');
  assert.equal(after.item.delivery.state, 'owing');
});

test('an uncertain outcome waits like a deferral', () => {
  const { item, deferred } = settled(leased(), [uncertain]);
  assert.deepEqual(deferred, [0]);
  assert.equal(item.delivery.dueAtMs, NOW + 5 * MINUTE);
});

test('delivered counts even when the lease was lost; deferred then does not', () => {
  const lost = leased({ lease: { id: 'other', untilMs: NOW + MINUTE } });
  const facts = settled(lost, [delivered]);
  assert.equal(facts.item.delivery.state, 'finished');
  const transient = settled(lost, [greylisted]);
  assert.equal(transient.changed, false);
  assert.equal(transient.item, lost);
});

test('a recipient that has ended keeps its first ending', () => {
  const first = settled(leased(), [delivered]).item;
  const again = settled(first, [rejected]);
  assert.equal(again.changed, false);
  assert.equal(again.item.delivery.recipients[0]?.ending?.kind, 'delivered');
});

test('a lease given back without an attempt leaves no trace in the schedule', () => {
  const item = released(leased({ attempts: 2, unsettledLeases: 3 }));
  assert.equal(item.delivery.lease, undefined);
  assert.equal(item.delivery.attempts, 2);
  assert.equal(item.delivery.unsettledLeases, 2);
});

test('a held delivery stands in the partition of the held, with its reason', () => {
  const item = hold(leased(), 'its content is missing in the spool');
  assert.equal(item.delivery.state, 'held');
  assert.match(dueKeys(item, DEFAULT_TEMPO)?.bucket ?? '', /^held#\d+$/);
});

test('what DNS kept from being attempted until its expiry ends as expired and is reported', () => {
  const reply = { code: 450, enhanced: '4.4.7', text: 'delivery time expired' };
  const { item } = expireUnattempted(leased(), NOW, reply);
  assert.equal(item.delivery.recipients[0]?.ending?.kind, 'expired');
  assert.equal(item.delivery.state, 'owing');
});

test('where a waiting delivery waits', () => {
  const table: readonly (readonly [waitSeconds: number, inFlight: number, parking: string])[] = [
    [1, 0, 'hidden'],
    [300, 60_000, 'hidden'],
    [300, 60_001, 'delayed'],
    [900, 119_000, 'delayed'],
    [901, 60_000, 'hidden'],
    [901, 60_001, 'ledger'],
    [14_400, 0, 'hidden'],
    [42_239, 0, 'hidden'],
    [42_240, 0, 'ledger'],
  ];
  for (const [waitSeconds, inFlight, parking] of table) {
    const chosen = chooseParking(waitSeconds * 1_000, inFlight, QUEUE_LIMITS, DEFAULT_TEMPO);
    assert.equal(chosen, parking, `${waitSeconds} s at ${inFlight} in flight`);
  }
});

test('recipients who were not named in an attempt are due at once, and no attempt counts for them', () => {
  const { item, ended, deferred } = settled(leased({ recipients: twoRecipients, attempts: 2 }), [delivered]);
  assert.deepEqual([ended, deferred], [[0], []]);
  assert.equal(item.delivery.state, 'open');
  assert.deepEqual([item.delivery.attempts, item.delivery.dueAtMs], [2, NOW]);
});
