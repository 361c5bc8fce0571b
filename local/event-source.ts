// Lambda's event source mapping between the timers queue and the deliver function, on this machine. Promises:
// batches up to a size and a window, at most so many invocations at once, and partial batch responses: a
// record that the response does not name is deleted, one that it names keeps the visibility that the function
// gave it, and a handler that throws or answers nonsense leaves its whole batch alone.
// Source: Lambda developer guide, "Using Lambda with Amazon SQS" and "Handling errors for an SQS event source".
// Limits: no back-off after failures, no 6 MB check (timers are small).

import { setTimeout as delay } from 'node:timers/promises';
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { SQS_MAX_BATCH_ENTRIES } from '../shared/aws/limits.ts';
import { REGION } from './clients.ts';
import { type Handler, invoke } from './lambda.ts';

/** A poll waits this long for a first message, which bounds how long `stop` takes. */
const POLL_SECONDS = 1;
/** After a failed poll. */
const POLL_PAUSE_MS = 500;

export interface EventSourceOptions {
  readonly sqs: SQSClient;
  readonly queueUrl: string;
  readonly queueArn: string;
  readonly functionName: string;
  readonly handler: Handler<SQSEvent, SQSBatchResponse>;
  readonly functionTimeoutMs: number;
  /** 1 to 10,000. */
  readonly batchSize: number;
  /** How long a batch is gathered after its first message; 0: only what is there at once. */
  readonly windowMs: number;
  readonly maximumConcurrency: number;
  /** What the handler threw or answered wrongly, and polls that failed. */
  readonly onFault: (error: unknown) => void;
}

export interface EventSource {
  /**
   * Stops polling and waits for the invocations under way, at most `drainMs`. True when all ended. Timers that
   * were received and not handed over are visible again.
   */
  stop(drainMs: number): Promise<boolean>;
}

export function startEventSource(options: EventSourceOptions): EventSource {
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  const polling = poll(options, running, stopping.signal);
  return {
    async stop(drainMs) {
      stopping.abort();
      await polling;
      const drained = Promise.all(running).then(() => true);
      const expired = new AbortController();
      const late = delay(drainMs, false, { signal: expired.signal, ref: false }).catch(() => false);
      const result = await Promise.race([drained, late]);
      expired.abort();
      return result;
    },
  };
}

/** One batch of what is visible now, handled to its end. Answers how many records it had. */
export async function pollOnce(options: EventSourceOptions): Promise<number> {
  const batch = await gather({ ...options, windowMs: 0 }, 0, new AbortController().signal);
  if (batch.length > 0) await handleBatch(options, batch);
  return batch.length;
}

async function poll(
  options: EventSourceOptions,
  running: Set<Promise<void>>,
  stopping: AbortSignal,
): Promise<void> {
  const stopped = aborted(stopping);
  while (!stopping.aborted) {
    if (running.size >= options.maximumConcurrency) {
      await Promise.race([...running, stopped]);
      continue;
    }
    try {
      const batch = await gather(options, POLL_SECONDS, stopping);
      if (batch.length === 0) continue;
      if (stopping.aborted) {
        await giveBack(options, batch);
        continue;
      }
      const invocation = handleBatch(options, batch).catch(options.onFault);
      running.add(invocation);
      void invocation.then(() => running.delete(invocation));
    } catch (error) {
      options.onFault(error);
      await delay(POLL_PAUSE_MS, undefined, { signal: stopping }).catch(() => {});
    }
  }
}

/** Up to `batchSize` messages; waits `firstWaitSeconds` for the first and the window for the rest. */
async function gather(
  options: EventSourceOptions,
  firstWaitSeconds: number,
  stopping: AbortSignal,
): Promise<Message[]> {
  const batch = await receive(options, options.batchSize, firstWaitSeconds);
  const windowEnd = performance.now() + options.windowMs;
  while (batch.length > 0 && batch.length < options.batchSize && !stopping.aborted) {
    // SQS waits whole seconds: a shorter rest of the window is spent without waiting there.
    const leftMs = windowEnd - performance.now();
    const more = await receive(options, options.batchSize - batch.length, leftMs >= 1_000 ? 1 : 0);
    batch.push(...more);
    if (more.length > 0) continue;
    if (leftMs <= 0) break;
    if (leftMs < 1_000) await delay(Math.min(leftMs, 50));
  }
  return batch;
}

async function receive(options: EventSourceOptions, room: number, waitSeconds: number): Promise<Message[]> {
  const { Messages } = await options.sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: options.queueUrl,
      MaxNumberOfMessages: Math.min(room, SQS_MAX_BATCH_ENTRIES),
      WaitTimeSeconds: waitSeconds,
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    }),
  );
  return Messages ?? [];
}

async function handleBatch(options: EventSourceOptions, batch: readonly Message[]): Promise<void> {
  const records = batch.map((message) => sqsRecord(message, options.queueArn));
  const event: SQSEvent = { Records: records };
  const { functionName, handler, functionTimeoutMs } = options;
  const response: unknown = await invoke(functionName, handler, event, functionTimeoutMs);
  const failed = failedRecords(response, new Set(records.map((record) => record.messageId)));
  if (failed === undefined) {
    throw new Error(
      `${functionName} answered an unusable batch response: the whole batch stays in the queue`,
    );
  }
  await deleteRecords(
    options,
    records.filter((record) => !failed.has(record.messageId)),
  );
}

function sqsRecord(message: Message, queueArn: string): SQSRecord {
  const { MessageId = '', ReceiptHandle = '', Body = '', MD5OfBody = '', Attributes = {} } = message;
  return {
    messageId: MessageId,
    receiptHandle: ReceiptHandle,
    body: Body,
    attributes: {
      ApproximateReceiveCount: Attributes.ApproximateReceiveCount ?? '1',
      SentTimestamp: Attributes.SentTimestamp ?? '0',
      SenderId: Attributes.SenderId ?? '',
      ApproximateFirstReceiveTimestamp: Attributes.ApproximateFirstReceiveTimestamp ?? '0',
    },
    messageAttributes: {},
    md5OfBody: MD5OfBody,
    eventSource: 'aws:sqs',
    eventSourceARN: queueArn,
    awsRegion: REGION,
  };
}

/** The ids that failed; undefined when AWS would take the response as a failure of the whole batch. */
function failedRecords(response: unknown, known: ReadonlySet<string>): ReadonlySet<string> | undefined {
  if (response === null || response === undefined) return new Set();
  if (typeof response !== 'object') return undefined;
  const list: unknown = Reflect.get(response, 'batchItemFailures');
  if (list === null || list === undefined) return new Set();
  if (!Array.isArray(list)) return undefined;
  const failed = new Set<string>();
  for (const entry of list) {
    const id: unknown = typeof entry === 'object' && entry !== null ? entry.itemIdentifier : undefined;
    if (typeof id !== 'string' || !known.has(id)) return undefined;
    failed.add(id);
  }
  return failed;
}

/** Deleting a record that the function deleted itself is harmless. */
async function deleteRecords(options: EventSourceOptions, records: readonly SQSRecord[]): Promise<void> {
  for (const entries of inTens(records)) {
    await options.sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl: options.queueUrl,
        Entries: entries.map((record, index) => ({ Id: String(index), ReceiptHandle: record.receiptHandle })),
      }),
    );
  }
}

async function giveBack(options: EventSourceOptions, batch: readonly Message[]): Promise<void> {
  for (const entries of inTens(batch)) {
    await options.sqs.send(
      new ChangeMessageVisibilityBatchCommand({
        QueueUrl: options.queueUrl,
        Entries: entries.map((message, index) => ({
          Id: String(index),
          ReceiptHandle: message.ReceiptHandle,
          VisibilityTimeout: 0,
        })),
      }),
    );
  }
}

function inTens<T>(items: readonly T[]): T[][] {
  const groups: T[][] = [];
  for (let start = 0; start < items.length; start += SQS_MAX_BATCH_ENTRIES) {
    groups.push(items.slice(start, start + SQS_MAX_BATCH_ENTRIES));
  }
  return groups;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
