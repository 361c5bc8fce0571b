// SMTP command lines (RFC 5321 §4.1.1) with the parameters that the listener advertises: SIZE, BODY, SMTPUTF8
// and DSN (RFC 1870, 6152, 6531, 3461), and Postfix's XFORWARD. Whatever is wrong with one recipient or sender is
// a transient reply: the mail was deferred before it came here, and its MTA must not bounce it on our account.

import { isUtf8 } from 'node:buffer';
import { needsSmtpUtf8, parseMailbox } from '../../shared/message/address.ts';
import type { Envelope, NotifyCondition, Recipient } from '../../shared/message/envelope.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { MAX_ENVID_CHARACTERS, MAX_ORCPT_CHARACTERS } from '../../shared/xfer/limits.ts';

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reply: Reply };

export interface MailCommand {
  readonly envelope: Omit<Envelope, 'recipients'>;
  /** SIZE as the client declares it. */
  readonly declaredBytes: number;
}

export interface Command {
  /** In upper case. */
  readonly verb: string;
  /** What follows it, with U+FFFD for what is no UTF-8. */
  readonly rest: string;
  readonly isUtf8: boolean;
}

export function parseCommand(line: Buffer): Command {
  const [, verb = '', rest = ''] = /^\s*(\S*)\s*(.*?)\s*$/s.exec(line.toString('utf8')) ?? [];
  return { verb: verb.toUpperCase(), rest, isUtf8: isUtf8(line) };
}

/** What follows MAIL. */
export function parseMail({ rest, isUtf8 }: Command): Parsed<MailCommand> {
  if (!isUtf8) return refuse(ownReply(451, '4.1.7', 'the sender is not written in UTF-8'));
  const parts = splitPath(rest, 'FROM');
  if (parts === undefined) return refuse(ownReply(451, '4.1.7', 'write MAIL FROM:<address>'));
  const sender = parts.path === '' ? '' : readMailbox(parts.path);
  if (typeof sender !== 'string') return refuse(ownReply(451, '4.1.7', `the sender ${sender.fault}`));
  let declaredBytes = 0;
  let body: Envelope['body'] = '7BIT';
  let smtputf8 = needsSmtpUtf8(sender);
  let envid: string | undefined;
  let ret: Envelope['ret'];
  for (const [name, value] of parts.parameters) {
    const upper = value.toUpperCase();
    if (name === 'SIZE' && /^\d{1,20}$/.test(value)) declaredBytes = Number(value);
    else if (name === 'BODY' && (upper === '7BIT' || upper === '8BITMIME')) body = upper;
    else if (name === 'SMTPUTF8' && value === '') smtputf8 = true;
    else if (name === 'RET' && (upper === 'FULL' || upper === 'HDRS')) ret = upper;
    else if (name === 'ENVID' && isEnvid(decodeXtext(value))) envid = decodeXtext(value);
    else return refuse(unfit(name));
  }
  const envelope = { sender, body, smtputf8, requireTls: false, ...(envid !== undefined && { envid }) };
  return { ok: true, value: { envelope: { ...envelope, ...(ret !== undefined && { ret }) }, declaredBytes } };
}

/** What follows RCPT. */
export function parseRcpt({ rest, isUtf8 }: Command): Parsed<Recipient> {
  if (!isUtf8) return refuse(ownReply(451, '4.1.3', 'the recipient is not written in UTF-8'));
  const parts = splitPath(rest, 'TO');
  if (parts === undefined) return refuse(ownReply(451, '4.1.3', 'write RCPT TO:<address>'));
  const address = readMailbox(parts.path);
  if (typeof address !== 'string') return refuse(ownReply(451, '4.1.3', `the recipient ${address.fault}`));
  let notify: readonly NotifyCondition[] | undefined;
  let orcpt: string | undefined;
  for (const [name, value] of parts.parameters) {
    if (name === 'NOTIFY') {
      notify = readNotify(value);
      if (notify === undefined) return refuse(unfit(name));
    } else if (name === 'ORCPT') {
      orcpt = readOrcpt(value);
      if (orcpt === undefined) return refuse(unfit(name));
    } else {
      return refuse(unfit(name));
    }
  }
  return {
    ok: true,
    value: { address, ...(notify !== undefined && { notify }), ...(orcpt !== undefined && { orcpt }) },
  };
}

/** XFORWARD's attributes by upper-case name; those that are not available are left out. */
export function parseXforward(rest: string): Parsed<ReadonlyMap<string, string>> {
  const attributes = new Map<string, string>();
  for (const part of rest.split(/\s+/)) {
    const [, name, value] = /^([A-Za-z]+)=(\S+)$/.exec(part) ?? [];
    const decoded = value === undefined ? undefined : decodeXtext(value);
    if (name === undefined || decoded === undefined || !XFORWARD_NAMES.includes(name.toUpperCase())) {
      return refuse(ownReply(501, '5.5.4', `write XFORWARD with attributes of ${XFORWARD_NAMES.join(', ')}`));
    }
    if (!/^\[(?:TEMP)?UNAVAILABLE\]$/i.test(decoded)) attributes.set(name.toUpperCase(), decoded);
  }
  return { ok: true, value: attributes };
}

/** As Postfix's XFORWARD_README names them. */
export const XFORWARD_NAMES: readonly string[] = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'IDENT', 'SOURCE'];

const CONDITIONS: readonly NotifyCondition[] = ['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'];

interface Path {
  readonly path: string;
  /** Names in upper case; '' for a parameter without a value. */
  readonly parameters: readonly (readonly [string, string])[];
}

// `FROM:<path> NAME=value …`. The path ends at the first > outside of a quoted local part.
function splitPath(rest: string, word: 'FROM' | 'TO'): Path | undefined {
  const match = /^(\w+)\s*:\s*<((?:"(?:[^"\\]|\\.)*"|[^">])*)>(?:\s+(.*))?$/s.exec(rest);
  if (match?.[1]?.toUpperCase() !== word) return undefined;
  const parameters = (match[3] ?? '').split(/\s+/).filter((part) => part !== '');
  return {
    path: match[2] ?? '',
    parameters: parameters.map((part) => {
      const equals = part.indexOf('=');
      return equals < 0
        ? [part.toUpperCase(), '']
        : [part.slice(0, equals).toUpperCase(), part.slice(equals + 1)];
    }),
  };
}

// A source route (`@a,@b:user@c`) is taken off, as RFC 5321 §4.1.1.3 asks.
function readMailbox(path: string): string | { readonly fault: string } {
  const mailbox = parseMailbox(path.replace(/^@[^\s":]*:/, ''));
  return mailbox.ok ? mailbox.address : { fault: mailbox.fault };
}

function readNotify(value: string): readonly NotifyCondition[] | undefined {
  const conditions = new Set<NotifyCondition>();
  for (const word of value.toUpperCase().split(',')) {
    const condition = CONDITIONS.find((known) => known === word);
    if (condition === undefined) return undefined;
    conditions.add(condition);
  }
  return conditions.has('NEVER') && conditions.size > 1 ? undefined : [...conditions];
}

function readOrcpt(value: string): string | undefined {
  const semicolon = value.indexOf(';');
  const address = decodeXtext(value.slice(semicolon + 1));
  const type = value.slice(0, Math.max(semicolon, 0));
  if (address === undefined || !/^[A-Za-z0-9-]+$/.test(type) || !/^[^\p{Cc}\p{Cs}]+$/u.test(address))
    return undefined;
  const orcpt = `${type};${address}`;
  return orcpt.length <= MAX_ORCPT_CHARACTERS ? orcpt : undefined;
}

function isEnvid(text: string | undefined): boolean {
  return text !== undefined && /^[\x20-\x7e]+$/.test(text) && text.length <= MAX_ENVID_CHARACTERS;
}

/** RFC 3461 §4: `+` and two upper-case hex digits stand for an octet. Undefined when a `+` stands otherwise. */
function decodeXtext(text: string): string | undefined {
  if (/\+(?![0-9A-F]{2})/.test(text)) return undefined;
  return text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function unfit(name: string): Reply {
  return ownReply(455, '4.5.4', `the parameter ${name.slice(0, 32)} is not understood as it stands`);
}

function refuse<T>(reply: Reply): Parsed<T> {
  return { ok: false, reply };
}
