// After an attempt: the ledger, then the log, then the spool, and only then the timer (I2). Each step can be done
// again: a crash between two of them is mended when the timer surfaces once more.

import { deliveryRecord, type Log, type LogRecord, type RecordType } from '../records/records.ts';
import type { ReportSettings } from '../report/settings.ts';
import type { RecipientOutcome } from '../smtp/client.ts';
import { contentUser } from './chunks.ts';
import type { DeliveryItem, Ending } from './delivery.ts';
import { isDeliveryItem } from './delivery.ts';
import type { Attempt } from './outcomes.ts';
import { untoldFailures } from './owed-reports.ts';
import type { QueueLimits } from './parking.ts';
import { pauseBeforeRetry } from './patience.ts';
import {
  type Clock,
  type ContentUsers,
  type Ledger,
  type Random,
  type Spool,
  StoreError,
  type Timers,
} from './ports.ts';
import { positionsOpen, type Settled } from './settle.ts';
import type { TermsDeps } from './terms.ts';

export interface FinishDeps extends TermsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly users: ContentUsers;
  readonly spool: Spool;
  readonly timers: Timers;
  readonly log: Log;
  readonly limits: QueueLimits;
}

/**
 * Writes what `change` makes of the item, reading it again whenever the write was refused or unanswered, until
 * `untilMs`. Undefined: not written; the lease will end and the delivery be attempted again.
 */
export async function writeSettled(
  deps: FinishDeps,
  item: DeliveryItem,
  change: (item: DeliveryItem) => Settled,
  untilMs: number,
): Promise<DeliveryItem | undefined> {
  let current = item;
  for (let attempt = 0; deps.clock.nowMs() < untilMs; attempt += 1) {
    try {
      if (attempt > 0) {
        const stored = await deps.ledger.readItem(item.key);
        if (stored === undefined || !isDeliveryItem(stored) || stored.generation !== item.generation) break;
        current = stored;
      }
      const settled = change(current);
      if (!settled.changed || (await deps.ledger.write(settled.item))) return settled.item;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      await pauseBeforeRetry(attempt, deps.clock, deps.random.fraction());
    }
  }
  deps.log.notice({
    level: 'error',
    code: 'store-failed',
    message: 'an outcome could not be settled in the ledger; the delivery is attempted again after its lease',
    detail: { ...item.key },
  });
  return undefined;
}

/** One record per recipient that was attempted, and one per recipient that expired by it. */
export function logAttempt(log: Log, before: DeliveryItem, after: DeliveryItem, attempt: Attempt): void {
  const context = { ...before, facts: before.delivery.facts, attempts: before.delivery.attempts + 1 };
  for (const [position, outcome] of attempt.outcomes) {
    const recipient = before.delivery.recipients[position];
    if (recipient === undefined) continue;
    const ending = after.delivery.recipients[position]?.ending;
    const dueAgain = after.delivery.state === 'open' && ending === undefined;
    const { peer, site } = attempt;
    log.record(
      deliveryRecord(recordType(outcome), context, recipient.address, attempt.atMs, {
        reply: outcome.reply,
        ...('readAs' in outcome ? { readAs: outcome.readAs } : {}),
        command: outcome.stage,
        ...(peer === undefined ? {} : { peer }),
        ...(site === undefined ? {} : { site }),
        ...(dueAgain ? { nextDueMs: after.delivery.dueAtMs } : {}),
      }),
    );
    if (ending?.kind === 'expired') log.record(endingRecord(after, position, attempt.atMs));
  }
}

/** The endings of a delivery again, for a log that may lack them; event ids make the repeat harmless. */
export function logEndings(log: Log, item: DeliveryItem): void {
  for (const [position, recipient] of item.delivery.recipients.entries()) {
    if (recipient.ending !== undefined) log.record(endingRecord(item, position, recipient.ending.atMs));
  }
}

/** Failures that no report tells of, though NOTIFY would have had one. */
export function logUntold(
  log: Log,
  before: DeliveryItem,
  after: DeliveryItem,
  reports: ReportSettings | undefined,
): void {
  const ended = after.delivery.recipients.flatMap(({ ending }, position) =>
    ending !== undefined && before.delivery.recipients[position]?.ending === undefined ? [position] : [],
  );
  const because = untoldFailures(after.delivery, ended, reports);
  if (because === undefined) return;
  log.notice({
    level: 'info',
    code: 'no-report',
    message:
      because === 'null-sender'
        ? 'a failure is not reported: the message has the null reverse path'
        : 'a failure is not reported: Generate_Bounces is false',
    detail: { ...after.key },
  });
}

export function logDelayed(log: Log, item: DeliveryItem, atMs: number, nextDueMs: number): void {
  const context = { ...item, facts: item.delivery.facts, attempts: item.delivery.attempts };
  for (const position of positionsOpen(item.delivery.recipients)) {
    const address = item.delivery.recipients[position]?.address ?? '';
    log.record(deliveryRecord('Delayed', context, address, atMs, { nextDueMs }));
  }
}

export function logHeld(log: Log, item: DeliveryItem, atMs: number): void {
  const context = { ...item, facts: item.delivery.facts, attempts: item.delivery.attempts };
  for (const position of positionsOpen(item.delivery.recipients)) {
    const address = item.delivery.recipients[position]?.address ?? '';
    log.record(deliveryRecord('Held', context, address, atMs));
  }
}

/** Removes the content of a finished delivery, when nothing else uses it. */
export async function dropContent(
  deps: Pick<FinishDeps, 'users' | 'spool' | 'clock'>,
  item: DeliveryItem,
): Promise<void> {
  const { content } = item.delivery.facts;
  if (!content.shared) {
    await deps.spool.remove(content.key);
    return;
  }
  const user = contentUser(item.key, item.generation, item.delivery.recipients);
  if (await deps.users.remove(content.key, [user], deps.clock.nowMs())) {
    await deps.spool.remove(content.key);
    await deps.users.forget(content.key);
  }
}

function endingRecord(item: DeliveryItem, position: number, atMs: number): LogRecord {
  const recipient = item.delivery.recipients[position];
  const ending = recipient?.ending;
  const context = { ...item, facts: item.delivery.facts, attempts: item.delivery.attempts };
  const reply = ending === undefined ? {} : { reply: ending.reply };
  return deliveryRecord(
    endingType(ending?.kind ?? 'expired'),
    context,
    recipient?.address ?? '',
    atMs,
    reply,
  );
}

function recordType(outcome: RecipientOutcome): RecordType {
  switch (outcome.kind) {
    case 'delivered':
      return 'Delivery';
    case 'permanent':
      return 'Bounce';
    case 'transient':
      return 'TransientFailure';
    case 'uncertain':
      return 'Uncertain';
  }
}

function endingType(kind: Ending['kind']): RecordType {
  switch (kind) {
    case 'delivered':
      return 'Delivery';
    case 'bounced':
      return 'Bounce';
    case 'expired':
      return 'Expiration';
    case 'cancelled':
      return 'AdminBounce';
    case 'withdrawn':
      return 'Withdrawn';
  }
}
