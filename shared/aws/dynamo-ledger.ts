// The ledger on DynamoDB: single-item conditional writes only, and a read where a condition failed, so that
// dynalite serves as well (no transactions, no ReturnValuesOnConditionCheckFailure).

import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { type DeliveryItem, isDeliveryItem, type LedgerItem } from '../queue/delivery.ts';
import type { Clock, LeaseRequest, Ledger } from '../queue/ports.ts';
import type { Tempo } from '../queue/tempo.ts';
import {
  type Attributes,
  formatItem,
  isExpired,
  itemKeyAttributes,
  messagePartition,
  parseItem,
  parseItemKey,
} from './ledger-item.ts';
import { storeCall } from './store-calls.ts';
import { PARTITION_KEY, TTL_ATTRIBUTE } from './table.ts';

export interface DynamoOptions {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly clock: Clock;
  readonly tempo: Tempo;
}

export function createDynamoLedger(options: DynamoOptions): Ledger {
  const { client, table, clock, tempo } = options;
  const live = (attributes: Attributes | undefined): LedgerItem | undefined =>
    attributes === undefined || isExpired(attributes, clock.nowMs()) ? undefined : parseItem(attributes);

  return {
    async readMessage(key) {
      const items: LedgerItem[] = [];
      let start: Attributes | undefined;
      do {
        const page = await storeCall('reading a message', () =>
          client.send(
            new QueryCommand({
              TableName: table,
              ConsistentRead: true,
              KeyConditionExpression: '#pk = :pk',
              ExpressionAttributeNames: { '#pk': PARTITION_KEY },
              ExpressionAttributeValues: { ':pk': { S: messagePartition(key) } },
              ...(start === undefined ? {} : { ExclusiveStartKey: start }),
            }),
          ),
        );
        for (const attributes of page.Items ?? []) {
          const item = parseItemKey(attributes) === undefined ? undefined : live(attributes);
          if (item !== undefined) items.push(item);
        }
        start = page.LastEvaluatedKey;
      } while (start !== undefined);
      // The sort key orders as text: d#10 stands before d#2.
      return items.sort((a, b) => a.key.chunk - b.key.chunk);
    },

    async readItem(key) {
      const { Item } = await storeCall('reading an item', () =>
        client.send(
          new GetItemCommand({ TableName: table, Key: itemKeyAttributes(key), ConsistentRead: true }),
        ),
      );
      return live(Item);
    },

    async write(item) {
      const condition =
        item.rev === 1
          ? {
              ConditionExpression: 'attribute_not_exists(#pk) OR #ttl < :nowSeconds',
              ExpressionAttributeNames: { '#pk': PARTITION_KEY, '#ttl': TTL_ATTRIBUTE },
              ExpressionAttributeValues: { ':nowSeconds': { N: String(Math.floor(clock.nowMs() / 1_000)) } },
            }
          : {
              ConditionExpression: 'rev = :before',
              ExpressionAttributeValues: { ':before': { N: String(item.rev - 1) } },
            };
      return conditional('writing an item', () =>
        client.send(new PutItemCommand({ TableName: table, Item: formatItem(item, tempo), ...condition })),
      );
    },

    lease: (request) => lease(client, table, request),
  };
}

/** True when it was applied, false when the condition failed. */
export async function conditional(what: string, call: () => Promise<unknown>): Promise<boolean> {
  return storeCall(what, async () => {
    try {
      await call();
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw error;
    }
  });
}

// Invariant I3: this one condition decides who may attempt. Test: "of two timers for one delivery one attempts".
async function lease(
  client: DynamoDBClient,
  table: string,
  request: LeaseRequest,
): Promise<DeliveryItem | undefined> {
  return storeCall('leasing a delivery', async () => {
    try {
      const { Attributes: attributes } = await client.send(
        new UpdateItemCommand({
          TableName: table,
          Key: itemKeyAttributes(request.key),
          UpdateExpression:
            'SET leaseId = :id, leaseUntilMs = :until, everLeased = :true, mark = :mark ' +
            'ADD unsettledLeases :one, rev :one',
          ConditionExpression:
            '#state = :open AND generation = :generation AND dueAtMs <= :now ' +
            'AND (attribute_not_exists(leaseUntilMs) OR leaseUntilMs <= :now) ' +
            'AND unsettledLeases < :most ' +
            'AND (attribute_not_exists(commitState) OR commitState = :committed)',
          ExpressionAttributeNames: { '#state': 'state' },
          ExpressionAttributeValues: {
            ':id': { S: request.lease.id },
            ':until': { N: String(request.lease.untilMs) },
            ':true': { BOOL: true },
            ':mark': { S: request.mark },
            ':one': { N: '1' },
            ':open': { S: 'open' },
            ':generation': { N: String(request.generation) },
            ':now': { N: String(request.nowMs) },
            ':most': { N: String(request.maxUnsettled) },
            ':committed': { S: 'committed' },
          },
          ReturnValues: 'ALL_NEW',
        }),
      );
      const item = attributes === undefined ? undefined : parseItem(attributes);
      return item !== undefined && isDeliveryItem(item) ? item : undefined;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return undefined;
      throw error;
    }
  });
}
