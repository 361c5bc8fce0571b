// The queue's stores in memory, so that thousands of orders of calls can be tried in a minute. Each call is one
// step, as one request to AWS is. Promises: what the port contract says (races-ports.test.ts runs the same suite
// over these and over the adapters with their emulators); items pass through the adapter's own format, so that
// nothing survives here that would not survive in DynamoDB.

import { Readable } from 'node:stream';
import {
  type Attributes,
  formatItem,
  isExpired,
  itemKeyAttributes,
  parseItem,
  parseItemKey,
} from '../../shared/aws/ledger-item.ts';
import type { Stores } from '../../shared/aws/stores.ts';
import { INDEXES, PARTITION_KEY, SORT_KEY } from '../../shared/aws/table.ts';
import { isDeliveryItem, type LedgerItem } from '../../shared/queue/delivery.ts';
import type {
  Clock,
  ContentUsers,
  Cursor,
  DueEntry,
  DueIndex,
  Ledger,
  Spool,
  Timers,
} from '../../shared/queue/ports.ts';
import type { Tempo } from '../../shared/queue/tempo.ts';
import { formatTimer } from '../../shared/queue/timer.ts';

/** As SQS hands a message out. */
export interface ReceivedTimer {
  readonly messageId: string;
  readonly receipt: string;
  readonly body: string;
  readonly receiveCount: number;
}

export interface MemoryStores extends Stores {
  /** All visible messages; each is hidden for `visibilityMs` from now. */
  receive(visibilityMs: number): readonly ReceivedTimer[];
  /** Bodies of the messages that the queue holds, hidden or not. */
  queued(): readonly string[];
  /** What a message that is still there says. */
  bodyOf(receipt: string): string | undefined;
  /** Every body that was ever sent. */
  everSent(): readonly string[];
  /** Puts a message into the queue, or takes all away, as an operator could. */
  enqueue(body: string): void;
  purge(): void;
  objectKeys(): readonly string[];
  object(key: string): Uint8Array | undefined;
  putObject(key: string, bytes: Uint8Array): void;
  /** Keys of the objects whose users are counted. */
  countedKeys(): readonly string[];
}

export function createMemoryStores(options: {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly tempo: Tempo;
}): MemoryStores {
  const { clock, tempo } = options;
  const table = new Map<string, Attributes>();
  const objects = new Map<string, Uint8Array>();
  const counts = new Map<string, Count>();
  const queue = createQueue(clock);
  return {
    ledger: createLedger(table, clock, tempo),
    users: createUsers(counts, clock),
    due: createDueIndex(table),
    spool: createSpool(objects),
    ...queue,
    objectKeys: () => [...objects.keys()],
    object: (key) => objects.get(key),
    putObject: (key, bytes) => void objects.set(key, bytes),
    countedKeys: () => [...counts.keys()],
  };
}

function createLedger(table: Map<string, Attributes>, clock: Pick<Clock, 'nowMs'>, tempo: Tempo): Ledger {
  const live = (attributes: Attributes | undefined): LedgerItem | undefined =>
    attributes === undefined || isExpired(attributes, clock.nowMs()) ? undefined : parseItem(attributes);
  const revOf = (attributes: Attributes | undefined) => Number(attributes?.['rev']?.N ?? 0);
  return {
    async readMessage(key) {
      const partition = itemKeyAttributes({ ...key, chunk: 0 })[PARTITION_KEY]?.S;
      return [...table.values()]
        .filter((attributes) => attributes[PARTITION_KEY]?.S === partition)
        .flatMap((attributes) => live(attributes) ?? [])
        .sort((a, b) => a.key.chunk - b.key.chunk);
    },

    async readItem(key) {
      return live(table.get(nameOf(itemKeyAttributes(key))));
    },

    async write(item) {
      const name = nameOf(itemKeyAttributes(item.key));
      const stored = table.get(name);
      const nowSeconds = Math.floor(clock.nowMs() / 1_000);
      const mayWrite =
        item.rev === 1
          ? stored === undefined || Number(stored['ttl']?.N ?? Number.POSITIVE_INFINITY) < nowSeconds
          : stored !== undefined && revOf(stored) === item.rev - 1;
      if (mayWrite) table.set(name, formatItem(item, tempo));
      return mayWrite;
    },

    async lease(request) {
      const name = nameOf(itemKeyAttributes(request.key));
      const stored = table.get(name);
      if (stored === undefined) return undefined;
      const leasedUntilMs = stored['leaseUntilMs']?.N;
      const refused =
        stored['state']?.S !== 'open' ||
        Number(stored['generation']?.N) !== request.generation ||
        !(Number(stored['dueAtMs']?.N) <= request.nowMs) ||
        (leasedUntilMs !== undefined && Number(leasedUntilMs) > request.nowMs) ||
        !(Number(stored['unsettledLeases']?.N) < request.maxUnsettled) ||
        (stored['commitState'] !== undefined && stored['commitState'].S !== 'committed');
      if (refused) return undefined;
      const leased: Attributes = {
        ...stored,
        leaseId: { S: request.lease.id },
        leaseUntilMs: { N: String(request.lease.untilMs) },
        everLeased: { BOOL: true },
        mark: { S: request.mark },
        unsettledLeases: { N: String(Number(stored['unsettledLeases']?.N) + 1) },
        rev: { N: String(revOf(stored) + 1) },
      };
      table.set(name, leased);
      const item = parseItem(leased);
      return isDeliveryItem(item) ? item : undefined;
    },
  };
}

interface Count {
  readonly users: ReadonlySet<string>;
  readonly deletingAtMs?: number;
}

/** As long as in the adapter. */
const DELETION_MS = 300_000;

function createUsers(counts: Map<string, Count>, clock: Pick<Clock, 'nowMs'>): ContentUsers {
  return {
    async add(objectKey, users) {
      const count = counts.get(objectKey);
      const deletingAtMs = count?.deletingAtMs;
      if (deletingAtMs !== undefined && deletingAtMs >= clock.nowMs() - DELETION_MS) return false;
      counts.set(objectKey, { users: new Set([...(count?.users ?? []), ...users]) });
      return true;
    },
    async remove(objectKey, users, nowMs) {
      const count = counts.get(objectKey);
      if (count === undefined) return false;
      const left = new Set([...count.users].filter((user) => !users.includes(user)));
      counts.set(objectKey, left.size > 0 ? { ...count, users: left } : { users: left, deletingAtMs: nowMs });
      return left.size === 0;
    },
    async forget(objectKey) {
      if ((counts.get(objectKey)?.users.size ?? 0) === 0) counts.delete(objectKey);
    },
  };
}

const KINDS: Readonly<Record<DueEntry['kind'], string>> = {
  parked: 'p|',
  guarded: 'g|',
  owing: 'o|',
  held: 'h|',
};

function createDueIndex(table: Map<string, Attributes>): DueIndex {
  const [byDue] = INDEXES;
  const cursors = new Map<number, Cursor>();
  return {
    async *entries(bucket, kind) {
      const entries = [...table.values()]
        .filter((attributes) => attributes[byDue.partitionKey]?.S === bucket)
        .filter((attributes) => attributes[byDue.sortKey]?.S?.startsWith(KINDS[kind]))
        .flatMap((attributes) => {
          const key = parseItemKey(attributes);
          return key === undefined ? [] : [{ key, kind }];
        });
      if (entries.length > 0) yield entries;
    },
    async occupied() {
      return new Set([...table.values()].flatMap((attributes) => attributes[byDue.partitionKey]?.S ?? []));
    },
    async readCursor(shard) {
      return cursors.get(shard);
    },
    async writeCursor(shard, cursor) {
      cursors.set(shard, cursor);
    },
  };
}

function createSpool(objects: Map<string, Uint8Array>): Spool {
  return {
    async put(key, bytes) {
      objects.set(key, Uint8Array.from(bytes));
    },
    async open(key, offset, sizeBytes) {
      const bytes = objects.get(key);
      if (sizeBytes === 0) return Readable.from([]);
      if (bytes === undefined || offset >= bytes.length) return undefined;
      const range = Buffer.from(bytes.subarray(offset, offset + sizeBytes));
      return Readable.from([range], { objectMode: false });
    },
    async remove(key) {
      objects.delete(key);
    },
    async presignPut(key) {
      return { url: `memory:${key}`, headers: {} };
    },
  };
}

interface Queued {
  readonly messageId: string;
  readonly body: string;
  visibleAtMs: number;
  receiveCount: number;
  receipt: string;
}

function createQueue(clock: Pick<Clock, 'nowMs'>) {
  const messages = new Map<string, Queued>();
  const sent: string[] = [];
  let names = 0;
  const enqueue = (body: string, delayMs = 0) => {
    names += 1;
    const messageId = `message-${names}`;
    const visibleAtMs = clock.nowMs() + delayMs;
    messages.set(messageId, { messageId, body, visibleAtMs, receiveCount: 0, receipt: '' });
  };
  // Any receipt names its message, as in a standard queue, until the message is deleted.
  const named = (receipt: string) => messages.get(receipt.slice(0, receipt.lastIndexOf('/')));
  const timers: Timers = {
    async send(batch) {
      for (const { timer, delaySeconds } of batch) {
        const body = formatTimer(timer);
        sent.push(body);
        enqueue(body, delaySeconds * 1_000);
      }
      return batch.map(() => true);
    },
    async hide(receipt, seconds) {
      const message = named(receipt);
      if (message !== undefined) message.visibleAtMs = clock.nowMs() + seconds * 1_000;
    },
    async delete(receipt) {
      const message = named(receipt);
      if (message !== undefined) messages.delete(message.messageId);
    },
    async depth() {
      const all = [...messages.values()];
      const visible = all.filter((message) => message.visibleAtMs <= clock.nowMs()).length;
      return { visible, inFlight: all.length - visible };
    },
  };
  return {
    timers,
    receive(visibilityMs: number): readonly ReceivedTimer[] {
      const visible = [...messages.values()].filter((message) => message.visibleAtMs <= clock.nowMs());
      return visible.map((message) => {
        message.receiveCount += 1;
        message.visibleAtMs = clock.nowMs() + visibilityMs;
        message.receipt = `${message.messageId}/${message.receiveCount}`;
        const { messageId, receipt, body, receiveCount } = message;
        return { messageId, receipt, body, receiveCount };
      });
    },
    bodyOf: (receipt: string) => named(receipt)?.body,
    queued: () => [...messages.values()].map(({ body }) => body),
    everSent: () => sent,
    enqueue: (body: string) => enqueue(body),
    purge: () => messages.clear(),
  };
}

function nameOf(key: Attributes): string {
  return `${key[PARTITION_KEY]?.S} ${key[SORT_KEY]?.S}`;
}
