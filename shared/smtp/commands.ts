// The commands of a mail transaction as they stand on the wire (RFC 5321 §4.1.1), with the parameters that the
// peer offers: SMTPUTF8 (RFC 6531), BODY (RFC 6152), SIZE (RFC 1870), RET, ENVID, NOTIFY and ORCPT (RFC 3461),
// REQUIRETLS (RFC 8689). Pure. What is spoken was held against the peer's offer in plan-transaction.ts.
//
// SMTPUTF8 is said when an address needs it, and when the message was taken with it, since its header may then hold
// UTF-8; a peer that does not offer it gets such a message without it, as long as every address can be spoken.

import type { Envelope, Recipient } from '../message/envelope.ts';
import type { TransactionPlan } from './plan-transaction.ts';

export const DATA = 'DATA\r\n';
export const RSET = 'RSET\r\n';
export const QUIT = 'QUIT\r\n';
export const LONE_DOT = '.\r\n';

/** With its CRLF, as every command here. */
export function mailCommand(
  envelope: Envelope,
  plan: Pick<TransactionPlan, 'sender' | 'sizeBytes' | 'is8Bit'>,
  keywords: ReadonlySet<string>,
): string {
  const needsUtf8 = envelope.smtputf8 || !isAscii(plan.sender);
  let line = `MAIL FROM:<${plan.sender}>`;
  if (needsUtf8 && keywords.has('SMTPUTF8')) line += ' SMTPUTF8';
  if (plan.is8Bit && keywords.has('8BITMIME')) line += ' BODY=8BITMIME';
  if (plan.sizeBytes !== undefined && keywords.has('SIZE')) line += ` SIZE=${plan.sizeBytes}`;
  if (keywords.has('DSN')) {
    if (envelope.ret !== undefined) line += ` RET=${envelope.ret}`;
    if (envelope.envid !== undefined) line += ` ENVID=${xtext(envelope.envid)}`;
  }
  if (envelope.requireTls) line += ' REQUIRETLS';
  return `${line}\r\n`;
}

export function rcptCommand(
  address: string,
  recipient: Recipient | undefined,
  keywords: ReadonlySet<string>,
): string {
  let line = `RCPT TO:<${address}>`;
  if (recipient !== undefined && keywords.has('DSN')) {
    if (recipient.notify !== undefined && recipient.notify.length > 0) {
      line += ` NOTIFY=${recipient.notify.toSorted().join(',')}`;
    }
    if (recipient.orcpt !== undefined) line += ` ORCPT=${orcptValue(recipient.orcpt)}`;
  }
  return `${line}\r\n`;
}

/** RFC 3461 §4.2; an address in UTF-8 in the form of RFC 6533 §3 that is ASCII, which every peer with DSN can read. */
function orcptValue(orcpt: string): string {
  const at = orcpt.indexOf(';');
  const type = orcpt.slice(0, at);
  const address = orcpt.slice(at + 1);
  if (type.toLowerCase() !== 'utf-8' && isAscii(address)) return `${type};${xtext(address)}`;
  return `utf-8;${Array.from(address, (char) => (/[^!-~]|[+=\\]/u.test(char) ? `\\x{${hex(char)}}` : char)).join('')}`;
}

/** RFC 3461 §4: what is not printable ASCII, and `+` and `=`, as `+` and two hexadecimal digits. */
function xtext(text: string): string {
  if (/^[!-*,-<>-~]*$/.test(text)) return text;
  return Array.from(Buffer.from(text, 'utf8'), (octet) =>
    octet < 0x21 || octet > 0x7e || octet === 0x2b || octet === 0x3d
      ? `+${octet.toString(16).toUpperCase().padStart(2, '0')}`
      : String.fromCharCode(octet),
  ).join('');
}

function hex(char: string): string {
  return (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, '0');
}

export function isAscii(text: string): boolean {
  return Buffer.byteLength(text, 'utf8') === text.length;
}
