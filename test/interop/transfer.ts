// Messages handed to the API as a client of XFER/1 does it: by itself, with nothing but docs/xfer-protocol.md.

import { createHash } from 'node:crypto';
import * as z from 'zod';
import { until } from './until.ts';

export interface Letter {
  readonly id: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** With CRLF. */
  readonly content: Buffer;
  /** Further fields of the frame. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

const VERDICTS = z.object({ messages: z.array(z.looseObject({ id: z.string(), status: z.string() })) });
const TICKET = z.object({
  url: z.string(),
  method: z.string(),
  headers: z.record(z.string(), z.string()),
});

/**
 * Sends a transfer of one frame each; content above 4 MiB is uploaded before. In doubt it is sent again, as the rules
 * for clients say. Rejects when the receiver refuses a message.
 */
export async function handOver(api: string, ...letters: readonly Letter[]): Promise<void> {
  const frames = await Promise.all(letters.map((letter) => frameOf(api, letter)));
  const answer = await until('the receiver answers for a transfer', async () => {
    const sent = await post(api, 'application/vnd.delay-xfer.v1', Buffer.concat(frames));
    return sent.status >= 500 ? undefined : sent;
  });
  const { messages } = VERDICTS.parse(answer.json);
  const untaken = messages.filter(({ status }) => status !== 'accepted' && status !== 'duplicate');
  if (untaken.length > 0) throw new Error(`not taken: ${JSON.stringify(untaken)}`);
}

async function frameOf(api: string, { id, sender, recipients, content, fields }: Letter): Promise<Buffer> {
  const upload = content.length > 4 * 1024 * 1024;
  const sha256 = createHash('sha256').update(content).digest('hex');
  if (upload) await putContent(api, { id, sizeBytes: content.length, sha256 }, content);
  const header = { id, sender, recipients, sizeBytes: content.length, sha256, upload, ...fields };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), upload ? NOTHING : content]);
}

const NOTHING = Buffer.alloc(0);

async function putContent(api: string, request: object, content: Buffer): Promise<void> {
  const answer = await post(`${api}/uploads`, 'application/json', Buffer.from(JSON.stringify(request)));
  const ticket = TICKET.parse(answer.json);
  const { url, method, headers } = ticket;
  const response = await fetch(url, { method, headers, body: new Uint8Array(content) });
  if (!response.ok) throw new Error(`the upload was answered ${response.status}: ${await response.text()}`);
}

async function post(url: string, type: string, body: Buffer) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': type },
    body: new Uint8Array(body),
  });
  const json: unknown = await response.json();
  return { status: response.status, json };
}
