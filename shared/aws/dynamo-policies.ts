// MTA-STS policies shared by all invocations: one ledger item per policy domain (`sts#<domain>`). It holds the last
// good policy and, beside it, the last fetch, so that a failure takes no policy away.

import { type DynamoDBClient, GetItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import type { KeptPolicy, PolicyEntry, PolicyFailure, PolicyStore } from '../routing/sts-cache.ts';
import type { StsFailure } from '../routing/sts-fetch.ts';
import { conditional } from './dynamo-ledger.ts';
import type { Attributes } from './ledger-item.ts';
import { storeCall } from './store-calls.ts';
import { PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE } from './table.ts';

export interface DynamoPoliciesOptions {
  readonly client: DynamoDBClient;
  readonly table: string;
}

/** An item outlives what it says by a day. */
const KEPT_AFTER_MS = 86_400_000;
/** Why a fetch failed is for people: some words of it. */
const MAX_REASON_LENGTH = 200;

const FETCH_NAMES = { '#ttl': TTL_ATTRIBUTE, '#fetch': 'fetchId', '#again': 'againAtMs' } as const;

export function createDynamoPolicies({ client, table }: DynamoPoliciesOptions): PolicyStore {
  return {
    async read(domain) {
      const { Item } = await storeCall('reading a policy', () =>
        client.send(new GetItemCommand({ TableName: table, Key: keyOf(domain) })),
      );
      return Item === undefined ? undefined : entryOf(Item);
    },

    claim(domain, id, nowMs, untilMs) {
      return conditional('claiming the fetch of a policy', () =>
        client.send(
          new UpdateItemCommand({
            TableName: table,
            Key: keyOf(domain),
            UpdateExpression:
              'SET #fetch = :id, #again = :until, #ttl = if_not_exists(#ttl, :ttl) REMOVE failure, because',
            ConditionExpression: 'attribute_not_exists(#again) OR #again <= :now OR #fetch <> :id',
            ExpressionAttributeNames: FETCH_NAMES,
            ExpressionAttributeValues: {
              ':id': { S: id },
              ':now': { N: String(nowMs) },
              ':until': { N: String(untilMs) },
              ':ttl': ttlOf(untilMs),
            },
          }),
        ),
      );
    },

    async keep(domain, policy, againAtMs) {
      await storeCall('keeping a policy', () =>
        client.send(
          new UpdateItemCommand({
            TableName: table,
            Key: keyOf(domain),
            UpdateExpression:
              'SET id = :id, policy = :text, fetchedAtMs = :fetched, expiresAtMs = :expires, ' +
              '#fetch = :id, #again = :again, #ttl = :ttl REMOVE failure, because',
            ExpressionAttributeNames: FETCH_NAMES,
            ExpressionAttributeValues: {
              ':id': { S: policy.id },
              ':text': { S: policy.text },
              ':fetched': { N: String(policy.fetchedAtMs) },
              ':expires': { N: String(policy.expiresAtMs) },
              ':again': { N: String(againAtMs) },
              ':ttl': ttlOf(Math.max(policy.expiresAtMs, againAtMs)),
            },
          }),
        ),
      );
    },

    async fail(domain, id, { failure, because }, againAtMs) {
      await storeCall('noting that a policy cannot be had', () =>
        client.send(
          new UpdateItemCommand({
            TableName: table,
            Key: keyOf(domain),
            UpdateExpression:
              'SET #fetch = :id, #again = :again, failure = :failure, because = :because, ' +
              '#ttl = if_not_exists(#ttl, :ttl)',
            ExpressionAttributeNames: FETCH_NAMES,
            ExpressionAttributeValues: {
              ':id': { S: id },
              ':again': { N: String(againAtMs) },
              ':failure': { S: failure },
              ':because': { S: because.slice(0, MAX_REASON_LENGTH) },
              ':ttl': ttlOf(againAtMs),
            },
          }),
        ),
      );
    },
  };
}

function entryOf(item: Attributes): PolicyEntry {
  const policy = policyOf(item);
  const fetch = fetchOf(item);
  return { ...(policy === undefined ? {} : { policy }), ...(fetch === undefined ? {} : { fetch }) };
}

function policyOf(item: Attributes): KeptPolicy | undefined {
  const id = item['id']?.S;
  const text = item['policy']?.S;
  const fetchedAtMs = item['fetchedAtMs']?.N;
  const expiresAtMs = item['expiresAtMs']?.N;
  if (id === undefined || text === undefined || fetchedAtMs === undefined || expiresAtMs === undefined)
    return undefined;
  return { id, text, fetchedAtMs: Number(fetchedAtMs), expiresAtMs: Number(expiresAtMs) };
}

function fetchOf(item: Attributes): PolicyEntry['fetch'] {
  const id = item['fetchId']?.S;
  const againAtMs = item['againAtMs']?.N;
  if (id === undefined || againAtMs === undefined) return undefined;
  const failure = FAILURES.find((known) => known === item['failure']?.S);
  const failed: PolicyFailure | undefined =
    failure === undefined ? undefined : { failure, because: item['because']?.S ?? '' };
  return { id, againAtMs: Number(againAtMs), ...(failed === undefined ? {} : { failed }) };
}

const FAILURES: readonly StsFailure[] = [
  'sts-policy-fetch-error',
  'sts-policy-invalid',
  'sts-webpki-invalid',
];

function ttlOf(endMs: number): { readonly N: string } {
  return { N: String(Math.ceil((endMs + KEPT_AFTER_MS) / 1_000)) };
}

function keyOf(domain: string): Attributes {
  return { [PARTITION_KEY]: { S: `sts#${domain}` }, [SORT_KEY]: { S: 'sts' } };
}
