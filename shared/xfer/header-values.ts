// Mailboxes in HTTP header values, as people write them for `message/rfc822`: with or without angle brackets,
// several separated by commas, which a quoted local part may hold itself. Nothing is judged here; `parseMailbox`
// does that afterwards.

/**
 * A value in UTF-8. Node hands header octets out as Latin-1 (RFC 9110 §5.5 leaves them opaque), so that UTF-8 shows
 * as two or more characters each; where the octets are valid UTF-8, they are read as such.
 */
export function utf8HeaderValue(value: string): string {
  let beyondAscii = false;
  for (let i = 0; i < value.length; i += 1) {
    const unit = value.charCodeAt(i);
    if (unit > 0xff) return value;
    if (unit > 0x7f) beyondAscii = true;
  }
  if (!beyondAscii) return value;
  const decoded = Buffer.from(value, 'latin1').toString('utf8');
  return decoded.includes('\ufffd') ? value : decoded;
}

/** Split at commas outside of quoted strings, each trimmed and without its angle brackets. */
export function splitMailboxes(value: string): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let i = 0; i < value.length; i += 1) {
    const character = value.charAt(i);
    if (quoted && character === '\\') i += 1;
    else if (character === '"') quoted = !quoted;
    else if (character === ',' && !quoted) {
      parts.push(value.slice(from, i));
      from = i + 1;
    }
  }
  parts.push(value.slice(from));
  return parts.map(unbracketed);
}

/** `<a@b.example>` and ` a@b.example ` are `a@b.example`; `<>` is ''. */
export function unbracketed(value: string): string {
  const text = value.trim();
  return text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1) : text;
}
