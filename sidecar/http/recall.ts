// `DELETE /delay_message/{id}` of a local program: the sidecar keeps no list of what it handed over, so every receiver
// that it could have gone to is asked. Withdrawn is said only when all of them said so; one that has begun with the
// message answers for it.

import type { XferRoute } from '../../shared/config/routes.ts';
import { MIN_PATIENCE_MS } from '../../shared/xfer/patience.ts';
import { parseWithdrawal } from '../../shared/xfer/withdrawal.ts';
import type { Clock } from '../clock.ts';
import type { ReceiverClient } from '../push/receiver-client.ts';
import { pathBelow, type Target, type Targets } from '../routing/targets.ts';

export type RecallOutcome =
  | { readonly kind: 'withdrawn' }
  /** A receiver answers for it. */
  | { readonly kind: 'kept'; readonly state: string }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface RecallTools {
  readonly targets: Targets;
  readonly client: ReceiverClient;
  readonly clock: Clock;
}

/** One try at each receiver; who asks may ask again. */
export async function recallEverywhere(
  tools: RecallTools,
  id: string,
  untilMs: number,
): Promise<RecallOutcome> {
  const places = tools.targets.all.flatMap((target) => target.routes.map((route) => ({ target, route })));
  const outcomes = await Promise.all(places.map((place) => recallFrom(tools, place, id, untilMs)));
  return (
    outcomes.find(({ kind }) => kind === 'kept') ??
    outcomes.find(({ kind }) => kind === 'unknown') ?? { kind: 'withdrawn' }
  );
}

async function recallFrom(
  { client, clock }: RecallTools,
  { target, route }: { readonly target: Target; readonly route: XferRoute },
  id: string,
  untilMs: number,
): Promise<RecallOutcome> {
  const leftMs = Math.max(untilMs - clock.nowMs(), 1);
  const timeoutMs = Math.min(target.responseTimeoutMs, leftMs);
  const patienceMs = Math.max(Math.ceil(timeoutMs), MIN_PATIENCE_MS);
  const outcome = await client.send(target, route, {
    method: 'DELETE',
    path: pathBelow(target, id),
    headers: { 'x-xfer-patience-ms': String(patienceMs) },
    body: [],
    timeoutMs,
  });
  if (outcome.kind !== 'answer') return { kind: 'unknown', reason: outcome.reason };
  const withdrawal = parseWithdrawal(outcome.answer);
  return withdrawal.kind === 'unknown'
    ? { kind: 'unknown', reason: `HTTP ${withdrawal.status}` }
    : withdrawal;
}
