// One delivery onto a session, and onto a fresh one when that session ended before a word was said of it: its lease is
// held, so that nothing need be written in between.
//
// Invariant: a peer that hangs up on every message does not make us knock for ever. A session judges its first message,
// whatever happens, and a message is put back MAX_PUT_BACK times at most; test: "what an ended session did not speak of
// goes over the next one, and not for ever" in test/unit/queue-site-run.test.ts.

import type { Envelope } from '../message/envelope.ts';
import type { SessionTerms } from '../routing/session-terms.ts';
import type { SmtpContent, SmtpSession } from '../smtp/client.ts';
import { attemptDelivery, type Dialogue, type Run } from './attempt.ts';
import type { Attempt } from './outcomes.ts';
import { StoreError } from './ports.ts';
import { speakInBatches } from './recipient-batches.ts';
import type { AttemptDeps, Task, TimerFate } from './timer-fate.ts';

/** What a session has carried. */
export interface SessionLoad {
  /** Named by RCPT. */
  recipients: number;
}

export interface Carrier {
  readonly session: SmtpSession;
  readonly load: SessionLoad;
}

/** `begun`: it was handed to the session, or never will be. `ended`: it is settled, or put back. */
export interface Handed {
  readonly begun: Promise<void>;
  readonly ended: Promise<void>;
}

/** A delivery that waits for a session. */
export interface Work {
  readonly task: Task;
  /** It was put back. Without a carrier it is put off, and `ended` when that is done. */
  readonly resume?: (carrier: Carrier | undefined) => Handed;
}

export interface Order {
  readonly run: Run & { readonly signal: AbortSignal };
  readonly task: Task;
  readonly site: string;
  readonly terms: SessionTerms;
  readonly settle: (task: Task, fate: TimerFate) => void;
  /** Whether there is time left for the content and the reply to its final dot. */
  readonly mayFinish: () => boolean;
  readonly putBack: (work: Work) => void;
}

const MAX_PUT_BACK = 2;

/** The next one may be handed over after `begun`, so that its MAIL can leave with this one's final dot. */
export function handOver(deps: AttemptDeps, order: Order, first: Carrier): Handed {
  const { run, task, settle, putBack } = order;
  let turn = newTurn();
  const speak: Dialogue['speak'] = async (envelope, content, positions) => {
    let carrier: Carrier | undefined = first;
    for (let round = 0; carrier !== undefined && !run.signal.aborted; round += 1) {
      const { begun } = turn;
      const attempt = await speakOver(deps, order, carrier, { envelope, content, positions }, begun.resolve);
      if (attempt !== 'unattempted' || carrier.session.usable || round === MAX_PUT_BACK) return attempt;
      carrier = await new Promise<Carrier | undefined>((resolve) => {
        const before = turn;
        turn = newTurn();
        const resume = (next: Carrier | undefined) => {
          resolve(next);
          return told(turn);
        };
        putBack({ task, resume });
        over(before);
      });
    }
    return 'unattempted';
  };
  const handed = told(turn);
  void attemptDelivery(deps, run, task, { needsContent: true, speak })
    .then((fate) => settle(task, fate))
    .finally(() => over(turn));
  return handed;
}

async function speakOver(
  deps: AttemptDeps,
  { run, site, terms, mayFinish }: Order,
  { session, load }: Carrier,
  said: {
    readonly envelope: Envelope;
    readonly content: SmtpContent;
    readonly positions: readonly number[];
  },
  begun: () => void,
): Promise<Attempt | 'unattempted'> {
  const { envelope, content, positions } = said;
  // Handed over ahead, it may be asked for minutes later: then it is too late for a reply to its final dot.
  const timely = {
    ...content,
    open: async () => {
      if (run.signal.aborted || !mayFinish())
        throw new StoreError('not-applied', 'no time is left for its reply');
      return content.open();
    },
  };
  const speakOf = async (from: number, to: number, isLast: boolean) => {
    if (from > 0) {
      await session.ready();
      if (!session.usable) return undefined;
    }
    const recipients = envelope.recipients.slice(from, to);
    const transaction = session.transact({ ...envelope, recipients }, timely);
    if (isLast) begun();
    const result = await transaction;
    return result.kind === 'settled' ? result.outcomes : undefined;
  };
  const outcomes = await speakInBatches(envelope.recipients.length, terms, load, speakOf);
  if (outcomes.length === 0) return 'unattempted';
  const { host, address, protocol } = session.target;
  const takesDsn = session.extensions.keywords.has('DSN');
  return {
    atMs: deps.clock.nowMs(),
    outcomes: new Map(
      positions.flatMap((position, index) => {
        const outcome = outcomes[index];
        return outcome === undefined ? [] : [[position, outcome] as const];
      }),
    ),
    peer: {
      host,
      address,
      takesDsn,
      ...(protocol === 'lmtp' ? { protocol: 'LMTP' } : {}),
      ...(session.tls === undefined ? {} : { tls: session.tls }),
    },
    site,
  };
}

interface Turn {
  readonly begun: PromiseWithResolvers<void>;
  readonly ended: PromiseWithResolvers<void>;
}

function newTurn(): Turn {
  return { begun: Promise.withResolvers(), ended: Promise.withResolvers() };
}

function told({ begun, ended }: Turn): Handed {
  return { begun: begun.promise, ended: ended.promise };
}

function over({ begun, ended }: Turn): void {
  begun.resolve();
  ended.resolve();
}
