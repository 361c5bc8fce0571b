// Who uses a spool object: a set in one ledger item per object that several deliveries point at (`o#<key>`).
// The last one to leave marks the item, deletes the object, then removes the item: whoever would add a user in
// between is turned away, so that an upload put again is never deleted under a new delivery.

import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { ContentUsers } from '../queue/ports.ts';
import { conditional, type DynamoOptions } from './dynamo-ledger.ts';
import type { Attributes } from './ledger-item.ts';
import { storeCall } from './store-calls.ts';
import { PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE } from './table.ts';

/** A deletion that never ended (a crash) gives way after this: long past any S3 call's timeout. */
const DELETION_MS = 300_000;

export function createDynamoContentUsers(
  options: Pick<DynamoOptions, 'client' | 'table' | 'clock'>,
): ContentUsers {
  const { client, table, clock } = options;
  return {
    async add(objectKey, users, ttlAtMs) {
      return conditional('adding users of an object', () =>
        client.send(
          new UpdateItemCommand({
            TableName: table,
            Key: keyOf(objectKey),
            UpdateExpression: 'ADD #users :users SET #ttl = :ttl REMOVE deletingAtMs',
            ConditionExpression: 'attribute_not_exists(deletingAtMs) OR deletingAtMs < :abandoned',
            ExpressionAttributeNames: { '#users': 'users', '#ttl': TTL_ATTRIBUTE },
            ExpressionAttributeValues: {
              ':users': { SS: [...users] },
              ':ttl': { N: String(Math.ceil(ttlAtMs / 1_000)) },
              ':abandoned': { N: String(clock.nowMs() - DELETION_MS) },
            },
          }),
        ),
      );
    },

    async remove(objectKey, users, nowMs) {
      return storeCall('removing users of an object', async () => {
        try {
          const { Attributes: after } = await client.send(
            new UpdateItemCommand({
              TableName: table,
              Key: keyOf(objectKey),
              UpdateExpression: 'DELETE #users :users',
              // An item that is gone must not be made again: its object is deleted.
              ConditionExpression: 'attribute_exists(#pk)',
              ExpressionAttributeNames: { '#users': 'users', '#pk': PARTITION_KEY },
              ExpressionAttributeValues: { ':users': { SS: [...users] } },
              ReturnValues: 'ALL_NEW',
            }),
          );
          if ((after?.['users']?.SS ?? []).length > 0) return false;
          await client.send(
            new UpdateItemCommand({
              TableName: table,
              Key: keyOf(objectKey),
              UpdateExpression: 'SET deletingAtMs = :now',
              ConditionExpression: 'attribute_exists(#pk) AND attribute_not_exists(#users)',
              ExpressionAttributeNames: { '#users': 'users', '#pk': PARTITION_KEY },
              ExpressionAttributeValues: { ':now': { N: String(nowMs) } },
            }),
          );
          return true;
        } catch (error) {
          if (error instanceof ConditionalCheckFailedException) return false;
          throw error;
        }
      });
    },

    async forget(objectKey) {
      await conditional('forgetting an object', () =>
        client.send(
          new DeleteItemCommand({
            TableName: table,
            Key: keyOf(objectKey),
            ConditionExpression: 'attribute_not_exists(#users)',
            ExpressionAttributeNames: { '#users': 'users' },
          }),
        ),
      );
    },
  };
}

function keyOf(objectKey: string): Attributes {
  return { [PARTITION_KEY]: { S: `o#${objectKey}` }, [SORT_KEY]: { S: 'o' } };
}
