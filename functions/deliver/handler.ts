// A batch of timers from SQS to the queue's deliver, and its fates back as a partial batch response.

import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { type DeliverDeps, deliverBatch } from '../../shared/queue/deliver.ts';

export type DeliverHandler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>;

/** Sockets are destroyed this long before the function ends, so that what they brought can still be settled. */
const SETTLE_TIME_MS = 10_000;

export function createDeliverHandler(deps: DeliverDeps): DeliverHandler {
  return async (event, context) => {
    const remainingMs = context.getRemainingTimeInMillis();
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), Math.max(remainingMs - SETTLE_TIME_MS, 0));
    try {
      const fates = await deliverBatch(
        deps,
        event.Records.map((record) => ({
          messageId: record.messageId,
          receipt: record.receiptHandle,
          body: record.body,
          receiveCount: Number(record.attributes.ApproximateReceiveCount),
        })),
        { deadlineMs: deps.clock.nowMs() + remainingMs, signal: abort.signal },
      );
      // What stays must be named: everything else is deleted by Lambda.
      const batchItemFailures = event.Records.filter(
        (record) => fates.get(record.messageId) !== 'finished',
      ).map((record) => ({ itemIdentifier: record.messageId }));
      return { batchItemFailures };
    } finally {
      clearTimeout(timer);
    }
  };
}
