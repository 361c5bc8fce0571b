// Which reports a settle owes to the sender (I9): it writes them with the endings that they are about, each under a
// number of its own, and they stay in the item until they are paid. Pure.
//
// A failure is reported unless NOTIFY lacks FAILURE; a delay, when a step of Delay_DSN_Retry_Interval has passed, to
// whom NOTIFY=DELAY asks for it, or by Generate_Delay_DSN to whoever gave no NOTIFY; a delivery, when NOTIFY=SUCCESS
// was handed to a host that knows nothing of it (RFC 3461 §5.2.2). Nothing is ever owed to the null reverse path.

import type { NotifyCondition } from '../message/envelope.ts';
import { delaySteps } from '../report/delay-steps.ts';
import type { ReportSettings } from '../report/settings.ts';
import type { HostReply } from '../smtp/reply.ts';
import type { Delivery, DeliveryRecipient, OwedReport } from './delivery.ts';

export interface News {
  readonly atMs: number;
  /** After what is new. */
  readonly recipients: readonly DeliveryRecipient[];
  /** Positions that ended now. */
  readonly ended: readonly number[];
  /** Positions that were put off now, with what was said to them. */
  readonly deferred: ReadonlyMap<number, HostReply>;
  /** Known of the host that took what was delivered now. */
  readonly takesDsn: boolean | undefined;
}

type Owing = Pick<Delivery, 'owed' | 'lastOwed' | 'delaySteps'>;

/** Without settings failures are owed, until somebody can pay them. */
export function withOwed(delivery: Delivery, news: News, settings: ReportSettings | undefined): Owing {
  const before: Owing = {
    owed: delivery.owed,
    lastOwed: delivery.lastOwed,
    delaySteps: delivery.delaySteps,
  };
  if (delivery.facts.sender === '') return before;
  const steps = settings === undefined ? 0 : delaySteps(news.atMs - delivery.facts.receivedAtMs, settings);
  const delayed =
    settings !== undefined && steps > delivery.delaySteps ? delayedNow(news, settings.generateDelayDsn) : [];
  const reports: readonly Omit<OwedReport, 'n'>[] = [
    ...one('failure', news, settings?.generateBounces === false ? [] : failedNow(news)),
    ...one('relayed', news, settings === undefined ? [] : relayedNow(news)),
    ...one('delay', news, delayed).map((report) => ({ ...report, replies: repliesTo(delayed, news) })),
  ];
  return {
    owed: [
      ...before.owed,
      ...reports.map((report, index) => ({ n: before.lastOwed + index + 1, ...report })),
    ],
    lastOwed: before.lastOwed + reports.length,
    delaySteps: delayed.length > 0 ? steps : before.delaySteps,
  };
}

/** What is still to be told when everybody has an ending: of delays, nothing. */
export function withoutDelays(owed: readonly OwedReport[]): readonly OwedReport[] {
  return owed.filter(({ kind }) => kind !== 'delay');
}

/** Failures of which nobody is told, although NOTIFY does not forbid it. */
export function untoldFailures(
  delivery: Pick<Delivery, 'facts' | 'recipients'>,
  ended: readonly number[],
  settings: ReportSettings | undefined,
): 'null-sender' | 'switched-off' | undefined {
  const failed = failedNow({ recipients: delivery.recipients, ended });
  if (failed.length === 0) return undefined;
  if (delivery.facts.sender === '') return 'null-sender';
  return settings?.generateBounces === false ? 'switched-off' : undefined;
}

function one(
  kind: OwedReport['kind'],
  { atMs }: News,
  recipients: readonly number[],
): readonly Omit<OwedReport, 'n'>[] {
  return recipients.length === 0 ? [] : [{ kind, atMs, recipients }];
}

function failedNow({ recipients, ended }: Pick<News, 'recipients' | 'ended'>): readonly number[] {
  return ended.filter((position) => {
    const kind = recipients[position]?.ending?.kind;
    const wanted = recipients[position]?.notify === undefined || asks(recipients[position], 'FAILURE');
    return wanted && (kind === 'bounced' || kind === 'expired');
  });
}

function relayedNow({ recipients, ended, takesDsn }: News): readonly number[] {
  if (takesDsn !== false) return [];
  return ended.filter(
    (position) => recipients[position]?.ending?.kind === 'delivered' && asks(recipients[position], 'SUCCESS'),
  );
}

function delayedNow({ recipients, deferred }: News, unasked: boolean): readonly number[] {
  return [...deferred.keys()].filter((position) => {
    const recipient = recipients[position];
    if (recipient === undefined || recipient.ending !== undefined) return false;
    return asks(recipient, 'DELAY') || (unasked && recipient.notify === undefined);
  });
}

function asks(recipient: DeliveryRecipient | undefined, condition: NotifyCondition): boolean {
  return recipient?.notify?.includes(condition) === true;
}

function repliesTo(positions: readonly number[], { deferred }: News): readonly HostReply[] {
  const replies = positions.flatMap((position) => deferred.get(position) ?? []);
  const [first] = replies;
  if (first === undefined) return [];
  return replies.every((reply) => JSON.stringify(reply) === JSON.stringify(first)) ? [first] : replies;
}
