// What Lambda is to a handler, on this machine: a context with a deadline, and an invocation that ends at it.
// Limit: a handler that overruns cannot be stopped here as Lambda stops it; its caller just no longer waits.

import { randomUUID } from 'node:crypto';
import type { Context } from 'aws-lambda';
import { REGION } from './clients.ts';

export type Handler<Event, Result> = (event: Event, context: Context) => Promise<Result>;

export class FunctionTimedOut extends Error {
  readonly code = 'function-timed-out';
}

/** Runs the handler once. Rejects with what the handler throws, or `FunctionTimedOut` at its deadline. */
export async function invoke<Event, Result>(
  functionName: string,
  handler: Handler<Event, Result>,
  event: Event,
  timeoutMs: number,
): Promise<Result> {
  const deadline = performance.now() + timeoutMs;
  let timer: NodeJS.Timeout | undefined;
  const overrun = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new FunctionTimedOut(`${functionName} did not end within ${timeoutMs / 1_000} s`));
    }, timeoutMs).unref();
  });
  try {
    return await Promise.race([handler(event, createContext(functionName, deadline)), overrun]);
  } finally {
    clearTimeout(timer);
  }
}

/** `deadline` is in the time of `performance.now()`, which a moved `Date` does not touch. */
function createContext(functionName: string, deadline: number): Context {
  const awsRequestId = randomUUID();
  return {
    functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:${REGION}:000000000000:function:${functionName}`,
    memoryLimitInMB: '1024',
    awsRequestId,
    logGroupName: `/aws/lambda/${functionName}`,
    logStreamName: `local/${awsRequestId}`,
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(deadline - performance.now())),
    done: () => {},
    fail: () => {},
    succeed: () => {},
  };
}
