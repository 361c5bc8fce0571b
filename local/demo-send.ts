// Hands the demo's messages over, by SMTP through the sidecar or straight to the API in each of its formats.
// Every function resolves to a reason when the message was not taken, and to undefined when it was.

import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { SMTP_TIMEOUTS } from '../functions/deliver/egress.ts';
import type { SmtpSession } from '../shared/smtp/client.ts';
import { createPeerMemory } from '../shared/smtp/peer-memory.ts';
import { formatReply } from '../shared/smtp/reply.ts';
import { createSmtpClient } from '../shared/smtp/smtp-client.ts';
import { FRAMES_CONTENT_TYPE, formatFrames, headerFields } from '../shared/xfer/frame-format.ts';
import { KUMOMTA_PATH } from '../shared/xfer/kumo.ts';
import type { XferHeader } from '../shared/xfer/message.ts';
import type { DemoMessage } from './demo-story.ts';

export interface DemoTargets {
  readonly apiUrl: URL;
  readonly smtp: { readonly address: string; readonly port: number };
}

/** For messages that are withdrawn: never in the demo's time. */
const WITHDRAWN_DUE_MS = 3_600_000;

/** One connection after another is not needed: sessions are the caller's. */
export async function openSession({ smtp }: DemoTargets): Promise<SmtpSession> {
  const opened = await createSmtpClient({ memory: createPeerMemory({ nowMs: Date.now }) }).open({
    host: 'localhost',
    address: smtp.address,
    port: smtp.port,
    source: 'routes',
    mxAuthenticated: true,
    ehloName: 'mta.sender.test',
    tls: { mode: 'no', verify: false },
    timeouts: SMTP_TIMEOUTS,
  });
  if (opened.kind === 'failed') throw new Error(`the sidecar does not answer: ${formatReply(opened.reply)}`);
  return opened.session;
}

export async function sendBySmtp(session: SmtpSession, message: DemoMessage): Promise<string | undefined> {
  const result = await session.transact(message.envelope, {
    sizeBytes: message.content.length,
    open: async () => Readable.from([message.content]),
  });
  if (result.kind === 'unattempted') return result.because;
  const refused = result.outcomes.find((outcome) => outcome.kind !== 'delivered');
  return refused === undefined ? undefined : formatReply(refused.reply);
}

export async function sendByHttp(targets: DemoTargets, message: DemoMessage): Promise<string | undefined> {
  const id =
    message.way === 'kumomta' ? randomUUID().replaceAll('-', '') : randomBytes(12).toString('base64url');
  const { path, headers, body } = requestFor(message, id);
  const refused = await call(targets, path, { method: 'POST', headers, body });
  if (refused !== undefined || !message.withdrawn) return refused;
  return await call(targets, `/delay_message/${id}`, { method: 'DELETE' });
}

interface Request {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer> | string;
}

function requestFor(message: DemoMessage, id: string): Request {
  const { envelope, content } = message;
  const path = '/delay_message';
  switch (message.way) {
    case 'smtp':
      throw new Error('this message goes by SMTP');
    case 'frames':
      return {
        path,
        headers: { 'content-type': FRAMES_CONTENT_TYPE, 'content-encoding': 'gzip' },
        body: gzipSync(Buffer.concat(formatFrames([{ header: headerOf(message, id), content }]))),
      };
    case 'json':
      return {
        path,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          ...headerFields(headerOf(message, id)),
          contentBase64: content.toString('base64'),
        }),
      };
    case 'rfc822':
      return {
        path,
        headers: {
          'content-type': 'message/rfc822',
          'idempotency-key': id,
          'x-xfer-sender': `<${envelope.sender}>`,
          'x-xfer-recipients': envelope.recipients.map(({ address }) => address).join(', '),
        },
        body: Buffer.from(content),
      };
    case 'kumomta':
      return {
        path: KUMOMTA_PATH,
        headers: { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' },
        body: gzipSync(Buffer.concat([Buffer.from(`${JSON.stringify(kumoLine(message, id))}\n`), content])),
      };
  }
}

function headerOf(message: DemoMessage, id: string): XferHeader {
  return {
    id,
    envelope: message.envelope,
    sizeBytes: message.content.length,
    attempts: 0,
    upload: false,
    meta: { demo: message.kind },
    ...(message.withdrawn ? { dueAtMs: Date.now() + WITHDRAWN_DUE_MS } : {}),
  };
}

function kumoLine({ envelope }: DemoMessage, id: string) {
  return {
    id,
    sender: envelope.sender,
    recipient: envelope.recipients.map(({ address }) => address),
    meta: {
      xfer_queue_info: { queue: 'demo', num_attempts: 2, due: new Date(Date.now() + 1_000).toISOString() },
    },
  };
}

async function call(
  { apiUrl }: DemoTargets,
  path: string,
  init: {
    readonly method: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: Request['body'];
  },
): Promise<string | undefined> {
  const { method, headers, body } = init;
  const response = await fetch(new URL(path, apiUrl), {
    method,
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  return response.ok ? undefined : `${response.status} ${text}`;
}
