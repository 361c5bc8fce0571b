// What the ledger knows: items of a message, one a commit, the others deliveries (message × domain × at most
// 50 recipients). A message of one chunk keeps both in item 0, so that the common case costs one write.
// These are values: every change is a new item with the next revision, made by the functions beside this file.

import type { Recipient } from '../message/envelope.ts';
import type { ReportKind } from '../report/report.ts';
import type { HostReply } from '../smtp/reply.ts';

export interface MessageKey {
  readonly credential: string;
  readonly id: string;
}

export interface ItemKey extends MessageKey {
  /** 0 is the commit, with the only delivery of a one-chunk message; deliveries of larger ones are 1..n. */
  readonly chunk: number;
}

export type CommitState =
  /** The message is ours. */
  | 'committed'
  /** It was ours, was never attempted, and the sender took it back. */
  | 'withdrawn'
  /** It never was ours; the sender, or release on finding chunks without a commit, ruled it out for a while. */
  | 'barred';

export interface Commit {
  readonly state: CommitState;
  /** Highest chunk that belongs to the message; later ones are not ours yet. */
  readonly chunks: number;
  readonly sha256: string;
  readonly sender: string;
  /** Until then the same id is refused, so that a late request cannot undo a withdrawal. */
  readonly barredUntilMs?: number;
}

export type EndingKind = 'delivered' | 'bounced' | 'expired' | 'cancelled' | 'withdrawn';

/** How a recipient ended, with the reply that decided it. Written once, never changed (I2). */
export interface Ending {
  readonly kind: EndingKind;
  readonly atMs: number;
  readonly reply: HostReply;
}

export interface DeliveryRecipient extends Recipient {
  readonly ending?: Ending;
}

/** A report that the sender is owed (I9): it names its recipients by position. */
export interface OwedReport {
  /** Never used twice in a delivery: the report's own id comes from it. */
  readonly n: number;
  readonly kind: ReportKind;
  readonly atMs: number;
  readonly recipients: readonly number[];
  /** Of a delay, what was said to each of its recipients; one for all where all heard the same. */
  readonly replies?: readonly HostReply[];
}

export interface Lease {
  readonly id: string;
  readonly untilMs: number;
}

/** Where the content is: a range of a spool object. `shared` objects have a ledger item that counts users. */
export interface ContentLocation {
  readonly key: string;
  readonly offset: number;
  readonly shared: boolean;
}

export type DeliveryState = 'open' | 'held' | 'owing' | 'finished';

/** Fixed at acceptance. */
export interface DeliveryFacts {
  readonly domain: string;
  readonly binding: string;
  readonly sender: string;
  readonly body: '7BIT' | '8BITMIME';
  readonly smtputf8: boolean;
  readonly requireTls: boolean;
  readonly envid?: string;
  readonly ret?: 'FULL' | 'HDRS';
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly content: ContentLocation;
  /** The `Received:` header that delivery puts in front (I7). */
  readonly trace: string;
  readonly receivedAtMs: number;
  readonly acceptedAtMs: number;
  readonly expiresAtMs: number;
  /** Attempts that the sending side reported. */
  readonly priorAttempts: number;
  readonly meta: Readonly<Record<string, unknown>>;
}

export interface Delivery {
  readonly facts: DeliveryFacts;
  readonly state: DeliveryState;
  readonly recipients: readonly DeliveryRecipient[];
  readonly dueAtMs: number;
  /** Attempts that came to a verdict, and the sender's where its due time came along: the schedule counts them. */
  readonly attempts: number;
  readonly lease?: Lease;
  /** Ever leased for an attempt: from then on a withdrawal comes too late. */
  readonly everLeased: boolean;
  /** Attempt leases since the last settle: each beyond the first is a crash. */
  readonly unsettledLeases: number;
  /** Names the current timer; any other timer of this delivery is surplus. */
  readonly mark: string;
  /** True: no timer exists, release sends it when due. */
  readonly parked: boolean;
  readonly sentAtMs?: number;
  readonly lastReply?: HostReply;
  /** Not paid yet. */
  readonly owed: readonly OwedReport[];
  /** The number of the last report that was owed; 0 before the first. */
  readonly lastOwed: number;
  /** Steps of Delay_DSN_Retry_Interval that had passed at the last report of a delay. */
  readonly delaySteps: number;
  /** Why it is held, for the operator. */
  readonly heldBecause?: string;
  /** When the stragglers' sweep looks at it again; kept so that index moves are visible to the domain. */
  readonly guardAtMs: number;
}

export interface LedgerItem {
  readonly key: ItemKey;
  /** Revision: each write names the one it read, so no update is lost. 1 for a new item. */
  readonly rev: number;
  /** Raised when an id is accepted afresh after a withdrawal: older timers and chunks are void. */
  readonly generation: number;
  readonly commit?: Commit;
  readonly delivery?: Delivery;
  /** Epoch milliseconds after which the item may vanish. */
  readonly ttlAtMs?: number;
}

/** An item that is known to hold a delivery. */
export interface DeliveryItem extends LedgerItem {
  readonly delivery: Delivery;
}

export function isDeliveryItem(item: LedgerItem): item is DeliveryItem {
  return item.delivery !== undefined;
}

/** The item with changes to its delivery and the next revision. */
export function revised(item: DeliveryItem, changes: Partial<Delivery>): DeliveryItem {
  return { ...item, rev: item.rev + 1, delivery: { ...item.delivery, ...changes } };
}

/** Without a lease: exactOptionalPropertyTypes forbids `lease: undefined`. */
export function unleased(delivery: Delivery): Delivery {
  const { lease: _lease, ...rest } = delivery;
  return rest;
}

export function hasLiveLease(delivery: Delivery, nowMs: number): boolean {
  return delivery.lease !== undefined && delivery.lease.untilMs > nowMs;
}
