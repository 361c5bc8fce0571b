// What a session says to each command, apart from its socket: SMTP (RFC 5321) or LMTP (RFC 2033), with AUTH, and
// STARTTLS as far as it is talk. Invariant: nothing that a client says before TLS outlives it (`secured`), and MAIL
// is for those alone who may hand mail over (sidecar-smtp-auth.test.ts, sidecar-smtp-tls.test.ts).

import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import type { Peer } from '../intake/admission.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import type { Client } from '../intake/submission.ts';
import { type Command, parseCommand, parseMail, parseRcpt } from './commands.ts';
import { Mail } from './mail.ts';
import { beginSasl, MECHANISMS, type SaslStep } from './sasl.ts';
import type { ListenerSettings } from './settings.ts';
import { parseXforward, XFORWARD_NAMES } from './xforward.ts';

export type Step =
  | { readonly kind: 'reply'; readonly reply: Reply }
  /** The session ends behind the reply. */
  | { readonly kind: 'goodbye'; readonly reply: Reply }
  /** Content comes behind the reply. */
  | { readonly kind: 'content'; readonly reply: Reply; readonly mail: Mail }
  /** TLS begins behind the reply. */
  | { readonly kind: 'tls'; readonly reply: Reply }
  /** Say `verified` when it is known. */
  | { readonly kind: 'verify'; readonly name: string; readonly password: string };

const MAX_FAULTY_COMMANDS = 20;
const MAX_FAILED_AUTHS = 3;

export class Dialogue {
  readonly #peer: Peer;
  readonly #settings: ListenerSettings;
  readonly #current: () => ListenerSettings;
  readonly #memory: MemoryBudget;
  #client: Client;
  #secure = false;
  #mail: Mail | undefined;
  /** What the last MAIL heard, until RSET, EHLO or a MAIL that is accepted. */
  #mailRefusal: Reply | undefined;
  #sasl: Extract<SaslStep, { kind: 'challenge' }> | undefined;
  #faultyCommands = 0;
  #failedAuths = 0;

  /** `settings` are those of the connection; `current` tells those that hold now. */
  constructor(peer: Peer, settings: ListenerSettings, current: () => ListenerSettings, memory: MemoryBudget) {
    this.#peer = peer;
    this.#settings = settings;
    this.#current = current;
    this.#memory = memory;
    this.#client = { address: peer.address, name: '', forwarded: new Map() };
  }

  get client(): Client {
    const kind = this.#isLmtp ? 'LMTP' : 'ESMTP';
    const isUser = this.#client.user !== undefined;
    const protocol = this.#secure
      ? (`${kind}S${isUser ? 'A' : ''}` as const)
      : (`${kind}${isUser ? 'A' : ''}` as const);
    return { ...this.#client, protocol };
  }

  /** Whether it may not hand mail over, as things stand. */
  get isStranger(): boolean {
    return !this.#peer.trusted && this.#client.user === undefined;
  }

  /** Whether the next line is a secret, not a command. */
  get expectsSecret(): boolean {
    return this.#sasl !== undefined;
  }

  greeting(): Reply {
    const name = this.#isLmtp ? 'LMTP' : 'ESMTP';
    return { code: 220, text: `${this.#settings.hostName} ${name} delay-xfer` };
  }

  /** A line without its end. */
  line(line: Buffer): Step {
    if (this.#sasl !== undefined) return this.#sasledOn(this.#sasl.answer(line.toString('latin1')));
    const command = parseCommand(line);
    const step = this.#step(command);
    if (this.#faultyCommands <= MAX_FAULTY_COMMANDS || step.kind !== 'reply') return step;
    return { kind: 'goodbye', reply: ownReply(421, '4.7.0', 'too many faulty commands') };
  }

  /** TLS is on, and everything begins anew. */
  secured(): void {
    this.#secure = true;
    this.#forget();
    this.#client = { address: this.#peer.address, name: '', forwarded: new Map() };
  }

  /** The password was right, or not. */
  verified(name: string, right: boolean): Step {
    if (right) {
      this.#client = { ...this.#client, user: name };
      return reply(ownReply(235, '2.7.0', 'authenticated'));
    }
    this.#failedAuths += 1;
    if (this.#failedAuths >= MAX_FAILED_AUTHS) {
      return { kind: 'goodbye', reply: ownReply(421, '4.7.0', 'too many wrong names or passwords') };
    }
    return reply(ownReply(535, '5.7.8', 'the name or the password is wrong'));
  }

  /** The content has come, or never will. */
  contentEnded(): void {
    this.#forget();
    this.#faultyCommands = 0;
  }

  get #isLmtp(): boolean {
    return this.#settings.terms.protocol === 'lmtp';
  }

  #step(command: Command): Step {
    const { verb, rest } = command;
    switch (verb) {
      case 'EHLO':
      case 'HELO':
      case 'LHLO':
        return reply(this.#greet(verb, rest));
      case 'MAIL':
        return reply(this.#beginMail(command));
      case 'RCPT':
        return reply(this.#addRecipient(command));
      case 'DATA':
        return this.#beginContent(rest);
      case 'RSET':
        this.#forget();
        return reply(FORGOTTEN);
      case 'NOOP':
        return reply(OK);
      case 'QUIT':
        return { kind: 'goodbye', reply: BYE };
      case 'XFORWARD':
        return reply(this.#forward(rest));
      case 'STARTTLS':
        return this.#beginTls(rest);
      case 'AUTH':
        return this.#beginAuth(rest);
      case 'BDAT':
        // CHUNKING is not offered, and the octets of a chunk must not be heard as commands.
        return { kind: 'goodbye', reply: NO_CHUNKS };
      case 'VRFY':
        return reply(CANNOT_VERIFY);
      case 'HELP':
        return reply(this.#help());
      case 'EXPN':
        return reply(this.#fault(502, '5.5.1', 'lists are not expanded here'));
      default:
        // A web page or a proxy can be led to send mail commands behind an HTTP request to a port of this machine.
        if (HTTP_METHODS.has(verb)) return { kind: 'goodbye', reply: NOT_HTTP };
        return reply(this.#unknown());
    }
  }

  #greet(verb: 'EHLO' | 'HELO' | 'LHLO', name: string): Reply {
    if ((verb === 'LHLO') !== this.#isLmtp) {
      return this.#fault(500, '5.5.1', this.#isLmtp ? 'this is LMTP; say LHLO' : 'this is SMTP; say EHLO');
    }
    if (name === '') return this.#fault(501, '5.5.4', `${verb} takes a name`);
    this.#forget();
    this.#client = { ...this.#client, name };
    const { hostName } = this.#settings;
    return { code: 250, text: verb === 'HELO' ? hostName : [hostName, ...this.#extensions()].join('\n') };
  }

  #extensions(): readonly string[] {
    return [
      'PIPELINING',
      // No fixed limit (RFC 1870 §4): what the receiver finds too large stays with its MTA.
      'SIZE 0',
      '8BITMIME',
      'SMTPUTF8',
      'DSN',
      'ENHANCEDSTATUSCODES',
      ...(this.#settings.tls !== undefined && !this.#secure ? ['STARTTLS'] : []),
      ...(this.#offersAuth ? [`AUTH ${MECHANISMS.join(' ')}`] : []),
      ...(this.#secure ? ['REQUIRETLS'] : []),
      ...(this.#peer.trusted ? [`XFORWARD ${XFORWARD_NAMES.join(' ')}`] : []),
    ];
  }

  #beginMail(command: Command): Reply {
    if (this.#client.name === '') {
      return this.#fault(503, '5.5.1', this.#isLmtp ? 'say LHLO first' : 'say EHLO first');
    }
    if (this.#mail !== undefined) return this.#fault(503, '5.5.1', 'a transaction is open');
    const begun = this.#begin(command);
    this.#mailRefusal = begun instanceof Mail ? undefined : begun;
    if (!(begun instanceof Mail)) return begun;
    this.#mail = begun;
    return SENDER_OK;
  }

  #begin(command: Command): Mail | Reply {
    // RFC 3207 §4 and RFC 4954 §6 have 530 here, at which an MTA would bounce mail that was only deferred.
    if (this.#settings.tls?.required === true && !this.#secure && !this.#peer.local) return TLS_FIRST;
    if (this.isStranger) return AUTH_FIRST;
    const parsed = parseMail(command, this.#secure);
    if (!parsed.ok) return parsed.reply;
    const { declaredBytes, envelope } = parsed.value;
    const fits = this.#memory.fits(Math.min(declaredBytes, MAX_INLINE_BYTES));
    if (!fits || (declaredBytes > MAX_INLINE_BYTES && !this.#memory.scratch.fits(declaredBytes)))
      return NO_MEMORY;
    const { reception, terms } = this.#current();
    const begun = reception.begin(terms);
    return 'code' in begun ? begun : new Mail(envelope, begun, terms.protocol);
  }

  // XFORWARD speaks of one transaction; after a MAIL that is refused it holds for the next one.
  #forget(): void {
    this.#mail = undefined;
    this.#mailRefusal = undefined;
    this.#client = { ...this.#client, forwarded: new Map() };
  }

  // After a refused MAIL, what a client pipelined behind it hears the same: a 503 could be taken for the verdict.
  #withoutMail(): Reply {
    return this.#mailRefusal ?? this.#fault(503, '5.5.1', 'say MAIL first');
  }

  #addRecipient(command: Command): Reply {
    if (this.#mail === undefined) return this.#withoutMail();
    const parsed = parseRcpt(command, this.#settings.hostName);
    return parsed.ok ? this.#mail.add(parsed.value) : parsed.reply;
  }

  #beginContent(rest: string): Step {
    const mail = this.#mail;
    if (rest !== '') return reply(this.#fault(501, '5.5.4', 'DATA stands alone'));
    // RFC 2033 §4.2 has this reply, and no LMTP client takes it for a verdict.
    if (this.#isLmtp && mail?.isWithoutRecipients !== false) {
      return reply(ownReply(503, '5.5.1', 'no recipient was accepted'));
    }
    if (mail === undefined) return reply(this.#withoutMail());
    // Neither a fault nor permanent: a client that pipelines says DATA before it knows that every recipient waits.
    if (mail.isWithoutRecipients) return reply(ownReply(451, '4.5.1', 'no recipient was accepted'));
    const refusal = mail.transaction.data();
    return refusal === undefined ? { kind: 'content', reply: GO_ON, mail } : reply(refusal);
  }

  #forward(rest: string): Reply {
    if (!this.#peer.trusted) return this.#fault(550, '5.7.0', 'XFORWARD is for Relay_Hosts');
    if (this.#mail !== undefined) return this.#fault(503, '5.5.1', 'a transaction is open');
    const parsed = parseXforward(rest);
    if (!parsed.ok) return parsed.reply;
    const forwarded = new Map(this.#client.forwarded);
    for (const [name, value] of parsed.value) {
      if (value === undefined) forwarded.delete(name);
      else forwarded.set(name, value);
    }
    this.#client = { ...this.#client, forwarded };
    return OK;
  }

  #beginTls(rest: string): Step {
    if (this.#settings.tls === undefined) return reply(this.#unknown());
    if (this.#secure) return reply(this.#fault(503, '5.5.1', 'TLS is on already'));
    if (rest !== '') return reply(this.#fault(501, '5.5.4', 'STARTTLS stands alone'));
    return { kind: 'tls', reply: TLS_GO_ON };
  }

  get #offersAuth(): boolean {
    const open = this.#secure || this.#peer.local;
    return open && this.#settings.users !== undefined && this.#client.user === undefined;
  }

  #beginAuth(rest: string): Step {
    if (this.#settings.users === undefined) return reply(this.#unknown());
    if (this.#client.name === '') return reply(this.#fault(503, '5.5.1', 'say EHLO first'));
    if (this.#client.user !== undefined) return reply(this.#fault(503, '5.5.1', 'you are authenticated'));
    if (this.#mail !== undefined) return reply(this.#fault(503, '5.5.1', 'a transaction is open'));
    if (!this.#offersAuth) return reply(this.#fault(538, '5.7.11', 'AUTH is for TLS; say STARTTLS first'));
    return this.#sasledOn(beginSasl(rest));
  }

  #sasledOn(step: SaslStep): Step {
    this.#sasl = step.kind === 'challenge' ? step : undefined;
    switch (step.kind) {
      case 'challenge':
        return reply({ code: 334, text: step.text });
      case 'credentials':
        return { kind: 'verify', name: step.name, password: step.password };
      case 'refused':
        this.#faultyCommands += 1;
        return reply(step.reply);
    }
  }

  #help(): Reply {
    const hello = this.#isLmtp ? 'LHLO' : 'EHLO HELO';
    return ownReply(214, '2.0.0', `${hello} MAIL RCPT DATA RSET NOOP VRFY HELP QUIT`);
  }

  #unknown(): Reply {
    return this.#fault(500, '5.5.2', 'command not known here');
  }

  #fault(code: number, enhanced: string, text: string): Reply {
    this.#faultyCommands += 1;
    return ownReply(code, enhanced, text);
  }
}

function reply(reply: Reply): Step {
  return { kind: 'reply', reply };
}

const HTTP_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'PRI',
]);

const OK = ownReply(250, '2.0.0', 'ok');
const SENDER_OK = ownReply(250, '2.1.0', 'ok');
const FORGOTTEN = ownReply(250, '2.0.0', 'forgotten');
const BYE = ownReply(221, '2.0.0', 'bye');
const GO_ON: Reply = { code: 354, text: 'go on; end with a line that holds one dot' };
const TLS_GO_ON = ownReply(220, '2.0.0', 'begin TLS');
const CANNOT_VERIFY = ownReply(252, '2.1.5', 'send some mail, and it will be tried');
const NO_CHUNKS = ownReply(421, '4.5.1', 'CHUNKING is not offered');
const NOT_HTTP = ownReply(421, '4.7.0', 'this is no HTTP');
const TLS_FIRST = ownReply(451, '4.7.0', 'say STARTTLS first: TLS_Required');
const AUTH_FIRST = ownReply(451, '4.7.0', 'authenticate first');
export const NO_MEMORY = ownReply(452, '4.3.1', 'as much mail is under way as fits into memory; try again');
