// A destination that takes what nobody told it to refuse, and keeps what it took: the octets between 354 and CRLF.CRLF,
// each line without its dot-stuffing, by recipient, with the commands that brought them. It offers STARTTLS, DSN, all
// that lets a client send content as it is, and knows no other rules.

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { SELF_SIGNED } from '../dialogs/self-signed.ts';
import type { Lifetime } from './directory.ts';

export interface RecordingSink {
  /** What came for the recipient so far. */
  contents(recipient: string): readonly Buffer[];
  /** The same, with its envelope. */
  deliveries(recipient: string): readonly Delivery[];
  /** How much came so far, each recipient of a message counted. */
  count(): number;
  forget(recipient: string): void;
}

export interface Delivery {
  /** The name that the client said in EHLO. */
  readonly from: string;
  /** The MAIL command, and the RCPT command of this recipient. */
  readonly mail: string;
  readonly rcpt: string;
  readonly content: Buffer;
}

/** What a client has just asked for; `final` is the final dot, for all recipients that were taken. */
export interface Asked {
  readonly from: string;
  readonly command: 'MAIL' | 'RCPT' | 'final';
  /** Of the recipient at RCPT; of the first recipient at the final dot. */
  readonly recipient: string;
}

export interface SinkOptions {
  /** A reply, without CRLF, that refuses what was asked for; taken when undefined. */
  readonly refuse?: (asked: Asked) => string | undefined;
  /** Whether STARTTLS is offered; true when absent. */
  readonly tls?: boolean;
}

const END = Buffer.from('\r\n.\r\n');
const OFFERED = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'DSN', 'SIZE 0'];

/** Listens on port 25 of `address`. */
export async function startRecordingSink(
  lifetime: Lifetime,
  address: string,
  options: SinkOptions = {},
): Promise<RecordingSink> {
  const kept = new Map<string, Delivery[]>();
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.write('220 sink.test ESMTP\r\n');
    converse(socket, options, (recipient, delivery) => {
      count += 1;
      kept.set(recipient, [...(kept.get(recipient) ?? []), delivery]);
    });
  });
  server.listen(25, address);
  await once(server, 'listening');
  lifetime.defer(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    contents: (recipient) => (kept.get(recipient) ?? []).map(({ content }) => content),
    deliveries: (recipient) => kept.get(recipient) ?? [],
    count: () => count,
    forget: (recipient) => void kept.delete(recipient),
  };
}

type Keep = (recipient: string, delivery: Delivery) => void;

function converse(socket: Socket, options: SinkOptions, keep: Keep): void {
  const hear = (octets: Buffer): void => dialogue.hear(octets);
  const dialogue = new Dialogue(socket, options, keep, () => {
    socket.off('data', hear);
    const secured = new TLSSocket(socket, { isServer: true, ...SELF_SIGNED });
    secured.on('error', () => socket.destroy());
    converse(secured, { ...options, tls: false }, keep);
  });
  socket.on('data', hear);
}

interface Recipient {
  readonly address: string;
  readonly rcpt: string;
}

class Dialogue {
  readonly #socket: Socket;
  readonly #options: SinkOptions;
  readonly #keep: Keep;
  readonly #startTls: () => void;
  /** Of the content, begun with the CRLF before it; undefined between contents. */
  #content: Buffer[] | undefined;
  #heard: Buffer = Buffer.alloc(0);
  #from = '';
  #mail: string | undefined;
  #recipients: Recipient[] = [];

  constructor(socket: Socket, options: SinkOptions, keep: Keep, startTls: () => void) {
    this.#socket = socket;
    this.#options = options;
    this.#keep = keep;
    this.#startTls = startTls;
  }

  hear(octets: Buffer): void {
    let rest: Buffer | undefined = octets;
    while (rest !== undefined && rest.length > 0) {
      rest = this.#content === undefined ? this.#command(rest) : this.#piece(rest, this.#content);
    }
  }

  /** Answers one line; what is behind it is the result. */
  #command(octets: Buffer): Buffer | undefined {
    const text = Buffer.concat([this.#heard, octets]);
    const end = text.indexOf('\r\n');
    this.#heard = end < 0 ? text : Buffer.alloc(0);
    if (end < 0) return undefined;
    const line = text.toString('utf8', 0, end);
    const verb = line.slice(0, 4).toUpperCase();
    this.#socket.write(`${this.#answer(verb, line)}\r\n`);
    if (verb === 'QUIT') this.#socket.end();
    if (verb === 'STAR' && this.#options.tls !== false) this.#startTls();
    return text.subarray(end + 2);
  }

  #answer(verb: string, line: string): string {
    switch (verb) {
      case 'EHLO': {
        this.#from = line.slice(5);
        const offered = this.#options.tls === false ? OFFERED : ['STARTTLS', ...OFFERED];
        return ['sink.test', ...offered]
          .map((name, index) => `250${index === offered.length ? ' ' : '-'}${name}`)
          .join('\r\n');
      }
      case 'MAIL': {
        this.#forgetEnvelope();
        const refusal = this.#refusal('MAIL', '');
        if (refusal === undefined) this.#mail = line;
        return refusal ?? OK;
      }
      case 'RCPT': {
        if (this.#mail === undefined) return '503 5.5.1 MAIL first';
        const address = pathOf(line);
        const refusal = this.#refusal('RCPT', address);
        if (refusal === undefined) this.#recipients.push({ address, rcpt: line });
        return refusal ?? OK;
      }
      case 'DATA':
        if (this.#recipients.length === 0) return '554 5.5.1 no valid recipients';
        this.#content = [Buffer.from('\r\n')];
        return '354 go on';
      case 'STAR':
        return this.#options.tls === false ? '502 5.5.1 not offered' : '220 2.0.0 go on';
      case 'QUIT':
        return '221 2.0.0 Bye';
      case 'RSET':
        this.#forgetEnvelope();
        return OK;
      default:
        return OK;
    }
  }

  #refusal(command: Asked['command'], recipient: string): string | undefined {
    return this.#options.refuse?.({ from: this.#from, command, recipient });
  }

  #forgetEnvelope(): void {
    this.#mail = undefined;
    this.#recipients = [];
  }

  /** A piece of the content; what is behind its end is the result. */
  #piece(octets: Buffer, content: Buffer[]): Buffer | undefined {
    // The end may lie across pieces.
    const before = tail(content, END.length - 1);
    const joined = Buffer.concat([before, octets]);
    const end = joined.indexOf(END);
    if (end < 0) {
      content.push(octets);
      return undefined;
    }
    const wire = Buffer.concat([...content, octets]);
    const length = wire.length - octets.length - before.length + end + 2;
    const refusal = this.#refusal('final', this.#recipients[0]?.address ?? '');
    if (refusal === undefined) this.#take(wire.toString('latin1', 0, length));
    this.#content = undefined;
    this.#forgetEnvelope();
    this.#socket.write(`${refusal ?? '250 2.0.0 kept'}\r\n`);
    return joined.subarray(end + END.length);
  }

  #take(stuffed: string): void {
    const content = Buffer.from(stuffed.replaceAll('\r\n.', '\r\n').slice(2), 'latin1');
    const [from, mail = ''] = [this.#from, this.#mail];
    for (const { address, rcpt } of this.#recipients) this.#keep(address, { from, mail, rcpt, content });
  }
}

const OK = '250 2.0.0 Ok';

/** What stands between the angle brackets; a quoted local part may have brackets of its own. */
function pathOf(command: string): string {
  return /<((?:"(?:[^"\\]|\\.)*"|[^">])*)>/.exec(command)?.[1] ?? '';
}

/** The last octets of the pieces, at most so many. */
function tail(pieces: readonly Buffer[], count: number): Buffer {
  const last = pieces.slice(-count);
  return Buffer.concat(last).subarray(-count);
}
