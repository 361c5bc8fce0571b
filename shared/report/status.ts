// The Status field of a report (RFC 3464 §2.3.4): the enhanced status that was said, as far as it agrees with what
// came of the recipient, else one that the basic code stands for.

import type { HostReply } from '../smtp/reply.ts';
import type { ReportedRecipient, ReportKind } from './report.ts';

/** RFC 3463 §3.5: delivery time expired. The class says that no verdict was ever given. */
const EXPIRED = '4.4.7';

export function statusOf(kind: ReportKind, { expired, reply }: ReportedRecipient): string {
  if (expired) return EXPIRED;
  switch (kind) {
    case 'failure':
      return enhancedStatus(reply, '5');
    case 'delay':
      return enhancedStatus(reply, '4');
    case 'relayed':
      return enhancedStatus(reply, '2');
  }
}

function enhancedStatus({ code, enhanced }: HostReply, wanted: '2' | '4' | '5'): string {
  if (enhanced?.startsWith(`${wanted}.`) === true) return enhanced;
  const detail = String(code).startsWith(wanted) ? DETAILS[code] : undefined;
  return `${wanted}.${detail ?? '0.0'}`;
}

/**
 * Subject and detail of basic codes that mean one thing only, by RFC 5321 §4.2.2, RFC 7504 and RFC 5248. 550 and
 * 554 mean too many.
 */
const DETAILS: Readonly<Record<number, string>> = {
  421: '3.2',
  451: '3.0',
  452: '3.1',
  454: '7.0',
  500: '5.2',
  501: '5.4',
  502: '5.1',
  503: '5.1',
  504: '5.4',
  521: '3.2',
  523: '3.4',
  530: '7.0',
  551: '1.6',
  552: '2.2',
  553: '1.3',
  555: '5.4',
  556: '1.10',
};
