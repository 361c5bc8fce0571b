// What is remembered of peers, shared by all invocations: one ledger item per host and port (`h#<host>:<port>`),
// with an attribute for each trait that says when it ends. Never rejects, as the port wants it: a ledger that
// fails is told to `onFailure`, and counts as nothing known.

import { type DynamoDBClient, GetItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import type { Clock } from '../queue/ports.ts';
import type { PeerMemory, PeerTrait } from '../smtp/client.ts';
import type { Attributes } from './ledger-item.ts';
import { storeCall } from './store-calls.ts';
import { PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE } from './table.ts';

export interface DynamoPeerMemoryOptions {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** How long a trait counts; an hour when absent. */
  readonly keptMs?: number;
  /** Told why the ledger did not serve: a StoreError, or a bug. */
  readonly onFailure?: (error: unknown) => void;
}

const KEPT_MS = 3_600_000;
const TRAITS: readonly PeerTrait[] = ['tls-fails', 'no-pipelining', 'no-overlap'];

export function createDynamoPeerMemory(options: DynamoPeerMemoryOptions): PeerMemory {
  const { client, table, clock, keptMs = KEPT_MS, onFailure = () => {} } = options;
  return {
    async recall(host, port) {
      try {
        const { Item } = await storeCall('recalling a peer', () =>
          client.send(new GetItemCommand({ TableName: table, Key: keyOf(host, port) })),
        );
        const nowMs = clock.nowMs();
        return new Set(TRAITS.filter((trait) => Number(Item?.[trait]?.N ?? 0) > nowMs));
      } catch (error) {
        onFailure(error);
        return new Set();
      }
    },

    async note(host, port, trait) {
      const untilMs = clock.nowMs() + keptMs;
      try {
        await storeCall('noting a peer', () =>
          client.send(
            new UpdateItemCommand({
              TableName: table,
              Key: keyOf(host, port),
              UpdateExpression: 'SET #trait = :until, #ttl = :ttl',
              ExpressionAttributeNames: { '#trait': trait, '#ttl': TTL_ATTRIBUTE },
              ExpressionAttributeValues: {
                ':until': { N: String(untilMs) },
                // Traits are noted one after the other and last equally long: the newest ends last.
                ':ttl': { N: String(Math.ceil(untilMs / 1_000)) },
              },
            }),
          ),
        );
      } catch (error) {
        onFailure(error);
      }
    },
  };
}

function keyOf(host: string, port: number): Attributes {
  return { [PARTITION_KEY]: { S: `h#${host.toLowerCase()}:${port}` }, [SORT_KEY]: { S: 'h' } };
}
