// The fields of a message in a transfer, out of a parsed JSON object. Two steps, since they fail differently:
// `readBoundary` reads who the message is and where it ends, without which the whole request is unusable;
// `readHeader` reads the rest, where a fault refuses that message alone, with a reply that names the field. Unknown
// fields are refused by name: a misspelled `expiresAt` must not be ignored. Throws nothing; of several faults in
// a message the first is told. Written by hand, since a batch is read in the receiver's hot path.

import { needsSmtpUtf8, parseMailbox } from '../message/address.ts';
import type { Envelope, NotifyCondition, Recipient } from '../message/envelope.ts';
import { isHostName } from '../message/trace.ts';
import { clipText, type HostReply, ownReply, type Reply } from '../smtp/reply.ts';
import { parseInstant } from './instant.ts';
import { isObject, type JsonObject } from './json-object.ts';
import {
  CLOCK_SKEW_MS,
  EARLIEST_MS,
  EXPIRY_MAX_MS,
  MAX_ATTEMPTS,
  MAX_ENVID_CHARACTERS,
  MAX_META_BYTES,
  MAX_ORCPT_CHARACTERS,
  MAX_RECIPIENTS,
} from './limits.ts';
import { ID_PATTERN, type XferHeader } from './message.ts';
import { type Problem, problem } from './problem.ts';

export interface Boundary {
  readonly id: string;
  readonly sizeBytes: number;
  readonly upload: boolean;
}

export interface HeaderContext {
  /** The receiver's clock, against which dates are judged. */
  readonly nowMs: number;
  readonly maxMessageBytes: number;
}

export type BoundaryResult =
  | { readonly ok: true; readonly boundary: Boundary }
  | { readonly ok: false; readonly problem: Problem };

export type HeaderResult =
  | { readonly ok: true; readonly header: XferHeader }
  | { readonly ok: false; readonly reply: Reply };

/** `where` begins the problem's detail: `frame 3`. */
export function readBoundary(fields: JsonObject, where: string): BoundaryResult {
  const id = readId(fields['id'], where);
  if (!id.ok) return id;
  const sizeBytes = fields['sizeBytes'];
  if (typeof sizeBytes !== 'number' || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    const detail = `${where}: sizeBytes must be a whole number of octets from 0 to ${Number.MAX_SAFE_INTEGER}`;
    return { ok: false, problem: problem('bad-size', detail) };
  }
  const upload = fields['upload'] ?? false;
  if (typeof upload !== 'boolean') {
    return { ok: false, problem: problem('bad-upload', `${where}: upload must be true or false`) };
  }
  return { ok: true, boundary: { id: id.id, sizeBytes, upload } };
}

export function readId(
  value: unknown,
  where: string,
): { readonly ok: true; readonly id: string } | { readonly ok: false; readonly problem: Problem } {
  if (typeof value === 'string' && ID_PATTERN.test(value)) return { ok: true, id: value };
  return { ok: false, problem: problem('bad-id', `${where}: id must be 1 to 64 of A-Z, a-z, 0-9, _ and -`) };
}

/** `fields` may still hold those of the boundary; they are not read again. */
export function readHeader(fields: JsonObject, boundary: Boundary, context: HeaderContext): HeaderResult {
  const reader = new FieldReader();
  reader.only(fields, HEADER_FIELDS, '');
  const sender = readSender(reader, fields['sender']);
  const recipients = readRecipients(reader, fields['recipients']);
  const smtputf8 = readSmtpUtf8(reader, fields['smtputf8'], sender, recipients);
  const body = reader.oneOf('body', fields['body'], BODIES);
  const requireTls = reader.boolean('requireTls', fields['requireTls']);
  const envid = reader.matching(
    'envid',
    fields['envid'],
    ENVID,
    `1 to ${MAX_ENVID_CHARACTERS} printable characters`,
  );
  const ret = reader.oneOf('ret', fields['ret'], RETS);
  const sha256 = reader.matching('sha256', fields['sha256'], SHA256, '64 lower-case hex digits');
  const receivedFrom = readHostName(reader, 'receivedFrom', fields['receivedFrom']);
  const attempts = reader.integer('attempts', fields['attempts'], 0, MAX_ATTEMPTS);
  const dates = readDates(reader, fields, context.nowMs);
  const lastReply = readLastReply(reader, fields['lastReply']);
  const meta = readMeta(reader, fields['meta']);
  if (boundary.upload && sha256 === undefined) reader.fault('sha256', 'is needed with upload');
  if (boundary.sizeBytes > context.maxMessageBytes) {
    const text = `content of ${boundary.sizeBytes} octets, at most ${context.maxMessageBytes} are taken`;
    reader.refuse(ownReply(552, '5.3.4', text));
  }
  if (reader.refusal !== undefined) return { ok: false, reply: reader.refusal };
  const envelope: Envelope = {
    sender,
    recipients,
    body: body ?? '7BIT',
    smtputf8,
    requireTls: requireTls ?? false,
    ...(envid !== undefined && { envid }),
    ...(ret !== undefined && { ret }),
  };
  const header: XferHeader = {
    id: boundary.id,
    envelope,
    sizeBytes: boundary.sizeBytes,
    ...(sha256 !== undefined && { sha256 }),
    ...dates,
    ...(receivedFrom !== undefined && { receivedFrom }),
    attempts: attempts ?? 0,
    ...(lastReply !== undefined && { lastReply }),
    upload: boundary.upload,
    meta,
  };
  return { ok: true, header };
}

const HEADER_FIELDS: ReadonlySet<string> = new Set([
  'id',
  'sender',
  'recipients',
  'sizeBytes',
  'sha256',
  'body',
  'smtputf8',
  'envid',
  'ret',
  'requireTls',
  'receivedAt',
  'receivedFrom',
  'attempts',
  'dueAt',
  'expiresAt',
  'lastReply',
  'upload',
  'meta',
]);
const RECIPIENT_FIELDS: ReadonlySet<string> = new Set(['address', 'orcpt', 'notify']);
const REPLY_FIELDS: ReadonlySet<string> = new Set(['code', 'enhanced', 'text', 'host']);
const BODIES = ['7BIT', '8BITMIME'] as const;
const RETS = ['FULL', 'HDRS'] as const;
const CONDITIONS = ['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'] as const;
const SHA256 = /^[0-9a-f]{64}$/;
const ENVID = new RegExp(`^[\\x20-\\x7e]{1,${MAX_ENVID_CHARACTERS}}$`);
const ENHANCED = /^[245]\.\d{1,3}\.\d{1,3}$/;
/** `addr-type;address` without controls (RFC 3461 §4.2; UTF-8 by RFC 6533). */
const ORCPT = /^[A-Za-z0-9-]+;[^\p{Cc}\p{Cs}]+$/u;

/** Reads fields of one message; keeps the first refusal and hands out undefined for what it refused. */
class FieldReader {
  refusal: Reply | undefined;

  refuse(reply: Reply): void {
    this.refusal ??= reply;
  }

  fault(field: string, fault: string): void {
    this.refuse(ownReply(501, '5.5.4', `${field} ${fault}`));
  }

  only(fields: JsonObject, known: ReadonlySet<string>, prefix: string): void {
    const unknown = Object.keys(fields).find((name) => !known.has(name));
    if (unknown === undefined) return;
    this.fault(`${prefix}${JSON.stringify(unknown.slice(0, 64))}`, 'is no field of XFER/1');
  }

  boolean(field: string, value: unknown): boolean | undefined {
    if (value === undefined || typeof value === 'boolean') return value;
    this.fault(field, 'must be true or false');
    return undefined;
  }

  integer(field: string, value: unknown, least: number, most: number): number | undefined {
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    this.fault(field, `must be a whole number from ${least} to ${most}`);
    return undefined;
  }

  oneOf<T extends string>(field: string, value: unknown, all: readonly T[]): T | undefined {
    if (value === undefined) return undefined;
    const found = all.find((one) => one === value);
    if (found === undefined) this.fault(field, `must be one of ${all.join(', ')}`);
    return found;
  }

  matching(field: string, value: unknown, pattern: RegExp, form: string): string | undefined {
    if (value === undefined) return undefined;
    if (typeof value === 'string' && pattern.test(value)) return value;
    this.fault(field, `must be ${form}`);
    return undefined;
  }

  instant(field: string, value: unknown): number | undefined {
    if (value === undefined) return undefined;
    const atMs = typeof value === 'string' ? parseInstant(value) : undefined;
    if (atMs === undefined) {
      this.fault(field, 'must be an instant such as 2026-11-22T10:00:00Z (RFC 3339)');
    } else if (atMs < EARLIEST_MS) {
      this.fault(field, 'lies before the year 2000');
    }
    return atMs;
  }
}

function readSender(reader: FieldReader, value: unknown): string {
  if (typeof value !== 'string') {
    reader.fault('sender', 'must be a mailbox, or "" for the null reverse path');
    return '';
  }
  if (value === '') return value;
  const mailbox = parseMailbox(value);
  if (mailbox.ok) return mailbox.address;
  reader.refuse(ownReply(501, '5.1.7', `sender ${mailbox.fault}`));
  return '';
}

function readRecipients(reader: FieldReader, value: unknown): readonly Recipient[] {
  if (!Array.isArray(value) || value.length === 0) {
    reader.fault('recipients', `must be a list of 1 to ${MAX_RECIPIENTS}`);
    return [];
  }
  if (value.length > MAX_RECIPIENTS) {
    const text = `${value.length} recipients, at most ${MAX_RECIPIENTS} are taken in one message`;
    reader.refuse(ownReply(554, '5.5.3', text));
    return [];
  }
  const recipients: Recipient[] = [];
  for (const [index, entry] of value.entries()) {
    const recipient = readRecipient(reader, `recipients[${index}]`, entry);
    if (recipient === undefined) return [];
    recipients.push(recipient);
  }
  return recipients;
}

/** An object, or a string that is its address. */
function readRecipient(reader: FieldReader, field: string, entry: unknown): Recipient | undefined {
  const fields = typeof entry === 'string' ? { address: entry } : entry;
  if (!isObject(fields)) {
    reader.fault(field, 'must be a mailbox or an object with an address');
    return undefined;
  }
  reader.only(fields, RECIPIENT_FIELDS, `${field}.`);
  const text = fields['address'];
  if (typeof text !== 'string') {
    reader.fault(`${field}.address`, 'must be a mailbox');
    return undefined;
  }
  const mailbox = parseMailbox(text);
  if (!mailbox.ok) {
    reader.refuse(ownReply(501, '5.1.3', `${field}.address ${mailbox.fault}`));
    return undefined;
  }
  const orcpt = readOrcpt(reader, `${field}.orcpt`, fields['orcpt']);
  const notify = readNotify(reader, `${field}.notify`, fields['notify']);
  return {
    address: mailbox.address,
    ...(orcpt !== undefined && { orcpt }),
    ...(notify !== undefined && { notify }),
  };
}

function readOrcpt(reader: FieldReader, field: string, value: unknown): string | undefined {
  const form = `addr-type;address, decoded, of at most ${MAX_ORCPT_CHARACTERS} characters (RFC 3461)`;
  const orcpt = reader.matching(field, value, ORCPT, form);
  if (orcpt === undefined || orcpt.length <= MAX_ORCPT_CHARACTERS) return orcpt;
  reader.fault(field, `must be ${form}`);
  return undefined;
}

function readNotify(
  reader: FieldReader,
  field: string,
  value: unknown,
): readonly NotifyCondition[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length === 0) {
    reader.fault(field, `must be a list of ${CONDITIONS.join(', ')}`);
    return undefined;
  }
  const conditions: NotifyCondition[] = [];
  for (const entry of value) {
    const condition = reader.oneOf(field, entry, CONDITIONS);
    if (condition !== undefined && !conditions.includes(condition)) conditions.push(condition);
  }
  if (conditions.includes('NEVER') && conditions.length > 1)
    reader.fault(field, 'must have NEVER stand alone');
  return conditions;
}

/** Not said, it follows from the addresses; denied against them, the message cannot be sent. */
function readSmtpUtf8(
  reader: FieldReader,
  value: unknown,
  sender: string,
  recipients: readonly Recipient[],
): boolean {
  const said = reader.boolean('smtputf8', value);
  if (said === true) return true;
  const needed = needsSmtpUtf8(sender) || recipients.some((recipient) => needsSmtpUtf8(recipient.address));
  if (needed && said === false) {
    reader.refuse(ownReply(553, '5.6.7', 'smtputf8 is false, but a local part is not US-ASCII'));
  }
  return needed;
}

function readHostName(reader: FieldReader, field: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && isHostName(value)) return value;
  reader.fault(field, 'must be a host name in US-ASCII or an address literal in brackets');
  return undefined;
}

type Dates = Pick<XferHeader, 'receivedAtMs' | 'dueAtMs' | 'expiresAtMs'>;

function readDates(reader: FieldReader, fields: JsonObject, nowMs: number): Dates {
  const receivedAtMs = reader.instant('receivedAt', fields['receivedAt']);
  const dueAtMs = reader.instant('dueAt', fields['dueAt']);
  const expiresAtMs = reader.instant('expiresAt', fields['expiresAt']);
  if (receivedAtMs !== undefined && receivedAtMs > nowMs + CLOCK_SKEW_MS) {
    reader.fault('receivedAt', 'lies more than an hour ahead of the clock here');
  }
  if (dueAtMs !== undefined && dueAtMs > nowMs + EXPIRY_MAX_MS)
    reader.fault('dueAt', 'lies over 10 days ahead');
  if (expiresAtMs !== undefined) {
    const startMs = receivedAtMs ?? nowMs;
    if (expiresAtMs > startMs + EXPIRY_MAX_MS + CLOCK_SKEW_MS) {
      reader.fault('expiresAt', 'lies over 10 days after the message was received');
    } else if (receivedAtMs !== undefined && expiresAtMs <= receivedAtMs) {
      reader.fault('expiresAt', 'does not lie after receivedAt');
    }
  }
  return {
    ...(receivedAtMs !== undefined && { receivedAtMs }),
    ...(dueAtMs !== undefined && { dueAtMs }),
    ...(expiresAtMs !== undefined && { expiresAtMs }),
  };
}

function readLastReply(reader: FieldReader, value: unknown): HostReply | undefined {
  if (value === undefined) return undefined;
  if (!isObject(value)) {
    reader.fault('lastReply', 'must be an object with code and text');
    return undefined;
  }
  reader.only(value, REPLY_FIELDS, 'lastReply.');
  const code = reader.integer('lastReply.code', value['code'], 200, 599);
  if (code === undefined) reader.fault('lastReply.code', 'is missing');
  const enhanced = reader.matching('lastReply.enhanced', value['enhanced'], ENHANCED, 'of the form 4.7.1');
  const text = value['text'] ?? '';
  if (typeof text !== 'string') reader.fault('lastReply.text', 'must be a string');
  const host = readHostName(reader, 'lastReply.host', value['host']);
  return {
    code: code ?? 0,
    ...(enhanced !== undefined && { enhanced }),
    text: typeof text === 'string' ? clipText(text.toWellFormed()) : '',
    ...(host !== undefined && { host }),
  };
}

function readMeta(reader: FieldReader, value: unknown): JsonObject {
  if (value === undefined) return {};
  if (!isObject(value)) {
    reader.fault('meta', 'must be an object');
    return {};
  }
  const sizeBytes = Buffer.byteLength(JSON.stringify(value));
  if (sizeBytes > MAX_META_BYTES)
    reader.fault('meta', `takes ${sizeBytes} octets, at most ${MAX_META_BYTES} are kept`);
  return value;
}
