// The `by-due` index and release's cursors. The index is eventually consistent: release only reads buckets that
// nobody writes to any more, and reads each item itself before it acts on it.

import { GetItemCommand, PutItemCommand, QueryCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import type { DueEntry, DueIndex } from '../queue/ports.ts';
import type { DynamoOptions } from './dynamo-ledger.ts';
import { type Attributes, parseItemKey } from './ledger-item.ts';
import { storeCall } from './store-calls.ts';
import { INDEXES, PARTITION_KEY, SORT_KEY } from './table.ts';

const SORT_PREFIX: Readonly<Record<DueEntry['kind'], string>> = {
  parked: 'p|',
  guarded: 'g|',
  owing: 'o|',
  held: 'h|',
};

export function createDynamoDueIndex(options: Pick<DynamoOptions, 'client' | 'table'>): DueIndex {
  const { client, table } = options;
  const [byDue] = INDEXES;
  return {
    async *entries(bucket, kind) {
      let start: Attributes | undefined;
      do {
        const page = await storeCall('reading the due index', () =>
          client.send(
            new QueryCommand({
              TableName: table,
              IndexName: byDue.name,
              KeyConditionExpression: '#bucket = :bucket AND begins_with(#key, :kind)',
              ExpressionAttributeNames: { '#bucket': byDue.partitionKey, '#key': byDue.sortKey },
              ExpressionAttributeValues: { ':bucket': { S: bucket }, ':kind': { S: SORT_PREFIX[kind] } },
              ...(start === undefined ? {} : { ExclusiveStartKey: start }),
            }),
          ),
        );
        const entries = (page.Items ?? []).flatMap((attributes): DueEntry[] => {
          const key = parseItemKey(attributes);
          return key === undefined ? [] : [{ key, kind }];
        });
        if (entries.length > 0) yield entries;
        start = page.LastEvaluatedKey;
      } while (start !== undefined);
    },

    async occupied() {
      const buckets = new Set<string>();
      let start: Attributes | undefined;
      do {
        const page = await storeCall('scanning the due index', () =>
          client.send(
            new ScanCommand({
              TableName: table,
              IndexName: byDue.name,
              ProjectionExpression: '#bucket',
              ExpressionAttributeNames: { '#bucket': byDue.partitionKey },
              ...(start === undefined ? {} : { ExclusiveStartKey: start }),
            }),
          ),
        );
        for (const attributes of page.Items ?? []) {
          const bucket = attributes[byDue.partitionKey]?.S;
          if (bucket !== undefined) buckets.add(bucket);
        }
        start = page.LastEvaluatedKey;
      } while (start !== undefined);
      return buckets;
    },

    async readCursor(shard) {
      const { Item } = await storeCall('reading a cursor', () =>
        client.send(new GetItemCommand({ TableName: table, Key: cursorKey(shard), ConsistentRead: true })),
      );
      const parked = Item?.['parkedBucket']?.N;
      const guarded = Item?.['guardedBucket']?.N;
      if (parked === undefined || guarded === undefined) return undefined;
      const owing = Item?.['owingBucket']?.N;
      return {
        parkedBucket: Number(parked),
        guardedBucket: Number(guarded),
        ...(owing === undefined ? {} : { owingBucket: Number(owing) }),
      };
    },

    async writeCursor(shard, cursor) {
      await storeCall('writing a cursor', () =>
        client.send(
          new PutItemCommand({
            TableName: table,
            Item: {
              ...cursorKey(shard),
              parkedBucket: { N: String(cursor.parkedBucket) },
              guardedBucket: { N: String(cursor.guardedBucket) },
              ...(cursor.owingBucket === undefined ? {} : { owingBucket: { N: String(cursor.owingBucket) } }),
            },
          }),
        ),
      );
    },
  };
}

function cursorKey(shard: number): Attributes {
  return { [PARTITION_KEY]: { S: `release#${shard}` }, [SORT_KEY]: { S: 'cursor' } };
}
