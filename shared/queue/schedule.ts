// When a delivery is attempted: first, after the n-th deferral, and never past its expiry (I8).
// The n-th deferral waits Retry_Interval × 2^(n-1) up to Max_Retry_Interval, ±10%.

import { EXPIRY_MAX_MS } from '../xfer/limits.ts';
import type { Tempo } from './tempo.ts';

const JITTER = 0.1;

export interface Times {
  readonly receivedAtMs: number;
  readonly expiresAtMs: number;
  readonly dueAtMs: number;
  /** Attempts that count for backoff. */
  readonly attempts: number;
}

/**
 * The clock of a message at acceptance. Expiry counts from when the sending side first took it; a time in the
 * future is taken as now, one over 10 days old as 10 days ago. `random` is in [0, 1).
 */
export function firstTimes(
  asked: {
    readonly receivedAtMs?: number;
    readonly dueAtMs?: number;
    readonly expiresAtMs?: number;
    readonly attempts: number;
  },
  nowMs: number,
  random: number,
  tempo: Tempo,
): Times {
  const receivedAtMs = Math.min(nowMs, Math.max(asked.receivedAtMs ?? nowMs, nowMs - EXPIRY_MAX_MS));
  const expiresAtMs = Math.min(
    asked.expiresAtMs ?? receivedAtMs + tempo.expirationMs,
    receivedAtMs + EXPIRY_MAX_MS,
  );
  const dueAtMs = Math.max(nowMs, asked.dueAtMs ?? nowMs + firstWaitMs(asked.attempts, random, tempo));
  return {
    receivedAtMs,
    expiresAtMs,
    dueAtMs: Math.max(nowMs, Math.min(dueAtMs, expiresAtMs)),
    // Attempts from other addresses say nothing about how long to wait now, unless their schedule came along.
    attempts: asked.dueAtMs === undefined ? 0 : asked.attempts,
  };
}

/**
 * The due time after a deferral at `nowMs` with `attempts` deferrals including this one; undefined when the
 * delivery has expired. The last wake is at expiry itself.
 */
export function nextDueMs(
  attempts: number,
  expiresAtMs: number,
  nowMs: number,
  random: number,
  tempo: Tempo,
): number | undefined {
  if (nowMs >= expiresAtMs) return undefined;
  if (tempo.maxRetries !== undefined && attempts > tempo.maxRetries) return undefined;
  const doubled = tempo.retryIntervalMs * 2 ** Math.min(Math.max(attempts - 1, 0), 40);
  const interval = Math.min(doubled, tempo.maxRetryIntervalMs);
  const jittered = Math.round(interval * (1 - JITTER + 2 * JITTER * random));
  return Math.min(nowMs + jittered, expiresAtMs);
}

// The new sending address starts its own greylist clock, and the sender can still withdraw meanwhile.
function firstWaitMs(attempts: number, random: number, tempo: Tempo): number {
  if (attempts < 1) return 0;
  return Math.round(tempo.firstWaitMinMs + (tempo.firstWaitMaxMs - tempo.firstWaitMinMs) * random);
}
