// One answer for several parts of a client's mail, each handed over by itself. Invariant: a delayed part that was
// taken before the others ended is taken back when the client left without the answer, since it keeps the whole; its
// id stays under way until then, so that no repeat hears 250 for what is taken back.
// test/dialogs/sidecar-parts.test.ts fails without it.

import type { HandOverResult, HeldMessage } from './held-message.ts';
import type { Outbox } from './outbox.ts';

export interface JointAnswer {
  /** For `settle` of each part. */
  readonly decided: Promise<void>;
  /** To do when the last part is settled. */
  atEnd(work: () => Promise<void>): void;
  /** Does it, and ends the ids of all parts. Called once, right before the answer. */
  end(): Promise<void>;
}

export function createJointAnswer(): JointAnswer {
  const works: (() => Promise<void>)[] = [];
  let release = (): void => undefined;
  const decided = new Promise<void>((resolve) => {
    release = resolve;
  });
  return {
    decided,
    atEnd: (work) => void works.push(work),
    async end() {
      try {
        await Promise.all(works.map((work) => work()));
      } finally {
        release();
      }
    },
  };
}

export function isTaken({ ending }: Pick<HandOverResult, 'ending'>): boolean {
  return ending === 'accepted' || ending === 'duplicate';
}

/** The result after all parts are settled: of a client that left, without what it may take back. */
export async function afterAll(
  outbox: Pick<Outbox, 'takeBack'>,
  part: Pick<HeldMessage, 'header' | 'mode' | 'gone'>,
  result: HandOverResult,
): Promise<HandOverResult> {
  return part.gone.aborted ? takenBack(outbox, part, result) : result;
}

/** The result of a part that its client is not told of as taken. */
export async function takenBack(
  outbox: Pick<Outbox, 'takeBack'>,
  part: Pick<HeldMessage, 'header' | 'mode' | 'gone'>,
  result: HandOverResult,
): Promise<HandOverResult> {
  // Rerouted mail comes back to us under the same id, and is recognised.
  if (part.mode === 'rerouted' || !isTaken(result) || result.withdrawal !== null) return result;
  return { ...result, withdrawal: await outbox.takeBack(part, result.route) };
}
