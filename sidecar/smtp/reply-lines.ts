// A reply as it goes over the wire: printable US-ASCII in lines of their own. A receiver's text must neither forge
// a reply nor need SMTPUTF8.

import type { Reply } from '../../shared/smtp/reply.ts';

export function replyLines(reply: Reply): string {
  const lines = reply.text.split('\n');
  const status = reply.enhanced === undefined ? '' : `${reply.enhanced} `;
  return lines
    .map((line, index) => {
      const separator = index < lines.length - 1 ? '-' : ' ';
      const text = `${reply.code}${separator}${status}${line}`.replaceAll(/[^\x20-\x7e]/g, '?');
      return `${text.slice(0, MAX_REPLY_LINE_CHARACTERS)}\r\n`;
    })
    .join('');
}

/** RFC 5321 §4.5.3.1.5: 512 octets with CRLF. */
const MAX_REPLY_LINE_CHARACTERS = 510;
