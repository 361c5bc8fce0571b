// The part of a report that programs read: message/delivery-status (RFC 3464), or its form for UTF-8 (RFC 6533
// §4). Fields are folded at spaces, so that their text unfolds to what was said.

import { formatDate } from '../message/trace.ts';
import type { HostReply } from '../smtp/reply.ts';
import type { Report, ReportedRecipient, ReportKind } from './report.ts';
import { statusOf } from './status.ts';
import { asciiOnly, isAscii, withoutControls } from './text.ts';

/** `global`: fields may hold UTF-8 as it is, and addresses in it are of the type `utf-8`. */
export type StatusForm = 'ascii' | 'global';

/** Field lines with CRLF: one group about the message, one about each recipient. */
export function statusPart(report: Report, reportingMta: string, form: StatusForm): string {
  const { message } = report;
  const about = fields(form, [
    ['Original-Envelope-Id', message.envid],
    ['Reporting-MTA', `dns; ${reportingMta}`],
    ['Received-From-MTA', message.receivedFrom === undefined ? undefined : `dns; ${message.receivedFrom}`],
    ['Arrival-Date', formatDate(message.receivedAtMs)],
  ]);
  const groups = report.recipients.map((recipient) => recipientFields(report, recipient, form));
  return [about, ...groups].join('\r\n');
}

function recipientFields(report: Report, recipient: ReportedRecipient, form: StatusForm): string {
  const { host } = recipient.reply;
  return fields(form, [
    ['Original-Recipient', recipient.orcpt === undefined ? undefined : typedAddress(recipient.orcpt, form)],
    ['Final-Recipient', typedAddress(`rfc822;${recipient.address}`, form)],
    ['Action', ACTIONS[report.kind]],
    ['Status', statusOf(report.kind, recipient)],
    ['Remote-MTA', host === undefined ? undefined : `dns; ${host}`],
    ['Diagnostic-Code', diagnosticCode(recipient.reply)],
    ['Last-Attempt-Date', formatDate(recipient.lastAttemptAtMs)],
    ['Final-Log-ID', report.message.id],
    ['Will-Retry-Until', report.kind === 'delay' ? formatDate(report.message.expiresAtMs) : undefined],
  ]);
}

const ACTIONS: Readonly<Record<ReportKind, string>> = {
  failure: 'failed',
  delay: 'delayed',
  relayed: 'relayed',
};

// What no host said is not SMTP's word.
function diagnosticCode(reply: HostReply): string {
  const status = reply.enhanced === undefined ? '' : ` ${reply.enhanced}`;
  return `${reply.host === undefined ? 'x-delay-xfer' : 'smtp'}; ${reply.code}${status} ${reply.text}`;
}

/** An address of `type;address`. One with UTF-8 is of the type that can carry it (RFC 6533 §3). */
function typedAddress(typed: string, form: StatusForm): string {
  const at = typed.indexOf(';');
  const type = typed.slice(0, at).trim();
  const address = typed.slice(at + 1).trim();
  if (isAscii(address)) return `${type}; ${address}`;
  return form === 'global' ? `utf-8; ${address}` : `utf-8; ${unitext(address)}`;
}

/** utf-8-addr-unitext: ASCII, in which other characters stand as `\x{…}`, and so do three that mean something. */
function unitext(address: string): string {
  return [...address]
    .map((each) => (/[!-~]/.test(each) && !/[\\+=]/.test(each) ? each : escaped(each)))
    .join('');
}

function escaped(character: string): string {
  return `\\x{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`;
}

type Field = readonly [name: string, value: string | undefined];

function fields(form: StatusForm, list: readonly Field[]): string {
  return list
    .flatMap(([name, value]) => (value === undefined ? [] : [`${folded(name, fit(value, form))}\r\n`]))
    .join('');
}

function fit(value: string, form: StatusForm): string {
  return form === 'global' ? withoutControls(value) : asciiOnly(withoutControls(value));
}

/** RFC 5322 §2.1.1 advises so. */
const LINE_CHARACTERS = 78;
/** Below RFC 5322's 998 octets; the other, even where each character takes four. */
const LONGEST_ASCII_WORD = 900;
const LONGEST_WORD = 240;

/** Lines of the value stay lines; long ones are broken before a space, and words without end by force. */
function folded(name: string, value: string): string {
  const lines: string[] = [];
  for (const [index, text] of value.split('\n').entries()) {
    let line = index === 0 ? `${name}:` : '';
    for (const word of text.split(' ').flatMap(pieces)) {
      const next = `${line} ${word}`;
      if (next.length > LINE_CHARACTERS && line.trim() !== '' && word !== '') {
        lines.push(line);
        line = ` ${word}`;
      } else line = next;
    }
    // A line of blanks alone would end the group.
    if (line.trim() !== '') lines.push(line);
  }
  return lines.map((line) => line.trimEnd()).join('\r\n');
}

function pieces(word: string): readonly string[] {
  const longest = /^[\x20-\x7e]*$/.test(word) ? LONGEST_ASCII_WORD : LONGEST_WORD;
  if (word.length <= longest) return [word];
  return word.match(new RegExp(`.{1,${longest}}`, 'gu')) ?? [word];
}
