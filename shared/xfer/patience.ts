// `X-Xfer-Patience-Ms`: how long the client waits for its answer, counted from the request's arrival.

import { type Problem, problem } from './problem.ts';

/** An HTTP API gives up after 30 s (API Gateway quotas); one second is left for the way back. */
export const MAX_PATIENCE_MS = 29_000;

/** No ledger write starts in the last 1,500 ms, so less could never commit anything. */
export const MIN_PATIENCE_MS = 2_000;

export type PatienceResult =
  | { readonly ok: true; readonly patienceMs: number }
  | { readonly ok: false; readonly problem: Problem };

/** The header's value; absent or longer than the most, it is the most. */
export function parsePatience(value: string | undefined, mostMs = MAX_PATIENCE_MS): PatienceResult {
  if (value === undefined) return { ok: true, patienceMs: mostMs };
  const patienceMs = /^\d{1,9}$/.test(value.trim()) ? Number(value) : 0;
  if (patienceMs >= MIN_PATIENCE_MS) return { ok: true, patienceMs: Math.min(patienceMs, mostMs) };
  const detail = `X-Xfer-Patience-Ms must be whole milliseconds, at least ${MIN_PATIENCE_MS}`;
  return { ok: false, problem: problem('bad-patience', detail) };
}
