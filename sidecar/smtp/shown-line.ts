// How the dialogue trace shows what a client says: commands as they are, secrets not at all. A client that says AUTH
// and does not wait, or does not heed its refusal, says its secrets where commands are expected.

/** Commands whose lines are no secrets. */
const KNOWN =
  /^\s*(?:EHLO|HELO|LHLO|MAIL|RCPT|DATA|RSET|NOOP|QUIT|XFORWARD|STARTTLS|AUTH|BDAT|VRFY|HELP|EXPN)(?:\s|$)/i;

/** `expected`: the line is a response to a challenge; `maybe`: AUTH was refused just before. */
export function shownLine(line: Buffer, secret: 'expected' | 'maybe' | 'no'): string {
  if (secret === 'expected') return '***';
  const text = line.toString('utf8');
  const isCommand = KNOWN.test(text) && (secret === 'no' || !/^[A-Za-z0-9+/=]*$/.test(text));
  if (!isCommand) return `(a line of ${line.length} octets)`;
  return text.replace(/^(\s*AUTH\s+\S+\s+)\S.*$/is, '$1***');
}
