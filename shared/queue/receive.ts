// A transfer, from parsed frames to verdicts, in the order that I1 demands: content into the spool, items into
// the ledger, timers into the queue, then the answer. Messages of one transfer succeed or fail alone.

import { deliveryRecord, type Log } from '../records/records.ts';
import { ownReply } from '../smtp/reply.ts';
import type { Verdict, XferHeader, XferMessage } from '../xfer/message.ts';
import { timesFor } from './accept.ts';
import {
  type CheckDeps,
  type CheckedMessage,
  checkInline,
  checkUpload,
  type FitMessage,
} from './check-message.ts';
import { splitIntoChunks } from './chunks.ts';
import { type CommitDeps, type CommitOutcome, commitMessage, LEDGER_WIDTH } from './commit-message.ts';
import { type DeliveryItem, isDeliveryItem, revised } from './delivery.ts';
import { inParallel } from './in-parallel.ts';
import { type Patience, pauseBeforeRetry } from './patience.ts';
import { StoreError, type Timers } from './ports.ts';
import { MAX_DELIVERIES_PER_TRANSFER, type Stored, storeTransfer } from './store-transfer.ts';
import { delaySeconds, timerFor } from './timer.ts';
import { isCommitted } from './wake.ts';

export interface ReceiveDeps extends CommitDeps, CheckDeps {
  readonly timers: Timers;
  readonly log: Log;
}

export interface Transfer {
  readonly credential: string;
  readonly messages: readonly XferMessage[];
  readonly patience: Patience;
}

export type TransferOutcome =
  | { readonly kind: 'verdicts'; readonly verdicts: readonly Verdict[] }
  /** More deliveries than one spool object's users can be counted for; nothing was taken. */
  | { readonly kind: 'too-many'; readonly deliveries: number }
  /** Nothing was committed, or something may have been: the client repeats or withdraws. */
  | { readonly kind: 'busy'; readonly inDoubt: boolean; readonly detail: string };

/** Never throws for stores that fail; throws only for bugs. */
export async function receiveTransfer(deps: ReceiveDeps, transfer: Transfer): Promise<TransferOutcome> {
  const checked = await inParallel(transfer.messages, LEDGER_WIDTH, (message) =>
    check(deps, transfer, message),
  );
  const fit = checked.filter((message) => message?.kind === 'fit');
  const deliveries = countDeliveries(fit);
  if (deliveries > MAX_DELIVERIES_PER_TRANSFER) return { kind: 'too-many', deliveries };
  const stored = fit.length === 0 ? [] : await storeTransfer(deps, transfer, fit);
  if (stored === undefined)
    return { kind: 'busy', inDoubt: false, detail: 'the content could not be stored in time' };

  const outcomes = new Map<FitMessage, CommitOutcome>();
  const commitOne = async ({ fit, incoming, registered }: Stored) => {
    const uploads = 'uploaded' in fit.content ? deps.spool : undefined;
    outcomes.set(fit, await commitMessage(deps, incoming, registered, transfer.patience, uploads));
  };
  // The same id twice in one transfer: the second is a repeat of the first.
  await inParallel(groupById(stored), LEDGER_WIDTH, async (group) => {
    for (const one of group) await commitOne(one);
  });
  const awake = await wake(deps, transfer.patience, [...outcomes.values()]);
  await dropUnusedContent(deps, stored, outcomes);
  for (const one of stored) logAcceptance(deps, one, outcomes.get(one.fit));
  if (!awake || [...outcomes.values()].some((outcome) => outcome.kind === 'doubt')) {
    return { kind: 'busy', inDoubt: true, detail: 'a message may have been taken: send the same ids again' };
  }
  const verdicts = checked.map((message, index) =>
    verdictOf(transfer.messages[index], message, message?.kind === 'fit' ? outcomes.get(message) : undefined),
  );
  const unfinished =
    checked.includes(undefined) || [...outcomes.values()].some((outcome) => outcome.kind === 'uncommitted');
  if (unfinished && verdicts.every((verdict) => verdict.status === 'refused')) {
    return { kind: 'busy', inDoubt: false, detail: 'nothing was taken in the time that the client gave' };
  }
  return { kind: 'verdicts', verdicts };
}

// Undefined: the spool did not answer, so the message is neither fit nor refused.
async function check(
  deps: ReceiveDeps,
  transfer: Transfer,
  message: XferMessage,
): Promise<CheckedMessage | undefined> {
  switch (message.kind) {
    case 'refused':
      return message;
    case 'message':
      return checkInline(message, deps);
    case 'upload':
      // Reading uploads takes time; one that comes too late is neither fit nor refused.
      if (!transfer.patience.mayWrite()) return undefined;
      try {
        const checked = await checkUpload(transfer.credential, message.header, deps);
        const ended =
          checked.kind === 'refused' && (await hasEnded(deps, transfer.credential, message.header));
        return ended ? { kind: 'ended', id: checked.id } : checked;
      } catch (error) {
        if (error instanceof StoreError) return undefined;
        throw error;
      }
  }
}

// A delivery takes its upload away when it ends. A client that missed our answer repeats the transfer then, and must
// hear that its message was taken: told to send it again, it would have it delivered twice.
async function hasEnded(deps: ReceiveDeps, credential: string, header: XferHeader): Promise<boolean> {
  const items = await deps.ledger.readMessage({ credential, id: header.id });
  const commitItem = items.find((item) => item.key.chunk === 0);
  const ended = new Set(
    items
      .filter(isDeliveryItem)
      .filter((item) => isCommitted(item, commitItem))
      .flatMap((item) => item.delivery.recipients)
      .flatMap(({ address, ending }) => (ending === undefined ? [] : [address])),
  );
  return (
    commitItem?.commit?.sha256 === header.sha256 &&
    commitItem?.commit?.sender === header.envelope.sender &&
    header.envelope.recipients.every(({ address }) => ended.has(address))
  );
}

// Sends the timers of everything that was committed; false when one could not be sent in time.
async function wake(
  deps: ReceiveDeps,
  patience: Patience,
  outcomes: readonly CommitOutcome[],
): Promise<boolean> {
  const committed = outcomes.filter((outcome) => outcome.kind === 'committed');
  let waiting = committed.flatMap((outcome) => outcome.wake);
  for (let attempt = 0; waiting.length > 0; attempt += 1) {
    if (!patience.maySend()) return false;
    if (attempt > 0) await pauseBeforeRetry(attempt, deps.clock, deps.random.fraction());
    const nowMs = deps.clock.nowMs();
    const sent = await deps.timers.send(
      waiting.map((item) => ({
        timer: timerFor(item),
        delaySeconds: delaySeconds(item.delivery.dueAtMs, nowMs, deps.limits.maxDelayMs),
      })),
    );
    waiting = waiting.filter((_, index) => sent[index] !== true);
  }
  const resent = committed.flatMap((outcome) => outcome.resend);
  await inParallel(resent, LEDGER_WIDTH, (item) => rememberSent(deps, patience, item));
  return true;
}

// Only saves timers when the same transfer is repeated once more within a minute.
async function rememberSent(deps: ReceiveDeps, patience: Patience, item: DeliveryItem): Promise<void> {
  if (!patience.mayWrite()) return;
  try {
    await deps.ledger.write(revised(item, { sentAtMs: deps.clock.nowMs() }));
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

// Content that nothing points at goes at once; in doubt it stays, and the bucket's lifecycle ends it. An upload
// always stays: a delivery of an earlier transfer may use the same object.
async function dropUnusedContent(
  deps: ReceiveDeps,
  stored: readonly Stored[],
  outcomes: ReadonlyMap<FitMessage, CommitOutcome>,
): Promise<void> {
  const inline = stored.filter(({ fit }) => 'inline' in fit.content);
  const content = inline[0]?.incoming.content;
  if (content === undefined) return;
  // A repeat's chunks may be others than were counted; and of one id twice in a transfer, what the first uses stays.
  const used = new Set(inline.flatMap((one) => [...usersOf(one, outcomes.get(one.fit))]));
  const idle = inline.flatMap(({ users }) => users).filter((user) => !used.has(user));
  try {
    const unused = content.shared
      ? idle.length > 0 && (await deps.users.remove(content.key, idle, deps.clock.nowMs()))
      : used.size === 0;
    if (!unused) return;
    await deps.spool.remove(content.key);
    if (content.shared) await deps.users.forget(content.key);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

function usersOf({ users }: Stored, outcome: CommitOutcome | undefined): Iterable<string> {
  return outcome === undefined || outcome.kind === 'doubt' ? users : outcome.users;
}

function countDeliveries(messages: readonly FitMessage[]): number {
  return messages.reduce((sum, { header }) => sum + splitIntoChunks(header.envelope.recipients).length, 0);
}

function groupById(stored: readonly Stored[]): readonly (readonly Stored[])[] {
  return [...Map.groupBy(stored, ({ fit }) => fit.header.id).values()];
}

function verdictOf(
  message: XferMessage | undefined,
  checked: CheckedMessage | undefined,
  outcome: CommitOutcome | undefined,
): Verdict {
  if (checked?.kind === 'refused') return { id: checked.id, status: 'refused', reply: checked.reply };
  if (checked?.kind === 'ended') return { id: checked.id, status: 'duplicate' };
  const id = message === undefined ? '' : message.kind === 'refused' ? message.id : message.header.id;
  switch (outcome?.kind) {
    case 'committed':
      return { id, status: outcome.status };
    case 'refused':
      return { id, status: 'refused', reply: outcome.reply };
    case 'uncommitted':
    case 'doubt':
    case undefined:
      return {
        id,
        status: 'refused',
        reply: ownReply(451, '4.3.0', 'not taken in time; keep it and try again'),
      };
  }
}

function logAcceptance(deps: ReceiveDeps, { incoming }: Stored, outcome: CommitOutcome | undefined): void {
  if (outcome?.kind === 'refused' && outcome.idReused) {
    deps.log.notice({
      level: 'error',
      code: 'id-reused',
      message: 'an id came back with other content or another sender; the sender keeps its message',
      detail: { ...incoming.key },
    });
  }
  // A repeat that sends timers again may follow a doubt in which the acceptance was never logged.
  const logged =
    outcome?.kind === 'committed' && outcome.status === 'duplicate' && outcome.resend.length === 0;
  if (outcome?.kind !== 'committed' || logged) return;
  const nowMs = deps.clock.nowMs();
  const chunks = splitIntoChunks(incoming.envelope.recipients);
  for (const chunk of chunks) {
    const { key, envelope } = incoming;
    const times = timesFor(incoming, chunk.domain);
    const context = {
      key: { ...key, chunk: 0 },
      generation: outcome.generation,
      attempts: incoming.priorAttempts,
      facts: {
        domain: chunk.domain,
        sender: envelope.sender,
        sizeBytes: incoming.sizeBytes,
        binding: incoming.binding,
        receivedAtMs: times.receivedAtMs,
        meta: incoming.meta,
      },
    };
    for (const recipient of chunk.recipients) {
      deps.log.record(
        deliveryRecord('XferIn', context, recipient.address, nowMs, { nextDueMs: times.dueAtMs }),
      );
    }
  }
}
