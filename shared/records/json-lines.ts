// The log: one JSON line per record or notice. Records of what failed get their `bounce_classification` here, so that
// nothing that makes records needs to know the rules.

import type { Log, LogRecord, RecordType } from './records.ts';

export interface JsonLogSettings {
  /** The class of what a server said; `stage` is where in the dialogue. Without it no record has a class. */
  readonly classify?: (
    reply: { readonly code: number; readonly enhanced?: string; readonly text: string },
    stage?: string,
  ) => string;
}

export function createJsonLog(
  write: (line: string) => void,
  nowMs: () => number,
  { classify }: JsonLogSettings = {},
): Log {
  return {
    record: (record) => write(`${JSON.stringify({ ...record, ...classification(record, classify) })}\n`),
    notice: (notice) => write(`${JSON.stringify({ ...notice, timestamp: nowMs() / 1_000 })}\n`),
  };
}

const FAILED: ReadonlySet<RecordType> = new Set(['Bounce', 'TransientFailure', 'Expiration']);

/** An expired recipient's reply is the last that a server gave: its class says why the mail never got there. */
function classification(
  { type, response, response_read_as: readAs }: LogRecord,
  classify: JsonLogSettings['classify'],
): Pick<LogRecord, 'bounce_classification'> {
  if (classify === undefined || response === undefined || !FAILED.has(type)) return {};
  const { code, enhanced_code: enhanced, content } = readAs ?? response;
  const { command } = response;
  const reply = { code, ...(enhanced === null ? {} : { enhanced }), text: content };
  return { bounce_classification: classify(reply, command ?? undefined) };
}
