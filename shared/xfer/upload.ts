// `POST /delay_message/uploads`: where a client asks for a place to put large content. The request names the message
// and what will be put; the answer is one HTTP request for the client to make, whose headers are signed and must be
// sent as they stand. Throws nothing.

import { readBoundary } from './header.ts';
import { formatInstant, parseInstant } from './instant.ts';
import { isObject, parseJsonObject } from './json-object.ts';
import type { TransferLimits } from './limits.ts';
import { type Problem, problem, type WireAnswer } from './problem.ts';
import type { ReceivedAnswer } from './verdict-parser.ts';

export interface UploadRequest {
  readonly id: string;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface UploadTicket {
  readonly url: string;
  readonly method: 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  /** When the URL stops working. */
  readonly expiresAtMs: number;
}

export type UploadRequestResult =
  | { readonly ok: true; readonly request: UploadRequest }
  | { readonly ok: false; readonly problem: Problem };

export function parseUploadRequest(body: Buffer, limits: TransferLimits): UploadRequestResult {
  if (body.length === 0) return fault('empty-body', 'send {"id","sizeBytes","sha256"}');
  const parsed = parseJsonObject(body);
  if (!parsed.ok) return fault('bad-json', `the body ${parsed.fault}`);
  const { id: _id, sizeBytes: _size, sha256, ...others } = parsed.object;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) {
    return fault('bad-field', `${JSON.stringify(unknown.slice(0, 64))} is no field of an upload request`);
  }
  const read = readBoundary(parsed.object, 'the upload');
  if (!read.ok) return read;
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
    return fault('bad-field', 'sha256 must be 64 lower-case hex digits');
  }
  const { id, sizeBytes } = read.boundary;
  if (sizeBytes > limits.maxMessageBytes) {
    return fault('message-too-large', `${sizeBytes} octets, at most ${limits.maxMessageBytes} are taken`);
  }
  return { ok: true, request: { id, sizeBytes, sha256 } };
}

export function formatUploadTicket(ticket: UploadTicket): WireAnswer {
  const { url, method, headers, expiresAtMs } = ticket;
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ url, method, headers, expiresAt: formatInstant(expiresAtMs) }),
  };
}

/** For clients; undefined when the answer is no ticket: read it with `parseVerdicts` then. */
export function parseUploadTicket(answer: ReceivedAnswer): UploadTicket | undefined {
  const parsed = parseJsonObject(answer.body);
  if (answer.status !== 200 || !parsed.ok) return undefined;
  const { url, method, headers, expiresAt } = parsed.object;
  if (typeof url !== 'string' || !URL.canParse(url) || method !== 'PUT' || !isObject(headers))
    return undefined;
  const expiresAtMs = typeof expiresAt === 'string' ? parseInstant(expiresAt) : undefined;
  if (expiresAtMs === undefined) return undefined;
  const named: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string') return undefined;
    named[name] = value;
  }
  return { url, method, headers: named, expiresAtMs };
}

function fault(code: Problem['code'], detail: string): UploadRequestResult {
  return { ok: false, problem: problem(code, detail) };
}
