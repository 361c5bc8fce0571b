// Owed reports are paid (I9): composed, accepted as messages of our own by the way that every transfer takes, and
// only then taken off the list. Each step can be done again: a report's id and content come from what the ledger
// holds, so that a second try of it is a duplicate, never a second report.
// What fails is tried at the delivery's next wake, or five minutes later when it is closed.

import { createHash } from 'node:crypto';
import { composeReport } from '../report/compose.ts';
import { octetsNeeded, type Returned, toReturn } from '../report/original.ts';
import type { Report, ReportedRecipient } from '../report/report.ts';
import type { ReportSettings } from '../report/settings.ts';
import type { Reply } from '../smtp/reply.ts';
import { ownReply } from '../smtp/reply.ts';
import type { Verdict, XferHeader } from '../xfer/message.ts';
import type { Delivery, DeliveryItem, ItemKey, OwedReport } from './delivery.ts';
import { isDeliveryItem } from './delivery.ts';
import type { FinishDeps } from './finish.ts';
import { createGate } from './gate.ts';
import { patienceUntil, pauseBeforeRetry } from './patience.ts';
import { StoreError } from './ports.ts';
import { receiveTransfer } from './receive.ts';
import { paid } from './settle.ts';
import { termsOf } from './terms.ts';

/** Reports are messages of this credential, which no client can have. */
export const REPORT_CREDENTIAL = '_report';

/** For all reports that a delivery owes: a store that is out of order keeps no dialogue waiting for longer. */
const PAY_PATIENCE_MS = 5_000;
/**
 * Reports that are composed at once in this process: each holds its original several times over, up to 10 MiB of it,
 * and a batch may bring a hundred.
 */
const COMPOSED_AT_ONCE = 4;
const composing = createGate(COMPOSED_AT_ONCE);
/** Tries to write that a report is paid; the next wake tries again. */
const MARK_TRIES = 5;

/** The item as it is afterwards. Stores that fail leave reports owed, nothing is thrown for them. */
export async function payReports(deps: FinishDeps, item: DeliveryItem): Promise<DeliveryItem> {
  const { reports } = termsOf(deps, item.delivery.facts.domain);
  if (reports === undefined || item.delivery.owed.length === 0) return item;
  return composing(() => pay(deps, reports, item));
}

async function pay(deps: FinishDeps, reports: ReportSettings, item: DeliveryItem): Promise<DeliveryItem> {
  const untilMs = deps.clock.nowMs() + PAY_PATIENCE_MS;
  let current = item;
  try {
    for (const owed of item.delivery.owed) {
      const accepted = isMoot(current.delivery, owed) || (await send(deps, reports, item, owed, untilMs));
      const marked = accepted ? await mark(deps, current, owed.n) : undefined;
      if (marked === undefined) break;
      current = marked;
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
  if (current.delivery.owed.length > 0) {
    deps.log.notice({
      level: 'warn',
      code: 'report-unpaid',
      message: 'a report could not be handed over to our own queue; it is tried again',
      detail: { ...item.key, reports: current.delivery.owed.map(({ n, kind }) => ({ n, kind })) },
    });
  }
  return current;
}

/** The id of a delivery's n-th report: whoever pays it, and however often, it is the same message. */
export function reportId({ credential, id, chunk }: ItemKey, generation: number, n: number): string {
  return createHash('sha256')
    .update(JSON.stringify([credential, id, generation, chunk, n]))
    .digest('base64url');
}

/** A delay of recipients that have all ended since: their end is told, or was not to be. */
function isMoot({ recipients }: Delivery, { kind, recipients: positions }: OwedReport): boolean {
  return kind === 'delay' && positions.every((position) => recipients[position]?.ending !== undefined);
}

async function send(
  deps: FinishDeps,
  settings: ReportSettings,
  item: DeliveryItem,
  owed: OwedReport,
  untilMs: number,
): Promise<boolean> {
  const report = reportOf(item, owed);
  const wanted = toReturn(report, settings.inlineOriginal);
  const octets = await originalOctets(deps, item.delivery, wanted);
  const { content, envelope } = await composeReport(report, settings, wanted, octets);
  const header: XferHeader = {
    id: report.id,
    envelope,
    sizeBytes: content.length,
    receivedFrom: settings.reportingMta,
    attempts: 0,
    upload: false,
    meta: { report: { kind: owed.kind, ...item.key, n: owed.n } },
  };
  const outcome = await receiveTransfer(
    { ...deps, log: quietAboutRepeats(deps.log), traceHost: settings.reportingMta, bareNewlines: 'refuse' },
    {
      credential: REPORT_CREDENTIAL,
      messages: [{ kind: 'message', header, content }],
      patience: patienceUntil(untilMs, deps.clock),
    },
  );
  const [verdict] = outcome.kind === 'verdicts' ? outcome.verdicts : [];
  return verdict !== undefined && (await wasAccepted(deps, verdict));
}

// A report that was accepted and not marked may come out otherwise when it is composed again, after the original is
// gone or the configuration changed: then its id is taken, and nobody but us can have taken it.
async function wasAccepted({ ledger }: FinishDeps, verdict: Verdict): Promise<boolean> {
  if (verdict.status !== 'refused') return true;
  const stored = await ledger.readItem({ credential: REPORT_CREDENTIAL, id: verdict.id, chunk: 0 });
  return stored?.commit?.state === 'committed';
}

function quietAboutRepeats(log: FinishDeps['log']): FinishDeps['log'] {
  return {
    record: (record) => log.record(record),
    notice: (notice) => {
      if (notice.code !== 'id-reused') log.notice(notice);
    },
  };
}

function reportOf(item: DeliveryItem, owed: OwedReport): Report {
  const { facts, recipients } = item.delivery;
  const { envid, ret } = facts;
  const receivedFrom = handedOverBy(facts.trace);
  return {
    kind: owed.kind,
    id: reportId(item.key, item.generation, owed.n),
    atMs: owed.atMs,
    recipients: owed.recipients.flatMap((position, index): ReportedRecipient[] => {
      const recipient = recipients[position];
      if (recipient === undefined) return [];
      const { address, orcpt, ending } = recipient;
      const said = owed.replies?.[index] ?? owed.replies?.[0];
      return [
        {
          address,
          ...(orcpt === undefined ? {} : { orcpt }),
          reply: said ?? ending?.reply ?? UNKNOWN,
          expired: owed.kind === 'failure' && ending?.kind === 'expired',
          lastAttemptAtMs: said === undefined ? (ending?.atMs ?? owed.atMs) : owed.atMs,
        },
      ];
    }),
    message: {
      id: item.key.id,
      sender: facts.sender,
      ...(envid === undefined ? {} : { envid }),
      ...(ret === undefined ? {} : { ret }),
      smtputf8: facts.smtputf8,
      requireTls: facts.requireTls,
      sizeBytes: facts.sizeBytes,
      ...(receivedFrom === undefined ? {} : { receivedFrom }),
      receivedAtMs: facts.receivedAtMs,
      expiresAtMs: facts.expiresAtMs,
    },
  };
}

const UNKNOWN: Reply = ownReply(450, '4.0.0', 'the last reply is not known');

/** The host that our trace names, when one was named at acceptance. */
function handedOverBy(trace: string): string | undefined {
  const host = /^Received: from (\S+)\r\n/.exec(trace)?.[1];
  return host === 'unknown' ? undefined : host;
}

/** Undefined when the content is gone: the report goes without it. */
async function originalOctets(
  { spool }: FinishDeps,
  { facts }: Delivery,
  wanted: Returned,
): Promise<Buffer | undefined> {
  const sizeBytes = octetsNeeded(wanted, facts.sizeBytes);
  if (sizeBytes === 0) return undefined;
  const { key, offset } = facts.content;
  const stream = await spool.open(key, offset, sizeBytes);
  if (stream === undefined) return undefined;
  try {
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece);
    return Buffer.concat(pieces);
  } catch (error) {
    throw new StoreError('not-applied', `reading ${key} failed`, { cause: error });
  }
}

/** Undefined: not written, and the report stays owed. */
async function mark(deps: FinishDeps, item: DeliveryItem, n: number): Promise<DeliveryItem | undefined> {
  let current = item;
  for (let attempt = 0; attempt < MARK_TRIES; attempt += 1) {
    try {
      if (attempt > 0) {
        await pauseBeforeRetry(attempt, deps.clock, deps.random.fraction());
        const stored = await deps.ledger.readItem(item.key);
        if (stored === undefined || !isDeliveryItem(stored) || stored.generation !== item.generation) break;
        current = stored;
      }
      if (!current.delivery.owed.some((report) => report.n === n)) return current;
      const after = paid(current, n, deps.clock.nowMs());
      if (await deps.ledger.write(after)) return after;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }
  return undefined;
}
