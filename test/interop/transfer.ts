// Messages handed to the API as a client of XFER/1 does it: by itself, with nothing but docs/xfer-protocol.md.

import { createHash } from 'node:crypto';
import * as z from 'zod';

export interface Letter {
  readonly id: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** With CRLF. */
  readonly content: Buffer;
  /** Further fields of the frame. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

const VERDICTS = z.object({ messages: z.array(z.object({ id: z.string(), status: z.string() })) });
const TICKET = z.object({
  url: z.string(),
  method: z.string(),
  headers: z.record(z.string(), z.string()),
});

/** Sends one frame; content above 4 MiB is uploaded before. Rejects unless the receiver answers `accepted`. */
export async function handOver(api: string, letter: Letter): Promise<void> {
  const { id, sender, recipients, content, fields } = letter;
  const upload = content.length > 4 * 1024 * 1024;
  const sha256 = createHash('sha256').update(content).digest('hex');
  if (upload) await putContent(api, { id, sizeBytes: content.length, sha256 }, content);
  const header = { id, sender, recipients, sizeBytes: content.length, sha256, upload, ...fields };
  const answer = await post(
    api,
    'application/vnd.delay-xfer.v1',
    Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), upload ? Buffer.alloc(0) : content]),
  );
  const status = VERDICTS.safeParse(answer.json).data?.messages[0]?.status;
  if (status !== 'accepted') throw new Error(`${id} was not accepted: ${answer.text}`);
}

async function putContent(api: string, request: object, content: Buffer): Promise<void> {
  const answer = await post(`${api}/uploads`, 'application/json', Buffer.from(JSON.stringify(request)));
  const ticket = TICKET.parse(answer.json);
  const { url, method, headers } = ticket;
  const response = await fetch(url, { method, headers, body: new Uint8Array(content) });
  if (!response.ok) throw new Error(`the upload was answered ${response.status}: ${await response.text()}`);
}

async function post(
  url: string,
  type: string,
  body: Buffer,
): Promise<{ readonly text: string; readonly json: unknown }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': type },
    body: new Uint8Array(body),
  });
  const text = await response.text();
  const json: unknown = JSON.parse(text);
  return { text: `${response.status} ${text}`, json };
}
