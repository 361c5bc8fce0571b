// Reports as two mail parsers from npm read them, each by its own code: the parts of the message, the fields of the
// delivery status, what is enclosed.

import assert from 'node:assert/strict';
import { type Attachment, simpleParser } from 'mailparser';
import PostalMime from 'postal-mime';

export interface ReadReport {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly subject: string | undefined;
  readonly text: string;
  /** Field names in lower case. */
  readonly message: Readonly<Record<string, string>>;
  readonly recipients: readonly Readonly<Record<string, string>>[];
  /** Types of the parts behind the text. */
  readonly parts: readonly string[];
  readonly enclosed: Buffer | undefined;
}

export const READERS: Readonly<Record<string, (content: Buffer) => Promise<ReadReport>>> = {
  mailparser: async (content) => {
    const mail = await simpleParser(content, { keepDeliveryStatus: true });
    const to = Array.isArray(mail.to) ? mail.to[0] : mail.to;
    return readReport(
      {
        from: mail.from?.value[0]?.address,
        to: to?.value[0]?.address,
        subject: mail.subject,
        text: mail.text,
      },
      mail.attachments.map(({ contentType, content: octets }: Attachment) => [contentType, octets]),
      async (group) =>
        (await simpleParser(group)).headerLines.map(({ key, line }) => [
          key,
          line
            .slice(key.length + 1)
            .replaceAll('\r\n', '')
            .trim(),
        ]),
    );
  },
  'postal-mime': async (content) => {
    const mail = await PostalMime.parse(content, { forceRfc822Attachments: true });
    return readReport(
      { from: mail.from?.address, to: mail.to?.[0]?.address, subject: mail.subject, text: mail.text },
      mail.attachments.map(({ mimeType, content: octets }) => [
        mimeType,
        typeof octets === 'string' ? Buffer.from(octets) : Buffer.from(new Uint8Array(octets)),
      ]),
      async (group) => (await PostalMime.parse(group)).headers.map(({ key, value }) => [key, value]),
    );
  },
};

type Fields = readonly (readonly [name: string, value: string])[];

async function readReport(
  top: {
    from: string | undefined;
    to: string | undefined;
    subject: string | undefined;
    text: string | undefined;
  },
  parts: readonly (readonly [type: string, octets: Buffer])[],
  fieldsOf: (group: Buffer) => Promise<Fields>,
): Promise<ReadReport> {
  const status = parts.find(([type]) => /^message\/(?:global-)?delivery-status$/.test(type))?.[1];
  assert.ok(status !== undefined, 'the report has a part for programs');
  const groups = status
    .toString()
    .trimEnd()
    .split(/\r?\n\r?\n/);
  const [message = {}, ...recipients] = await Promise.all(
    groups.map(async (group) => Object.fromEntries(await fieldsOf(Buffer.from(`${group}\r\n\r\n`)))),
  );
  return {
    ...top,
    text: top.text ?? '',
    message,
    recipients,
    parts: parts.map(([type]) => type),
    enclosed: parts.find(([, octets]) => octets !== status)?.[1],
  };
}
