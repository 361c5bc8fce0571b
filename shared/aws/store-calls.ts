// SDK failures in the queue's terms: what was surely not applied, and what may have been.

import { StoreError } from '../queue/ports.ts';

/** Refused before anything was done (AWS SDK retry documentation: throttling and connection errors). */
const NOT_APPLIED = new Set([
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'ProvisionedThroughputExceededException',
  'SlowDown',
  'RequestThrottled',
  'OverLimit',
  'AccessDeniedException',
  'AccessDenied',
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);

/** Runs an SDK call; whatever it throws comes out as a StoreError that keeps the cause. */
export async function storeCall<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const name = errorName(error);
    const code = NOT_APPLIED.has(name) ? 'not-applied' : 'in-doubt';
    throw new StoreError(code, `${what}: ${name}`, { cause: error });
  }
}

/** The service's or the socket's name for a failure. */
export function errorName(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
