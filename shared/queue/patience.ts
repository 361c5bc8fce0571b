// How long the client of a transfer waits, and what may still be started. A write that is under way when the
// client hangs up would leave the message in two hands, so none starts in the last moments.

import type { Clock } from './ports.ts';

/** No ledger write starts in the last part of the client's patience; a write itself takes at most 1,000 ms. */
export const LAST_WRITE_MARGIN_MS = 1_500;
/** A timer may be sent a little longer: it only saves a delay. */
const LAST_SEND_MARGIN_MS = 500;

export interface Patience {
  mayWrite(): boolean;
  maySend(): boolean;
}

/** Counted from the request's arrival at the API, on the same clock as `clock`. */
export function patienceUntil(deadlineMs: number, clock: Clock): Patience {
  return {
    mayWrite: () => clock.nowMs() < deadlineMs - LAST_WRITE_MARGIN_MS,
    maySend: () => clock.nowMs() < deadlineMs - LAST_SEND_MARGIN_MS,
  };
}

/** Between tries of a store that throttled or did not answer: 50 ms doubling to 800 ms, jittered. */
export async function pauseBeforeRetry(attempt: number, clock: Clock, fraction: number): Promise<void> {
  await clock.pause(Math.min(50 * 2 ** attempt, 800) * (0.5 + fraction / 2));
}
