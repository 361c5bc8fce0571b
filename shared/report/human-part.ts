// The part of a report that people read: who, what happened, in whose words, and whether it goes on.

import { formatDate } from '../message/trace.ts';
import { formatReply, type HostReply } from '../smtp/reply.ts';
import type { Returned } from './original.ts';
import type { Report, ReportedRecipient } from './report.ts';
import { withoutControls } from './text.ts';

/** Lines with CRLF; replies stand on lines of their own, as they were said. */
export function humanPart(
  report: Report,
  reportingMta: string,
  returned: Returned,
  messageId?: string,
): string {
  const { message } = report;
  const lines = [
    `This is a report of the mail server ${reportingMta}.`,
    '',
    ...wrap(opening(report)),
    ...report.recipients.flatMap((recipient) => ['', ...about(report, recipient)]),
    '',
    ...(messageId === undefined ? [] : [`Message-ID: ${messageId}`]),
    `Received: ${formatDate(message.receivedAtMs)}`,
    `Log id: ${message.id}`,
    '',
    ...wrap(closing(returned)),
  ];
  return lines.map((line) => `${withoutControls(line)}\r\n`).join('');
}

function opening(report: Report): string {
  const whom = report.recipients.length === 1 ? 'the recipient below' : 'the recipients below';
  switch (report.kind) {
    case 'failure':
      return `Your message could not be delivered to ${whom}. No further attempts will be made.`;
    case 'delay':
      return (
        `Your message has not been delivered yet to ${whom}. You need not send it again: ` +
        `attempts go on until ${formatDate(report.message.expiresAtMs)}.`
      );
    case 'relayed':
      return (
        `Your message was handed on for ${whom}, to a mail server that does not report successful deliveries. ` +
        'You may hear of a failure later, but not of success.'
      );
  }
}

function about(report: Report, { address, reply, expired }: ReportedRecipient): readonly string[] {
  const lead = `<${address}>:`;
  const said = reply.host === undefined ? lead : `${lead} host ${reply.host} said:`;
  const since = formatDate(report.message.receivedAtMs);
  if (!expired) return [said, ...quoted(reply)];
  const whose =
    reply.host === undefined ? 'The last obstacle was:' : `The last answer, of host ${reply.host}:`;
  const why =
    report.atMs < report.message.expiresAtMs
      ? `attempts were made since ${since}, and no more are made.`
      : `delivery time expired; attempts were made since ${since}.`;
  return [lead, `    ${why} ${whose}`, ...quoted(reply)];
}

function quoted(reply: HostReply): readonly string[] {
  const [first = '', ...others] = reply.text.split('\n');
  return [formatReply({ ...reply, text: first }), ...others].map((line) => `    ${line}`);
}

function closing(returned: Returned): string {
  switch (returned) {
    case 'full':
      return 'What mail programs need to know follows, and your message.';
    case 'headers':
      return "What mail programs need to know follows, and your message's header.";
    case 'none':
      return 'What mail programs need to know follows. Your message is not enclosed.';
  }
}

const LINE_CHARACTERS = 72;

function wrap(text: string): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const next = line === '' ? word : `${line} ${word}`;
    if (next.length > LINE_CHARACTERS && line !== '') {
      lines.push(line);
      line = word;
    } else line = next;
  }
  return [...lines, line];
}
