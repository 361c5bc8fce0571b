// The three stores behind the queue's ports, from SDK clients. Only entry points call this.

import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { SQSClient, type SQSClientConfig } from '@aws-sdk/client-sqs';
import type { Clock, ContentUsers, DueIndex, Ledger, Spool, Timers } from '../queue/ports.ts';
import type { Tempo } from '../queue/tempo.ts';
import type { PolicyStore } from '../routing/sts-cache.ts';
import type { PeerMemory } from '../smtp/client.ts';
import { createDynamoContentUsers } from './dynamo-content-users.ts';
import { createDynamoDueIndex } from './dynamo-due-index.ts';
import { createDynamoLedger } from './dynamo-ledger.ts';
import { createDynamoPeerMemory } from './dynamo-peer-memory.ts';
import { createDynamoPolicies } from './dynamo-policies.ts';
import { createS3Spool } from './s3-spool.ts';
import { createSqsTimers } from './sqs-timers.ts';

export interface StoreNames {
  readonly table: string;
  readonly bucket: string;
  readonly queueUrl: string;
}

export interface Clients {
  readonly dynamodb: DynamoDBClient;
  readonly s3: S3Client;
  readonly sqs: SQSClient;
}

export interface Stores {
  readonly ledger: Ledger;
  readonly users: ContentUsers;
  readonly due: DueIndex;
  readonly spool: Spool;
  readonly timers: Timers;
}

/** A ledger call of receive never takes longer: it counts on that when its client's patience ends. */
const RECEIVE_LEDGER_TIMEOUT_MS = 1_000;
/**
 * Nobody waits for a settle, and one that is given up leaves its delivery to the end of its lease, a quarter of an
 * hour away; it is well below the time that deliver keeps for settling.
 */
export const SETTLE_LEDGER_TIMEOUT_MS = 4_000;
const CONNECT_TIMEOUT_MS = 1_000;
const SOCKETS = 100;
/** From the request to the first octet of the answer, for S3 and SQS: past it the call failed, and is repeated. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Without an octet for this long, a stream of content is broken. */
const IDLE_TIMEOUT_MS = 10_000;

/** Where the services are, when they are not AWS's: the embedded stack's emulators. */
export interface ClientOverrides {
  readonly dynamodb?: DynamoDBClientConfig;
  readonly s3?: S3ClientConfig;
  readonly sqs?: SQSClientConfig;
}

/**
 * Endpoints and credentials come from the environment, as the SDK reads them. Ledger calls are not retried by the
 * SDK: a lost answer would come back as a failed condition, and the queue repeats what it must itself.
 * Middleware can be added until a client's first call: from then on its stack is made up.
 */
export function createClients(
  overrides: ClientOverrides = {},
  ledgerTimeoutMs = RECEIVE_LEDGER_TIMEOUT_MS,
): Clients {
  const agent = { keepAlive: true, maxSockets: SOCKETS };
  // Most of a handler's CPU time is the SDK's: put together once, its middleware costs a fifth less.
  const common = { cacheMiddleware: true };
  const patient = {
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: ANSWER_TIMEOUT_MS,
    throwOnRequestTimeout: true,
    socketTimeout: IDLE_TIMEOUT_MS,
    httpAgent: agent,
    httpsAgent: agent,
  };
  const clients = {
    dynamodb: new DynamoDBClient({
      ...common,
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: ledgerTimeoutMs,
        throwOnRequestTimeout: true,
        httpAgent: agent,
        httpsAgent: agent,
      },
      ...overrides.dynamodb,
    }),
    s3: new S3Client({
      ...common,
      requestHandler: patient,
      // Otherwise the SDK signs the checksum of an empty body into upload URLs.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      ...overrides.s3,
    }),
    sqs: new SQSClient({ ...common, requestHandler: patient, ...overrides.sqs }),
  };
  for (const name of IDLE_MIDDLEWARE) {
    clients.dynamodb.middlewareStack.remove(name);
    clients.s3.middlewareStack.remove(name);
    clients.sqs.middlewareStack.remove(name);
  }
  return clients;
}

/**
 * Filters each input and output for a log that goes nowhere; words the same User-Agent anew for each request; and
 * passes Lambda's trace on to the queue, by which Lambda would take a delivery's retries for an endless loop.
 */
const IDLE_MIDDLEWARE = [
  'loggerMiddleware',
  'getUserAgentMiddleware',
  'recursionDetectionMiddleware',
] as const;

export function createStores(
  clients: Clients,
  names: StoreNames,
  options: { readonly clock: Clock; readonly tempo: Tempo },
): Stores {
  const { clock, tempo } = options;
  const dynamo = { client: clients.dynamodb, table: names.table, clock, tempo };
  return {
    ledger: createDynamoLedger(dynamo),
    users: createDynamoContentUsers(dynamo),
    due: createDynamoDueIndex(dynamo),
    spool: createS3Spool({ client: clients.s3, bucket: names.bucket }),
    timers: createSqsTimers({ client: clients.sqs, queueUrl: names.queueUrl, clock }),
  };
}

/** What invocations of deliver share about destinations, in the ledger's table. */
export interface DestinationStores {
  readonly policies: PolicyStore;
  /** Not cached: it belongs behind a memory of this process. */
  readonly peers: PeerMemory;
}

export function createDestinationStores(
  { dynamodb }: Pick<Clients, 'dynamodb'>,
  { table }: Pick<StoreNames, 'table'>,
  options: { readonly clock: Clock; readonly onFailure?: (error: unknown) => void },
): DestinationStores {
  return {
    policies: createDynamoPolicies({ client: dynamodb, table }),
    peers: createDynamoPeerMemory({ client: dynamodb, table, ...options }),
  };
}
