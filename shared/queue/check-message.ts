// Is this message fit to be taken (I7, loops)? Inline content is scanned where it is; uploaded content is read
// from the spool, hashed and measured, before anything points at it.

import { bodyType, type ContentPolicy, judgeContent } from '../message/check-content.ts';
import { type ContentScan, ContentScanner, scanContent } from '../message/content.ts';
import { convertNewlines } from '../message/newlines.ts';
import { ownReply, type Reply } from '../smtp/reply.ts';
import type { XferHeader, XferMessage } from '../xfer/message.ts';
import type { MessageKey } from './delivery.ts';
import { type ContentUsers, type Spool, StoreError } from './ports.ts';
import { uploadKey } from './spool-object.ts';

export interface FitMessage {
  readonly kind: 'fit';
  readonly header: XferHeader;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Inline octets, or the key of the uploaded object. */
  readonly content: { readonly inline: Buffer } | { readonly uploaded: string };
}

export type CheckedMessage =
  | FitMessage
  | { readonly kind: 'refused'; readonly id: string; readonly reply: Reply }
  /** Its upload is gone, because every recipient has had an ending since. */
  | { readonly kind: 'ended'; readonly id: string };

export interface CheckDeps {
  readonly spool: Spool;
  readonly users: ContentUsers;
  readonly traceHost: string;
  readonly bareNewlines: ContentPolicy['bareNewlines'];
}

export function checkInline(
  message: Extract<XferMessage, { kind: 'message' }>,
  deps: Pick<CheckDeps, 'traceHost' | 'bareNewlines'>,
): CheckedMessage {
  const { header, content } = message;
  const scan = scanContent(content, deps.traceHost);
  const judgement = judgeContent(scan, policyFor(header, deps.bareNewlines));
  switch (judgement.kind) {
    case 'refused':
      return { kind: 'refused', id: header.id, reply: judgement.reply };
    case 'fit':
      return fit(header, scan, { inline: content });
    case 'convert': {
      const converted = convertNewlines(content);
      return fit(header, scanContent(converted, deps.traceHost), { inline: converted });
    }
  }
}

export const UPLOAD_MISSING = ownReply(
  451,
  '4.3.0',
  'upload: no content is stored for this id and sha256; PUT it first',
);

/** Rejects with StoreError when the spool does not answer: then nothing is known about the content. */
export async function checkUpload(
  credential: string,
  header: XferHeader,
  deps: CheckDeps,
): Promise<CheckedMessage> {
  const refused = (code: number, enhanced: string, text: string): CheckedMessage => ({
    kind: 'refused',
    id: header.id,
    reply: ownReply(code, enhanced, text),
  });
  if (header.sha256 === undefined)
    return refused(501, '5.5.4', 'sha256: an uploaded message must name its hash');
  const key: MessageKey = { credential, id: header.id };
  const objectKey = uploadKey(key, header.sha256);
  const scan = await scanStored(deps, objectKey, header.sizeBytes);
  if (scan === undefined) return { kind: 'refused', id: header.id, reply: UPLOAD_MISSING };
  if (scan.sizeBytes !== header.sizeBytes || scan.sha256 !== header.sha256) {
    return refused(451, '4.6.0', 'upload: the stored content has another size or hash; PUT it again');
  }
  const judgement = judgeContent(scan, policyFor(header, 'refuse'));
  if (judgement.kind === 'refused') return { kind: 'refused', id: header.id, reply: judgement.reply };
  return fit(header, scan, { uploaded: objectKey });
}

async function scanStored(
  deps: CheckDeps,
  objectKey: string,
  sizeBytes: number,
): Promise<ContentScan | undefined> {
  // One octet more than announced is asked for, so that a longer object is noticed.
  const stream = await deps.spool.open(objectKey, 0, sizeBytes + 1);
  if (stream === undefined) return undefined;
  const scanner = new ContentScanner(deps.traceHost);
  try {
    for await (const chunk of stream) scanner.push(chunk);
  } catch (error) {
    throw new StoreError('not-applied', `reading ${objectKey} failed`, { cause: error });
  }
  return scanner.finish();
}

function fit(header: XferHeader, scan: ContentScan, content: FitMessage['content']): FitMessage {
  const envelope = { ...header.envelope, body: bodyType(scan) };
  return {
    kind: 'fit',
    header: { ...header, envelope, sizeBytes: scan.sizeBytes, sha256: scan.sha256 },
    sha256: scan.sha256,
    sizeBytes: scan.sizeBytes,
    content,
  };
}

function policyFor(header: XferHeader, bareNewlines: ContentPolicy['bareNewlines']): ContentPolicy {
  return { bareNewlines, ...(header.sha256 === undefined ? {} : { sha256: header.sha256 }) };
}
