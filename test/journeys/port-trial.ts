// One trial: the three functions over tapped ports, a client that keeps the protocol, and time that passes with
// deliver and release at work. What went wrong is told by `port-judge.ts`.

import type { Context, SQSEvent } from 'aws-lambda';
import { SMTP_TIMEOUTS } from '../../functions/deliver/egress.ts';
import { createDeliverHandler } from '../../functions/deliver/handler.ts';
import { createReceiveHandler, type ReceiveEvent } from '../../functions/receive/handler.ts';
import { createReleaseHandler } from '../../functions/release/handler.ts';
import {
  DELIVER_TIMEOUT_SECONDS,
  LEASE_MARGIN_SECONDS,
  RECEIVE_TIMEOUT_SECONDS,
  RELEASE_TIMEOUT_SECONDS,
  RESEND_RECEIVE_COUNT,
} from '../../shared/aws/limits.ts';
import type { LedgerItem } from '../../shared/queue/delivery.ts';
import { shardOf } from '../../shared/queue/parking.ts';
import { REPORT_CREDENTIAL } from '../../shared/queue/pay-reports.ts';
import type { Clock, DueIndex, Random } from '../../shared/queue/ports.ts';
import type { LogRecord, Notice } from '../../shared/records/records.ts';
import { createTlsResults } from '../../shared/records/tls-results.ts';
import type { ReportSettings } from '../../shared/report/settings.ts';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';
import type { ReceivedTimer } from './port-memory.ts';
import { seeded } from './port-orders.ts';
import type { Stage } from './port-stage.ts';
import {
  createStrikeBook,
  landPending,
  type Outage,
  type RoleRun,
  type Strike,
  type StrikeBook,
  startRun,
} from './port-strikes.ts';
import type { PortCall } from './port-tap.ts';
import { REPORTS } from './world.ts';

export const CREDENTIAL = 'tester';
export const TRACE_HOST = 'xfer.test.example';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Trial {
  /** Begins every id, mark and spool key of this trial. */
  readonly name: string;
  readonly stage: Stage;
  readonly book: StrikeBook;
  readonly records: readonly LogRecord[];
  readonly notices: readonly Notice[];
  /** Undefined: no answer came, the function died. */
  request(request: ApiRequest, turn?: Turn): Promise<Answer | undefined>;
  deliver(timers: readonly ReceivedTimer[], turn?: Turn): Promise<void>;
  /** Everything that is visible, until nothing is. Answers how many timers there were. */
  deliverAll(): Promise<number>;
  release(turn?: Turn): Promise<void>;
  /** Time passes in steps of five minutes at most, with deliver at work, and release while there is work for it. */
  pass(ms: number): Promise<void>;
  items(id: string): Promise<readonly LedgerItem[]>;
  /** What the ledger holds of our reports. */
  reports(): Promise<readonly LedgerItem[]>;
  /** No delivery of a known id is open, and none owes a report. */
  atRest(): Promise<boolean>;
  /**
   * Release looks only where deliveries of known ids can be: 64 shards a minute would drown what matters. A message
   * has at most as many chunks as recipients.
   */
  know(id: string, recipients: number): void;
}

export interface ApiRequest {
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export type Turn = (call: PortCall) => Promise<void>;

const STEP_MS = 300_000;

export function createTrial(
  name: string,
  stage: Stage,
  options: {
    readonly strikes?: readonly Strike[];
    readonly timersToLose?: number;
    readonly outage?: Outage;
    readonly seed?: number;
    readonly reports?: Partial<ReportSettings>;
  } = {},
): Trial {
  let stalledMs = 0;
  const book = createStrikeBook({
    strikes: [...(options.strikes ?? [])],
    timersToLose: options.timersToLose ?? 0,
    outage: options.outage ?? (() => undefined),
    stall: (ms) => {
      stalledMs += ms;
    },
  });
  const ids = new Map<string, number>();
  /** Our own messages, as they come about. */
  const reported = new Set<string>();
  const ports = {
    ...stage.ports,
    ledger: {
      ...stage.ports.ledger,
      write: (item: LedgerItem) => {
        if (item.key.credential === REPORT_CREDENTIAL) reported.add(item.key.id);
        return stage.ports.ledger.write(item);
      },
    },
  };
  const records: LogRecord[] = [];
  const notices: Notice[] = [];
  const random = namedRandom(name, options.seed ?? 1);
  const nowMs = () => stage.nowMs() + stalledMs;

  const shared = (run: RoleRun, turn: Turn | undefined) => ({
    ...run.ports,
    clock: { nowMs, pause: pauseIn(stage, turn) },
    random,
    tempo: stage.tempo,
    limits: stage.limits,
    // The dead say nothing.
    log: {
      record: (record: LogRecord) => void (run.dead() || records.push(record)),
      notice: (notice: Notice) => void (run.dead() || notices.push(notice)),
    },
  });

  /** The result of a run, undefined when it died on the way. */
  async function live<R>(run: RoleRun, work: () => Promise<R>): Promise<R | undefined> {
    try {
      const result = await work();
      return run.dead() ? undefined : result;
    } catch (error) {
      if (run.dead()) return undefined;
      throw error;
    } finally {
      stalledMs = 0;
    }
  }

  async function request(asked: ApiRequest, turn?: Turn): Promise<Answer | undefined> {
    const under = book.pending.splice(0);
    const run = startRun(book, 'receive', ports, turn);
    const handler = createReceiveHandler({
      ...shared(run, turn),
      authentication: { kind: 'open', credential: CREDENTIAL },
      bareNewlines: 'refuse',
      traceHost: TRACE_HOST,
      transferLimits: DEFAULT_LIMITS,
    });
    const result = await live(run, () =>
      handler(apiEvent(asked, nowMs()), context('receive', RECEIVE_TIMEOUT_SECONDS)),
    );
    // What an earlier run left under way lands only now: the client's next request came first.
    for (const land of under) await land().catch(() => {});
    return result === undefined ? undefined : { status: result.statusCode ?? 0, body: result.body ?? '' };
  }

  async function deliver(timers: readonly ReceivedTimer[], turn?: Turn): Promise<void> {
    const run = startRun(book, 'deliver', ports, turn);
    const handler = createDeliverHandler({
      ...shared(run, turn),
      router: stage.router,
      sessionTermsFor: () => ({
        opening: { ehloName: 'out.test.example', timeouts: SMTP_TIMEOUTS },
        deliveriesPerSession: 100,
        recipientsPerSession: Infinity,
        recipientsPerTransaction: 50,
      }),
      sessionsFor: () => 5,
      tlsResults: createTlsResults(),
      leaseMarginMs: LEASE_MARGIN_SECONDS * 1_000,
      resendReceiveCount: RESEND_RECEIVE_COUNT,
      reports: { ...REPORTS, ...options.reports },
    });
    const result = await live(run, () =>
      handler(sqsEvent(timers), context('deliver', DELIVER_TIMEOUT_SECONDS)),
    );
    if (result === undefined) return;
    const kept = new Set(result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
    const gone = timers.filter(({ messageId }) => !kept.has(messageId));
    await stage.deleteTimers(gone.map(({ receipt }) => receipt));
  }

  async function deliverAll(): Promise<number> {
    let total = 0;
    for (let timers = await stage.receiveTimers(); timers.length > 0; timers = await stage.receiveTimers()) {
      total += timers.length;
      await deliver(timers);
    }
    return total;
  }

  async function release(turn?: Turn): Promise<void> {
    const run = startRun(book, 'release', ports, turn);
    const handler = createReleaseHandler({
      ...shared(run, turn),
      due: narrowed(run.ports.due, [
        ...[...ids].map(([id, recipients]) => ({ credential: CREDENTIAL, id, recipients })),
        ...[...reported].map((id) => ({ credential: REPORT_CREDENTIAL, id, recipients: 1 })),
      ]),
      lookbackMs: stage.lookbackMs,
    });
    await live(run, () => handler({}, context('release', RELEASE_TIMEOUT_SECONDS)));
  }

  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await stage.sleep(Math.min(left, STEP_MS));
      await landPending(book);
      if (!(await atRest())) await release();
      await deliverAll();
    }
  }

  async function atRest(): Promise<boolean> {
    const messages = [...(await Promise.all([...ids.keys()].map(items))), await reports()].flat();
    return messages.every(({ delivery }) => delivery?.state !== 'open' && delivery?.state !== 'owing');
  }

  const items = (id: string) => stage.ports.ledger.readMessage({ credential: CREDENTIAL, id });
  const reports = async () => {
    const ours = [...reported].map((id) => ports.ledger.readMessage({ credential: REPORT_CREDENTIAL, id }));
    return (await Promise.all(ours)).flat();
  };
  const know = (id: string, recipients: number) => void ids.set(id, Math.max(recipients, ids.get(id) ?? 0));
  return {
    name,
    stage,
    book,
    records,
    notices,
    request,
    deliver,
    deliverAll,
    release,
    pass,
    items,
    reports,
    atRest,
    know,
  };
}

/** Longer pauses wait for company, not for a store. */
const LONGEST_RETRY_PAUSE_MS = 800;

function pauseIn(stage: Stage, turn: Turn | undefined): Clock['pause'] {
  return async (ms) => {
    if (turn !== undefined && ms <= LONGEST_RETRY_PAUSE_MS) await turn({ name: 'pause', recipients: [] });
    await stage.pause(ms);
  };
}

/** The index as far as it is about these ids; elsewhere there is nothing, and nothing is asked. */
function narrowed(
  due: DueIndex,
  messages: readonly { readonly credential: string; readonly id: string; readonly recipients: number }[],
): DueIndex {
  const ids = new Set(messages.map(({ id }) => id));
  const shards = new Set(
    messages.flatMap(({ credential, id, recipients }) => {
      const last = recipients === 1 ? 0 : recipients;
      return Array.from({ length: last + 1 }, (_, chunk) => shardOf({ credential, id, chunk }));
    }),
  );
  const shardIn = (bucket: string) => Number(bucket.slice(bucket.indexOf('#') + 1));
  const never = Number.MAX_SAFE_INTEGER;
  const done = { parkedBucket: never, guardedBucket: never, owingBucket: never };
  return {
    async *entries(bucket, kind) {
      if (!shards.has(shardIn(bucket))) return;
      for await (const page of due.entries(bucket, kind)) {
        const ours = page.filter(({ key }) => ids.has(key.id));
        if (ours.length > 0) yield ours;
      }
    },
    occupied: due.occupied,
    readCursor: async (shard) => (shards.has(shard) ? due.readCursor(shard) : done),
    writeCursor: due.writeCursor,
  };
}

/** Names begin with the trial's, so that what it leaves in a shared spool is known as its own. */
function namedRandom(trial: string, seed: number): Random {
  let names = 0;
  return {
    fraction: seeded(seed),
    name() {
      names += 1;
      return `${trial}-${String(names).padStart(5, '0')}`;
    },
  };
}

function apiEvent({ method, path, headers = {}, body }: ApiRequest, atMs: number): ReceiveEvent {
  return {
    version: '2.0',
    routeKey: `${method} ${path}`,
    rawPath: path,
    rawQueryString: '',
    headers: { ...headers },
    requestContext: {
      accountId: '000000000000',
      apiId: 'trial',
      domainName: 'api.test.example',
      domainPrefix: 'api',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'trial' },
      requestId: 'trial',
      routeKey: `${method} ${path}`,
      stage: '$default',
      time: new Date(atMs).toISOString(),
      timeEpoch: atMs,
    },
    ...(body === undefined ? {} : { body: body.toString('base64') }),
    isBase64Encoded: body !== undefined,
  };
}

function sqsEvent(timers: readonly ReceivedTimer[]): SQSEvent {
  return {
    Records: timers.map(({ messageId, receipt, body, receiveCount }) => ({
      messageId,
      receiptHandle: receipt,
      body,
      attributes: {
        ApproximateReceiveCount: String(receiveCount),
        SentTimestamp: '0',
        SenderId: '',
        ApproximateFirstReceiveTimestamp: '0',
      },
      messageAttributes: {},
      md5OfBody: '',
      eventSource: 'aws:sqs',
      eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:timers',
      awsRegion: 'us-east-1',
    })),
  };
}

/** A function that has all its time left: what a trial takes in real time is not counted. */
function context(functionName: string, seconds: number): Context {
  return {
    functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:us-east-1:000000000000:function:${functionName}`,
    memoryLimitInMB: '1024',
    awsRequestId: 'trial',
    logGroupName: functionName,
    logStreamName: functionName,
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => seconds * 1_000,
    done: () => {},
    fail: () => {},
    succeed: () => {},
  };
}
