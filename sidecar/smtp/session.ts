// One SMTP session of the listener (RFC 5321): reads commands and content from the socket, asks the `Reception`
// and answers. The final dot's reply waits for its verdict; when the client is gone before that, the reception is
// told through an abort signal. Content is held within the memory budget, and past it is read to its end and
// answered 452. Pipelining (RFC 2920) follows from the input's order: nothing after a final dot is read before its
// reply. There is no STARTTLS and no AUTH: the listener serves its own machine, or the networks of Relay_Hosts.

import type { Socket } from 'node:net';
import { needsSmtpUtf8 } from '../../shared/message/address.ts';
import type { Envelope, Recipient } from '../../shared/message/envelope.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { MAX_RECIPIENTS } from '../../shared/xfer/limits.ts';
import { ContentWriter } from '../intake/content.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import type { Client, Transaction } from '../intake/submission.ts';
import {
  type Command,
  parseCommand,
  parseMail,
  parseRcpt,
  parseXforward,
  XFORWARD_NAMES,
} from './commands.ts';
import { ContentReader } from './content-reader.ts';
import { replyLines } from './reply-lines.ts';
import type { ListenerSettings } from './settings.ts';

export interface SessionOptions {
  readonly memory: MemoryBudget;
  readonly settings: () => ListenerSettings;
}

const MAX_LINE_BYTES = 8192;
/** What a client may send ahead while its reply is awaited, before its socket is paused. */
const MAX_AHEAD_BYTES = 64 * 1024;
const MAX_FAULTY_COMMANDS = 20;
/** How long a session that we ended waits for the client to close its side. */
const LINGER_MS = 2_000;
const LF = 0x0a;

interface Mail {
  readonly envelope: Omit<Envelope, 'recipients'>;
  readonly transaction: Transaction;
  readonly recipients: Map<string, Recipient>;
}

interface Incoming {
  readonly reader: ContentReader;
  readonly writer: ContentWriter;
}

export class SmtpSession {
  readonly #socket: Socket;
  readonly #options: SessionOptions;
  /** As they were when the client connected. */
  readonly #settings: ListenerSettings;
  #input: Buffer[] = [];
  #inputBytes = 0;
  #client: Client;
  #mail: Mail | undefined;
  /** What the last MAIL heard, until RSET, EHLO or a MAIL that is accepted. */
  #mailRefusal: Reply | undefined;
  #content: Incoming | undefined;
  #awaiting: AbortController | undefined;
  #closing = false;
  #ended = false;
  #faultyCommands = 0;

  constructor(socket: Socket, options: SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#settings = options.settings();
    this.#client = { address: socket.remoteAddress ?? '', name: '', forwarded: new Map() };
    socket.setNoDelay(true);
    socket.setTimeout(this.#settings.idleTimeoutMs, () => this.#timeOut());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#proceed());
    socket.on('end', () => this.#hangUp());
    socket.on('close', () => this.#leave());
    socket.on('error', () => this.#leave());
    this.#answer({ code: 220, text: `${this.#settings.hostName} ESMTP delay-xfer` });
  }

  /** Finishes what is under way, then says 421. Idle sessions end at once. */
  close(): void {
    this.#closing = true;
    if (this.#awaiting === undefined && this.#content === undefined) this.#sayGoodbye(SHUTTING_DOWN);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return;
    this.#input.push(chunk);
    this.#inputBytes += chunk.length;
    this.#proceed();
  }

  // Reads on as far as replies allow: not while a verdict is awaited, not while the client does not read.
  #proceed(): void {
    while (this.#canRead()) {
      if (this.#content !== undefined) this.#readContent(this.#content);
      else if (!this.#readCommand()) break;
    }
    const ahead = this.#content === undefined && !this.#canRead() && this.#inputBytes > MAX_AHEAD_BYTES;
    if (ahead || this.#socket.writableNeedDrain) this.#socket.pause();
    else this.#socket.resume();
  }

  #canRead(): boolean {
    return (
      !this.#ended && this.#awaiting === undefined && this.#inputBytes > 0 && !this.#socket.writableNeedDrain
    );
  }

  #readCommand(): boolean {
    const input = this.#joinInput();
    const end = input.indexOf(LF);
    if (end < 0 && input.length <= MAX_LINE_BYTES) return false;
    if (end < 0 || end > MAX_LINE_BYTES) {
      this.#sayGoodbye(ownReply(421, '4.5.2', 'a command line is too long'));
      return false;
    }
    this.#setInput(input.subarray(end + 1));
    const line = input.subarray(0, input[end - 1] === 0x0d ? end - 1 : end);
    this.#command(line);
    return true;
  }

  #command(line: Buffer): void {
    const command = parseCommand(line);
    if (this.#closing) this.#sayGoodbye(SHUTTING_DOWN);
    else if (command.verb === 'QUIT') this.#sayGoodbye(ownReply(221, '2.0.0', 'bye'));
    else this.#answer(this.#replyTo(command));
    if (this.#faultyCommands > MAX_FAULTY_COMMANDS) {
      this.#sayGoodbye(ownReply(421, '4.7.0', 'too many faulty commands'));
    }
  }

  #replyTo(command: Command): Reply {
    const { verb, rest } = command;
    switch (verb) {
      case 'EHLO':
      case 'HELO':
        return this.#greet(verb, rest);
      case 'MAIL':
        return this.#beginMail(command);
      case 'RCPT':
        return this.#addRecipient(command);
      case 'DATA':
        return this.#beginContent();
      case 'RSET':
        this.#forget();
        return ownReply(250, '2.0.0', 'forgotten');
      case 'NOOP':
        return ownReply(250, '2.0.0', 'ok');
      case 'XFORWARD':
        return this.#forward(rest);
      case 'VRFY':
        return ownReply(252, '2.1.5', 'send some mail, and it will be tried');
      default:
        return this.#fault(500, '5.5.2', 'command not known here');
    }
  }

  #greet(verb: 'EHLO' | 'HELO', name: string): Reply {
    if (name === '') return this.#fault(501, '5.5.4', `${verb} takes a name`);
    this.#forget();
    this.#client = { address: this.#client.address, name, forwarded: new Map() };
    const { hostName } = this.#settings;
    return { code: 250, text: verb === 'HELO' ? hostName : [hostName, ...EXTENSIONS].join('\n') };
  }

  #beginMail(command: Command): Reply {
    if (this.#client.name === '') return this.#fault(503, '5.5.1', 'say EHLO first');
    if (this.#mail !== undefined) return this.#fault(503, '5.5.1', 'a transaction is open');
    const begun = this.#begin(command);
    this.#mailRefusal = 'code' in begun ? begun : undefined;
    if ('code' in begun) return begun;
    this.#mail = begun;
    return ownReply(250, '2.1.0', 'ok');
  }

  #begin(command: Command): Mail | Reply {
    const parsed = parseMail(command);
    if (!parsed.ok) return parsed.reply;
    if (!this.#options.memory.fits(parsed.value.declaredBytes)) return NO_MEMORY;
    const { reception, terms } = this.#options.settings();
    const begun = reception.begin(terms);
    if ('code' in begun) return begun;
    return { envelope: parsed.value.envelope, transaction: begun, recipients: new Map() };
  }

  #forget(): void {
    this.#mail = undefined;
    this.#mailRefusal = undefined;
  }

  // After a refused MAIL, what a client pipelined behind it hears the same: a 503 could be taken for the verdict.
  #withoutMail(): Reply {
    return this.#mailRefusal ?? this.#fault(503, '5.5.1', 'say MAIL first');
  }

  #addRecipient(command: Command): Reply {
    if (this.#mail === undefined) return this.#withoutMail();
    const parsed = parseRcpt(command);
    if (!parsed.ok) return parsed.reply;
    const { recipients, transaction } = this.#mail;
    const { address } = parsed.value;
    if (!recipients.has(address)) {
      if (recipients.size >= MAX_RECIPIENTS) return TOO_MANY_RECIPIENTS;
      const refusal = transaction.recipient(parsed.value);
      if (refusal !== undefined) return refusal;
      recipients.set(address, parsed.value);
    }
    return ownReply(250, '2.1.5', 'ok');
  }

  #beginContent(): Reply {
    if (this.#mail === undefined) return this.#withoutMail();
    // Neither a fault nor permanent: a client that pipelines says DATA before it knows that every recipient waits.
    if (this.#mail.recipients.size === 0) return ownReply(451, '4.5.1', 'no recipient was accepted');
    const refusal = this.#mail.transaction.data();
    if (refusal !== undefined) return refusal;
    this.#content = { reader: new ContentReader(), writer: new ContentWriter(this.#options.memory) };
    return { code: 354, text: 'go on; end with a line that holds one dot' };
  }

  #readContent({ reader, writer }: Incoming): void {
    const input = this.#joinInput();
    const { pieces, rest } = reader.push(input);
    this.#setInput(rest ?? EMPTY);
    for (const piece of pieces) writer.write(piece);
    if (rest === undefined) return;
    this.#content = undefined;
    if (writer.failed) {
      this.#mail = undefined;
      this.#answer(NO_MEMORY);
      if (this.#closing) this.#sayGoodbye(SHUTTING_DOWN);
    } else {
      void this.#submit(writer);
    }
  }

  async #submit(writer: ContentWriter): Promise<void> {
    const mail = this.#mail;
    if (mail === undefined) throw new Error('content came without a transaction');
    this.#mail = undefined;
    const awaiting = new AbortController();
    this.#awaiting = awaiting;
    this.#socket.setTimeout(0);
    const envelope = { ...mail.envelope, recipients: [...mail.recipients.values()] };
    const smtputf8 = envelope.smtputf8 || envelope.recipients.some(({ address }) => needsSmtpUtf8(address));
    const submission = {
      client: this.#client,
      envelope: { ...envelope, smtputf8 },
      content: await writer.finish(),
    };
    const [reply] = (await mail.transaction.submit(submission, awaiting.signal)).values();
    if (reply === undefined) throw new Error('a transaction has a recipient, and each has a reply');
    writer.release();
    this.#awaiting = undefined;
    if (this.#ended) return;
    this.#socket.setTimeout(this.#settings.idleTimeoutMs);
    this.#answer(reply);
    if (this.#closing) this.#sayGoodbye(SHUTTING_DOWN);
    else this.#proceed();
  }

  #forward(rest: string): Reply {
    if (this.#mail !== undefined) return this.#fault(503, '5.5.1', 'a transaction is open');
    const parsed = parseXforward(rest);
    if (!parsed.ok) return parsed.reply;
    const forwarded = new Map([...this.#client.forwarded, ...parsed.value]);
    this.#client = { ...this.#client, forwarded };
    return ownReply(250, '2.0.0', 'ok');
  }

  #answer(reply: Reply): void {
    this.#socket.write(replyLines(reply));
  }

  #fault(code: number, enhanced: string, text: string): Reply {
    this.#faultyCommands += 1;
    return ownReply(code, enhanced, text);
  }

  #timeOut(): void {
    this.#sayGoodbye(ownReply(421, '4.4.2', 'nothing came for too long'));
  }

  #sayGoodbye(reply: Reply): void {
    if (this.#ended) return;
    this.#answer(reply);
    this.#socket.end();
    // A client that does not close its side, or does not read, is not waited for.
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
    this.#leave();
  }

  // Exim says QUIT behind its final dot, closes its side, and waits for the reply: it has not left.
  #hangUp(): void {
    const waits =
      this.#awaiting !== undefined && /(?:^|\n)QUIT\r?\n$/i.test(this.#joinInput().toString('latin1'));
    if (waits) return;
    this.#leave();
    this.#socket.end();
  }

  #leave(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#setInput(EMPTY);
    this.#content?.writer.release();
    this.#content = undefined;
    this.#awaiting?.abort();
  }

  #joinInput(): Buffer {
    const [first = EMPTY] = this.#input;
    const joined = this.#input.length > 1 ? Buffer.concat(this.#input) : first;
    this.#input = [joined];
    return joined;
  }

  #setInput(input: Buffer): void {
    this.#input = input.length > 0 ? [input] : [];
    this.#inputBytes = input.length;
  }
}

const EMPTY = Buffer.alloc(0);

/** SIZE 0: no fixed limit (RFC 1870 §4). What does not fit into memory is answered 452, and its MTA keeps it. */
const EXTENSIONS = [
  'PIPELINING',
  'SIZE 0',
  '8BITMIME',
  'SMTPUTF8',
  'DSN',
  'ENHANCEDSTATUSCODES',
  `XFORWARD ${XFORWARD_NAMES.join(' ')}`,
];

const NO_MEMORY = ownReply(452, '4.3.1', 'as much mail is under way as fits into memory; try again');
const SHUTTING_DOWN = ownReply(421, '4.3.2', 'shutting down');
const TOO_MANY_RECIPIENTS = ownReply(
  452,
  '4.5.3',
  `${MAX_RECIPIENTS} recipients; send the others after these`,
);
