// Ledger items as DynamoDB keeps them: nothing is lost on the way, what an earlier run stored is understood, and
// the common case stays under the 1 KB that one write unit pays for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { itemSizeBytes } from '../../bench/item-units.ts';
import { formatItem, parseItem } from '../../shared/aws/ledger-item.ts';
import type { Delivery, DeliveryFacts, DeliveryItem, LedgerItem } from '../../shared/queue/delivery.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';

const TRACE =
  'Received: from mta-1.sender.example\r\n' +
  '\tby xfer.example.com (delay-xfer) with XFER id 0aBcDeFgHiJkLmNoPqRsTuVwXyZ-0aBcDeFgHiJkLmNoPqR;\r\n' +
  '\tSun, 22 Nov 2026 10:00:00 +0000\r\n';

const FACTS: DeliveryFacts = {
  domain: 'mail.destination.example',
  binding: 'default',
  sender: 'bounces+1234567-89ab-reader=destination.example@em4711.sender.example',
  body: '7BIT',
  smtputf8: false,
  requireTls: false,
  sizeBytes: 51_200,
  sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  content: { key: 'abcdefghijklmnopqrstuvwx/transfer', offset: 1_024_000, shared: true },
  trace: TRACE,
  receivedAtMs: 1_795_341_600_000,
  acceptedAtMs: 1_795_341_600_000,
  expiresAtMs: 1_795_773_600_000,
  priorAttempts: 0,
  meta: {},
};

const ITEM: DeliveryItem = {
  key: {
    credential: 'iam-0123456789abcdefghijkl',
    id: '0aBcDeFgHiJkLmNoPqRsTuVwXyZ-0aBcDeFgHiJkLmNoPqR',
    chunk: 0,
  },
  rev: 1,
  generation: 1,
  commit: { state: 'committed', chunks: 0, sha256: FACTS.sha256, sender: FACTS.sender },
  delivery: {
    facts: FACTS,
    state: 'open',
    recipients: [{ address: 'firstname.lastname@mail.destination.example' }],
    dueAtMs: 1_795_341_600_000,
    attempts: 0,
    everLeased: false,
    unsettledLeases: 0,
    mark: 'abcdefghijkl',
    parked: false,
    owed: [],
    lastOwed: 0,
    delaySteps: 0,
    guardAtMs: 1_795_342_861_000,
  },
};

test('a stored item reads as it was written', () => {
  fc.assert(
    fc.property(items(), (item) => {
      assert.deepEqual(parseItem(formatItem(item, DEFAULT_TEMPO)), item);
    }),
    { numRuns: 300 },
  );
});

test('an ordinary delivery is stored in few words, and they are still understood', () => {
  const doc =
    '{"facts":{"domain":"mail.destination.example","sizeBytes":51200,' +
    '"content":{"key":"abcdefghijklmnopqrstuvwx/transfer","offset":1024000,"shared":true},' +
    '"trace":{"from":"mta-1.sender.example","by":"xfer.example.com"},' +
    '"receivedAtMs":1795341600000,"acceptedAtMs":1795341600000,"expiresAtMs":1795773600000},' +
    '"recipients":[{"address":"firstname.lastname@mail.destination.example"}],"guardAtMs":1795342861000}';
  const attributes = formatItem(ITEM, DEFAULT_TEMPO);
  assert.deepEqual(attributes['doc'], { S: doc });
  assert.deepEqual(parseItem({ ...attributes, doc: { S: doc } }), ITEM);
});

test('reports that were owed before there were kinds are failures, and their numbers go on', () => {
  const doc =
    '{"facts":{"domain":"mail.destination.example","sizeBytes":51200,' +
    '"content":{"key":"abcdefghijklmnopqrstuvwx/transfer","offset":1024000,"shared":true},' +
    '"trace":{"from":"mta-1.sender.example","by":"xfer.example.com"},' +
    '"receivedAtMs":1795341600000,"acceptedAtMs":1795341600000,"expiresAtMs":1795773600000},' +
    '"recipients":[{"address":"firstname.lastname@mail.destination.example"}],' +
    '"owed":[{"n":1,"atMs":1795341601000,"recipients":[0]},{"n":2,"atMs":1795341602000,"recipients":[1]}],' +
    '"guardAtMs":1795342861000}';
  const { delivery } = parseItem({ ...formatItem(ITEM, DEFAULT_TEMPO), doc: { S: doc } });
  assert.deepEqual(
    [delivery?.owed, delivery?.lastOwed, delivery?.delaySteps],
    [
      [
        { n: 1, kind: 'failure', atMs: 1_795_341_601_000, recipients: [0] },
        { n: 2, kind: 'failure', atMs: 1_795_341_602_000, recipients: [1] },
      ],
      2,
      0,
    ],
  );
});

test('a delivery of its own item says its reverse path and hash itself', () => {
  const { commit: _commit, ...alone } = ITEM;
  const item = { ...alone, key: { ...ITEM.key, chunk: 1 } };
  assert.deepEqual(parseItem(formatItem(item, DEFAULT_TEMPO)), item);
});

test('a delivery that was taken over keeps the trace of the first acceptance', () => {
  const item = changed({ facts: { ...FACTS, acceptedAtMs: 1_795_341_777_000 } });
  assert.equal(parseItem(formatItem(item, DEFAULT_TEMPO)).delivery?.facts.trace, TRACE);
});

test('a delivery that is taken at its first attempt stays under 1 KB to its ending', () => {
  const host = 'mx01.mail.destination.example';
  const reply = { code: 250, enhanced: '2.0.0', text: 'Ok: queued as 4bXyZ12345z9vNqs', host };
  const recipients = ITEM.delivery.recipients.map((recipient) => ({
    ...recipient,
    ending: { kind: 'delivered' as const, atMs: 1_795_341_601_000, reply },
  }));
  const lease = { id: 'abcdefghijkl', untilMs: 1_795_342_560_000 };
  const states: Record<string, LedgerItem> = {
    accepted: ITEM,
    leased: changed({ lease, everLeased: true, unsettledLeases: 1 }),
    delivered: {
      ...changed({ everLeased: true, recipients, state: 'finished' }),
      ttlAtMs: 1_795_946_401_000,
    },
  };
  const over = Object.entries(states)
    .map(([name, item]) => [name, itemSizeBytes(formatItem(item, DEFAULT_TEMPO))] as const)
    .filter(([, sizeBytes]) => sizeBytes > 1_024);
  assert.deepEqual(over, []);
});

function changed(changes: Partial<Delivery>): DeliveryItem {
  return { ...ITEM, delivery: { ...ITEM.delivery, ...changes } };
}

function items(): fc.Arbitrary<DeliveryItem> {
  const optional = { requiredKeys: [] };
  const atMs = fc.nat();
  const reply = fc
    .tuple(
      fc.record({ code: fc.nat(), text: fc.string({ unit: 'binary' }) }),
      fc.record({ enhanced: fc.string(), host: fc.string() }, optional),
    )
    .map(([always, maybe]) => ({ ...always, ...maybe }));
  const kind = fc.constantFrom('delivered', 'bounced', 'expired', 'cancelled', 'withdrawn');
  const recipient = fc
    .tuple(
      fc.string(),
      fc.record(
        {
          orcpt: fc.string(),
          notify: fc.array(fc.constantFrom('NEVER', 'SUCCESS', 'FAILURE', 'DELAY')),
          ending: fc.record({ kind, atMs, reply }),
        },
        optional,
      ),
    )
    .map(([address, maybe]) => ({ address, ...maybe }));
  const facts = fc
    .tuple(
      fc.record({
        domain: fc.string(),
        binding: fc.constantFrom('default', 'a', ''),
        sender: fc.constantFrom('', FACTS.sender, 'other@sender.example'),
        body: fc.constantFrom('7BIT', '8BITMIME'),
        smtputf8: fc.boolean(),
        requireTls: fc.boolean(),
        sizeBytes: fc.nat(),
        sha256: fc.constantFrom(FACTS.sha256, 'other'),
        content: fc.record({ key: fc.string(), offset: fc.nat(), shared: fc.boolean() }),
        trace: fc.constantFrom(TRACE, TRACE.toLowerCase(), TRACE.replace('10:00', '10:01'), ''),
        receivedAtMs: atMs,
        acceptedAtMs: fc.oneof(fc.constant(FACTS.acceptedAtMs), atMs),
        expiresAtMs: atMs,
        priorAttempts: fc.nat(3),
        meta: fc.dictionary(
          fc.string().filter((name) => name !== '__proto__'),
          fc.oneof(fc.string(), fc.nat(), fc.constant(null)),
          { noNullPrototype: true },
        ),
      }),
      fc.record({ envid: fc.string(), ret: fc.constantFrom('FULL', 'HDRS') }, optional),
    )
    .map(([always, maybe]) => ({ ...always, ...maybe }));
  const delivery = fc
    .tuple(
      fc.record({
        facts,
        state: fc.constantFrom('open', 'held', 'owing', 'finished'),
        recipients: fc.array(recipient, { maxLength: 3 }),
        dueAtMs: atMs,
        attempts: fc.nat(3),
        everLeased: fc.boolean(),
        unsettledLeases: fc.nat(),
        mark: fc.string(),
        parked: fc.boolean(),
        owed: fc.array(
          fc.record(
            {
              n: fc.nat(),
              kind: fc.constantFrom('failure' as const, 'delay' as const, 'relayed' as const),
              atMs,
              recipients: fc.array(fc.nat()),
              replies: fc.array(reply, { maxLength: 2 }),
            },
            { requiredKeys: ['n', 'kind', 'atMs', 'recipients'] },
          ),
          { maxLength: 2 },
        ),
        lastOwed: fc.nat(),
        delaySteps: fc.nat(),
        guardAtMs: atMs,
      }),
      fc.record(
        {
          lease: fc.record({ id: fc.string(), untilMs: atMs }),
          sentAtMs: atMs,
          lastReply: reply,
          heldBecause: fc.string(),
        },
        optional,
      ),
    )
    .map(([always, maybe]) => ({ ...always, ...maybe }));
  const alone = { key: { ...ITEM.key, chunk: 2 }, rev: 7, generation: 3 };
  return (
    fc
      .tuple(delivery, fc.boolean())
      // fast-check's records have no prototype.
      .map(([delivery, withCommit]) => structuredClone({ ...(withCommit ? ITEM : alone), delivery }))
  );
}
