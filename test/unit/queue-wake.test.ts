import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LedgerItem } from '../../shared/queue/delivery.ts';
import type { Timer } from '../../shared/queue/ports.ts';
import { formatTimer, parseTimer, timerFor } from '../../shared/queue/timer.ts';
import { adviseWake } from '../../shared/queue/wake.ts';
import { deliveryItem, MINUTE, NOW } from './queue-fixtures.ts';

const current: Timer = timerFor(deliveryItem());
const surplus: Timer = { ...current, mark: 'another' };
const waiting = { dueAtMs: NOW + MINUTE };
const lease = { id: 'l', untilMs: NOW + 2 * MINUTE };

test('what becomes of a timer that surfaces', () => {
  const table: readonly (readonly [string, LedgerItem | undefined, Timer, string])[] = [
    ['open and due', deliveryItem(), current, 'attempt'],
    ['open and due, surplus', deliveryItem(), surplus, 'attempt'],
    ['gone', undefined, current, 'delete gone'],
    ['another generation', deliveryItem({}, { generation: 2 }), current, 'delete gone'],
    ['early', deliveryItem(waiting), current, 'hide-until early'],
    ['early, surplus', deliveryItem(waiting), surplus, 'delete surplus'],
    ['early and parked', deliveryItem({ ...waiting, parked: true }), current, 'delete parked'],
    ['leased', deliveryItem({ lease }), current, 'hide-until leased'],
    ['leased, surplus', deliveryItem({ lease }), surplus, 'hide-until leased'],
    ['lease over', deliveryItem({ lease: { id: 'l', untilMs: NOW } }), current, 'attempt'],
    ['finished', deliveryItem({ state: 'finished' }), current, 'finish-again'],
    ['finished, surplus', deliveryItem({ state: 'finished' }), surplus, 'delete surplus'],
    ['owing', deliveryItem({ state: 'owing' }), current, 'pay'],
    ['held', deliveryItem({ state: 'held' }), current, 'delete set-aside'],
    ['leased ten times without a settle', deliveryItem({ unsettledLeases: 10 }), current, 'hold'],
  ];
  for (const [what, item, timer, expected] of table) {
    const advice = adviseWake(item, item, timer, NOW);
    const because = 'because' in advice ? ` ${advice.because}` : '';
    assert.equal(`${advice.kind}${because}`, expected, what);
  }
});

test('a chunk without its commit is never attempted', () => {
  const { commit: _none, ...plain } = deliveryItem();
  const chunk = { ...plain, key: { ...plain.key, chunk: 2 } };
  const timer = timerFor(chunk);
  const commitOf = (chunks: number, state: 'committed' | 'withdrawn', generation = 1): LedgerItem => ({
    key: { ...plain.key, chunk: 0 },
    rev: 1,
    generation,
    commit: { state, chunks, sha256: 'aa', sender: '' },
  });
  const advice = (commit: LedgerItem | undefined) => adviseWake(chunk, commit, timer, NOW).kind;
  assert.equal(advice(commitOf(2, 'committed')), 'attempt');
  assert.equal(advice(commitOf(1, 'committed')), 'delete');
  assert.equal(advice(commitOf(2, 'withdrawn')), 'delete');
  assert.equal(advice(commitOf(2, 'committed', 2)), 'delete');
  assert.equal(advice(undefined), 'delete');
});

test('a timer survives its journey through the queue, and nothing else is taken for one', () => {
  assert.deepEqual(parseTimer(formatTimer(current)), current);
  assert.equal(parseTimer('not json'), undefined);
  assert.equal(parseTimer('{}'), undefined);
  assert.equal(parseTimer(formatTimer(current).replace('"v":1', '"v":2')), undefined);
  assert.equal(parseTimer(formatTimer(current).replace('"id":"m1"', '"id":"../m1"')), undefined);
});
