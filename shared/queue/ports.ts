// The ports of the queue: what the domain needs of the world. Adapters are in shared/aws; tests wrap these to
// crash, fail or delay any single call.
//
// A call that fails throws StoreError. `not-applied`: the store refused it (throttled, no connection) and
// nothing changed. `in-doubt`: no answer came, it may have been applied or may yet be.

import type { Readable } from 'node:stream';
import type { DeliveryItem, ItemKey, Lease, LedgerItem, MessageKey } from './delivery.ts';

export class StoreError extends Error {
  readonly code: 'not-applied' | 'in-doubt';

  constructor(code: 'not-applied' | 'in-doubt', message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
  }
}

export interface Clock {
  nowMs(): number;
  /** Real waiting between tries of a store; never used to wait for mail. */
  pause(ms: number): Promise<void>;
}

export interface Random {
  /** In [0, 1). */
  fraction(): number;
  /** A fresh short name for a timer mark, a lease or a spool key: 12 of `A-Za-z0-9_-`. */
  name(): string;
}

export interface Ledger {
  /** All items of a message, strongly consistent, in chunk order; none when it was never seen or is past its TTL. */
  readMessage(key: MessageKey): Promise<readonly LedgerItem[]>;
  readItem(key: ItemKey): Promise<LedgerItem | undefined>;
  /** Writes when the stored revision is `item.rev - 1` (nothing stored, for revision 1). False: it is not. */
  write(item: LedgerItem): Promise<boolean>;
  /**
   * Takes the right to attempt, in one conditional write: open, due, no live lease, this generation, committed,
   * fewer than `maxUnsettled` leases without a settle (I3). Undefined: refused, read the item to see why.
   */
  lease(wanted: LeaseRequest): Promise<DeliveryItem | undefined>;
}

export interface LeaseRequest {
  readonly key: ItemKey;
  readonly generation: number;
  readonly lease: Lease;
  /** The timer that woke it becomes the current one. */
  readonly mark: string;
  readonly nowMs: number;
  readonly maxUnsettled: number;
}

/** Counts the deliveries that use one spool object. */
export interface ContentUsers {
  /** Adds users; creates the count. False: the object is being deleted, put it anew later. */
  add(objectKey: string, users: readonly string[], ttlAtMs: number): Promise<boolean>;
  /** Removes users (idempotent). True: nobody is left and the object is ours to delete, then call `forget`. */
  remove(objectKey: string, users: readonly string[], nowMs: number): Promise<boolean>;
  /** After the object is deleted. */
  forget(objectKey: string): Promise<void>;
}

export interface DueEntry {
  readonly key: ItemKey;
  readonly kind: 'parked' | 'guarded' | 'owing' | 'held';
}

export interface Cursor {
  /** All buckets up to this number are done. */
  readonly parkedBucket: number;
  readonly guardedBucket: number;
  /** The last bucket in which deliveries that owe reports were woken; absent: never. */
  readonly owingBucket?: number;
}

/** The `by-due` index and release's place in it. */
export interface DueIndex {
  entries(bucket: string, kind: DueEntry['kind']): AsyncIterable<readonly DueEntry[]>;
  /** Names of all buckets that hold an entry: one scan, for a release that is far behind. */
  occupied(): Promise<ReadonlySet<string>>;
  readCursor(shard: number): Promise<Cursor | undefined>;
  writeCursor(shard: number, cursor: Cursor): Promise<void>;
}

export interface Spool {
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** The range as a stream, or undefined when the object is gone. */
  open(key: string, offset: number, sizeBytes: number): Promise<Readable | undefined>;
  /** Idempotent. */
  remove(key: string): Promise<void>;
  presignPut(
    key: string,
    sizeBytes: number,
    sha256Hex: string,
  ): Promise<{ readonly url: string; readonly headers: Readonly<Record<string, string>> }>;
}

/** Facts, never state: what a timer was when it was sent. */
export interface Timer {
  readonly key: ItemKey;
  readonly generation: number;
  readonly mark: string;
  readonly domain: string;
  readonly binding: string;
  readonly notBeforeMs: number;
  readonly receivedAtMs: number;
  readonly expiresAtMs: number;
  readonly sizeBytes: number;
  /** Sent for what a closed delivery owes: there is nothing to attempt. */
  readonly owing?: true;
}

export interface Timers {
  /** One verdict per timer, in order: true when the queue has it. `delaySeconds` is 0 to 900. */
  send(
    timers: readonly { readonly timer: Timer; readonly delaySeconds: number }[],
  ): Promise<readonly boolean[]>;
  /** Hides a received timer for this long from now. */
  hide(receipt: string, seconds: number): Promise<void>;
  delete(receipt: string): Promise<void>;
  /** Approximate; may be a few seconds old. */
  depth(): Promise<QueueDepth>;
}

export interface QueueDepth {
  readonly visible: number;
  readonly inFlight: number;
}
