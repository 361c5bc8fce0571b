// The one header that we put in front of a message (RFC 5321 §4.4), and its recognition when the message comes
// back. The header is fixed at acceptance: the same facts give the same octets, so that a message's size on the
// wire is known and a repeat of an attempt sends what the first one sent. The credential is left out, since a
// message's readers have no business with the names that senders authenticate by.

/** Facts of one acceptance. */
export interface TraceFacts {
  /** The message's id: `[A-Za-z0-9_-]{1,64}`, an atom. */
  readonly id: string;
  readonly acceptedAtMs: number;
  /** Host that handed the message to the sending side; passed by `isHostName`. */
  readonly receivedFrom?: string;
  /** Our name in traces: a host name that is ours alone, since a loop is recognised by it. */
  readonly traceHost: string;
  /** How it came; XFER when absent. */
  readonly protocol?: 'XFER' | 'ESMTP' | 'LMTP';
}

/** One `Received:` header field, folded, ending in CRLF. */
export function traceHeader(facts: TraceFacts): Buffer {
  return Buffer.from(
    `Received: from ${facts.receivedFrom ?? 'unknown'}\r\n` +
      `\tby ${facts.traceHost} (delay-xfer) with ${facts.protocol ?? 'XFER'} id ${facts.id};\r\n` +
      `\t${formatDate(facts.acceptedAtMs)}\r\n`,
    'latin1',
  );
}

/** RFC 5322 §3.3 in UTC: `Sun, 22 Nov 2026 10:00:00 +0000`. */
export function formatDate(atMs: number): string {
  return new Date(atMs).toUTCString().replace('GMT', '+0000');
}

/**
 * Whether a `Received:` field's body, after the colon, is a trace of ours: made by the same `traceHost`. However
 * the field was folded again on its way, and with comments added by others, it still counts.
 */
export function isOwnTrace(fieldBody: string, traceHost: string): boolean {
  const clauses = withoutComments(fieldBody).replace(/\s+/g, ' ').toLowerCase();
  return clauses.includes(` by ${traceHost.toLowerCase()} with xfer id `);
}

/** A domain name or an address literal, in US-ASCII, fit to stand in a trace as it is. */
export function isHostName(text: string): boolean {
  return (
    text.length <= 255 && /^(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[A-Za-z0-9:.]+\])$/.test(text)
  );
}

/** Comments nest and quote (RFC 5322 §3.2.2); an unclosed one runs to the end. */
function withoutComments(text: string): string {
  let out = '';
  let depth = 0;
  for (let i = 0; i < text.length; i += 1) {
    const character = text.charAt(i);
    if (character === '\\') i += 1;
    else if (character === '(') depth += 1;
    else if (character === ')') depth = Math.max(0, depth - 1);
    else if (depth === 0) out += character;
    if (depth > 0 && out.at(-1) !== ' ') out += ' ';
  }
  return out;
}
