import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AcceptancePlan, planAcceptance } from '../../shared/queue/accept.ts';
import type { LedgerItem } from '../../shared/queue/delivery.ts';
import { BAR_MS, barItem } from '../../shared/queue/withdraw.ts';
import { deliveryItem, incoming, MINUTE, NOW, planContext } from './queue-fixtures.ts';

type Written = Extract<AcceptancePlan, { kind: 'write' }>;

function written(plan: AcceptancePlan): Written {
  if (plan.kind !== 'write') return assert.fail(`refused: ${plan.reply.text}`);
  return plan;
}

const places = (items: readonly LedgerItem[]) =>
  items.map(({ key, rev, generation }) => [key.chunk, rev, generation]);
const addresses = (item: LedgerItem | undefined) => item?.delivery?.recipients.map(({ address }) => address);

test('a message for one domain is one item, commit and delivery together, with its timer', () => {
  const plan = written(planAcceptance([], incoming(['b@example.net', 'a@example.net']), planContext()));
  assert.deepEqual(plan.chunks, []);
  assert.equal(plan.commit?.rev, 1);
  assert.equal(plan.commit?.commit?.state, 'committed');
  assert.deepEqual(addresses(plan.commit), ['a@example.net', 'b@example.net']);
  assert.deepEqual(places(plan.wake), [[0, 1, 1]]);
  assert.equal(plan.status, 'accepted');
});

test('a message for two domains is two chunks, then the commit that makes them ours', () => {
  const plan = written(planAcceptance([], incoming(['b@b.example', 'a@a.example']), planContext()));
  assert.deepEqual(places(plan.chunks), [
    [1, 1, 1],
    [2, 1, 1],
  ]);
  assert.deepEqual(plan.chunks.map(addresses), [['a@a.example'], ['b@b.example']]);
  assert.equal(plan.commit?.commit?.chunks, 2);
  assert.equal(plan.commit?.delivery, undefined);
  assert.equal(plan.wake.length, 2);
});

test('1,000 recipients of one domain are 20 chunks of 50', () => {
  const many = Array.from({ length: 1_000 }, (_, i) => `r${String(i).padStart(4, '0')}@example.net`);
  const plan = written(planAcceptance([], incoming(many), planContext()));
  assert.deepEqual(
    plan.chunks.map((item) => addresses(item)?.length),
    Array.from({ length: 20 }, () => 50),
  );
});

test('a message that is due in over 900 s has no timer: it is parked in the ledger', () => {
  const later = (seconds: number) =>
    incoming(['a@example.net'], {
      times: { ...incoming([]).times, dueAtMs: NOW + seconds * 1_000 },
    });
  const near = written(planAcceptance([], later(900), planContext()));
  assert.equal(near.wake.length, 1);
  const far = written(planAcceptance([], later(901), planContext()));
  assert.equal(far.wake.length, 0);
  assert.equal(far.commit?.delivery?.parked, true);
});

test('a repeat of a message that was never attempted sends its timer again under a fresh mark', () => {
  const plan = written(planAcceptance([deliveryItem()], incoming(['one@example.net']), planContext()));
  assert.equal(plan.status, 'duplicate');
  assert.equal(plan.commit, undefined);
  assert.deepEqual(places(plan.resend), [[0, 4, 1]]);
  assert.equal(plan.wake[0]?.delivery.mark, 'fresh-1');
});

test('a repeat sends no timer when one was sent within the minute, or when an attempt was made', () => {
  const resent = (item: LedgerItem) =>
    written(planAcceptance([item], incoming(['one@example.net']), planContext())).wake.length;
  assert.equal(resent(deliveryItem({ sentAtMs: NOW - 59_999 })), 0);
  assert.equal(resent(deliveryItem({ sentAtMs: NOW - 60_000 })), 1);
  assert.equal(resent(deliveryItem({ everLeased: true })), 0);
  assert.equal(resent(deliveryItem({ parked: true })), 0);
  assert.equal(resent(deliveryItem({ state: 'finished' })), 0);
});

test('a known id with other content or another sender is refused 451 and noticed', () => {
  for (const change of [
    { sha256: 'bb' },
    { envelope: { ...incoming([]).envelope, sender: 'x@y.example' } },
  ]) {
    const plan = planAcceptance([deliveryItem()], incoming(['one@example.net'], change), planContext());
    assert.equal(plan.kind, 'refuse');
    assert.ok(plan.kind === 'refuse' && plan.idReused);
    assert.equal(plan.kind === 'refuse' ? plan.reply.code : 0, 451);
  }
});

test('a new recipient of a known message becomes a further chunk, and the commit is raised to cover it', () => {
  const plan = written(
    planAcceptance(
      [deliveryItem({ everLeased: true })],
      incoming(['one@example.net', 'two@b.example']),
      planContext(),
    ),
  );
  assert.equal(plan.status, 'accepted');
  assert.deepEqual(places(plan.chunks), [[1, 1, 1]]);
  assert.deepEqual(addresses(plan.chunks[0]), ['two@b.example']);
  assert.equal(plan.commit?.rev, 4);
  assert.equal(plan.commit?.commit?.chunks, 1);
  assert.deepEqual(addresses(plan.commit), ['one@example.net']);
});

test('a withdrawn id is refused while it is barred, then accepted afresh under a new generation', () => {
  const barred = {
    state: 'withdrawn',
    chunks: 0,
    sha256: 'aa',
    sender: 'a@sender.example',
    barredUntilMs: NOW,
  } as const;
  const old = deliveryItem({ state: 'finished' }, { commit: barred });
  const during = planAcceptance([old], incoming(['one@example.net']), planContext(NOW - 1));
  assert.equal(during.kind, 'refuse');
  const afterwards = written(planAcceptance([old], incoming(['one@example.net']), planContext(NOW)));
  assert.deepEqual(places(afterwards.wake), [[0, 4, 2]]);
  assert.equal(afterwards.commit?.commit?.state, 'committed');
});

test('an id that was barred before it was ever seen is refused for an hour', () => {
  const bar = barItem({ credential: 'acme', id: 'm1' }, 1, NOW);
  const at = (nowMs: number) => planAcceptance([bar], incoming(['one@example.net']), planContext(nowMs)).kind;
  assert.equal(at(NOW + BAR_MS - 1), 'refuse');
  assert.equal(at(NOW + BAR_MS), 'write');
});

const orphan = (chunk: number, address: string, domain: string) => {
  const { commit: _none, ...item } = deliveryItem({ recipients: [{ address }] }, {});
  const facts = { ...item.delivery.facts, domain };
  return { ...item, key: { ...item.key, chunk }, rev: 1, delivery: { ...item.delivery, facts } };
};

test('chunks of a try that never committed are taken over when they are exactly what is wanted', () => {
  const plan = written(
    planAcceptance(
      [orphan(1, 'a@a.example', 'a.example')],
      incoming(['a@a.example', 'b@b.example']),
      planContext(NOW + MINUTE),
    ),
  );
  assert.deepEqual(places(plan.chunks), [
    [1, 2, 1],
    [2, 1, 1],
  ]);
  assert.equal(plan.chunks[0]?.delivery.facts.acceptedAtMs, NOW + MINUTE);
  assert.equal(plan.wake.length, 2);
});

test('chunks of a try with other recipients are never overwritten: the message stays with its sender', () => {
  const there = [orphan(1, 'a@a.example', 'a.example'), orphan(2, 'z@z.example', 'z.example')];
  const kinds = [
    ['a@a.example', 'b@b.example'],
    ['a@a.example'],
    ['a@a.example', 'b@b.example', 'c@c.example'],
  ].map((wanted) => planAcceptance(there, incoming(wanted), planContext()).kind);
  assert.deepEqual(kinds, ['refuse', 'refuse', 'refuse']);
});

test('chunks past the commit that somebody else is adding are not taken for ours', () => {
  const plan = planAcceptance(
    [deliveryItem(), orphan(1, 'z@z.example', 'z.example')],
    incoming(['one@example.net', 'two@b.example']),
    planContext(),
  );
  assert.equal(plan.kind, 'refuse');
});
