// Who uses a spool object: a set in one ledger item per object that several deliveries point at (`o#<key>`).
// The last one to leave marks the item, deletes the object, then removes the item: whoever would add a user in
// between is turned away, so that an upload put again is never deleted under a new delivery.
// Deliveries of one transfer mostly end together: those that leave an object at about the same time share a call.

import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { ContentUsers } from '../queue/ports.ts';
import { conditional, type DynamoOptions } from './dynamo-ledger.ts';
import { gather } from './gather.ts';
import type { Attributes } from './ledger-item.ts';
import { storeCall } from './store-calls.ts';
import { PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE } from './table.ts';

/** How long a removal waits for others of the same object: a write less for each that comes. */
const REMOVAL_COMPANY_MS = 20;
const MAX_SHARED_REMOVALS = 100;

/** A deletion that never ended (a crash) gives way after this: long past any S3 call's timeout. */
const DELETION_MS = 300_000;

export function createDynamoContentUsers(
  options: Pick<DynamoOptions, 'client' | 'table' | 'clock'>,
): ContentUsers {
  const { client, table, clock } = options;
  const removals = new Map<
    string,
    { readonly run: (removal: Removal) => Promise<boolean>; callers: number }
  >();

  // When nobody is left, one of the callers is told to delete the object.
  const sharedRemoval = (objectKey: string) =>
    gather<Removal, boolean>(
      MAX_SHARED_REMOVALS,
      async (callers) => {
        const users = callers.flatMap((caller) => caller.users);
        const nowMs = Math.max(...callers.map((caller) => caller.nowMs));
        const last = await removeUsers(client, table, objectKey, users, nowMs);
        return callers.map((_, index) => last && index === 0);
      },
      () => clock.pause(REMOVAL_COMPANY_MS),
    );

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
      const removal = removals.get(objectKey) ?? { run: sharedRemoval(objectKey), callers: 0 };
      removals.set(objectKey, removal);
      removal.callers += 1;
      try {
        return await storeCall('removing users of an object', () => removal.run({ users, nowMs }));
      } finally {
        removal.callers -= 1;
        if (removal.callers === 0) removals.delete(objectKey);
      }
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

interface Removal {
  readonly users: readonly string[];
  readonly nowMs: number;
}

/** True: nobody is left, and the item says so. */
async function removeUsers(
  client: DynamoDBClient,
  table: string,
  objectKey: string,
  users: readonly string[],
  nowMs: number,
): Promise<boolean> {
  try {
    const { Attributes: after } = await client.send(
      new UpdateItemCommand({
        TableName: table,
        Key: keyOf(objectKey),
        UpdateExpression: 'DELETE #users :users',
        // An item that is gone must not be made again: its object is deleted.
        ConditionExpression: 'attribute_exists(#pk)',
        ExpressionAttributeNames: { '#users': 'users', '#pk': PARTITION_KEY },
        ExpressionAttributeValues: { ':users': { SS: [...new Set(users)] } },
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
}

function keyOf(objectKey: string): Attributes {
  return { [PARTITION_KEY]: { S: `o#${objectKey}` }, [SORT_KEY]: { S: 'o' } };
}
