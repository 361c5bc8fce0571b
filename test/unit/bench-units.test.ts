// The arithmetic behind the bench's dollars, by the rules that AWS gives for its units.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median } from '../../bench/figures.ts';
import { indexWriteUnits, itemSizeBytes, readUnits, writeUnits } from '../../bench/item-units.ts';
import { createMeter, sqsUnits } from '../../bench/meter.ts';

test('an item is as large as its names and values', () => {
  const item = {
    pk: { S: 'm#acme#1' }, // 2 + 8
    size: { N: '51200' }, // 4 + 3: three significant digits
    due: { N: '1795341600000' }, // 3 + 5: eight significant digits
    none: { N: '0' }, // 4 + 1
    open: { BOOL: true }, // 4 + 1
    users: { SS: ['abc', 'de'] }, // 5 + 5
    hash: { B: Buffer.alloc(32) }, // 4 + 32
    ü: { S: 'ü' }, // 2 + 2
  };
  assert.equal(itemSizeBytes(item), 10 + 7 + 8 + 5 + 5 + 10 + 36 + 4);
});

test('a write is charged for each begun KB of the larger item, a read for each begun 4 KB', () => {
  assert.deepEqual(
    [writeUnits(0, 1), writeUnits(0, 1_024), writeUnits(0, 1_025), writeUnits(3_000, 10), writeUnits(0, 0)],
    [1, 1, 2, 3, 1],
  );
  assert.deepEqual([readUnits(4_096, true), readUnits(4_097, true), readUnits(100, false)], [1, 2, 0.5]);
});

test('an index is written when an item enters, leaves or moves, and not otherwise', () => {
  const guarded = { dueBucket: { S: '1#1' }, dueKey: { S: 'g' } };
  const moved = { dueBucket: { S: '2#1' }, dueKey: { S: 'g' } };
  const listed = { ...moved, domainShard: { S: 'a#1' }, domainKey: { S: 'x' } };
  assert.equal(indexWriteUnits(undefined, guarded), 1);
  assert.equal(indexWriteUnits(guarded, guarded), 0);
  assert.equal(indexWriteUnits(guarded, moved), 2);
  assert.equal(indexWriteUnits(guarded, listed), 3);
  assert.equal(indexWriteUnits(listed, {}), 2);
});

test('a batch of timers is one request to SQS for each begun 64 KB', () => {
  assert.deepEqual([sqsUnits({ body: 'x' }), sqsUnits({ body: 'x'.repeat(65_536) })], [1, 2]);
});

test('a call without a price stops the measurement', () => {
  const meter = createMeter();
  meter.add('S3 PutObject', 1);
  meter.add('S3 PutObject', 1);
  assert.deepEqual(meter.read(), { 'S3 PutObject': { calls: 2, units: 2 } });
  assert.deepEqual(meter.read(), {});
  assert.throws(() => meter.add('S3 ListObjectsV2', 1), /has no price/);
});

test('the median of an even number of rounds lies between the two in the middle', () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 3, 2]), median([7])], [2, 2.5, 7]);
});
