// What a client makes of the answer to a transfer. It is tolerant, since the answer may come from a proxy or from
// a later version, and it never throws. Its one rule is that mail is neither lost nor bounced on a guess: what is
// not clearly said to be taken or refused is kept, and where a receiver may have taken it the message is in doubt,
// so that the client repeats it under the same id or withdraws it.

import { clipText, ownReply, type Reply } from '../smtp/reply.ts';
import { isObject, type JsonObject, parseJsonObject } from './json-object.ts';
import type { Verdict } from './message.ts';

/** An HTTP answer as it came; header names in lower case. */
export interface ReceivedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** `unknown`: the answer says nothing usable about this message, which may have been taken. */
export type MessageOutcome = Verdict | { readonly id: string; readonly status: 'unknown' };

export type TransferOutcome =
  /** One outcome for each id of the request, in its order. */
  | { readonly kind: 'verdicts'; readonly messages: readonly MessageOutcome[] }
  /** Keep all messages and come back; `inDoubt` when some may have been taken. */
  | {
      readonly kind: 'retry';
      readonly inDoubt: boolean;
      /** From `Retry-After`, at most an hour. */
      readonly retryAfterMs?: number;
      /** For the log: status, code and detail of the answer. */
      readonly reason: string;
    }
  /** The request as it stands will never be taken, and nothing of it was: split it or keep the mail, and tell. */
  | { readonly kind: 'faulty'; readonly reason: string };

export const MAX_RETRY_AFTER_MS = 3_600_000;

/** `ids` are those of the request in its order. */
export function parseVerdicts(
  answer: ReceivedAnswer,
  ids: readonly string[],
  nowMs: number,
): TransferOutcome {
  const parsed = parseJsonObject(answer.body);
  const fields = parsed.ok ? parsed.object : {};
  const listed = fields['messages'];
  if ((answer.status === 200 || answer.status === 422) && Array.isArray(listed)) {
    return { kind: 'verdicts', messages: ids.map((id, index) => outcomeOf(id, index, listed)) };
  }
  const reason = reasonOf(answer.status, fields);
  const standing = standingOf(answer.status);
  if (standing === 'faulty') return { kind: 'faulty', reason };
  const retryAfterMs = parseRetryAfter(answer.headers['retry-after'], nowMs);
  return {
    kind: 'retry',
    inDoubt: standing === 'in-doubt',
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    reason,
  };
}

/** Seconds or an HTTP date (RFC 9110 §10.2.3), as milliseconds from now; undefined when neither. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  const text = (value ?? '').trim();
  const waitMs = /^\d{1,9}$/.test(text)
    ? Number(text) * 1000
    : / GMT$/.test(text)
      ? Date.parse(text) - nowMs
      : Number.NaN;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), MAX_RETRY_AFTER_MS);
}

/**
 * Of a status that brought no verdicts. Credentials, paths and quotas are mended by people while the mail waits;
 * 400, 405, 411, 413, 414, 415, 422 and 431 complain about the request. Anything else, a 200 that says nothing
 * included, leaves open what happened.
 */
function standingOf(status: number): 'untaken' | 'in-doubt' | 'faulty' {
  switch (status) {
    case 401:
    case 402:
    case 403:
    case 404:
    case 407:
    case 429:
      return 'untaken';
    case 400:
    case 405:
    case 411:
    case 413:
    case 414:
    case 415:
    case 422:
    case 431:
      return 'faulty';
    default:
      return status >= 300 && status < 400 ? 'untaken' : 'in-doubt';
  }
}

/** By place where the ids agree, else by id. */
function outcomeOf(id: string, index: number, listed: readonly unknown[]): MessageOutcome {
  const isAboutId = (entry: unknown): entry is JsonObject => isObject(entry) && entry['id'] === id;
  const atPlace = listed[index];
  const entry = isAboutId(atPlace) ? atPlace : listed.find(isAboutId);
  const status = entry?.['status'];
  if (status === 'accepted' || status === 'duplicate') return { id, status };
  if (status === 'refused') return { id, status, reply: replyOf(entry?.['reply']) };
  return { id, status: 'unknown' };
}

/** A refusal whose reply is not usable is transient: never bounce on a guess. */
function replyOf(value: unknown): Reply {
  const fields = isObject(value) ? value : {};
  const { code, enhanced, text } = fields;
  if (typeof code !== 'number' || !Number.isInteger(code) || code < 400 || code > 599) {
    return ownReply(451, '4.3.0', 'refused by the receiver without a usable reply');
  }
  const usable = typeof enhanced === 'string' && /^[45]\.\d{1,3}\.\d{1,3}$/.test(enhanced);
  return {
    code,
    ...(usable && { enhanced }),
    text: typeof text === 'string' ? clipText(text.toWellFormed()) : '',
  };
}

function reasonOf(status: number, fields: JsonObject): string {
  const parts = [fields['code'], fields['detail']].filter((part) => typeof part === 'string');
  return clipText([`HTTP ${status}`, ...parts].join(' ').toWellFormed());
}
