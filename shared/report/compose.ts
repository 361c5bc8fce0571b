// A report as a message: multipart/report (RFC 6522) with a part for people, one for programs and the original or
// its header. The same facts and octets give the same message, whenever and wherever it is composed: repeats of its
// acceptance depend on it.

import { isAscii as isAsciiOctets } from 'node:buffer';
import { createHash } from 'node:crypto';
import MimeNode from 'nodemailer/lib/mime-node';
import { needsSmtpUtf8 } from '../message/address.ts';
import type { Envelope } from '../message/envelope.ts';
import { formatDate } from '../message/trace.ts';
import { humanPart } from './human-part.ts';
import { messageIdOf, originalPart, type Returned } from './original.ts';
import type { Report, ReportKind } from './report.ts';
import type { ReportSettings } from './settings.ts';
import { type StatusForm, statusPart } from './status-part.ts';
import { isAscii } from './text.ts';

export interface ComposedReport {
  readonly content: Buffer;
  readonly envelope: Envelope;
}

/** The first octets of the original, as many as `octetsNeeded` says; undefined when they are gone or not wanted. */
export type OriginalOctets = Buffer | undefined;

export async function composeReport(
  report: Report,
  settings: Pick<ReportSettings, 'mailerDaemon' | 'reportingMta'>,
  wanted: Returned,
  octets: OriginalOctets,
): Promise<ComposedReport> {
  const { message } = report;
  const { reportingMta } = settings;
  const original =
    octets === undefined || wanted === 'none' ? undefined : originalPart(octets, wanted, message.smtputf8);
  const messageId = octets === undefined ? undefined : messageIdOf(octets);
  // Where the sender's own address needs SMTPUTF8 the report needs it anyhow, and says all in UTF-8.
  const smtputf8 = needsSmtpUtf8(message.sender);
  const form: StatusForm = smtputf8 ? 'global' : 'ascii';

  const root = node('multipart/report; report-type=delivery-status');
  root.boundary = boundaryOf(report.id, octets);
  const header: readonly (readonly [string, string])[] = [
    ['From', `Mail Delivery System <${settings.mailerDaemon}>`],
    ['To', `<${message.sender}>`],
    ['Subject', SUBJECTS[report.kind]],
    ['Date', formatDate(report.atMs)],
    ['Message-ID', `<${report.id}@${reportingMta}>`],
    // A direct response to a message (RFC 3834 §5); auto-generated is for what answers none.
    ['Auto-Submitted', 'auto-replied'],
    ...(messageId === undefined
      ? []
      : ([
          ['In-Reply-To', messageId],
          ['References', messageId],
        ] as const)),
  ];
  for (const [name, value] of header) root.setHeader(name, value);

  const human = humanPart(report, reportingMta, original?.returned ?? 'none', messageId);
  const plain = isAscii(human) && human.split('\r\n').every((line) => line.length <= MAX_PLAIN_LINE);
  part(root, `text/plain; charset=${isAscii(human) ? 'us-ascii' : 'utf-8'}`, {
    description: 'Notification',
    encoding: plain ? '7bit' : 'quoted-printable',
    octets: Buffer.from(human),
  });
  const status = statusPart(report, reportingMta, form);
  part(root, `message/${form === 'global' ? 'global-' : ''}delivery-status`, {
    description: 'Delivery report',
    encoding: isAscii(status) ? '7bit' : '8bit',
    octets: Buffer.from(status),
  });
  if (original !== undefined) {
    const description = original.returned === 'full' ? 'Undelivered message' : 'Header of the message';
    part(root, original.contentType, { ...original, description });
  }
  const built = await root.build();
  const content = built.subarray(-2).equals(CRLF) ? built : Buffer.concat([built, CRLF]);
  return {
    content,
    envelope: {
      sender: '',
      recipients: [{ address: message.sender }],
      body: isAsciiOctets(content) ? '7BIT' : '8BITMIME',
      smtputf8,
      // What a message's header tells is protected as the message was (RFC 8689 §5).
      requireTls: message.requireTls,
    },
  };
}

const CRLF = Buffer.from('\r\n');
/** What MIME encoders leave as it is. */
const MAX_PLAIN_LINE = 76;

/** Words that people and bounce handlers know. */
const SUBJECTS: Readonly<Record<ReportKind, string>> = {
  failure: 'Undelivered Mail Returned to Sender',
  delay: 'Delayed Mail (still being retried)',
  relayed: 'Mail Relayed (no further reports of success)',
};

// The sender can tell a report's id beforehand, but write no content that holds its own hash.
function boundaryOf(id: string, octets: OriginalOctets): string {
  const hash = createHash('sha256')
    .update(id)
    .update(octets ?? '');
  return `=_${hash.digest('base64url').slice(0, 32)}`;
}

function node(contentType: string): MimeNode {
  return new MimeNode(contentType, { disableFileAccess: true, disableUrlAccess: true });
}

function part(
  root: MimeNode,
  contentType: string,
  { description, encoding, octets }: { description: string; encoding: string; octets: Buffer },
): void {
  const child = root.createChild(contentType);
  if (encoding === 'quoted-printable') {
    child.setHeader('Content-Description', description);
    child.setHeader('Content-Transfer-Encoding', encoding);
    child.setContent(octets);
    return;
  }
  // As it is: mime-node would choose an encoding of its own for text.
  const header =
    `Content-Type: ${contentType}\r\nContent-Description: ${description}\r\n` +
    `Content-Transfer-Encoding: ${encoding}\r\n\r\n`;
  child.setRaw(Buffer.concat([Buffer.from(header), octets]));
}
