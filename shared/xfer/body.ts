// From a request's body to its messages, whatever its format: frames, JSON, `message/rfc822`, KumoMTA's transfer;
// gzip on all. The format is told by the Content-Type, KumoMTA's by its path. A fault of the whole request is a
// problem; a fault of one message refuses that message. Content is handed on octet for octet, but for
// `message/rfc822` with LF alone throughout, which is a local file and becomes CRLF. Throws nothing.

import { convertNewlines, countNewlines, newlineKind } from '../message/newlines.ts';
import { ownReply } from '../smtp/reply.ts';
import { FRAMES_CONTENT_TYPE } from './frame-format.ts';
import { parseFrames } from './frame-parser.ts';
import { type Boundary, type HeaderContext, readBoundary, readHeader, readId } from './header.ts';
import { splitMailboxes, unbracketed, utf8HeaderValue } from './header-values.ts';
import { inflateBody } from './inflate.ts';
import { type JsonObject, parseJsonObject } from './json-object.ts';
import { parseKumoTransfer } from './kumo.ts';
import { MAX_JSON_BODY_BYTES, type TransferLimits } from './limits.ts';
import type { XferMessage } from './message.ts';
import { type Problem, problem } from './problem.ts';

/** A request's headers, names in lower case, repeated ones joined by commas. */
export type RequestHeaders = Readonly<Record<string, string | undefined>>;

export interface TransferRequest {
  /** `kumomta` for KUMOMTA_PATH, whatever its Content-Type says. */
  readonly endpoint: 'xfer' | 'kumomta';
  readonly headers: RequestHeaders;
  readonly body: Buffer;
}

export interface TransferContext {
  readonly limits: TransferLimits;
  /** The receiver's clock. */
  readonly nowMs: number;
  /** An id for a `message/rfc822` that brought none; it must pass ID_PATTERN. */
  readonly makeId: () => string;
}

export type TransferFormat = 'frames' | 'json' | 'rfc822' | 'kumomta';

export type TransferResult =
  | { readonly ok: true; readonly format: TransferFormat; readonly messages: readonly XferMessage[] }
  | { readonly ok: false; readonly problem: Problem };

export function parseTransferBody(request: TransferRequest, context: TransferContext): TransferResult {
  const format = request.endpoint === 'kumomta' ? 'kumomta' : formatOf(request.headers['content-type']);
  if (typeof format !== 'string') return { ok: false, problem: format };
  const { limits } = context;
  const cap =
    format === 'json' ? Math.min(MAX_JSON_BODY_BYTES, limits.maxInflatedBytes) : limits.maxInflatedBytes;
  const inflated = inflateBody(request.body, request.headers['content-encoding'], cap);
  if (!inflated.ok) return inflated;
  const { body } = inflated;
  if (body.length === 0)
    return { ok: false, problem: problem('empty-body', 'the request carries no message') };
  const header: HeaderContext = { nowMs: context.nowMs, maxMessageBytes: limits.maxMessageBytes };
  switch (format) {
    case 'frames': {
      const result = parseFrames(body, limits, context.nowMs);
      return result.ok ? { ...result, format } : result;
    }
    case 'json':
      return parseJson(body, header);
    case 'rfc822':
      return parseRfc822(request.headers, body, context, header);
    case 'kumomta': {
      const result = parseKumoTransfer(body, header);
      return result.ok ? { ok: true, format, messages: [result.message] } : result;
    }
  }
}

const FORMATS: ReadonlyMap<string, TransferFormat> = new Map([
  [FRAMES_CONTENT_TYPE, 'frames'],
  ['application/json', 'json'],
  ['message/rfc822', 'rfc822'],
]);

/** Parameters such as charset are skipped: they change nothing for these types. */
export function formatOf(contentType: string | undefined): TransferFormat | Problem {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const format = FORMATS.get(type);
  if (format !== undefined) return format;
  const said = type === '' ? 'no Content-Type' : `Content-Type ${JSON.stringify(type.slice(0, 64))}`;
  return problem('unsupported-media-type', `${said}; send one of ${[...FORMATS.keys()].join(', ')}`);
}

/** One object: the fields of a frame with `content` or `contentBase64`, or with `upload`. */
function parseJson(body: Buffer, context: HeaderContext): TransferResult {
  const parsed = parseJsonObject(body);
  if (!parsed.ok) return { ok: false, problem: problem('bad-json', `the body ${parsed.fault}`) };
  const { content: text, contentBase64, ...fields } = parsed.object;
  const id = readId(fields['id'], 'the message');
  if (!id.ok) return id;
  if (fields['upload'] === true && text === undefined && contentBase64 === undefined) {
    const read = readBoundary(fields, 'the message');
    if (!read.ok) return read;
    return jsonMessage(judged(fields, read.boundary, context, undefined));
  }
  const content = jsonContent(text, contentBase64);
  if (typeof content === 'string') return refusedJson(id.id, content);
  if (fields['upload'] !== undefined && fields['upload'] !== false) {
    return refusedJson(id.id, 'upload stands beside content; send one of them');
  }
  if (fields['sizeBytes'] !== undefined && fields['sizeBytes'] !== content.length) {
    return refusedJson(
      id.id,
      `sizeBytes is not the content's length, which is ${content.length}; it may be left out`,
    );
  }
  const boundary = { id: id.id, sizeBytes: content.length, upload: false };
  return jsonMessage(judged(fields, boundary, context, content));
}

/** The octets, or the fault. */
function jsonContent(text: unknown, base64: unknown): Buffer | string {
  if ((text === undefined) === (base64 === undefined)) return 'one of content and contentBase64 is needed';
  if (text !== undefined) {
    if (typeof text !== 'string') return 'content must be a string';
    if (!text.isWellFormed()) return 'content holds a lone surrogate; send contentBase64';
    return Buffer.from(text, 'utf8');
  }
  if (typeof base64 !== 'string' || base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    return 'contentBase64 must be padded base64 on one line (RFC 4648 §4)';
  }
  return Buffer.from(base64, 'base64');
}

function refusedJson(id: string, fault: string): TransferResult {
  return jsonMessage({ kind: 'refused', id, reply: ownReply(501, '5.5.4', fault) });
}

function jsonMessage(message: XferMessage): TransferResult {
  return { ok: true, format: 'json', messages: [message] };
}

/** Envelope and id in request headers; the body is the content. */
function parseRfc822(
  headers: RequestHeaders,
  body: Buffer,
  context: TransferContext,
  header: HeaderContext,
): TransferResult {
  const envelope = readRfc822Envelope(headers, context.makeId);
  if (!envelope.ok) return envelope;
  const local = newlineKind(countNewlines(body, false)) === 'lf';
  const content = local ? convertNewlines(body) : body;
  const boundary = { id: envelope.id, sizeBytes: content.length, upload: false };
  return { ok: true, format: 'rfc822', messages: [judged(envelope.fields, boundary, header, content)] };
}

export type Rfc822Envelope =
  | { readonly ok: true; readonly id: string; readonly fields: JsonObject }
  | { readonly ok: false; readonly problem: Problem };

/** Of a `message/rfc822` request: its id, and its envelope as `readHeader` reads it. */
export function readRfc822Envelope(headers: RequestHeaders, makeId: () => string): Rfc822Envelope {
  const sender = headers['x-xfer-sender'];
  if (sender === undefined) return missingHeader('X-Xfer-Sender is missing; <> is the null reverse path');
  const recipients = headers['x-xfer-recipients'];
  if (recipients === undefined)
    return missingHeader('X-Xfer-Recipients is missing; separate several by commas');
  const key = headers['idempotency-key'];
  const id = readId(key === undefined ? makeId() : unquoted(key), 'Idempotency-Key');
  if (!id.ok) return id;
  const fields = {
    sender: unbracketed(utf8HeaderValue(sender)),
    recipients: splitMailboxes(utf8HeaderValue(recipients)),
  };
  return { ok: true, id: id.id, fields };
}

function missingHeader(detail: string): { readonly ok: false; readonly problem: Problem } {
  return { ok: false, problem: problem('missing-header', detail) };
}

/** The Idempotency-Key draft writes a quoted string; curl users write none. */
function unquoted(value: string): string {
  return /^"(.*)"$/.exec(value.trim())?.[1] ?? value.trim();
}

/** `content` is undefined for an upload. */
function judged(
  fields: JsonObject,
  boundary: Boundary,
  context: HeaderContext,
  content: Buffer | undefined,
): XferMessage {
  const result = readHeader(fields, boundary, context);
  if (!result.ok) return { kind: 'refused', id: boundary.id, reply: result.reply };
  return content === undefined
    ? { kind: 'upload', header: result.header }
    : { kind: 'message', header: result.header, content };
}
