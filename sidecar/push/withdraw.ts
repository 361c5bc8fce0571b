// Takes a message back from a receiver that has it, or may have it: `DELETE {HTTP_URI}/{id}`. It is repeated while
// the answer is not known, for a bounded time. Every request says how long the sidecar waits for its answer, so that
// a withdrawal given up here cannot be done there after the same mail came again and was answered for.

import type { XferRoute } from '../../shared/config/routes.ts';
import { MIN_PATIENCE_MS } from '../../shared/xfer/patience.ts';
import { parseWithdrawal } from '../../shared/xfer/withdrawal.ts';
import { type Clock, sleep } from '../clock.ts';
import { pathBelow, type Target } from '../routing/targets.ts';
import { backoffMs } from './backoff.ts';
import type { ReceiverClient } from './receiver-client.ts';

/** With the hand-over deadline it stays far below the 300 s that an MTA waits. */
const MAX_WITHDRAWAL_MS = 30_000;

/** For a request on its way, from whose arrival the receiver counts, and for the clocks of two machines. */
const QUIET_MARGIN_MS = 2_000;

/** `kept`: the receiver has begun with the message and answers for it. */
export type Withdrawal =
  | { readonly kind: 'withdrawn' | 'kept' }
  /** A request may still be under way there, until `quietAtMs` at the latest. */
  | { readonly kind: 'unconfirmed'; readonly quietAtMs: number };

export interface WithdrawTools {
  readonly client: ReceiverClient;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
}

export async function withdraw(
  tools: WithdrawTools,
  target: Target,
  route: XferRoute,
  id: string,
): Promise<Withdrawal> {
  const { client, clock, random } = tools;
  const endAtMs = clock.nowMs() + Math.min(MAX_WITHDRAWAL_MS, target.handoffDeadlineMs);
  let quietAtMs = clock.nowMs();
  for (let tried = 1; ; tried += 1) {
    const leftMs = endAtMs - clock.nowMs();
    const timeoutMs = Math.min(target.responseTimeoutMs, Math.max(leftMs, 1));
    const patienceMs = Math.max(Math.ceil(timeoutMs), MIN_PATIENCE_MS);
    const outcome = await client.send(target, route, {
      method: 'DELETE',
      path: pathBelow(target, id),
      headers: { 'x-xfer-patience-ms': String(patienceMs) },
      body: [],
      timeoutMs,
    });
    if (outcome.kind === 'answer') {
      const withdrawal = parseWithdrawal(outcome.answer);
      if (withdrawal.kind !== 'unknown') return { kind: withdrawal.kind };
    }
    // It may have left until its time here was over.
    const mayRun = outcome.kind === 'answer' ? outcome.answer.status >= 500 : outcome.kind !== 'unreachable';
    if (mayRun) quietAtMs = clock.nowMs() + patienceMs + QUIET_MARGIN_MS;
    const delayMs = backoffMs(tried, random());
    if (clock.nowMs() + delayMs >= endAtMs) return { kind: 'unconfirmed', quietAtMs };
    await sleep(clock, delayMs);
  }
}
