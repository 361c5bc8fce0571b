// SMTP command lines (RFC 5321 §4.1.1) with the parameters that the listener advertises: SIZE, BODY, SMTPUTF8, DSN
// and REQUIRETLS (RFC 1870, 6152, 6531, 3461, 8689), and AUTH (RFC 4954 §5). Whatever is wrong with one recipient
// or sender is a transient reply: the mail was deferred before it came here, and its MTA must not bounce it on our
// account.

import { isUtf8 } from 'node:buffer';
import { needsSmtpUtf8, parseMailbox } from '../../shared/message/address.ts';
import type { Envelope, NotifyCondition, Recipient } from '../../shared/message/envelope.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { decodeXtext, readEnvid, readNotify, readOrcpt } from './parameters.ts';

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

/** A line without its end. */
export function parseCommand(line: Buffer): Command {
  const text = line.toString('utf8').trim();
  const end = text.search(/\s/);
  const verb = end < 0 ? text : text.slice(0, end);
  const rest = end < 0 ? '' : text.slice(end + 1).trimStart();
  return { verb: verb.toUpperCase(), rest, isUtf8: !text.includes('\ufffd') || isUtf8(line) };
}

/** What follows MAIL. REQUIRETLS is for sessions that are themselves under TLS. */
export function parseMail({ rest, isUtf8 }: Command, secure: boolean): Parsed<MailCommand> {
  if (!isUtf8) return refuse(ownReply(451, '4.1.7', 'the sender is not written in UTF-8'));
  const parts = splitPath(rest, 'FROM');
  if (parts === undefined) return refuse(ownReply(451, '4.1.7', 'write MAIL FROM:<address>'));
  const sender = parts.path === '' ? '' : readMailbox(parts.path);
  if (typeof sender !== 'string') return refuse(ownReply(451, '4.1.7', `the sender ${sender.fault}`));
  let declaredBytes = 0;
  let body: Envelope['body'] = '7BIT';
  let smtputf8 = needsSmtpUtf8(sender);
  let requireTls = false;
  let envid: string | undefined;
  let ret: Envelope['ret'];
  const twice = repeated(parts.parameters);
  if (twice !== undefined) return refuse(unfit(twice));
  for (const [name, value] of parts.parameters) {
    const upper = value.toUpperCase();
    if (name === 'SIZE' && /^\d{1,20}$/.test(value)) declaredBytes = Number(value);
    else if (name === 'BODY' && (upper === '7BIT' || upper === '8BITMIME')) body = upper;
    else if (name === 'BODY' && upper === 'BINARYMIME') return refuse(BINARY);
    else if (name === 'SMTPUTF8' && value === '') smtputf8 = true;
    else if (name === 'REQUIRETLS' && value === '' && secure) requireTls = true;
    else if (name === 'RET' && (upper === 'FULL' || upper === 'HDRS')) ret = upper;
    else if (name === 'ENVID' && readEnvid(value) !== undefined) envid = readEnvid(value);
    else if (name !== 'AUTH' || !isAuthIdentity(value)) return refuse(unfit(name));
  }
  const envelope = { sender, body, smtputf8, requireTls, ...(envid !== undefined && { envid }) };
  return { ok: true, value: { envelope: { ...envelope, ...(ret !== undefined && { ret }) }, declaredBytes } };
}

/** What follows RCPT. The bare `postmaster` of RFC 5321 §4.5.1 is the one of this host. */
export function parseRcpt({ rest, isUtf8 }: Command, hostName: string): Parsed<Recipient> {
  if (!isUtf8) return refuse(ownReply(451, '4.1.3', 'the recipient is not written in UTF-8'));
  const parts = splitPath(rest, 'TO');
  if (parts === undefined) return refuse(ownReply(451, '4.1.3', 'write RCPT TO:<address>'));
  const isPostmaster = /^postmaster$/i.test(parts.path);
  const address = readMailbox(isPostmaster ? `${parts.path}@${hostName}` : parts.path);
  if (typeof address !== 'string') return refuse(ownReply(451, '4.1.3', `the recipient ${address.fault}`));
  let notify: readonly NotifyCondition[] | undefined;
  let orcpt: string | undefined;
  const twice = repeated(parts.parameters);
  if (twice !== undefined) return refuse(unfit(twice));
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

interface Path {
  readonly path: string;
  /** Names in upper case; '' for a parameter without a value. */
  readonly parameters: readonly (readonly [string, string])[];
}

// `FROM:<path> NAME=value …`. The path ends at the first > outside of a quoted local part.
function splitPath(rest: string, word: 'FROM' | 'TO'): Path | undefined {
  const match = /^(\w+)\s*:\s*<((?:"(?:[^"\\]|\\.)*"|[^">])*)>(?:\s+(.*))?$/s.exec(rest);
  if (match?.[1]?.toUpperCase() !== word) return undefined;
  const written = match[3] ?? '';
  const parameters = written === '' ? [] : written.split(/\s+/).map(splitParameter);
  return { path: match[2] ?? '', parameters };
}

function splitParameter(part: string): readonly [string, string] {
  const equals = part.indexOf('=');
  if (equals < 0) return [part.toUpperCase(), ''];
  return [part.slice(0, equals).toUpperCase(), part.slice(equals + 1)];
}

// RFC 3461 §4 and RFC 1870 §6: a parameter stands once.
function repeated(parameters: Path['parameters']): string | undefined {
  if (parameters.length < 2) return undefined;
  return parameters.find(([name], index) => parameters.findIndex(([other]) => other === name) < index)?.[0];
}

// A source route (`@a,@b:user@c`) is taken off, as RFC 5321 §4.1.1.3 asks.
function readMailbox(path: string): string | { readonly fault: string } {
  const mailbox = parseMailbox(path.startsWith('@') ? path.replace(/^@[^\s":]*:/, '') : path);
  return mailbox.ok ? mailbox.address : { fault: mailbox.fault };
}

// Who first submitted the message, by the client's word. It goes no further: nobody behind us could check it.
function isAuthIdentity(value: string): boolean {
  return value !== '' && (value === '<>' || decodeXtext(value) !== undefined);
}

const BINARY = ownReply(455, '4.6.3', 'BINARYMIME is not offered; send BODY=8BITMIME in lines');

function unfit(name: string): Reply {
  return ownReply(455, '4.5.4', `the parameter ${name.slice(0, 32)} is not understood as it stands`);
}

function refuse<T>(reply: Reply): Parsed<T> {
  return { ok: false, reply };
}
