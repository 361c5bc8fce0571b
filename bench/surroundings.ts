// Everything around the functions that must not count as theirs: the stores in a process of their own, and in the
// bench's process the API's front, the clients, the destinations with their name server, and the polling of the
// queue. Destinations are ten hosts, each the only one of its domain, near (loopback) and far (behind a relay).

import type { SQSEvent } from 'aws-lambda';
import { startApiFront } from '../local/api-front.ts';
import { type EmulatorClients, emulatorClients } from '../local/clients.ts';
import { type DnsData, startDnsServer } from '../local/dns.ts';
import { spawnEmulators } from '../local/emulators-process.ts';
import { type EventSourceOptions, pollOnce } from '../local/event-source.ts';
import { API_ROUTES } from '../local/functions.ts';
import { startSink } from '../local/sink.ts';
import type { SinkHost } from '../local/sink-zone.ts';
import {
  DELIVER_BATCH_SIZE,
  DELIVER_TIMEOUT_SECONDS,
  RECEIVE_TIMEOUT_SECONDS,
} from '../shared/aws/limits.ts';
import { FRAMES_CONTENT_TYPE } from '../shared/xfer/frame-format.ts';
import { startRelay } from './distance.ts';
import type { Functions } from './functions.ts';
import type { Transfer } from './mail.ts';
import { sqsUnits } from './meter.ts';
import type { Setup } from './protocol.ts';

/** Of the far destinations: in the mean, and that of each, so that their dialogues do not keep step. */
export const ROUND_TRIP_MS = 50;
const roundTripMs = (index: number) => ROUND_TRIP_MS * (0.55 + index / 10);

const HOSTS = Array.from({ length: 10 }, (_, index) => index);

export const NEAR_DOMAINS = HOSTS.map((index) => `near-${index}.test`);
export const FAR_DOMAINS = HOSTS.map((index) => `far-${index}.test`);

export interface Surroundings {
  /** For a process that runs the functions. */
  readonly setup: Setup;
  /** Messages that the destinations have taken. */
  delivered(): number;
  /** Sends transfers, so many at once, to the functions through the API's front; rejects when a message is not accepted. */
  post(functions: Functions, transfers: readonly Transfer[], atOnce: number): Promise<void>;
  /** Hands the functions one batch of the timers that are visible now; answers how many. */
  deliverBatch(functions: Functions): Promise<number>;
  /** Calls that Lambda's event source mapping would have made, by name, in SQS's units, since the last reading. */
  pollingUnits(): ReadonlyMap<string, number>;
  close(): Promise<void>;
}

export async function startSurroundings(): Promise<Surroundings> {
  await using started = new AsyncDisposableStack();
  const emulators = await spawnEmulators();
  started.defer(() => emulators.close());
  let delivered = 0;
  const sink = await startSink({
    port: 0,
    hosts: HOSTS.map(sinkHost),
    retainBytes: 0,
    onEvent: (event) => {
      if (event.reply.startsWith('250')) delivered += 1;
    },
  });
  started.defer(() => sink.close());
  for (const index of HOSTS) {
    const far = { host: farAddress(index), port: sink.port };
    const relay = await startRelay(far, { host: nearAddress(index), port: sink.port }, roundTripMs(index));
    started.defer(() => relay.close());
  }
  const dns = await startDnsServer(ZONE, { host: '127.0.0.1', port: 0 });
  started.defer(() => dns.close());
  const clients = emulatorClients(emulators);
  started.defer(() => clients.destroy());
  const polling = countPolling(clients);
  let current: Functions | undefined;
  const front = await startApiFront({
    functionName: 'receive',
    handler: (event) => {
      if (current === undefined) throw new Error('no functions to receive');
      return current.receive(event);
    },
    functionTimeoutMs: RECEIVE_TIMEOUT_SECONDS * 1_000,
    routes: API_ROUTES.map((route) => ({ ...route, authorizer: 'iam' })),
    caller: {
      accountId: '111122223333',
      userArn: 'arn:aws:sts::111122223333:assumed-role/sender/mta-1',
    },
    addresses: [{ host: '127.0.0.1', port: 0 }],
    onFault: (error) => console.error(error),
  });
  started.defer(() => front.close());
  const url = `http://127.0.0.1:${front.addresses[0]?.port}/delay_message`;
  const polls: Omit<EventSourceOptions, 'handler'> = {
    sqs: clients.sqs,
    queueUrl: emulators.timersQueueUrl,
    queueArn: emulators.timersQueueArn,
    functionName: 'deliver',
    functionTimeoutMs: DELIVER_TIMEOUT_SECONDS * 1_000,
    batchSize: DELIVER_BATCH_SIZE,
    windowMs: 0,
    maximumConcurrency: 1,
    onFault: (error) => console.error(error),
  };
  const { s3Endpoint, sqsEndpoint, dynamodbEndpoint, bucket, table, timersQueueUrl } = emulators;
  const moved = started.move();
  return {
    setup: {
      s3Endpoint,
      sqsEndpoint,
      dynamodbEndpoint,
      bucket,
      table,
      timersQueueUrl,
      dnsServer: `127.0.0.1:${dns.port}`,
      smtpPort: sink.port,
    },
    delivered: () => delivered,
    async post(functions, transfers, atOnce) {
      current = functions;
      const queue = transfers.values();
      const client = async () => {
        for (const transfer of queue) await postOne(url, transfer);
      };
      await Promise.all(Array.from({ length: atOnce }, client));
    },
    deliverBatch: (functions) =>
      pollOnce({ ...polls, handler: (event: SQSEvent) => functions.deliver(event) }),
    pollingUnits: polling,
    close: () => moved.disposeAsync(),
  };
}

async function postOne(url: string, { body, count }: Transfer): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': FRAMES_CONTENT_TYPE },
    body: new Uint8Array(body),
  });
  const text = await response.text();
  const accepted = text.split('"status":"accepted"').length - 1;
  if (response.status !== 200 || accepted !== count) {
    throw new Error(`the receiver answered ${response.status}: ${text.slice(0, 500)}`);
  }
}

function countPolling({ sqs }: EmulatorClients): () => ReadonlyMap<string, number> {
  let units = new Map<string, number>();
  sqs.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args);
      const name = (context.commandName ?? '').replace(/Command$/, '');
      // Polls that find nothing cost the same whether mail flows or not: they are not any message's.
      const idle =
        name === 'ReceiveMessage' && !('Messages' in result.output && result.output.Messages?.length);
      if (!idle) units.set(name, (units.get(name) ?? 0) + sqsUnits(args.input));
      return result;
    },
    { step: 'initialize' },
  );
  return () => {
    const read = units;
    units = new Map();
    return read;
  };
}

const nearAddress = (index: number) => `127.0.0.${31 + index}`;
const farAddress = (index: number) => `127.0.0.${61 + index}`;

function sinkHost(index: number): SinkHost {
  return { name: `near-mx-${index}.test`, address: nearAddress(index), plain: false, busy: false };
}

const ZONE = {
  zones: ['test'],
  records: Object.fromEntries(
    HOSTS.flatMap((index): [string, DnsData[]][] => [
      [`near-${index}.test`, [{ type: 'MX', preference: 10, exchange: `near-mx-${index}.test` }]],
      [`far-${index}.test`, [{ type: 'MX', preference: 10, exchange: `far-mx-${index}.test` }]],
      [`near-mx-${index}.test`, [{ type: 'A', data: nearAddress(index) }]],
      [`far-mx-${index}.test`, [{ type: 'A', data: farAddress(index) }]],
    ]),
  ),
};
