// The recipients of one delivery in one transaction after the other (Max_Recipients_Per_Batch), as many as one session
// may still carry (Max_Recipients_Per_Connection). Whoever is not named stays open, and comes over another session.

import type { RecipientOutcome } from '../smtp/client.ts';

export interface BatchLimits {
  readonly recipientsPerTransaction: number;
  readonly recipientsPerSession: number;
}

/**
 * `speak` names the recipients from one position up to another, and answers for each, or undefined when nobody was
 * spoken of; `isLast` says that no further transaction follows. Answers for as many recipients as were decided, in order.
 */
export async function speakInBatches(
  recipients: number,
  { recipientsPerTransaction, recipientsPerSession }: BatchLimits,
  load: { recipients: number },
  speak: (from: number, to: number, isLast: boolean) => Promise<readonly RecipientOutcome[] | undefined>,
): Promise<readonly RecipientOutcome[]> {
  const most = Math.min(recipients, Math.max(recipientsPerSession - load.recipients, 1));
  const decided: RecipientOutcome[] = [];
  load.recipients += most;
  while (decided.length < most) {
    const from = decided.length;
    const to = Math.min(from + recipientsPerTransaction, most);
    const outcomes = await speak(from, to, to === most);
    if (outcomes === undefined) break;
    decided.push(...outcomes);
    if (outcomes.some(({ kind }) => kind === 'uncertain')) break;
    // Who defers the message as a whole is not asked again for each batch of it.
    const [first] = outcomes;
    if (first !== undefined && outcomes.every((outcome) => isDeferral(outcome))) {
      return [...decided, ...Array.from({ length: recipients - decided.length }, () => first)];
    }
  }
  return decided;
}

/** Of the message, not of a recipient. */
function isDeferral({ kind, stage }: RecipientOutcome): boolean {
  return kind === 'transient' && stage !== 'rcpt';
}
