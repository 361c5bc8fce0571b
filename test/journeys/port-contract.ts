// What the queue relies on of its stores, as checks that any implementation must pass: the adapters over the
// emulators and the stores in memory alike. Each check uses keys of its own.

import assert from 'node:assert/strict';
import type { Stores } from '../../shared/aws/stores.ts';
import {
  type Delivery,
  type DeliveryItem,
  isDeliveryItem,
  type LedgerItem,
  revised,
} from '../../shared/queue/delivery.ts';
import { bucketName, bucketNumber, shardOf } from '../../shared/queue/parking.ts';
import type { LeaseRequest } from '../../shared/queue/ports.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { parseTimer, timerFor } from '../../shared/queue/timer.ts';
import type { ReceivedTimer } from './port-memory.ts';

/** Stores under test, with the queue's receiving side and a clock that can be moved. */
export interface Bench {
  readonly stores: Stores;
  nowMs(): number;
  advance(ms: number): void;
  /** Everything visible; hidden for ten minutes from then on. */
  receive(): Promise<readonly ReceivedTimer[]>;
}

export interface Check {
  readonly title: string;
  run(bench: Bench): Promise<void>;
}

export const CHECKS: readonly Check[] = [
  {
    title: 'an item is written once as new, and again only over the revision that it names',
    async run({ stores: { ledger }, nowMs }) {
      const item = delivery('write', 0, nowMs());
      assert.equal(await ledger.write(item), true);
      assert.equal(await ledger.write(item), false);
      assert.deepEqual(await ledger.readItem(item.key), item);
      const second = revised(item, { attempts: 1 });
      assert.equal(await ledger.write(second), true);
      assert.equal(await ledger.write(second), false);
      assert.equal(await ledger.write(revised(item, { attempts: 9 })), false);
      assert.deepEqual(await ledger.readItem(item.key), second);
    },
  },
  {
    title: 'an item that is not there cannot be revised',
    async run({ stores: { ledger }, nowMs }) {
      const item = delivery('absent', 0, nowMs());
      assert.equal(await ledger.write(revised(item, {})), false);
      assert.equal(await ledger.readItem(item.key), undefined);
    },
  },
  {
    title: 'past its end of life an item is gone, and its place can be taken',
    async run({ stores: { ledger }, nowMs, advance }) {
      const old = { ...delivery('old', 0, nowMs()), ttlAtMs: Math.ceil((nowMs() + 5_000) / 1_000) * 1_000 };
      assert.equal(await ledger.write(old), true);
      assert.equal(await ledger.write(delivery('old', 0, nowMs())), false);
      advance(10_000);
      assert.equal(await ledger.readItem(old.key), undefined);
      assert.deepEqual(await ledger.readMessage(old.key), []);
      assert.equal(await ledger.write(delivery('old', 0, nowMs())), true);
    },
  },
  {
    title: 'a message is read in the order of its chunks, without those of others',
    async run({ stores: { ledger }, nowMs }) {
      const items = [12, 2, 0, 1].map((chunk) => delivery('order', chunk, nowMs()));
      for (const item of [...items, delivery('order2', 3, nowMs())]) await ledger.write(item);
      const read = await ledger.readMessage({ credential: 'c', id: 'order' });
      assert.deepEqual(
        read.map(({ key }) => key.chunk),
        [0, 1, 2, 12],
      );
    },
  },
  {
    title: 'a lease is given once, marks the delivery for good, and raises its revision',
    async run({ stores: { ledger }, nowMs }) {
      const item = delivery('lease', 0, nowMs());
      await ledger.write(item);
      const wanted = leaseOf(item, nowMs());
      const leased = await ledger.lease(wanted);
      assert.deepEqual(leased, {
        ...item,
        rev: 2,
        delivery: {
          ...item.delivery,
          lease: wanted.lease,
          everLeased: true,
          unsettledLeases: 1,
          mark: 'woken',
        },
      });
      assert.deepEqual(await ledger.readItem(item.key), leased);
      assert.equal(await ledger.lease({ ...wanted, lease: { id: 'l2', untilMs: nowMs() + 1 } }), undefined);
      assert.equal(await ledger.write(revised(item, {})), false);
    },
  },
  {
    title: 'a lease that has run out makes way for the next',
    async run({ stores: { ledger }, nowMs, advance }) {
      const item = delivery('again', 0, nowMs());
      await ledger.write(item);
      await ledger.lease(leaseOf(item, nowMs()));
      advance(60_000);
      const second = await ledger.lease({
        ...leaseOf(item, nowMs()),
        lease: { id: 'second', untilMs: nowMs() + 60_000 },
      });
      assert.deepEqual(
        [second?.delivery.lease?.id, second?.delivery.unsettledLeases, second?.rev],
        ['second', 2, 3],
      );
    },
  },
  {
    title: 'no lease without an open, due, committed delivery of this generation with few unsettled leases',
    async run({ stores: { ledger }, nowMs }) {
      const at = nowMs();
      const cases: readonly (readonly [string, LedgerItem, Partial<LeaseRequest>])[] = [
        ['finished', changed('no1', at, { state: 'finished' }), {}],
        ['held', changed('no2', at, { state: 'held' }), {}],
        ['owing', changed('no3', at, { state: 'owing' }), {}],
        ['early', changed('no4', at, { dueAtMs: at + 1 }), {}],
        ['generation', delivery('no5', 0, at), { generation: 2 }],
        ['poison', changed('no6', at, { unsettledLeases: 3 }), { maxUnsettled: 3 }],
        ['withdrawn', withCommit(delivery('no7', 0, at), 'withdrawn'), {}],
        ['barred', withCommit(delivery('no8', 0, at), 'barred'), {}],
      ];
      for (const [title, item, wanted] of cases) {
        await ledger.write(item);
        const request = { ...leaseOf(item, at), ...wanted };
        assert.equal(await ledger.lease(request), undefined, title);
        assert.deepEqual(await ledger.readItem(item.key), item, title);
      }
      const absent = delivery('no9', 0, at);
      assert.equal(await ledger.lease(leaseOf(absent, at)), undefined);
      const committed = withCommit(delivery('yes', 0, at), 'committed');
      await ledger.write(committed);
      assert.equal((await ledger.lease(leaseOf(committed, at)))?.rev, 2);
    },
  },
  {
    title: 'the last user of an object ends it, and nobody is added until it is forgotten',
    async run({ stores: { users }, nowMs }) {
      assert.equal(await users.add('object', ['a', 'b'], nowMs() + 1e9), true);
      assert.equal(await users.remove('object', ['a'], nowMs()), false);
      assert.equal(await users.remove('object', ['a'], nowMs()), false);
      assert.equal(await users.remove('object', ['b'], nowMs()), true);
      assert.equal(await users.remove('object', ['b'], nowMs()), true, 'a crash came between: once more');
      assert.equal(await users.add('object', ['c'], nowMs() + 1e9), false);
      await users.forget('object');
      assert.equal(await users.remove('object', ['b'], nowMs()), false, 'it is gone');
      assert.equal(await users.add('object', ['c'], nowMs() + 1e9), true);
    },
  },
  {
    title: 'an object that is used is not forgotten, and a deletion that never ended gives way',
    async run({ stores: { users }, nowMs, advance }) {
      await users.add('kept', ['a'], nowMs() + 1e9);
      await users.forget('kept');
      assert.equal(await users.remove('kept', ['a'], nowMs()), true);
      advance(301_000);
      assert.equal(await users.add('kept', ['b'], nowMs() + 1e9), true);
      assert.equal(await users.remove('kept', ['b'], nowMs()), true);
    },
  },
  {
    title: 'the due index names an open delivery where it is due or guarded, and forgets it when it ends',
    async run({ stores: { ledger, due }, nowMs }) {
      const at = nowMs();
      const item = changed('due', at, { parked: true, dueAtMs: at + 3_600_000 });
      const shard = shardOf(item.key);
      const bucketAt = (ms: number) => bucketName(bucketNumber(ms, DEFAULT_TEMPO), shard);
      const named = async (bucket: string, kind: 'parked' | 'guarded' | 'owing') => {
        const pages: string[] = [];
        for await (const page of due.entries(bucket, kind)) pages.push(...page.map(({ key }) => key.id));
        return pages.filter((id) => id === item.key.id);
      };
      await ledger.write(item);
      assert.deepEqual(await named(bucketAt(at + 3_600_000), 'parked'), ['due']);
      assert.deepEqual(await named(bucketAt(at + 3_600_000), 'guarded'), []);
      const guarded = revised(item, { parked: false, guardAtMs: at + 7_200_000 });
      await ledger.write(guarded);
      assert.deepEqual(await named(bucketAt(at + 3_600_000), 'parked'), []);
      assert.deepEqual(await named(bucketAt(at + 7_200_000), 'guarded'), ['due']);
      assert.equal((await due.occupied()).has(bucketAt(at + 7_200_000)), true);
      await ledger.write(revised(guarded, { state: 'owing' }));
      assert.deepEqual(await named(`owing#${shard}`, 'owing'), ['due']);
      assert.deepEqual(await named(bucketAt(at + 7_200_000), 'guarded'), []);
    },
  },
  {
    title: 'a cursor is as it was written last',
    async run({ stores: { due } }) {
      assert.equal(await due.readCursor(1_001), undefined);
      await due.writeCursor(1_001, { parkedBucket: 5, guardedBucket: 3 });
      await due.writeCursor(1_001, { parkedBucket: 6, guardedBucket: 4 });
      assert.deepEqual(await due.readCursor(1_001), { parkedBucket: 6, guardedBucket: 4 });
      await due.writeCursor(1_001, { parkedBucket: 6, guardedBucket: 4, owingBucket: 2 });
      assert.deepEqual(await due.readCursor(1_001), { parkedBucket: 6, guardedBucket: 4, owingBucket: 2 });
    },
  },
  {
    title: 'content is read by range, a longer range gives what there is, and removed content is absent',
    async run({ stores: { spool } }) {
      await spool.put('bytes', Buffer.from('0123456789'));
      const read = async (offset: number, size: number) => {
        const stream = await spool.open('bytes', offset, size);
        if (stream === undefined) return undefined;
        const pieces: Buffer[] = [];
        for await (const piece of stream) pieces.push(piece);
        return Buffer.concat(pieces).toString();
      };
      assert.equal(await read(2, 3), '234');
      assert.equal(await read(0, 11), '0123456789');
      assert.equal(await read(10, 1), undefined);
      assert.equal(await read(4, 0), '');
      await spool.remove('bytes');
      await spool.remove('bytes');
      assert.equal(await read(2, 3), undefined);
    },
  },
  {
    title: 'a timer is seen after its delay, hidden while it is worked on, hidden longer, and deleted',
    async run({ stores: { timers }, nowMs, advance, receive }) {
      const timer = timerFor(delivery('timer', 0, nowMs()));
      assert.deepEqual(await timers.send([{ timer, delaySeconds: 60 }]), [true]);
      assert.deepEqual(await receive(), []);
      advance(61_000);
      const [first] = await receive();
      assert.deepEqual([parseTimer(first?.body ?? ''), first?.receiveCount], [timer, 1]);
      assert.deepEqual(await receive(), []);
      advance(601_000);
      const [second] = await receive();
      assert.equal(second?.receiveCount, 2);
      await timers.hide(second?.receipt ?? '', 3_600);
      advance(3_000_000);
      assert.deepEqual(await receive(), []);
      advance(700_000);
      const [third] = await receive();
      assert.equal(third?.receiveCount, 3);
      await timers.delete(third?.receipt ?? '');
      await timers.delete(third?.receipt ?? '');
      advance(43_200_000);
      assert.deepEqual(await receive(), []);
    },
  },
];

function delivery(id: string, chunk: number, atMs: number): DeliveryItem {
  return {
    key: { credential: 'c', id, chunk },
    rev: 1,
    generation: 1,
    delivery: {
      facts: {
        domain: 'ok.test',
        binding: 'default',
        sender: 'a@sender.example',
        body: '7BIT',
        smtputf8: false,
        requireTls: false,
        sizeBytes: 10,
        sha256: '00'.repeat(32),
        content: { key: 'k/transfer', offset: 7, shared: false },
        trace: 'Received: x\r\n',
        receivedAtMs: atMs,
        acceptedAtMs: atMs,
        expiresAtMs: atMs + 1e9,
        priorAttempts: 0,
        meta: {},
      },
      state: 'open',
      recipients: [{ address: 'a@ok.test' }],
      dueAtMs: atMs,
      attempts: 0,
      everLeased: false,
      unsettledLeases: 0,
      mark: 'm',
      parked: false,
      owed: [],
      lastOwed: 0,
      delaySteps: 0,
      guardAtMs: atMs + 1_261_000,
    },
  };
}

function changed(id: string, atMs: number, changes: Partial<Delivery>): DeliveryItem {
  return { ...revised(delivery(id, 0, atMs), changes), rev: 1 };
}

function withCommit(item: DeliveryItem, state: 'committed' | 'withdrawn' | 'barred'): DeliveryItem {
  return {
    ...item,
    commit: { state, chunks: 0, sha256: item.delivery.facts.sha256, sender: 'a@sender.example' },
  };
}

function leaseOf(item: LedgerItem, nowMs: number): LeaseRequest {
  if (!isDeliveryItem(item)) throw new Error('no delivery');
  return {
    key: item.key,
    generation: item.generation,
    lease: { id: 'l1', untilMs: nowMs + 30_000 },
    mark: 'woken',
    nowMs,
    maxUnsettled: 10,
  };
}
