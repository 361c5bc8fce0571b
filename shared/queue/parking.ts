// Where a waiting delivery waits: in the queue, hidden or delayed, or parked in the ledger without a timer; and
// under which keys the due index finds it.

import { createHash } from 'node:crypto';
import type { Delivery, ItemKey, LedgerItem } from './delivery.ts';
import type { Tempo } from './tempo.ts';

/** Partitions that a minute, a state or a domain is spread over in the indexes. */
export const INDEX_SHARDS = 64;

export type Parking =
  /** Its timer is hidden in the queue: in flight. */
  | 'hidden'
  /** A fresh timer is sent with a delay: not in flight until it is due. */
  | 'delayed'
  /** No timer: release sends one. */
  | 'ledger';

export interface QueueLimits {
  /** The longest a received timer can be hidden. */
  readonly maxHideMs: number;
  /** Over this many messages in flight, waits go to the ledger: the quota refuses receives when it is full. */
  readonly inFlightMark: number;
  readonly queueVisibilityMs: number;
  /** The longest delay of a sent timer. */
  readonly maxDelayMs: number;
}

/** One decision, one table: see the unit test. */
export function chooseParking(waitMs: number, inFlight: number, limits: QueueLimits, tempo: Tempo): Parking {
  const full = inFlight > limits.inFlightMark;
  if (waitMs <= tempo.parkThresholdMs) return full && waitMs <= limits.maxDelayMs ? 'delayed' : 'hidden';
  if (waitMs > limits.maxHideMs) return 'ledger';
  return full ? 'ledger' : 'hidden';
}

/** A new delivery waits in the ledger when no SQS delay reaches its due time, or when it is simply long. */
export function parksAtAcceptance(waitMs: number, limits: QueueLimits, tempo: Tempo): boolean {
  return waitMs > Math.min(limits.maxDelayMs, tempo.parkThresholdMs);
}

/** When a delivery that is due at `dueAtMs` and has made no news is looked at as a straggler. */
export function guardAtMs(dueAtMs: number, limits: QueueLimits, tempo: Tempo): number {
  return dueAtMs + limits.queueVisibilityMs + tempo.guardMs;
}

/** Keys of the `by-due` index; `p` parked, `g` guarded. Owing and held deliveries have partitions of their own. */
export interface DueKeys {
  readonly bucket: string;
  readonly key: string;
}

export function dueKeys(item: LedgerItem, tempo: Tempo): DueKeys | undefined {
  const delivery = item.delivery;
  if (delivery === undefined) return undefined;
  const shard = shardOf(item.key);
  switch (delivery.state) {
    case 'open':
      return delivery.parked
        ? { bucket: timeBucket(delivery.dueAtMs, shard, tempo), key: sortKey('p', item.key, delivery) }
        : { bucket: timeBucket(delivery.guardAtMs, shard, tempo), key: sortKey('g', item.key, delivery) };
    case 'owing':
      return { bucket: stateBucket('owing', shard), key: sortKey('o', item.key, delivery) };
    case 'held':
      return { bucket: stateBucket('held', shard), key: sortKey('h', item.key, delivery) };
    case 'finished':
      return undefined;
  }
}

export function bucketNumber(atMs: number, tempo: Tempo): number {
  return Math.floor(atMs / tempo.bucketMs);
}

export function bucketName(number: number, shard: number): string {
  return `${number}#${shard}`;
}

export function stateBucket(state: 'owing' | 'held', shard: number): string {
  return `${state}#${shard}`;
}

/** Spread by key alone, so that a delivery stays in its shard for life. */
export function shardOf(key: ItemKey): number {
  return keyHash(key).readUInt32BE(0) % INDEX_SHARDS;
}

/** Keys of the `by-domain` index, from the first deferral on: mail that passes straight through pays nothing. */
export function domainKeys(item: LedgerItem): DueKeys | undefined {
  const delivery = item.delivery;
  if (delivery === undefined || delivery.state === 'finished' || delivery.attempts === 0) return undefined;
  return {
    bucket: `${delivery.facts.domain}#${shardOf(item.key)}`,
    key: `${item.key.credential}#${item.key.id}#${item.key.chunk}`,
  };
}

function timeBucket(atMs: number, shard: number, tempo: Tempo): string {
  return bucketName(bucketNumber(atMs, tempo), shard);
}

function sortKey(kind: 'p' | 'g' | 'o' | 'h', key: ItemKey, delivery: Delivery): string {
  return `${kind}|${delivery.facts.binding}#${delivery.facts.domain}#${keyHash(key).toString('base64url').slice(0, 12)}`;
}

function keyHash(key: ItemKey): Buffer {
  return createHash('sha256').update(`${key.credential}#${key.id}#${key.chunk}`).digest();
}
