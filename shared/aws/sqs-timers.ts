// Timers on SQS: sent in tens, one verdict each; hidden by visibility; deleted one by one as they finish, gathered
// into batches while calls are under way, since each call is billed.

import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { inParallel } from '../queue/in-parallel.ts';
import { type Clock, type QueueDepth, StoreError, type Timer, type Timers } from '../queue/ports.ts';
import { formatTimer } from '../queue/timer.ts';
import { gather } from './gather.ts';
import { SQS_MAX_BATCH_ENTRIES } from './limits.ts';
import { storeCall } from './store-calls.ts';

/** Depth is asked for at most this often: it only steers where to wait. */
const DEPTH_FRESH_MS = 10_000;
const SEND_WIDTH = 10;

export function createSqsTimers(options: {
  readonly client: SQSClient;
  readonly queueUrl: string;
  readonly clock: Clock;
}): Timers {
  const { client, queueUrl, clock } = options;
  let known: { readonly depth: QueueDepth; readonly atMs: number } | undefined;

  const deletes = gather<string, true>(SQS_MAX_BATCH_ENTRIES, async (receipts) => {
    const Entries = receipts.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle }));
    const { Failed } = await client.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
    return verdicts(receipts.length, Failed);
  });
  const hides = gather<{ receipt: string; seconds: number }, true>(SQS_MAX_BATCH_ENTRIES, async (waits) => {
    const Entries = waits.map(({ receipt, seconds }, index) => ({
      Id: String(index),
      ReceiptHandle: receipt,
      VisibilityTimeout: seconds,
    }));
    const { Failed } = await client.send(
      new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries }),
    );
    return verdicts(waits.length, Failed);
  });

  return {
    async send(timers) {
      const batches = chunked(timers, SQS_MAX_BATCH_ENTRIES);
      const sent = await inParallel(batches, SEND_WIDTH, (batch) => sendBatch(client, queueUrl, batch));
      return sent.flat();
    },
    async hide(receipt, seconds) {
      await storeCall('hiding a timer', () => hides({ receipt, seconds }));
    },
    async delete(receipt) {
      await storeCall('deleting a timer', () => deletes(receipt));
    },
    async depth() {
      const nowMs = clock.nowMs();
      if (known !== undefined && nowMs - known.atMs < DEPTH_FRESH_MS && nowMs >= known.atMs)
        return known.depth;
      const { Attributes } = await storeCall('asking the queue for its depth', () =>
        client.send(
          new GetQueueAttributesCommand({
            QueueUrl: queueUrl,
            AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
          }),
        ),
      );
      const depth = {
        visible: Number(Attributes?.['ApproximateNumberOfMessages'] ?? 0),
        inFlight: Number(Attributes?.['ApproximateNumberOfMessagesNotVisible'] ?? 0),
      };
      known = { depth, atMs: nowMs };
      return depth;
    },
  };
}

interface Send {
  readonly timer: Timer;
  readonly delaySeconds: number;
}

async function sendBatch(
  client: SQSClient,
  queueUrl: string,
  batch: readonly Send[],
): Promise<readonly boolean[]> {
  try {
    const { Successful } = await client.send(
      new SendMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: batch.map(({ timer, delaySeconds }, index) => ({
          Id: String(index),
          MessageBody: formatTimer(timer),
          DelaySeconds: delaySeconds,
        })),
      }),
    );
    const sent = new Set((Successful ?? []).map((entry) => entry.Id));
    return batch.map((_, index) => sent.has(String(index)));
  } catch {
    // Sent or not, the caller may send again: a second timer is known as surplus.
    return batch.map(() => false);
  }
}

function verdicts(
  count: number,
  failed: readonly { readonly Id?: string | undefined; readonly Code?: string | undefined }[] | undefined,
): (true | StoreError)[] {
  const results = Array.from({ length: count }, (): true | StoreError => true);
  for (const entry of failed ?? []) {
    results[Number(entry.Id)] = new StoreError('not-applied', `SQS: ${entry.Code ?? 'failed'}`);
  }
  return results;
}

function chunked<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const chunks: T[][] = [];
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size));
  return chunks;
}
