// One message into the ledger: plan, write, and plan again when somebody was faster or a store did not answer.
// Repeating after doubt is safe because every write names the revision it replaces: of two only one can land.

import type { Reply } from '../smtp/reply.ts';
import { type AcceptancePlan, COMMIT_KEPT_AFTER_EXPIRY_MS, type Incoming, planAcceptance } from './accept.ts';
import { UPLOAD_MISSING } from './check-message.ts';
import { contentUser, splitIntoChunks } from './chunks.ts';
import type { DeliveryItem, LedgerItem } from './delivery.ts';
import { inParallel } from './in-parallel.ts';
import type { QueueLimits } from './parking.ts';
import { type Patience, pauseBeforeRetry } from './patience.ts';
import { type Clock, type ContentUsers, type Ledger, type Random, type Spool, StoreError } from './ports.ts';
import type { TermsDeps } from './terms.ts';

/** Ledger calls under way at once for one message; as many messages are committed at once. */
export const LEDGER_WIDTH = 25;

export interface CommitDeps extends TermsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly users: ContentUsers;
  readonly limits: QueueLimits;
}

/** `users`: those of this transfer's object that the ledger names, or may name. */
export type CommitOutcome =
  | {
      readonly kind: 'committed';
      readonly status: 'accepted' | 'duplicate';
      readonly generation: number;
      readonly wake: readonly DeliveryItem[];
      readonly resend: readonly DeliveryItem[];
      readonly users: ReadonlySet<string>;
    }
  | {
      readonly kind: 'refused';
      readonly reply: Reply;
      readonly idReused: boolean;
      readonly users: ReadonlySet<string>;
    }
  /** Known not to be ours. */
  | { readonly kind: 'uncommitted'; readonly users: ReadonlySet<string> }
  /** The commit may have been written: only a repeat or a withdrawal tells. */
  | { readonly kind: 'doubt' };

/**
 * `registered` are the users of the content that the object's count already names. With a spool, the content is
 * looked for once more before the commit: see `isStillThere`. Never throws StoreError: stores that fail until
 * patience ends give `uncommitted` or `doubt`.
 */
export async function commitMessage(
  deps: CommitDeps,
  incoming: Incoming,
  registered: ReadonlySet<string>,
  patience: Patience,
  spool?: Spool,
): Promise<CommitOutcome> {
  const known = new Set(registered);
  const users = new Set<string>();
  const noteUser = (item: LedgerItem) => {
    if (item.delivery?.facts.content.key !== incoming.content.key) return;
    users.add(contentUser(item.key, item.generation, item.delivery.recipients));
  };
  let accepted = false;
  let inDoubt = false;

  const write = async (item: LedgerItem): Promise<boolean> => {
    try {
      const written = await deps.ledger.write(item);
      if (written) noteUser(item);
      return written;
    } catch (error) {
      if (isDoubt(error)) noteUser(item);
      throw error;
    }
  };

  // The first try of a message of one chunk bets on an id never seen: that saves a read on all but repeats. Lost, the
  // bet has written nothing; with more chunks, those would stand in the way of the repeat's own.
  const bets = splitIntoChunks(incoming.envelope.recipients).length === 1;

  for (let attempt = 0; patience.mayWrite(); attempt += 1) {
    if (attempt > 1) await pauseBeforeRetry(attempt, deps.clock, deps.random.fraction());
    try {
      const existing = bets && attempt === 0 ? [] : await deps.ledger.readMessage(incoming.key);
      for (const item of existing) noteUser(item);
      const plan = planAcceptance(existing, incoming, {
        nowMs: deps.clock.nowMs(),
        limits: deps.limits,
        tempo: deps.tempo,
        mark: () => deps.random.name(),
      });
      if (plan.kind === 'refuse') {
        return inDoubt ? { kind: 'doubt' } : { ...plan, kind: 'refused', users };
      }
      if (!(await registerUsers(deps, incoming, plan, known))) continue;
      if (spool !== undefined && plan.commit !== undefined && !(await isStillThere(spool, incoming))) {
        if (inDoubt) return { kind: 'doubt' };
        await forgetUsers(deps, incoming, known);
        return { kind: 'refused', reply: UPLOAD_MISSING, idReused: false, users };
      }
      if (!(await allWritten(plan.chunks, write, patience))) continue;
      if (plan.commit !== undefined) {
        if (!patience.mayWrite()) break;
        try {
          if (!(await write(plan.commit))) continue;
        } catch (error) {
          inDoubt ||= isDoubt(error);
          throw error;
        }
        accepted = true;
      }
      // From here on the message is ours; what is open is only whether it has its timers.
      inDoubt = true;
      if (!(await allWritten(plan.resend, write, patience))) continue;
      const status = accepted ? 'accepted' : plan.status;
      const generation = plan.commit?.generation ?? existing[0]?.generation ?? 1;
      const { wake, resend } = plan;
      return { kind: 'committed', status, generation, wake, resend, users };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }
  return inDoubt ? { kind: 'doubt' } : { kind: 'uncommitted', users };
}

async function registerUsers(
  deps: CommitDeps,
  incoming: Incoming,
  plan: Extract<AcceptancePlan, { kind: 'write' }>,
  known: Set<string>,
): Promise<boolean> {
  if (!incoming.content.shared) return true;
  // A commit that is raised by further chunks holds a delivery that was counted when it came, and may have ended.
  const whole = plan.commit?.commit?.chunks === 0 ? [plan.commit] : [];
  const pointing: readonly LedgerItem[] = [...plan.chunks, ...whole];
  const users = pointing.flatMap((item) =>
    item.delivery?.facts.content.key === incoming.content.key
      ? [contentUser(item.key, item.generation, item.delivery.recipients)]
      : [],
  );
  const missing = users.filter((user) => !known.has(user));
  if (missing.length === 0) return true;
  const added = await deps.users.add(incoming.content.key, missing, usersTtlMs(incoming.times.expiresAtMs));
  if (added) for (const user of missing) known.add(user);
  return added;
}

// An upload is found before its new users are counted, and a delivery of an earlier transfer may have ended since
// and have taken it away. Counted, it stays.
async function isStillThere(spool: Spool, { content }: Incoming): Promise<boolean> {
  const stream = await spool.open(content.key, content.offset, 1);
  stream?.destroy();
  return stream !== undefined;
}

async function forgetUsers(
  deps: CommitDeps,
  { content }: Incoming,
  counted: ReadonlySet<string>,
): Promise<void> {
  const none = await deps.users.remove(content.key, [...counted], deps.clock.nowMs());
  if (none) await deps.users.forget(content.key);
}

/** The count outlives every delivery that it counts; the bucket's lifecycle ends the object itself. */
export function usersTtlMs(expiresAtMs: number): number {
  return expiresAtMs + COMMIT_KEPT_AFTER_EXPIRY_MS;
}

// False when any write was refused, so that the caller reads what is there now; throws the first failure.
async function allWritten(
  items: readonly LedgerItem[],
  write: (item: LedgerItem) => Promise<boolean>,
  patience: Patience,
): Promise<boolean> {
  if (items.length > 0 && !patience.mayWrite()) return false;
  const results = await inParallel(items, LEDGER_WIDTH, write);
  return results.every((written) => written);
}

function isDoubt(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'in-doubt';
}
