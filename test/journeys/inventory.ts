// What the three stores hold, seen from outside of the code under test: to show that nothing was kept of what was
// refused, that nothing is left of what has ended, and to take something away by hand.

import assert from 'node:assert/strict';
import { ScanCommand } from '@aws-sdk/client-dynamodb';
import { DeleteObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { GetQueueAttributesCommand, ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { type EmulatorClients, emulatorClients } from '../../local/clients.ts';
import type { World } from './world.ts';

export interface Inventory {
  /** Keys in the spool. */
  readonly objects: readonly string[];
  /** `pk sk` of every item in the ledger. */
  readonly items: readonly string[];
  /** Visible, hidden and delayed. */
  readonly timers: number;
}

export const NOTHING: Inventory = { objects: [], items: [], timers: 0 };

export async function inventory(world: World): Promise<Inventory> {
  return withClients(world, async ({ dynamodb, s3, sqs }) => {
    const { bucket, table, timersQueueUrl } = world.endpoints;
    const listed = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    const scanned = await dynamodb.send(new ScanCommand({ TableName: table, ConsistentRead: true }));
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl: timersQueueUrl,
        AttributeNames: [
          'ApproximateNumberOfMessages',
          'ApproximateNumberOfMessagesNotVisible',
          'ApproximateNumberOfMessagesDelayed',
        ],
      }),
    );
    return {
      objects: (listed.Contents ?? []).map(({ Key }) => Key ?? '').sort(),
      items: (scanned.Items ?? []).map(({ pk, sk }) => `${pk?.S} ${sk?.S}`).sort(),
      timers: Object.values(Attributes ?? {}).reduce((sum, count) => sum + Number(count), 0),
    };
  });
}

/** Nothing is left but the ledger's memory of what ended, which goes by its TTL. */
export async function assertQuiet(world: World): Promise<void> {
  const { objects, items, timers } = await inventory(world);
  assert.deepEqual({ objects, timers }, { objects: [], timers: 0 });
  const counts = items.filter((item) => item.startsWith('o#'));
  assert.deepEqual(counts, [], 'an object is counted that is gone');
}

export async function removeObject(world: World, key: string): Promise<void> {
  await withClients(world, ({ s3 }) =>
    s3.send(new DeleteObjectCommand({ Bucket: world.endpoints.bucket, Key: key })),
  );
}

/** Anything at all into the timers queue. */
export async function sendToQueue(world: World, body: string): Promise<void> {
  await withClients(world, ({ sqs }) =>
    sqs.send(new SendMessageCommand({ QueueUrl: world.endpoints.timersQueueUrl, MessageBody: body })),
  );
}

/** Receives the one visible timer so many times and leaves it visible, as crashed invocations do in the long run. */
export async function wearOut(world: World, times: number): Promise<void> {
  await withClients(world, async ({ sqs }) => {
    for (let time = 0; time < times; time += 1) {
      const { Messages } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: world.endpoints.timersQueueUrl,
          VisibilityTimeout: 0,
          WaitTimeSeconds: 0,
        }),
      );
      assert.equal(Messages?.length, 1);
    }
  });
}

async function withClients<T>(world: World, use: (clients: EmulatorClients) => Promise<T>): Promise<T> {
  const clients = emulatorClients(world.endpoints);
  try {
    return await use(clients);
  } finally {
    clients.destroy();
  }
}
