// SMTP replies (RFC 5321 §4.2) with their enhanced status (RFC 3463). A reply that was received is kept
// verbatim; one that we author passes `ownReply`, which refuses a code and a status that disagree.

/** A reply is kept to this many octets, so that a ledger item stays far below its limit. */
export const MAX_REPLY_TEXT_BYTES = 512;

export interface Reply {
  /** Three digits, 200 to 599. */
  readonly code: number;
  /** `class.subject.detail`, when the reply carried one. */
  readonly enhanced?: string;
  /** The text after code and enhanced status; the lines of a multi-line reply are joined by LF. */
  readonly text: string;
}

/** A reply and the host that said it, when it is known. */
export interface HostReply extends Reply {
  readonly host?: string;
}

export type ReplyClass = 'positive' | 'transient' | 'permanent';

/** The code's first digit decides, since remote enhanced codes sometimes disagree. Unknown is transient. */
export function replyClass(reply: Reply): ReplyClass {
  if (reply.code >= 200 && reply.code < 400) return 'positive';
  return reply.code >= 500 && reply.code < 600 ? 'permanent' : 'transient';
}

/** A reply of our own making. Throws when the first digits of code and enhanced status differ: a bug. */
export function ownReply(code: number, enhanced: string, text: string): Reply {
  if (!/^[245]\.\d{1,3}\.\d{1,3}$/.test(enhanced) || String(code)[0] !== enhanced[0]) {
    throw new Error(`reply ${code} disagrees with enhanced status ${enhanced}`);
  }
  return { code, enhanced, text: clipText(text) };
}

/** As it would stand on the wire, on one line: `451 4.7.1 Greylisted`. */
export function formatReply(reply: Reply): string {
  const status = reply.enhanced === undefined ? '' : `${reply.enhanced} `;
  return `${reply.code} ${status}${reply.text.replaceAll('\n', ' ')}`.trimEnd();
}

/** The text cut to MAX_REPLY_TEXT_BYTES of UTF-8, never inside a character. */
export function clipText(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= MAX_REPLY_TEXT_BYTES) return text;
  let end = MAX_REPLY_TEXT_BYTES;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
