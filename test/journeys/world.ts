// The whole receiving side in one process, for journeys: real handlers and adapters, the emulators over HTTP, the
// sink and its DNS over sockets, and a clock that tests move between dialogues. Ports can be wrapped, to crash,
// fail or delay any single call.

import { createEgress } from '../../functions/deliver/egress.ts';
import { createDeliverHandler } from '../../functions/deliver/handler.ts';
import {
  type Authentication,
  createReceiveHandler,
  type ReceiveHandler,
} from '../../functions/receive/handler.ts';
import { createReleaseHandler } from '../../functions/release/handler.ts';
import type { IamCaller } from '../../local/api-event.ts';
import { type ApiFront, startApiFront } from '../../local/api-front.ts';
import { emulatorClients } from '../../local/clients.ts';
import { type DnsRecords, type DnsServer, startDnsServer } from '../../local/dns.ts';
import { type EmulatorEndpoints, startEmulators } from '../../local/emulators.ts';
import { type EventSourceOptions, pollOnce } from '../../local/event-source.ts';
import { invoke } from '../../local/lambda.ts';
import { type Sink, type SinkEvent, startSink } from '../../local/sink.ts';
import { SINK_ZONE } from '../../local/sink-zone.ts';
import {
  DELIVER_BATCH_SIZE,
  DELIVER_TIMEOUT_SECONDS,
  LEASE_MARGIN_SECONDS,
  RECEIVE_TIMEOUT_SECONDS,
  RELEASE_TIMEOUT_SECONDS,
  RESEND_RECEIVE_COUNT,
} from '../../shared/aws/limits.ts';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import {
  type Clients,
  createClients,
  createDestinationStores,
  createStores,
  type Stores,
} from '../../shared/aws/stores.ts';
import { systemRandom } from '../../shared/aws/system.ts';
import { type Configuration, EMPTY_CONFIGURATION } from '../../shared/config/configuration.ts';
import { settingsByDomain } from '../../shared/config/delivery-settings.ts';
import type { LedgerItem, MessageKey } from '../../shared/queue/delivery.ts';
import type { Clock, Random } from '../../shared/queue/ports.ts';
import type { ReleaseSummary } from '../../shared/queue/release.ts';
import { DEFAULT_TEMPO, type Tempo, withRetrySettings } from '../../shared/queue/tempo.ts';
import { handlingOf, type TermsFor } from '../../shared/queue/terms.ts';
import type { LogRecord, Notice } from '../../shared/records/records.ts';
import { type ReportSettings, reportSettings } from '../../shared/report/settings.ts';
import type { Router } from '../../shared/routing/router.ts';
import type { SmtpTimeouts } from '../../shared/smtp/client.ts';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';

export const TRACE_HOST = 'xfer.test.example';

/** Partitions of the due index that are wider than a minute: fewer to read when a test skips half an hour. */
export const WIDE_BUCKETS: Tempo = { ...DEFAULT_TEMPO, bucketMs: 300_000 };

/** Of the configuration's defaults. */
export const REPORTS: ReportSettings = {
  generateBounces: true,
  generateDelayDsn: false,
  delayDsnRetryIntervalMs: 3_600_000,
  delayDsnMaxRetryIntervalMs: 0,
  inlineOriginal: 'headers',
  mailerDaemon: `MAILER-DAEMON@${TRACE_HOST}`,
  reportingMta: TRACE_HOST,
};

/** Senders are in the sink's world as well: reports reach them there. */
const WORLD_ZONE: DnsRecords = {
  ...SINK_ZONE,
  zones: [...SINK_ZONE.zones, 'sender.example'],
  records: {
    ...SINK_ZONE.records,
    'sender.example': [{ type: 'MX', preference: 10, exchange: 'mx1.sink.test' }],
    'plain-sender.test': [{ type: 'MX', preference: 10, exchange: 'plain.sink.test' }],
  },
};

export interface WorldOptions {
  readonly tempo?: Tempo;
  /** Every role gets its own wrapping, so that a test can tell receive's calls from deliver's. */
  readonly wrap?: (stores: Stores, role: 'receive' | 'deliver' | 'release') => Stores;
  readonly random?: Random;
  readonly router?: Router;
  /** What the operator says of deliveries; of retries and expiry it counts before the tempo. Nothing when absent. */
  readonly configuration?: Configuration;
  readonly timeouts?: SmtpTimeouts;
  readonly queueLimits?: typeof QUEUE_LIMITS;
  /** How far back release's first run looks; ten buckets of the tempo. Each bucket costs 128 queries. */
  readonly lookbackMs?: number;
  /** Everybody is the credential `tester` unless said otherwise. */
  readonly authentication?: Authentication;
  /** Whom the API's IAM authoriser has verified; without one it lets nobody in. Only with authentication by IAM. */
  readonly caller?: IamCaller;
  /** How senders are told of what becomes of their mail; by default of failures, with the header. */
  readonly reports?: Partial<ReportSettings>;
  /** Instead of the sink's; its records may be changed while the world runs. */
  readonly zone?: DnsRecords;
}

export interface World extends AsyncDisposable {
  readonly baseUrl: string;
  readonly sink: Sink;
  /** What destinations said to recipients and contents, in order. */
  readonly sinkEvents: readonly SinkEvent[];
  /** Names of the SDK commands that the functions sent, in order: `PutObjectCommand`. */
  readonly awsCalls: readonly string[];
  readonly records: readonly LogRecord[];
  readonly notices: readonly Notice[];
  readonly stores: Stores;
  /** How deliver reaches the sink. */
  readonly egress: ReturnType<typeof createEgress>;
  readonly clock: MovedClock;
  readonly endpoints: EmulatorEndpoints;
  /** One message as JSON; the answer's status and parsed body. */
  post(message: object): Promise<{ readonly status: number; readonly body: unknown }>;
  /** Handles every timer that is visible now, batch after batch, until none is left. Answers how many. */
  deliver(): Promise<number>;
  release(): Promise<ReleaseSummary>;
  items(key: MessageKey): Promise<readonly LedgerItem[]>;
  close(): Promise<void>;
}

/** Moves `Date.now` for the whole process: the emulators follow it. */
export interface MovedClock extends Clock {
  /** Jumps ahead; nothing waits. */
  advance(ms: number): void;
  restore(): void;
}

export function moveClock(): MovedClock {
  const real = Date.now;
  let offsetMs = 0;
  Date.now = () => real() + offsetMs;
  return {
    nowMs: () => Date.now(),
    // Waiting between tries is real time cut short: tests wait for events, not for clocks.
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, Math.min(ms, 20))),
    advance: (ms) => {
      offsetMs += ms;
    },
    restore: () => {
      Date.now = real;
    },
  };
}

/** Emulators on a busy machine stall for seconds; here that is no fault of a store. */
export const LEDGER_TIMEOUT_MS = 20_000;

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  await using started = new AsyncDisposableStack();
  const clock = moveClock();
  started.defer(() => clock.restore());
  const random = options.random ?? systemRandom;
  const tempo = options.tempo ?? DEFAULT_TEMPO;
  const limits = options.queueLimits ?? QUEUE_LIMITS;
  const authentication = options.authentication ?? { kind: 'open', credential: 'tester' };
  const emulators = await startEmulators();
  started.defer(() => emulators.close());
  const zone = options.zone ?? WORLD_ZONE;
  const dns: DnsServer = await startDnsServer(zone, { host: '127.0.0.1', port: 0 });
  started.defer(() => dns.close());
  const sinkEvents: SinkEvent[] = [];
  const sink = await startSink({ port: 0, onEvent: (event) => void sinkEvents.push(event) });
  started.defer(() => sink.close());

  const local = { region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };
  const clients = createClients(
    {
      dynamodb: { ...local, endpoint: emulators.dynamodbEndpoint },
      s3: { ...local, endpoint: emulators.s3Endpoint, forcePathStyle: true },
      sqs: { ...local, endpoint: emulators.sqsEndpoint, useQueueUrlAsEndpoint: false },
    },
    LEDGER_TIMEOUT_MS,
  );
  const awsCalls: string[] = [];
  noteCalls(clients, awsCalls);
  const polling = emulatorClients(emulators);
  started.defer(() => {
    for (const client of [clients.dynamodb, clients.s3, clients.sqs]) client.destroy();
    polling.destroy();
  });
  const names = { table: emulators.table, bucket: emulators.bucket, queueUrl: emulators.timersQueueUrl };
  const stores = createStores(clients, names, { clock, tempo });
  const wrap = options.wrap ?? ((plain: Stores) => plain);
  const records: LogRecord[] = [];
  const notices: Notice[] = [];
  const log = {
    record: (record: LogRecord) => void records.push(record),
    notice: (notice: Notice) => void notices.push(notice),
  };
  const settingsFor = settingsByDomain(options.configuration ?? EMPTY_CONFIGURATION);
  const termsFor: TermsFor = (domain) => ({
    ...handlingOf(settingsFor(domain)),
    tempo: withRetrySettings(tempo, settingsFor(domain)),
    reports: { ...reportSettings(settingsFor(domain), TRACE_HOST), ...options.reports },
  });
  const terms = options.configuration === undefined ? {} : { termsFor };
  const shared = { clock, random, tempo, limits, log, ...terms };

  const receive = createReceiveHandler({
    ...shared,
    ...wrap(stores, 'receive'),
    authentication,
    bareNewlines: 'refuse',
    traceHost: TRACE_HOST,
    transferLimits: DEFAULT_LIMITS,
  });
  const egress = createEgress(
    {
      ehloName: 'out.test.example',
      settingsFor,
      smtpPort: sink.port,
      allowedNetworks: ['127.0.0.0/8'],
      dnsServers: [`127.0.0.1:${dns.port}`],
      ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
    },
    { ...shared, ...createDestinationStores(clients, names, { clock }) },
  );
  const deliver = createDeliverHandler({
    ...shared,
    ...egress,
    ...(options.router === undefined ? {} : { router: options.router }),
    ...wrap(stores, 'deliver'),
    reports: { ...REPORTS, ...options.reports },
    leaseMarginMs: LEASE_MARGIN_SECONDS * 1_000,
    resendReceiveCount: RESEND_RECEIVE_COUNT,
  });
  const release = createReleaseHandler({
    ...shared,
    ...wrap(stores, 'release'),
    lookbackMs: options.lookbackMs ?? 10 * tempo.bucketMs,
  });
  const front = await startFront(receive, authentication.kind === 'iam' ? 'iam' : 'none', options.caller);
  started.defer(() => front.close());
  const baseUrl = `http://127.0.0.1:${front.addresses[0]?.port}`;
  const polls: EventSourceOptions = {
    sqs: polling.sqs,
    queueUrl: emulators.timersQueueUrl,
    queueArn: emulators.timersQueueArn,
    functionName: 'deliver',
    handler: deliver,
    functionTimeoutMs: DELIVER_TIMEOUT_SECONDS * 1_000,
    batchSize: DELIVER_BATCH_SIZE,
    windowMs: 0,
    maximumConcurrency: 1,
    onFault: (error) => {
      throw error;
    },
  };
  const moved = started.move();
  return {
    baseUrl,
    sink,
    sinkEvents,
    awsCalls,
    records,
    notices,
    stores,
    egress,
    clock,
    endpoints: emulators,
    async post(message) {
      const response = await fetch(`${baseUrl}/delay_message`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(message),
      });
      return { status: response.status, body: await response.json() };
    },
    async deliver() {
      let total = 0;
      for (let count = await pollOnce(polls); count > 0; count = await pollOnce(polls)) total += count;
      return total;
    },
    release: () => invoke('release', release, {}, RELEASE_TIMEOUT_SECONDS * 1_000),
    items: (key) => stores.ledger.readMessage(key),
    close: () => moved.disposeAsync(),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

// At this step a presigned URL is made already, and nothing was sent for it.
const SENT = { step: 'finalizeRequest' } as const;

function noteCalls({ dynamodb, s3, sqs }: Clients, calls: string[]): void {
  const noting =
    <Args, Result>(next: (args: Args) => Result, context: { readonly commandName?: string }) =>
    (args: Args): Result => {
      calls.push(context.commandName ?? '');
      return next(args);
    };
  dynamodb.middlewareStack.add(noting, SENT);
  s3.middlewareStack.add(noting, SENT);
  sqs.middlewareStack.add(noting, SENT);
}

function startFront(
  handler: ReceiveHandler,
  authorizer: 'iam' | 'none',
  caller: IamCaller | undefined,
): Promise<ApiFront> {
  return startApiFront({
    functionName: 'receive',
    handler,
    functionTimeoutMs: RECEIVE_TIMEOUT_SECONDS * 1_000,
    addresses: [{ host: '127.0.0.1', port: 0 }],
    ...(caller === undefined ? {} : { caller }),
    routes: [
      { key: 'POST /delay_message', authorizer },
      { key: 'POST /delay_message/uploads', authorizer },
      { key: 'DELETE /delay_message/{id}', authorizer },
      { key: 'POST /api/xfer/inject/v1', authorizer },
      { key: 'GET /health', authorizer: 'none' },
      { key: '$default', authorizer: 'none' },
    ],
  });
}
