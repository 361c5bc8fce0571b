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

/** The call itself is wrong and would be wrong again: a bug, not a store that failed. */
const WRONG_CALL = new Set(['ValidationException', 'InvalidParameterValue', 'ResourceNotFoundException']);

/** Runs an SDK call. What the store did not do comes out as a StoreError that keeps the cause; a bug as it is. */
export async function storeCall<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const name = errorName(error);
    if (WRONG_CALL.has(name)) throw error;
    const code = NOT_APPLIED.has(name) ? 'not-applied' : 'in-doubt';
    throw new StoreError(code, `${what}: ${name}`, { cause: error });
  }
}

/** The service's or the socket's name for a failure. */
export function errorName(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
