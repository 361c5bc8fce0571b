// Log records and events as lines for people.

import type { LogRecord, Notice } from '../shared/records/records.ts';
import type { SidecarRecord } from '../sidecar/log.ts';

const WORDS: Readonly<Record<LogRecord['type'], string>> = {
  XferIn: 'accepted',
  Delivery: 'delivered',
  TransientFailure: 'deferred',
  Bounce: 'failed',
  Expiration: 'expired',
  AdminBounce: 'cancelled',
  Delayed: 'delayed',
  Uncertain: 'uncertain',
  Held: 'held',
  Withdrawn: 'withdrawn',
};

export function recordLine(record: LogRecord): string {
  const { response, next_due: nextDue } = record;
  const reply =
    response === undefined ? '' : replyText(response.code, response.enhanced_code, response.content);
  const next = nextDue === undefined ? '' : `next ${clock(Date.parse(nextDue))}`;
  return line(record.timestamp * 1_000, WORDS[record.type], record.recipient, reply, next);
}

export function noticeLine(notice: Notice, atMs: number): string {
  const detail = notice.detail === undefined ? '' : JSON.stringify(notice.detail);
  return line(atMs, notice.level, notice.code, notice.message, detail);
}

/** Undefined for what the banner or the API's own records tell already. */
export function sidecarLine(record: SidecarRecord): string | undefined {
  const atMs = record.timestamp * 1_000;
  if (record.type === 'Notice' && record.code === 'listening') return undefined;
  if (record.type === 'Notice') return line(atMs, record.level, 'sidecar', record.message, '');
  const { code, enhanced_code: enhanced, content } = record.response;
  const text = replyText(code, enhanced, content);
  if (record.type !== 'XferOut') return line(atMs, record.type, record.recipient, text, '');
  if (record.verdict === 'accepted') return undefined;
  return line(atMs, record.verdict, record.recipients.join(', '), text, '');
}

function replyText(code: number, enhanced: string | null, content: string): string {
  return [code, enhanced, content.replaceAll('\n', ' ')].filter((part) => part !== null).join(' ');
}

function line(atMs: number, word: string, subject: string, text: string, more: string): string {
  return `${clock(atMs)} ${word.padEnd(9)} ${subject.padEnd(28)} ${[text, more].filter(Boolean).join('; ')}`.trimEnd();
}

/** Local time, `10:00:00`. */
function clock(atMs: number): string {
  return new Date(atMs).toTimeString().slice(0, 8);
}
