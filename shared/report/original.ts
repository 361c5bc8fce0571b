// What of the original message a report returns, and in which form. Its octets are never decoded, but for its
// Message-ID; content that no body part could carry as it is gives way to its header.

import { isAscii, isUtf8 } from 'node:buffer';
import type { Report } from './report.ts';
import type { InlineOriginal } from './settings.ts';

export type Returned = 'full' | 'headers' | 'none';

/** Without RET, larger messages are returned by their header: Postfix draws its line here too (bounce_size_limit). */
export const MAX_UNASKED_BYTES = 50_000;
/** With RET=FULL too: a report is composed in memory, beside dozens of dialogues. */
export const MAX_RETURNED_BYTES = 10 * 1_024 * 1_024;
/** Header lines beyond this are left off. */
export const MAX_HEADER_BYTES = 64 * 1_024;
/** RFC 5321 §4.5.3.1.6, without CRLF. */
const MAX_LINE_BYTES = 998;

/**
 * What is to be returned if the content is there. RET speaks of failures only, other reports return the header (RFC
 * 3461 §4.3); with REQUIRETLS it is void (RFC 8689 §5).
 */
export function toReturn({ kind, message }: Report, inlineOriginal: InlineOriginal): Returned {
  const { ret, requireTls, sizeBytes } = message;
  if (ret === undefined && inlineOriginal === 'none') return 'none';
  if (kind !== 'failure' || requireTls || ret === 'HDRS') return 'headers';
  if (ret === 'FULL') return sizeBytes <= MAX_RETURNED_BYTES ? 'full' : 'headers';
  return inlineOriginal === 'all' && sizeBytes <= MAX_UNASKED_BYTES ? 'full' : 'headers';
}

/** Octets of the content, from its start, that `returned` needs. */
export function octetsNeeded(returned: Returned, sizeBytes: number): number {
  switch (returned) {
    case 'full':
      return sizeBytes;
    case 'headers':
      return Math.min(sizeBytes, MAX_HEADER_BYTES);
    case 'none':
      return 0;
  }
}

export interface OriginalPart {
  readonly returned: 'full' | 'headers';
  readonly contentType: string;
  readonly encoding: '7bit' | '8bit' | 'quoted-printable';
  readonly octets: Buffer;
}

/** `octets` are the content's first; all of them when it is to be returned whole. */
export function originalPart(octets: Buffer, returned: 'full' | 'headers', smtputf8: boolean): OriginalPart {
  const header = headerOf(octets);
  const wholeHeader = shapeOf(header);
  // Mail of SMTPUTF8 has types of its own, as far as its header needs them (RFC 6532 §3.7, RFC 6533 §4).
  const global = smtputf8 && wholeHeader.has8bit && isUtf8(header);
  const whole = shapeOf(octets);
  if (returned === 'full' && whole.fits) {
    return {
      returned,
      contentType: global ? 'message/global' : 'message/rfc822',
      encoding: whole.has8bit ? '8bit' : '7bit',
      octets,
    };
  }
  // So that the report goes to every host: nobody is told when a report itself is refused.
  const isEncoded = !wholeHeader.fits || (wholeHeader.has8bit && !global);
  const encoding = isEncoded ? 'quoted-printable' : wholeHeader.has8bit ? '8bit' : '7bit';
  return {
    returned: 'headers',
    contentType: global ? 'message/global-headers' : 'text/rfc822-headers',
    encoding,
    octets: header,
  };
}

const CRLF = Buffer.from('\r\n');
const END_OF_HEADER = Buffer.from('\r\n\r\n');

/** Whole lines up to the first empty one, which is left off. */
function headerOf(octets: Buffer): Buffer {
  if (octets.subarray(0, 2).equals(CRLF)) return octets.subarray(0, 0);
  const end = octets.indexOf(END_OF_HEADER);
  if (end >= 0) return octets.subarray(0, end + 2);
  const last = octets.lastIndexOf(CRLF);
  return last < 0 ? octets.subarray(0, 0) : octets.subarray(0, last + 2);
}

/** `fits`: without NUL and long lines, as 8bit allows (RFC 2045 §2.8). */
function shapeOf(octets: Buffer): { readonly fits: boolean; readonly has8bit: boolean } {
  let fits = !octets.includes(0);
  for (let start = 0; fits && start < octets.length; ) {
    const end = octets.indexOf(CRLF, start);
    const stop = end < 0 ? octets.length : end;
    fits = stop - start <= MAX_LINE_BYTES;
    start = stop + 2;
  }
  return { fits, has8bit: !isAscii(octets) };
}

/** The original's own, for threads; undefined when there is none that could be repeated as it is. */
export function messageIdOf(octets: Buffer): string | undefined {
  const header = headerOf(octets.subarray(0, MAX_HEADER_BYTES)).toString('latin1');
  return /^message-id:(?:\r\n)?[ \t]*(<[!-;=?-~]{1,250}>)[ \t]*\r\n/im.exec(header)?.[1];
}
