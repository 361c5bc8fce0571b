// `DELETE /delay_message/{id}`: the answers, and what a client makes of them. Withdrawn means that the receiver will
// never attempt this message under this id; anything else leaves it, or may leave it, with the receiver.

import { parseJsonObject } from './json-object.ts';
import { formatProblem, problem, type WireAnswer } from './problem.ts';
import type { ReceivedAnswer } from './verdict-parser.ts';

/** Why a message is past withdrawal: it was attempted and waits, is held, owes a report, or has ended. */
export type KeptState = 'open' | 'held' | 'owing' | 'finished';

export type WithdrawalOutcome =
  | { readonly kind: 'withdrawn' }
  /** The receiver answers for the message. */
  | { readonly kind: 'kept'; readonly state: string }
  /** Not known; ask again. */
  | { readonly kind: 'unknown'; readonly status: number };

export function formatWithdrawn(id: string): WireAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id, status: 'withdrawn' }),
  };
}

export function formatNotWithdrawn(id: string, state: KeptState): WireAnswer {
  return formatProblem(
    problem('not-withdrawn', `a delivery of the message has begun; it is ${state}`, { id, state }),
  );
}

export function parseWithdrawal(answer: ReceivedAnswer): WithdrawalOutcome {
  const parsed = parseJsonObject(answer.body);
  const fields = parsed.ok ? parsed.object : {};
  const { status, state } = fields;
  if (answer.status === 200 && status === 'withdrawn') return { kind: 'withdrawn' };
  if (answer.status === 409 && typeof state === 'string') return { kind: 'kept', state };
  return { kind: 'unknown', status: answer.status };
}
