// A ledger item as DynamoDB keeps it. What conditions and indexes look at are attributes of their own; the rest
// of a delivery is one JSON string, since it is only read whole. A message of one chunk has its commit in the
// same item. Stored shapes carry a version, so that an older item is recognised after an upgrade.

import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import * as z from 'zod/mini';
import type { Commit, Delivery, ItemKey, LedgerItem, MessageKey } from '../queue/delivery.ts';
import { domainKeys, dueKeys } from '../queue/parking.ts';
import type { Tempo } from '../queue/tempo.ts';
import { type DocContext, formatDeliveryDoc, parseDeliveryDoc } from './delivery-doc.ts';
import { INDEXES, PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE } from './table.ts';

export type Attributes = Record<string, AttributeValue>;

const ITEM_VERSION = 1;

export function messagePartition(key: MessageKey): string {
  return `m#${key.credential}#${key.id}`;
}

export function itemKeyAttributes(key: ItemKey): Attributes {
  return { [PARTITION_KEY]: { S: messagePartition(key) }, [SORT_KEY]: { S: chunkName(key.chunk) } };
}

/** The key of a `d#` item from its two key attributes; undefined for other items. */
export function parseItemKey(attributes: Attributes): ItemKey | undefined {
  const [kind, credential, id] = (attributes[PARTITION_KEY]?.S ?? '').split('#');
  const chunk = /^d#(\d+)$/.exec(attributes[SORT_KEY]?.S ?? '')?.[1];
  if (kind !== 'm' || credential === undefined || id === undefined || chunk === undefined) return undefined;
  return { credential, id, chunk: Number(chunk) };
}

export function formatItem(item: LedgerItem, tempo: Tempo): Attributes {
  const { commit, delivery } = item;
  const due = dueKeys(item, tempo);
  const domain = domainKeys(item);
  return {
    ...itemKeyAttributes(item.key),
    v: { N: String(ITEM_VERSION) },
    rev: { N: String(item.rev) },
    generation: { N: String(item.generation) },
    ...(commit === undefined ? {} : commitAttributes(commit)),
    ...(delivery === undefined ? {} : deliveryAttributes(delivery, { id: item.key.id, commit })),
    ...(due === undefined
      ? {}
      : { [INDEXES[0].partitionKey]: { S: due.bucket }, [INDEXES[0].sortKey]: { S: due.key } }),
    ...(domain === undefined
      ? {}
      : { [INDEXES[1].partitionKey]: { S: domain.bucket }, [INDEXES[1].sortKey]: { S: domain.key } }),
    ...(item.ttlAtMs === undefined
      ? {}
      : { [TTL_ATTRIBUTE]: { N: String(Math.ceil(item.ttlAtMs / 1_000)) } }),
  };
}

/** Throws when the attributes are no item of ours: the table holds something that we did not write. */
export function parseItem(attributes: Attributes): LedgerItem {
  const key = parseItemKey(attributes);
  if (key === undefined) throw new Error('the ledger holds an item with an unknown key');
  const ttl = attributes[TTL_ATTRIBUTE]?.N;
  const version = numberOf(attributes, 'v');
  if (version !== ITEM_VERSION) throw new Error(`ledger item version ${version} is not known here`);
  const commit = parseCommit(attributes);
  const delivery = parseDelivery(attributes, { id: key.id, commit });
  return {
    key,
    rev: numberOf(attributes, 'rev'),
    generation: numberOf(attributes, 'generation'),
    ...(commit === undefined ? {} : { commit }),
    ...(delivery === undefined ? {} : { delivery }),
    ...(ttl === undefined ? {} : { ttlAtMs: Number(ttl) * 1_000 }),
  };
}

/** DynamoDB removes expired items when it gets round to it; until then they are as good as gone. */
export function isExpired(attributes: Attributes, nowMs: number): boolean {
  const ttl = attributes[TTL_ATTRIBUTE]?.N;
  return ttl !== undefined && Number(ttl) * 1_000 < nowMs;
}

function chunkName(chunk: number): string {
  return `d#${chunk}`;
}

function commitAttributes(commit: Commit): Attributes {
  return {
    commitState: { S: commit.state },
    chunks: { N: String(commit.chunks) },
    commitHash: { S: commit.sha256 },
    commitSender: { S: commit.sender },
    ...(commit.barredUntilMs === undefined ? {} : { barredUntilMs: { N: String(commit.barredUntilMs) } }),
  };
}

function deliveryAttributes(delivery: Delivery, context: DocContext): Attributes {
  const { state, dueAtMs, lease, everLeased, unsettledLeases, mark, ...rest } = delivery;
  return {
    state: { S: state },
    dueAtMs: { N: String(dueAtMs) },
    ...(lease === undefined ? {} : { leaseId: { S: lease.id }, leaseUntilMs: { N: String(lease.untilMs) } }),
    everLeased: { BOOL: everLeased },
    unsettledLeases: { N: String(unsettledLeases) },
    mark: { S: mark },
    doc: { S: formatDeliveryDoc(rest, context) },
  };
}

function parseCommit(attributes: Attributes): Commit | undefined {
  if (attributes['commitState'] === undefined) return undefined;
  const barredUntilMs = attributes['barredUntilMs']?.N;
  return {
    state: commitState.parse(attributes['commitState'].S),
    chunks: numberOf(attributes, 'chunks'),
    sha256: textOf(attributes, 'commitHash'),
    sender: textOf(attributes, 'commitSender'),
    ...(barredUntilMs === undefined ? {} : { barredUntilMs: Number(barredUntilMs) }),
  };
}

function parseDelivery(attributes: Attributes, context: DocContext): Delivery | undefined {
  const doc = attributes['doc']?.S;
  if (doc === undefined) return undefined;
  const rest = parseDeliveryDoc(doc, context);
  const leaseId = attributes['leaseId']?.S;
  return {
    ...rest,
    state: deliveryState.parse(attributes['state']?.S),
    dueAtMs: numberOf(attributes, 'dueAtMs'),
    ...(leaseId === undefined
      ? {}
      : { lease: { id: leaseId, untilMs: numberOf(attributes, 'leaseUntilMs') } }),
    everLeased: attributes['everLeased']?.BOOL === true,
    unsettledLeases: numberOf(attributes, 'unsettledLeases'),
    mark: textOf(attributes, 'mark'),
  };
}

function numberOf(attributes: Attributes, name: string): number {
  const text = attributes[name]?.N;
  if (text === undefined) throw new Error(`a ledger item has no ${name}`);
  return Number(text);
}

function textOf(attributes: Attributes, name: string): string {
  const text = attributes[name]?.S;
  if (text === undefined) throw new Error(`a ledger item has no ${name}`);
  return text;
}

const commitState = z.enum(['committed', 'withdrawn', 'barred']);
const deliveryState = z.enum(['open', 'held', 'owing', 'finished']);
