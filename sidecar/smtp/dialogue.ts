// What a session says to each command, apart from its socket: SMTP (RFC 5321) or LMTP (RFC 2033), with AUTH, and
// STARTTLS as far as it is talk. Invariant: nothing that a client says before TLS outlives it (`secured`), and MAIL
// is for those alone who may hand mail over (sidecar-smtp-auth.test.ts, sidecar-smtp-tls.test.ts).

import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import type { Peer } from '../intake/admission.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import type { RefusalReason } from '../intake/refusals.ts';
import type { Client } from '../intake/submission.ts';
import { type Command, parseCommand, parseMail, parseRcpt } from './commands.ts';
import { Mail } from './mail.ts';
import { beginSasl, MECHANISMS, type SaslStep } from './sasl.ts';
import type { ListenerSettings } from './settings.ts';
import type { TurnedAway } from './turned-away.ts';
import { parseXforward, XFORWARD_NAMES } from './xforward.ts';

export interface DialogueOptions {
  readonly peer: Peer;
  readonly memory: MemoryBudget;
  readonly away: TurnedAway;
  /** Those that hold now. */
  readonly settings: () => ListenerSettings;
}

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
/** A name and a password. */
const SECRETS_OF_AUTH = 2;

export class Dialogue {
  readonly #peer: Peer;
  readonly #settings: ListenerSettings;
  readonly #options: DialogueOptions;
  #client: Client;
  #secure = false;
  #saidHelo = false;
  /** What stood for the user when it authenticated. */
  #credential: string | undefined;
  /** Lines to come that may be secrets, since AUTH was refused. */
  #maybeSecrets = 0;
  /** Whether the transaction, or its MAIL, was counted as turned away. */
  #countedRefusal = false;
  #mail: Mail | undefined;
  /** What the last MAIL heard, until RSET, EHLO or a MAIL that is accepted. */
  #mailRefusal: Reply | undefined;
  #sasl: Extract<SaslStep, { kind: 'challenge' }> | undefined;
  #faultyCommands = 0;
  #failedAuths = 0;

  /** `settings` are those of the connection. */
  constructor(options: DialogueOptions, settings: ListenerSettings) {
    this.#options = options;
    this.#peer = options.peer;
    this.#settings = settings;
    this.#client = { address: options.peer.address, name: '', forwarded: new Map() };
  }

  get client(): Client {
    // RFC 3848 has no name for more than SMTP behind a HELO.
    if (this.#saidHelo) return { ...this.#client, protocol: 'SMTP' };
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
  get nextSecret(): 'expected' | 'maybe' | 'no' {
    if (this.#sasl !== undefined) return 'expected';
    return this.#maybeSecrets > 0 ? 'maybe' : 'no';
  }

  greeting(): Reply {
    const name = this.#isLmtp ? 'LMTP' : 'ESMTP';
    return { code: 220, text: `${this.#settings.hostName} ${name} delay-xfer` };
  }

  /** A line without its end. */
  line(line: Buffer): Step {
    if (this.#sasl !== undefined) return this.#sasledOn(this.#sasl.answer(line.toString('latin1')));
    if (this.#maybeSecrets > 0) this.#maybeSecrets -= 1;
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

  /** The password was right, and `credential` is what stands for the user; undefined when it was wrong. */
  verified(name: string, credential: string | undefined): Step {
    if (credential !== undefined) {
      this.#credential = credential;
      this.#client = { ...this.#client, user: name };
      return reply(ownReply(235, '2.7.0', 'authenticated'));
    }
    this.#maybeSecrets = SECRETS_OF_AUTH;
    this.#options.away.failedAuth(this.#peer.address);
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
        return this.#beginMail(command);
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
    this.#saidHelo = verb === 'HELO';
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

  #beginMail(command: Command): Step {
    if (this.#client.name === '') {
      return reply(this.#fault(503, '5.5.1', this.#isLmtp ? 'say LHLO first' : 'say EHLO first'));
    }
    if (this.#mail !== undefined) return reply(this.#fault(503, '5.5.1', 'a transaction is open'));
    if (this.#mayNoMore) {
      this.#options.away.refused(this.#client.user === undefined ? 'relay' : 'auth');
      return { kind: 'goodbye', reply: NO_MORE };
    }
    this.#countedRefusal = false;
    const begun = this.#begin(command);
    this.#mailRefusal = begun instanceof Mail ? undefined : begun;
    if (!(begun instanceof Mail)) return reply(begun);
    this.#mail = begun;
    return reply(SENDER_OK);
  }

  // A reload took the client's network, its name or its password away.
  get #mayNoMore(): boolean {
    const { user, address } = this.#client;
    const { relayHosts, users } = this.#options.settings();
    if (user !== undefined) {
      if (users?.credentialOf(user) === this.#credential) return false;
    } else if (!this.#peer.trusted) {
      return false;
    }
    return !this.#peer.local && !relayHosts.some((network) => network.contains(address));
  }

  #begin(command: Command): Mail | Reply {
    // RFC 3207 §4 and RFC 4954 §6 have 530 here, at which an MTA would bounce mail that was only deferred.
    if (this.#settings.tls?.required === true && !this.#secure && !this.#peer.local) {
      return this.#turnAway(TLS_FIRST, 'tls');
    }
    if (this.isStranger) return this.#turnAway(AUTH_FIRST, 'auth');
    const parsed = parseMail(command, this.#secure);
    if (!parsed.ok) return parsed.reply;
    const { declaredBytes, envelope } = parsed.value;
    const { memory } = this.#options;
    if (!memory.fits(Math.min(declaredBytes, MAX_INLINE_BYTES))) return this.#counted(NO_MEMORY, 'memory');
    if (declaredBytes > MAX_INLINE_BYTES && !memory.scratch.fits(declaredBytes))
      return this.#counted(NO_MEMORY, 'scratch');
    const { reception, terms } = this.#options.settings();
    const begun = reception.begin(terms);
    return 'code' in begun ? this.#heard(begun) : new Mail(envelope, begun, terms.protocol);
  }

  // A client that asks again and again without what it takes is not borne for ever.
  #turnAway(refusal: Reply, reason: 'tls' | 'auth'): Reply {
    this.#faultyCommands += 1;
    return this.#counted(refusal, reason);
  }

  /** Of the reception: an answer that lets the client go on, or not. */
  #heard(answer: Reply): Reply {
    return answer.enhanced === NO_ROUTE ? this.#counted(answer, 'no-route') : answer;
  }

  // Once for each transaction.
  #counted(refusal: Reply, reason: RefusalReason): Reply {
    if (!this.#countedRefusal) this.#options.away.refused(reason);
    this.#countedRefusal = true;
    return refusal;
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
    return parsed.ok ? this.#heard(this.#mail.add(parsed.value)) : parsed.reply;
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
    return refusal === undefined ? { kind: 'content', reply: GO_ON, mail } : reply(this.#heard(refusal));
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
    this.#maybeSecrets = SECRETS_OF_AUTH;
    if (this.#settings.users === undefined) return reply(this.#unknown());
    if (this.#client.name === '') return reply(this.#fault(503, '5.5.1', 'say EHLO first'));
    if (this.#client.user !== undefined) return reply(this.#fault(503, '5.5.1', 'you are authenticated'));
    if (this.#mail !== undefined) return reply(this.#fault(503, '5.5.1', 'a transaction is open'));
    if (!this.#offersAuth) return reply(this.#fault(538, '5.7.11', 'AUTH is for TLS; say STARTTLS first'));
    return this.#sasledOn(beginSasl(rest));
  }

  #sasledOn(step: SaslStep): Step {
    this.#sasl = step.kind === 'challenge' ? step : undefined;
    this.#maybeSecrets = step.kind === 'refused' ? SECRETS_OF_AUTH : 0;
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

const HTTP_METHODS: ReadonlySet<string> = new Set(
  'GET POST PUT HEAD PATCH DELETE OPTIONS TRACE CONNECT PRI'.split(' '),
);

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
const NO_MORE = ownReply(421, '4.7.0', 'whoever may hand mail over has changed; begin anew');
/** The status with which the reception says that no route is up (RFC 3463 §3.5). */
const NO_ROUTE = '4.4.1';
const AUTH_FIRST = ownReply(451, '4.7.0', 'authenticate first');
export const NO_MEMORY = ownReply(452, '4.3.1', 'as much mail is under way as fits into memory; try again');
