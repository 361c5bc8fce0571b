// What acceptance makes of a scanned content: fit, to be converted, or refused. Bare newlines are never passed
// on (I7: they smuggle), a message that comes back to us is not taken again, and content that changed on its way
// is asked for anew. Content is otherwise sacred: long lines, NUL, 8-bit octets, no header, no final CRLF and no
// octets at all pass. Pure; throws nothing.

import { ownReply, type Reply } from '../smtp/reply.ts';
import type { ContentScan } from './content.ts';
import type { Envelope } from './envelope.ts';

/** More `Received:` fields than this are a loop (RFC 5321 §6.3); Postfix draws the line at 50 too (hopcount_limit). */
export const MAX_RECEIVED = 50;

export interface ContentPolicy {
  /** `Bare_Newlines`: `convert` makes every CR, LF and CRLF one CRLF, which breaks signatures. */
  readonly bareNewlines: 'refuse' | 'convert';
  /** Lower-case hex, when the client sent one. */
  readonly sha256?: string;
}

export type ContentJudgement =
  | { readonly kind: 'fit' }
  /** Fit after `convertNewlines`; size and hash are then those of the converted content. */
  | { readonly kind: 'convert' }
  | { readonly kind: 'refused'; readonly reply: Reply };

export function judgeContent(scan: ContentScan, policy: ContentPolicy): ContentJudgement {
  if (policy.sha256 !== undefined && policy.sha256 !== scan.sha256) {
    return refused(451, '4.6.0', 'content does not have the announced sha256; send it again');
  }
  if (scan.ownTrace) {
    return refused(
      451,
      '4.4.6',
      'loop: the content already carries our trace; the sending side must keep it',
    );
  }
  if (scan.receivedFields > MAX_RECEIVED) {
    return refused(
      554,
      '5.4.6',
      `loop: ${scan.receivedFields} Received fields, at most ${MAX_RECEIVED} are taken`,
    );
  }
  if (scan.newlines === 'none' || scan.newlines === 'crlf') return { kind: 'fit' };
  if (policy.bareNewlines === 'convert') return { kind: 'convert' };
  return scan.newlines === 'lf'
    ? refused(
        554,
        '5.6.0',
        'lines end in LF alone: send CRLF, or post as message/rfc822, which converts them',
      )
    : refused(554, '5.6.0', 'bare CR or LF among CRLF (smuggling): send CRLF only (Bare_Newlines = refuse)');
}

/** RFC 6152: what MAIL FROM must say, whatever the client declared; content of 7 bits goes to every host. */
export function bodyType(scan: ContentScan): Envelope['body'] {
  return scan.has8bit ? '8BITMIME' : '7BIT';
}

function refused(code: number, enhanced: string, text: string): ContentJudgement {
  return { kind: 'refused', reply: ownReply(code, enhanced, text) };
}
