// What stands in a mailbox, against what was sent.

import assert from 'node:assert/strict';

/** Our trace: who handed the message over, and when we took it. */
export const TRACE =
  /^Received: from \S+\r\n\tby \S+ \(delay-xfer\) with XFER id [A-Za-z0-9_-]+;\r\n\t\w{3}, \d\d? \w{3} \d{4} \d\d:\d\d:\d\d \+0000$/;

/**
 * The header fields that stand in front of what was sent, folded as they are, without their final CRLF. Fails when
 * the mail does not end with exactly these octets.
 */
export function fieldsBefore(mail: Buffer, sent: Buffer): readonly string[] {
  const start = mail.length - sent.length;
  if (start < 0 || mail.compare(sent, 0, sent.length, start) !== 0) {
    const [got, wanted] = [mail, sent].map((octets) =>
      JSON.stringify(octets.toString('latin1').slice(-2_000)),
    );
    assert.fail(`the content has changed; its end is\n${got}\ninstead of\n${wanted}`);
  }
  const fields = mail.toString('utf8', 0, start).split(/\r\n(?![\t ])/);
  assert.equal(fields.pop(), '', 'the sent content begins at the start of a field');
  return fields;
}

export function fieldNames(fields: readonly string[]): readonly string[] {
  return fields.map((field) => field.slice(0, field.indexOf(':')));
}
