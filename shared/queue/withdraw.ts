// The sender takes a message back (DELETE /delay_message/{id}). It may, as long as nothing of it was ever leased
// for an attempt: then every item is leased, the commit is ruled out, and the id is barred for a while. A crash
// before that leaves leases that end by themselves; a crash after it leaves chunks whose commit says withdrawn,
// and no chunk is attempted without its commit.

import { deliveryRecord, type Log } from '../records/records.ts';
import { LEDGER_WIDTH } from './commit-message.ts';
import {
  type Commit,
  type DeliveryItem,
  type DeliveryState,
  isDeliveryItem,
  type LedgerItem,
  type MessageKey,
  revised,
  unleased,
} from './delivery.ts';
import { dropContent } from './finish.ts';
import { inParallel } from './in-parallel.ts';
import { type Patience, pauseBeforeRetry } from './patience.ts';
import { type Clock, type ContentUsers, type Ledger, type Random, type Spool, StoreError } from './ports.ts';
import { withdrawn } from './settle.ts';
import { isCommitted } from './wake.ts';

/** A withdrawn or barred id is refused this long, so that a late repeat cannot undo it. */
export const BAR_MS = 3_600_000;
/** Far longer than a request lives, so that the commit is always ruled out within the lease. */
export const WITHDRAWAL_LEASE_MS = 300_000;

export interface WithdrawDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly users: ContentUsers;
  readonly spool: Spool;
  readonly log: Log;
}

export type WithdrawOutcome =
  | { readonly kind: 'withdrawn' }
  /** Too late: an attempt was made or is under way. */
  | { readonly kind: 'too-late'; readonly state: DeliveryState }
  | { readonly kind: 'busy' };

export async function withdrawMessage(
  deps: WithdrawDeps,
  key: MessageKey,
  patience: Patience,
): Promise<WithdrawOutcome> {
  const leaseId = deps.random.name();
  for (let attempt = 0; patience.mayWrite(); attempt += 1) {
    if (attempt > 0) await pauseBeforeRetry(attempt, deps.clock, deps.random.fraction());
    try {
      const outcome = await tryWithdraw(deps, key, leaseId);
      if (outcome !== undefined) return outcome;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }
  return { kind: 'busy' };
}

// Undefined: somebody wrote meanwhile; look again.
async function tryWithdraw(
  deps: WithdrawDeps,
  key: MessageKey,
  leaseId: string,
): Promise<WithdrawOutcome | undefined> {
  const nowMs = deps.clock.nowMs();
  const existing = await deps.ledger.readMessage(key);
  const commitItem = existing.find((item) => item.key.chunk === 0);
  if (commitItem?.commit === undefined) {
    const generation = Math.max(1, ...existing.map((item) => item.generation));
    const barred = await deps.ledger.write(barItem(key, generation, nowMs));
    return barred ? { kind: 'withdrawn' } : undefined;
  }
  const { commit } = commitItem;
  if (commit.state !== 'committed') {
    // Barred anew: the bar may be over, and a transfer that read so may be on its way.
    const again = barredAgain(commitItem, commit, nowMs);
    if (!(await deps.ledger.write(again))) return undefined;
    await finishChunks(deps, existing, again, nowMs);
    return { kind: 'withdrawn' };
  }
  const ours = existing.filter(isDeliveryItem).filter((item) => isCommitted(item, commitItem));
  const late = ours.find((item) => !neverAttempted(item));
  if (late !== undefined) {
    await giveBack(deps, ours, leaseId);
    return { kind: 'too-late', state: late.delivery.state };
  }
  const lease = { id: leaseId, untilMs: nowMs + WITHDRAWAL_LEASE_MS };
  const leased = ours.map((item) => revised(item, { lease }));
  const results = await inParallel(leased, LEDGER_WIDTH, (item) => deps.ledger.write(item));
  if (!results.every((written) => written)) return undefined;

  const ruledOut: LedgerItem = {
    ...(leased.find((item) => item.key.chunk === 0) ?? commitItem),
    commit: { ...commit, state: 'withdrawn', barredUntilMs: nowMs + BAR_MS },
  };
  const own = isDeliveryItem(ruledOut) ? withdrawn(ruledOut, nowMs) : { ...ruledOut, rev: ruledOut.rev + 1 };
  if (!(await deps.ledger.write(own))) return undefined;
  const others = leased.filter((item) => item.key.chunk !== 0);
  await finishChunks(deps, isDeliveryItem(own) ? [own, ...others] : others, own, nowMs);
  return { kind: 'withdrawn' };
}

/** A commit item that rules an id out which never was ours. */
export function barItem(key: MessageKey, generation: number, nowMs: number): LedgerItem {
  return {
    key: { ...key, chunk: 0 },
    rev: 1,
    generation,
    commit: { state: 'barred', chunks: 0, sha256: '', sender: '', barredUntilMs: nowMs + BAR_MS },
    ttlAtMs: nowMs + 2 * BAR_MS,
  };
}

function barredAgain(item: LedgerItem, commit: Commit, nowMs: number): LedgerItem {
  const { ttlAtMs = 0 } = item;
  return {
    ...item,
    rev: item.rev + 1,
    commit: { ...commit, barredUntilMs: nowMs + BAR_MS },
    ttlAtMs: Math.max(ttlAtMs, nowMs + 2 * BAR_MS),
  };
}

/** Chunks of a message that was ruled out end as withdrawn, and their content goes. False: one has changed. */
export async function finishChunks(
  deps: Pick<WithdrawDeps, 'ledger' | 'users' | 'spool' | 'clock' | 'log'>,
  items: readonly LedgerItem[],
  commitItem: LedgerItem,
  nowMs: number,
): Promise<boolean> {
  const chunks = items.filter(isDeliveryItem).filter((item) => item.generation === commitItem.generation);
  const ended = await inParallel(chunks, LEDGER_WIDTH, async (item) => {
    const open = item.delivery.state === 'open';
    const after = open ? withdrawn(item, nowMs) : item;
    if (open && !(await deps.ledger.write(after))) return false;
    logWithdrawn(deps.log, after);
    await dropContent(deps, after);
    return true;
  });
  return ended.every((each) => each);
}

// An attempt's lease marks the delivery for good. Any other lease is a withdrawal's: of two that are under way
// both withdraw, and none may say that it is too late.
function neverAttempted({ delivery }: DeliveryItem): boolean {
  return delivery.state === 'open' && !delivery.everLeased;
}

async function giveBack(deps: WithdrawDeps, items: readonly DeliveryItem[], leaseId: string): Promise<void> {
  const taken = items.filter((item) => item.delivery.lease?.id === leaseId);
  await inParallel(taken, LEDGER_WIDTH, (item) =>
    deps.ledger.write({ ...item, rev: item.rev + 1, delivery: unleased(item.delivery) }),
  );
}

function logWithdrawn(log: Log, item: DeliveryItem): void {
  const context = { ...item, facts: item.delivery.facts, attempts: item.delivery.attempts };
  for (const { address, ending } of item.delivery.recipients) {
    if (ending !== undefined) {
      log.record(deliveryRecord('Withdrawn', context, address, ending.atMs, { reply: ending.reply }));
    }
  }
}
