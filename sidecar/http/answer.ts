// From the outcomes of a request's messages to its answer, as the receiver would give it (docs/xfer-protocol.md): a
// doubt about one message leaves the whole request to be repeated under the same ids; verdicts are said when every
// message has one, and where something but the mail stood in the way of all of them, the request comes back later.

import { ownReply } from '../../shared/smtp/reply.ts';
import type { TransferFormat } from '../../shared/xfer/body.ts';
import { formatKumoAnswer } from '../../shared/xfer/kumo.ts';
import type { Verdict } from '../../shared/xfer/message.ts';
import { formatProblem, type ProblemCode, problem, type WireAnswer } from '../../shared/xfer/problem.ts';
import { formatVerdicts } from '../../shared/xfer/verdict.ts';
import type { Outcome } from './transfer.ts';

/** As the receiver asks for it. */
export const RETRY_AFTER_SECONDS = 5;

export function answerOf(format: TransferFormat, outcomes: readonly Outcome[]): WireAnswer {
  const doubt = outcomes.find(({ kind }) => kind === 'in-doubt');
  if (doubt?.kind === 'in-doubt') return later('in-doubt', doubt.reason);
  const [first] = outcomes;
  if (first?.kind === 'unavailable' && outcomes.every(({ kind }) => kind === 'unavailable')) {
    return later('unavailable', first.reason);
  }
  const verdicts = outcomes.map(verdictOf);
  const [only] = verdicts;
  return format === 'kumomta' && only !== undefined ? formatKumoAnswer(only) : formatVerdicts(verdicts);
}

export function later(code: Extract<ProblemCode, 'in-doubt' | 'unavailable'>, reason: string): WireAnswer {
  return formatProblem(problem(code, reason), RETRY_AFTER_SECONDS);
}

function verdictOf(outcome: Outcome): Verdict {
  switch (outcome.kind) {
    case 'verdict':
      return outcome.verdict;
    case 'in-doubt':
    case 'unavailable':
      return { id: outcome.id, status: 'refused', reply: ownReply(451, '4.4.1', outcome.reason) };
  }
}
