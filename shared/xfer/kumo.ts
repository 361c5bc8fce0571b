// KumoMTA's own transfer, as its node sends it to `POST /api/xfer/inject/v1` (crates/message/src/xfer.rs and
// crates/kumod/src/xfer/mod.rs): one line of JSON `{id, sender, recipient, meta}`, LF, then the content to the end
// of the body. `meta.xfer_queue_info` carries what the queue knew: queue, routing_domain, tenant, campaign,
// schedule, num_attempts, due. The line is translated into XFER/1 fields and judged like them. It is tolerant where
// KumoMTA may grow: unknown fields are skipped, and meta that is too large is cut, not refused, since KumoMTA tries
// a refused transfer again until the message expires. Throws nothing.

import { type HeaderContext, type HeaderResult, readHeader } from './header.ts';
import { parseInstant } from './instant.ts';
import { isObject, type JsonObject, parseJsonObject } from './json-object.ts';
import { CLOCK_SKEW_MS, EARLIEST_MS, MAX_ATTEMPTS, MAX_HEADER_LINE_BYTES, MAX_META_BYTES } from './limits.ts';
import type { Verdict, XferMessage } from './message.ts';
import { formatProblem, type Problem, problem, type WireAnswer } from './problem.ts';

export const KUMOMTA_PATH = '/api/xfer/inject/v1';

export type KumoResult =
  | { readonly ok: true; readonly message: XferMessage }
  | { readonly ok: false; readonly problem: Problem };

/** `body` is inflated already. */
export function parseKumoTransfer(body: Buffer, context: HeaderContext): KumoResult {
  const lf = body.indexOf(0x0a);
  if (lf < 0) {
    return { ok: false, problem: problem('frame-truncated', 'no LF; the body begins with one line of JSON') };
  }
  if (lf > MAX_HEADER_LINE_BYTES) {
    const detail = `the first line has ${lf} octets, at most ${MAX_HEADER_LINE_BYTES} are read`;
    return { ok: false, problem: problem('header-line-too-long', detail) };
  }
  const content = body.subarray(lf + 1);
  const read = readKumoLine(body.subarray(0, lf), content.length, context);
  if (!read.ok) return read;
  return {
    ok: true,
    message: read.result.ok
      ? { kind: 'message', header: read.result.header, content }
      : { kind: 'refused', id: read.id, reply: read.result.reply },
  };
}

export type KumoLineResult =
  | { readonly ok: true; readonly id: string; readonly result: HeaderResult }
  | { readonly ok: false; readonly problem: Problem };

/** The line without its LF, once the length of the content behind it is known. */
export function readKumoLine(line: Buffer, sizeBytes: number, context: HeaderContext): KumoLineResult {
  const parsed = parseJsonObject(line);
  if (!parsed.ok) return { ok: false, problem: problem('bad-frame', `the line ${parsed.fault}`) };
  const id = simpleUuid(parsed.object['id']);
  if (id === undefined)
    return { ok: false, problem: problem('bad-id', 'id must be a UUID, as KumoMTA makes it') };
  const boundary = { id, sizeBytes, upload: false };
  return {
    ok: true,
    id,
    result: readHeader(xferFields(id, parsed.object, context.nowMs), boundary, context),
  };
}

/**
 * What KumoMTA reads: 200 with `{"id"}` takes the message off its spool; every other status is to it a transient
 * failure, tried again by the retry schedule of its transfer queue, so a refusal of ours never bounces there.
 */
export function formatKumoAnswer(verdict: Verdict): WireAnswer {
  if (verdict.status !== 'refused') {
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: verdict.id }),
    };
  }
  const { code, enhanced, text } = verdict.reply;
  return formatProblem(problem('all-refused', `${code} ${enhanced ?? ''} ${text}`, { id: verdict.id }));
}

/** When the message was created: a version 1 or 7 UUID says so (RFC 9562 §5.1, §5.7). */
export function uuidTimeMs(simple: string): number | undefined {
  const version = simple.charAt(12);
  if (version === '7') return Number.parseInt(simple.slice(0, 12), 16);
  if (version !== '1') return undefined;
  const ticks = BigInt(`0x${simple.slice(13, 16)}${simple.slice(8, 12)}${simple.slice(0, 8)}`);
  return Number(ticks / TICKS_PER_MS - GREGORIAN_TO_UNIX_MS);
}

/** Version 1 counts 100 ns from 15 October 1582. */
const TICKS_PER_MS = 10_000n;
const GREGORIAN_TO_UNIX_MS = 12_219_292_800_000n;

/** The 32 lower-case digits; the hyphenated form is taken too, as KumoMTA's own parser does. */
function simpleUuid(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 36) return undefined;
  const simple = /^[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}$/i.test(value);
  return simple ? value.replaceAll('-', '').toLowerCase() : undefined;
}

function xferFields(id: string, line: JsonObject, nowMs: number): JsonObject {
  const meta = isObject(line['meta']) ? line['meta'] : {};
  const queue = isObject(meta['xfer_queue_info']) ? meta['xfer_queue_info'] : {};
  const createdAtMs = uuidTimeMs(id);
  const plausible =
    createdAtMs !== undefined && createdAtMs >= EARLIEST_MS && createdAtMs <= nowMs + CLOCK_SKEW_MS;
  const dueAt = dueInstant(queue);
  return {
    sender: line['sender'],
    recipients: Array.isArray(line['recipient']) ? line['recipient'] : [line['recipient']],
    attempts: clampAttempts(queue['num_attempts']),
    meta: keptMeta(meta, queue),
    ...(plausible && { receivedAt: new Date(createdAtMs).toISOString() }),
    ...(dueAt !== undefined && { dueAt }),
  };
}

/** `due`, or the schedule's `first_attempt` where no due time was set yet. Restrictions to hours are not kept. */
function dueInstant(queue: JsonObject): string | undefined {
  const schedule = isObject(queue['schedule']) ? queue['schedule'] : {};
  return [queue['due'], schedule['first_attempt']].find(
    (value): value is string => typeof value === 'string' && parseInstant(value) !== undefined,
  );
}

function clampAttempts(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value)
    ? Math.min(Math.max(value, 0), MAX_ATTEMPTS)
    : 0;
}

/** Members in the order of their worth to an operator, then as sent, as long as MAX_META_BYTES has room. */
function keptMeta(meta: JsonObject, queue: JsonObject): JsonObject {
  const { xfer_queue_info: _, ...others } = meta;
  const { num_attempts: _attempts, due: _due, ...queued } = queue;
  const kept: [string, unknown][] = [];
  let sizeBytes = '{}'.length;
  for (const [name, value] of Object.entries({ ...queued, ...others })) {
    if (value === null || value === undefined) continue;
    const memberBytes = Buffer.byteLength(JSON.stringify({ [name]: value })) - 1;
    if (sizeBytes + memberBytes > MAX_META_BYTES) continue;
    sizeBytes += memberBytes;
    kept.push([name, value]);
  }
  return Object.fromEntries(kept);
}
