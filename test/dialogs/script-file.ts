// Reads a dialogue script from its file: what is handed over, what the peer plays, what must come of it.
// test/dialogs/scripts/README.md tells the form. Throws an error that names file and line for whatever is not
// understood, so that a slip of the pen never passes for a test.

import { Readable } from 'node:stream';
import type { Envelope, NotifyCondition, Recipient } from '../../shared/message/envelope.ts';
import type { PeerTrait, SmtpContent, SmtpTimeouts, TlsDemand } from '../../shared/smtp/client.ts';
import { parseScenes, type Scene } from './scripted-peer.ts';
import { SELF_SIGNED } from './self-signed.ts';
import { content, TIMEOUTS } from './smtp-session.ts';

export interface ScriptedMessage {
  readonly envelope: Envelope;
  readonly content: SmtpContent;
  /** The content's octets; absent when it breaks off. */
  readonly octets?: Buffer;
}

export interface DialogScript {
  readonly title: string;
  /** RFC and section, as the script names them. */
  readonly source: string;
  readonly host: string;
  /** The host is known to be the domain's: DNS alone does not tell. */
  readonly mxAuthenticated: boolean;
  readonly tls: TlsDemand;
  readonly timeouts: SmtpTimeouts;
  /** What is remembered of the peer when it is called. */
  readonly remembered: ReadonlySet<PeerTrait>;
  /** When the session is ready for the next message, or when the last one is settled. No message at all: `nothing`. */
  readonly handOver: 'overlapped' | 'one by one' | 'nothing';
  readonly messages: readonly ScriptedMessage[];
  readonly scenes: readonly Scene[];
  /** One line each, in the order in which the runner tells them. */
  readonly outcome: readonly string[];
}

/** `file` is the name that faults are reported under. */
export function parseScript(text: string, file: string): DialogScript {
  const lines = text.split('\n');
  const dialogAt = lines.indexOf('--- dialog');
  const outcomeAt = lines.indexOf('--- outcome');
  if (dialogAt === -1 || outcomeAt < dialogAt) {
    throw new Error(`${file}:1: a script has a line "--- dialog" and, after it, a line "--- outcome"`);
  }
  const dialog = lines.slice(dialogAt + 1, outcomeAt).join('\n');
  const header = parseHeader(lines.slice(0, dialogAt), file);
  const outcome = lines
    .slice(outcomeAt + 1)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (outcome.length === 0) throw new Error(`${file}:${outcomeAt + 1}: a script expects something`);
  return {
    ...header,
    scenes: parseScenes(dialog, (line) => `${file}:${dialogAt + 1 + line}`),
    outcome,
  };
}

type Header = Omit<DialogScript, 'scenes' | 'outcome'>;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

function parseHeader(lines: readonly string[], file: string): Header {
  const messages: Writable<ScriptedMessage>[] = [];
  const header: Writable<Header> = {
    title: '',
    source: '',
    host: 'mx.example.net',
    mxAuthenticated: true,
    tls: { mode: 'no', verify: false },
    timeouts: TIMEOUTS,
    remembered: new Set(),
    handOver: 'one by one',
    messages,
  };
  /** The message that `To` and `Content` belong to: the last one that a `From` began. */
  function current(): Writable<ScriptedMessage> {
    const last = messages.at(-1) ?? { envelope: parseFrom('<alice@example.com>'), ...parseContent(HELLO) };
    if (messages.length === 0) messages.push(last);
    return last;
  }

  for (const [index, line] of lines.entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, name = '', value = ''] = /^([A-Za-z-]+): *(.*)$/.exec(line) ?? [];
    try {
      switch (name) {
        case 'Title':
          header.title = value;
          break;
        case 'Source':
          header.source = value;
          break;
        case 'Host':
          header.host = value;
          break;
        case 'MX':
          if (value !== 'unauthenticated') throw new Error('unauthenticated, or absent');
          header.mxAuthenticated = false;
          break;
        case 'TLS':
          header.tls = parseTls(value);
          break;
        case 'Timeout':
          header.timeouts = { ...header.timeouts, ...parseTimeout(value) };
          break;
        case 'Remembered':
          header.remembered = new Set([...header.remembered, parseTrait(value)]);
          break;
        case 'Hand-Over':
          if (value !== 'overlapped' && value !== 'one by one' && value !== 'nothing') {
            throw new Error('overlapped, one by one, or nothing');
          }
          header.handOver = value;
          break;
        case 'From':
          messages.push({ envelope: parseFrom(value), ...parseContent(HELLO) });
          break;
        case 'To': {
          const message = current();
          const recipients = [...message.envelope.recipients, parseTo(value)];
          message.envelope = { ...message.envelope, recipients };
          break;
        }
        case 'Content':
          Object.assign(current(), parseContent(value));
          break;
        default:
          throw new Error('a script has no such line');
      }
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`${file}:${index + 1}: ${line}: ${why}`, { cause });
    }
  }
  if (header.title === '' || header.source === '') {
    throw new Error(`${file}:1: a script has a Title and a Source`);
  }
  current();
  for (const message of messages) {
    if (message.envelope.recipients.length > 0) continue;
    message.envelope = { ...message.envelope, recipients: [{ address: 'bob@example.net' }] };
  }
  return header;
}

/** The address in angle brackets and the parameters behind it, written as MAIL and RCPT have them. */
function parsePath(value: string): { address: string; parameters: Map<string, string> } {
  const groups = /^<(?<address>(?:"[^"]*"|[^">])*)>(?<rest>(?: \S+)*)$/.exec(value)?.groups;
  if (groups === undefined) throw new Error('no address in angle brackets');
  const parameters = new Map<string, string>();
  for (const parameter of (groups['rest'] ?? '').split(' ').slice(1)) {
    const [name = '', ...rest] = parameter.split('=');
    parameters.set(name, rest.join('='));
  }
  return { address: groups['address'] ?? '', parameters };
}

function parseFrom(value: string): Envelope {
  const { address, parameters } = parsePath(value);
  const envelope: Writable<Envelope> = {
    sender: address,
    recipients: [],
    body: '7BIT',
    smtputf8: false,
    requireTls: false,
  };
  for (const [name, given] of parameters) {
    if (name === 'BODY' && (given === '7BIT' || given === '8BITMIME')) envelope.body = given;
    else if (name === 'RET' && (given === 'FULL' || given === 'HDRS')) envelope.ret = given;
    else if (name === 'ENVID') envelope.envid = given;
    else if (name === 'SMTPUTF8') envelope.smtputf8 = true;
    else if (name === 'REQUIRETLS') envelope.requireTls = true;
    else throw new Error(`${name} is no parameter of a message`);
  }
  return envelope;
}

function parseTo(value: string): Recipient {
  const { address, parameters } = parsePath(value);
  const recipient: Writable<Recipient> = { address };
  for (const [name, given] of parameters) {
    if (name === 'ORCPT') recipient.orcpt = given;
    else if (name === 'NOTIFY') recipient.notify = given.split(',').map(parseNotify);
    else throw new Error(`${name} is no parameter of a recipient`);
  }
  return recipient;
}

function parseNotify(word: string): NotifyCondition {
  const found = (['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'] as const).find((condition) => condition === word);
  if (found === undefined) throw new Error(`${word} is no condition of NOTIFY`);
  return found;
}

/** What a message without a Content line says: 25 octets. */
const HELLO = JSON.stringify('Subject: hello\r\n\r\nhello\r\n');

/** A literal in JSON, one octet a character; or content that is made up. */
function parseContent(value: string): Pick<ScriptedMessage, 'content' | 'octets'> {
  if (value.startsWith('"')) return whole(Buffer.from(String(JSON.parse(value)), 'latin1'));
  const [, size, pieceSize] = /^(\d+) octets(?: in pieces of (\d+))?$/.exec(value) ?? [];
  if (size !== undefined) return whole(madeUp(Number(size)), pieceSize);
  const broken = /^(stalls|fails) after (\d+) of (\d+) octets$/.exec(value);
  if (broken === null) {
    throw new Error(
      'a literal, "N octets", "N octets in pieces of M", "stalls after N of M octets", "fails ..."',
    );
  }
  const [, how, given, sizeBytes] = broken;
  const open = async () => brokenAfter(madeUp(Number(given)), how === 'fails');
  return { content: { sizeBytes: Number(sizeBytes), open } };
}

/** In pieces as they would come from a store, unless their size matters. */
function whole(octets: Buffer, pieceSize = '65536'): Pick<ScriptedMessage, 'content' | 'octets'> {
  const size = Number(pieceSize);
  const pieces = Array.from({ length: Math.ceil(octets.length / size) }, (_, n) =>
    octets.subarray(n * size, (n + 1) * size),
  );
  return { content: content(...pieces), octets };
}

/** Lines of 80 octets that begin with dots now and then; the last one may lack its end. */
function madeUp(sizeBytes: number): Buffer {
  const line = (n: number): string => `${n % 3 === 0 ? '.' : ''}${n} `.padEnd(78, 'x');
  const count = Math.ceil(sizeBytes / 80);
  const text = Array.from({ length: count }, (_, n) => `${line(n)}\r\n`).join('');
  return Buffer.from(text).subarray(0, sizeBytes);
}

/** In two halves, since the last piece of a content waits for the one behind it. */
function brokenAfter(octets: Buffer, fails: boolean): Readable {
  const halves = [octets.subarray(0, octets.length / 2), octets.subarray(octets.length / 2)];
  return new Readable({
    read() {
      const half = halves.shift();
      if (half !== undefined) this.push(half);
      else if (fails) this.destroy(new Error('the store hung up'));
    },
  });
}

function parseTls(value: string): TlsDemand {
  const [mode, ...words] = value.split(' ');
  if (mode !== 'no' && mode !== 'ifavailable' && mode !== 'required') {
    throw new Error('TLS is no, ifavailable or required');
  }
  const unknown = words.find((word) => word !== 'verify' && word !== 'trusted');
  if (unknown !== undefined) throw new Error(`${unknown} is neither verify nor trusted`);
  const demand: TlsDemand = { mode, verify: words.includes('verify') };
  return words.includes('trusted') ? { ...demand, ca: SELF_SIGNED.cert } : demand;
}

function parseTimeout(value: string): Partial<SmtpTimeouts> {
  const [, stage = '', ms] = /^(\w+) (\d+) ms$/.exec(value) ?? [];
  if (!Object.hasOwn(TIMEOUTS, `${stage}Ms`)) {
    throw new Error(`"STAGE N ms", where STAGE is one of ${Object.keys(TIMEOUTS).join(', ')} without Ms`);
  }
  return { [`${stage}Ms`]: Number(ms) };
}

function parseTrait(value: string): PeerTrait {
  const traits = ['tls-fails', 'no-pipelining', 'no-overlap'] as const;
  const trait = traits.find((known) => known === value);
  if (trait === undefined) throw new Error(`one of ${traits.join(', ')}`);
  return trait;
}
