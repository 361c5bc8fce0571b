// Takes a message back from a receiver that has it, or may have it: `DELETE {HTTP_URI}/{id}`. It is repeated while
// the answer is not known, for a bounded time.

import type { XferRoute } from '../../shared/config/routes.ts';
import { parseWithdrawal } from '../../shared/xfer/withdrawal.ts';
import { type Clock, sleep } from '../clock.ts';
import { pathBelow, type Target } from '../routing/targets.ts';
import { backoffMs } from './backoff.ts';
import type { ReceiverClient } from './receiver-client.ts';

/** With the hand-over deadline it stays far below the 300 s that an MTA waits. */
const MAX_WITHDRAWAL_MS = 30_000;

export interface WithdrawTools {
  readonly client: ReceiverClient;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
}

/** `kept`: the receiver has begun with the message and answers for it. */
export async function withdraw(
  tools: WithdrawTools,
  target: Target,
  route: XferRoute,
  id: string,
): Promise<'withdrawn' | 'kept' | 'unconfirmed'> {
  const { client, clock, random } = tools;
  const endAtMs = clock.nowMs() + Math.min(MAX_WITHDRAWAL_MS, target.handoffDeadlineMs);
  for (let tried = 1; ; tried += 1) {
    const leftMs = endAtMs - clock.nowMs();
    const outcome = await client.send(target, route, {
      method: 'DELETE',
      path: pathBelow(target, id),
      headers: {},
      body: [],
      timeoutMs: Math.min(target.responseTimeoutMs, Math.max(leftMs, 1)),
    });
    if (outcome.kind === 'answer') {
      const withdrawal = parseWithdrawal(outcome.answer);
      if (withdrawal.kind !== 'unknown') return withdrawal.kind;
    }
    const delayMs = backoffMs(tried, random());
    if (clock.nowMs() + delayMs >= endAtMs) return 'unconfirmed';
    await sleep(clock, delayMs);
  }
}
