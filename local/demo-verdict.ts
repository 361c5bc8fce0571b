// Whether a message of the demo ended as its story says: every recipient's end, the number of attempts, what
// arrived at the destinations octet for octet, and what the ledger says.

import { isDeliveryItem, type LedgerItem } from '../shared/queue/delivery.ts';
import { isReported, type Standing, sameAddress } from './demo-board.ts';
import type { SinkMail } from './sink.ts';

export interface Verdict {
  readonly standing: Standing;
  /** How the recipients ended, in words. */
  readonly ended: string;
  readonly octets: 'equal' | 'differ' | 'none';
  /** What differs from the story; empty when all is well. */
  readonly faults: readonly string[];
}

/** `items`: all ledger items of the message, under each of its ids. */
export function judge(
  standing: Standing,
  received: readonly SinkMail[],
  items: readonly LedgerItem[],
): Verdict {
  const { message, ends, attempts, refusal } = standing;
  const faults: string[] = [];
  if (refusal !== undefined) faults.push(`not taken: ${refusal}`);
  for (const [address, expected] of message.expected) {
    const end = ends.get(sameAddress(address)) ?? 'nothing';
    if (end !== expected) faults.push(`${address}: ${end} instead of ${expected}`);
  }
  const [least, most] = message.attempts;
  if (attempts < least || attempts > most) {
    faults.push(`${attempts} attempts instead of ${least === most ? least : `${least} to ${most}`}`);
  }
  const arrivals = [...message.expected.keys()].map((address) => arrivalFault(standing, address, received));
  faults.push(...arrivals.filter((fault) => fault !== undefined));
  const reports = reportsOf(standing, received);
  if (reports !== (isReported(message) ? 1 : 0)) faults.push(`its sender got ${reports} reports`);
  faults.push(...ledgerFaults(items));
  const delivered = [...message.expected.values()].includes('delivered');
  const octets = !delivered ? 'none' : arrivals.some((fault) => fault !== undefined) ? 'differ' : 'equal';
  const ended = `${endsInWords(standing)}${reports > 0 ? ', reported' : ''}`;
  return { standing, ended, octets, faults };
}

/** `delivered`, or `2 delivered, 1 failed` when they differ. */
export function endsInWords({ message, ends }: Standing): string {
  const words = [...message.expected.keys()].map((address) => ends.get(sameAddress(address)) ?? 'open');
  return inWords(words);
}

export function inWords(words: readonly string[]): string {
  const counts = [...Map.groupBy(words, (word) => word)].map(
    ([word, group]) => [group.length, word] as const,
  );
  const [only] = counts;
  if (counts.length === 1 && only !== undefined) return only[1];
  return counts.map(([count, word]) => `${count} ${word}`).join(', ');
}

/** The trace header: one field, folded (RFC 5322 §2.2.3). */
const TRACE = /^Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*$/;

function arrivalFault(
  standing: Standing,
  address: string,
  received: readonly SinkMail[],
): string | undefined {
  const { content, expected } = standing.message;
  const wanted = sameAddress(address);
  const mails = received.filter((mail) =>
    mail.recipients.some((recipient) => sameAddress(recipient.address) === wanted),
  );
  if (expected.get(address) !== 'delivered') {
    return mails.length === 0 ? undefined : `${address}: arrived, against the story`;
  }
  const [mail] = mails;
  if (mail === undefined) return `${address}: did not arrive`;
  if (mails.length > 1) return `${address}: arrived ${mails.length} times`;
  const split = mail.content.length - content.length;
  if (split < 0 || !mail.content.subarray(split).equals(content)) return `${address}: the octets differ`;
  if (!TRACE.test(mail.content.toString('latin1', 0, split)))
    return `${address}: no single trace header in front`;
  return undefined;
}

function reportsOf({ message }: Standing, received: readonly SinkMail[]): number {
  const sender = sameAddress(message.envelope.sender);
  return received.filter(
    (mail) => mail.sender === '' && mail.recipients.some(({ address }) => sameAddress(address) === sender),
  ).length;
}

function ledgerFaults(items: readonly LedgerItem[]): string[] {
  return items
    .filter(isDeliveryItem)
    .filter(({ delivery }) => delivery.state !== 'finished')
    .map(({ delivery }) => `the ledger says ${delivery.state} for ${delivery.facts.domain}`);
}
