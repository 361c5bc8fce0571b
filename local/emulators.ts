// The AWS services of the embedded stack: S3 and SQS from fauxqs, DynamoDB from dynalite, all on 127.0.0.1,
// with the bucket, the queues and the table in place. Promises: with a data directory, everything that was
// acknowledged survives a kill of the process and is there at the next start on the same directory, on any
// ports; a second start on a directory in use rejects.
// Limits: those named in fauxqs-emulator.ts and dynamodb-emulator.ts.

import { setTimeout as delay } from 'node:timers/promises';
import {
  CreateTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  ResourceNotFoundException,
} from '@aws-sdk/client-dynamodb';
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { CreateQueueCommand, SetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import {
  QUEUE_VISIBILITY_SECONDS,
  SQS_MAX_RECEIVE_COUNT,
  SQS_MAX_RETENTION_SECONDS,
} from '../shared/aws/limits.ts';
import { INDEXES, PARTITION_KEY, SORT_KEY } from '../shared/aws/table.ts';
import { type EmulatorClients, emulatorClients, REGION } from './clients.ts';
import { openDataDirectory } from './data-directory.ts';
import { startDynamoDbEmulator } from './dynamodb-emulator.ts';
import { startFauxqsEmulator } from './fauxqs-emulator.ts';

const ACCOUNT = '000000000000';
const TIMERS_QUEUE = 'timers';
const DEAD_LETTER_QUEUE = 'timers-dead';

export interface EmulatorOptions {
  /** Absent: everything is in memory and gone at `close`. */
  readonly dataDirectory?: string;
  /** S3 and SQS; 0, the default, takes a free port. */
  readonly fauxqsPort?: number;
  /** DynamoDB; 0, the default, takes a free port. */
  readonly dynamodbPort?: number;
}

/** Where everything is: plain data, fit to be handed to another process. */
export interface EmulatorEndpoints {
  readonly s3Endpoint: string;
  readonly sqsEndpoint: string;
  readonly dynamodbEndpoint: string;
  readonly bucket: string;
  readonly table: string;
  readonly timersQueueUrl: string;
  readonly timersQueueArn: string;
  readonly deadLetterQueueUrl: string;
}

export interface Emulators extends EmulatorEndpoints {
  close(): Promise<void>;
}

/** Rejects when a port is taken or the data directory cannot be used; nothing is left listening then. */
export async function startEmulators(options: EmulatorOptions = {}): Promise<Emulators> {
  await using started = new AsyncDisposableStack();
  const data = options.dataDirectory === undefined ? undefined : openDataDirectory(options.dataDirectory);
  started.defer(() => data?.release());
  const dynamodb = await startDynamoDbEmulator({
    ...(data === undefined ? {} : { directory: data.dynamodb }),
    port: options.dynamodbPort ?? 0,
  });
  started.defer(() => dynamodb.close());
  const fauxqs = await startFauxqsEmulator({
    ...(data === undefined ? {} : { directory: data.fauxqs }),
    port: options.fauxqsPort ?? 0,
  });
  started.defer(() => fauxqs.close());
  const endpoints: EmulatorEndpoints = {
    s3Endpoint: fauxqs.endpoint,
    sqsEndpoint: fauxqs.endpoint,
    dynamodbEndpoint: dynamodb.endpoint,
    bucket: 'spool',
    table: 'ledger',
    timersQueueUrl: `${fauxqs.endpoint}/${ACCOUNT}/${TIMERS_QUEUE}`,
    timersQueueArn: queueArn(TIMERS_QUEUE),
    deadLetterQueueUrl: `${fauxqs.endpoint}/${ACCOUNT}/${DEAD_LETTER_QUEUE}`,
  };
  await createResources(endpoints);
  const running = started.move();
  return { ...endpoints, close: () => running.disposeAsync() };
}

const queueArn = (name: string) => `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`;

async function createResources(endpoints: EmulatorEndpoints): Promise<void> {
  const clients: EmulatorClients = emulatorClients(endpoints);
  try {
    await Promise.all([
      createBucket(clients.s3, endpoints.bucket),
      createQueues(clients.sqs),
      createTable(clients.dynamodb, endpoints.table),
    ]);
  } finally {
    clients.destroy();
  }
}

/** fauxqs answers 200 for a bucket of one's own. */
async function createBucket(s3: S3Client, bucket: string): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
}

async function createQueues(sqs: SQSClient): Promise<void> {
  await createQueue(sqs, DEAD_LETTER_QUEUE, { MessageRetentionPeriod: String(SQS_MAX_RETENTION_SECONDS) });
  await createQueue(sqs, TIMERS_QUEUE, {
    VisibilityTimeout: String(QUEUE_VISIBILITY_SECONDS),
    MessageRetentionPeriod: String(SQS_MAX_RETENTION_SECONDS),
    RedrivePolicy: JSON.stringify({
      deadLetterTargetArn: queueArn(DEAD_LETTER_QUEUE),
      maxReceiveCount: SQS_MAX_RECEIVE_COUNT,
    }),
  });
}

/** Attributes are set apart: creating a stored queue with other attributes than it has is an error. */
async function createQueue(sqs: SQSClient, name: string, attributes: Record<string, string>): Promise<void> {
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
  await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: attributes }));
}

async function createTable(dynamodb: DynamoDBClient, table: string): Promise<void> {
  if ((await tableStatus(dynamodb, table)) === undefined) {
    const keyNames = [
      PARTITION_KEY,
      SORT_KEY,
      ...INDEXES.flatMap((index) => [index.partitionKey, index.sortKey]),
    ];
    await dynamodb.send(
      new CreateTableCommand({
        TableName: table,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: keyNames.map((name) => ({ AttributeName: name, AttributeType: 'S' })),
        KeySchema: keySchema(PARTITION_KEY, SORT_KEY),
        GlobalSecondaryIndexes: INDEXES.map((index) => ({
          IndexName: index.name,
          KeySchema: keySchema(index.partitionKey, index.sortKey),
          Projection: { ProjectionType: 'KEYS_ONLY' },
        })),
      }),
    );
  }
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await tableStatus(dynamodb, table)) === 'ACTIVE') return;
    await delay(20);
  }
  throw new Error(`the table ${table} in the data directory was never finished: remove the directory`);
}

async function tableStatus(dynamodb: DynamoDBClient, table: string): Promise<string | undefined> {
  try {
    const { Table } = await dynamodb.send(new DescribeTableCommand({ TableName: table }));
    return Table?.TableStatus;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    throw error;
  }
}

function keySchema(partitionKey: string, sortKey: string) {
  return [
    { AttributeName: partitionKey, KeyType: 'HASH' as const },
    { AttributeName: sortKey, KeyType: 'RANGE' as const },
  ];
}
