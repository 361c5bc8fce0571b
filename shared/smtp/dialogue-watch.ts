// Listens to the dialogue that nodemailer leads, by way of its transaction log: which replies the peer still
// owes, in which order, and since when. It supplies what nodemailer lacks: a timeout for each command, for
// each piece of content and for the final dot, the stage at which a connection was lost, and every reply
// verbatim, also those of a transaction that failed half way.
//
// Replies that make no sense end the dialogue, since the two sides no longer agree on where they are.

import type { SmtpTimeouts, Stage } from './client.ts';
import { parseReply, readReply } from './parse-reply.ts';
import type { StageReply } from './settle-transaction.ts';

export interface DialogueWatch {
  /** For nodemailer's `logger` option, together with `transactionLog: true`. */
  readonly logger: { debug(entry: unknown, message?: unknown): void };
  /** What the peer owes us next; undefined when it is our turn. */
  owed(): Stage | undefined;
  /** Replies since the dialogue, or the present transaction, began. */
  replies(): readonly StageReply[];
  /** The latest EHLO or HELO and the whole text of its reply; '' until they are said. */
  greetedWith(): { readonly verb: string; readonly reply: string };
  /** Which stage ran out of time, if one did. */
  timedOut(): Stage | undefined;
  /** A new transaction begins: forgets the replies so far. */
  begin(): void;
  contentBegins(): void;
  /** A piece of content left; the peer has `contentMs` to take the next. */
  contentMoves(): void;
  /** The final dot was handed to the socket. */
  finalDotSent(): void;
  /** The final dot left; the peer has `finalMs` to answer. */
  finalDotLeft(): void;
  /** No more timers. */
  stop(): void;
}

export interface DialogueWatchOptions {
  readonly timeouts: SmtpTimeouts;
  /** Whether the socket is closed: of what is still logged then, only a refusal counts. */
  readonly isClosed: () => boolean;
  /** Called at a timeout or a reply that makes no sense; must close the connection. */
  readonly hangUp: () => void;
}

export function createDialogueWatch(options: DialogueWatchOptions): DialogueWatch {
  const { timeouts } = options;
  let outstanding: Stage[] = ['greeting'];
  let replies: StageReply[] = [];
  let lastGreeting = { verb: '', reply: '' };
  let timedOut: Stage | undefined;
  let timer: NodeJS.Timeout | undefined;

  function allow(ms: number): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      timedOut = outstanding[0];
      options.hangUp();
    }, ms);
  }

  function sent(command: string): void {
    const verb = command.split(' ', 1)[0] ?? '';
    const stage = STAGE_OF_VERB.get(verb);
    if (stage === undefined) return;
    if (stage === 'ehlo') {
      outstanding = [];
      lastGreeting = { verb, reply: '' };
    }
    outstanding.push(stage);
    if (outstanding.length === 1) allow(timeouts.commandMs);
  }

  function received(text: string): void {
    // nodemailer logs an unfinished last line too when the connection closes.
    if (options.isClosed() && !/^[45]\d\d/.test(text)) return;
    const stage = outstanding.shift();
    if (stage === undefined) return;
    const intelligible = readReply(text) !== undefined;
    replies.push({ stage, reply: parseReply(text), intelligible });
    if (stage === 'ehlo') lastGreeting = { ...lastGreeting, reply: text };
    // After the reply to STARTTLS the peer owes the handshake; the next EHLO ends it.
    if (stage === 'starttls' && text.startsWith('2')) outstanding.push('starttls');
    if (outstanding.length > 0) allow(timeouts.commandMs);
    else clearTimeout(timer);
    if (!intelligible) options.hangUp();
  }

  allow(timeouts.greetingMs);
  return {
    logger: {
      debug(entry, message) {
        if (typeof message !== 'string') return;
        if (isOfKind(entry, 'client')) sent(message);
        else if (isOfKind(entry, 'server')) received(message);
      },
    },
    owed: () => outstanding[0],
    replies: () => replies,
    greetedWith: () => lastGreeting,
    timedOut: () => timedOut,
    begin() {
      replies = [];
    },
    contentBegins() {
      outstanding = ['content'];
      allow(timeouts.contentMs);
    },
    contentMoves() {
      if (outstanding[0] === 'content') allow(timeouts.contentMs);
    },
    finalDotSent() {
      if (outstanding[0] === 'content') outstanding = ['final'];
    },
    finalDotLeft() {
      if (outstanding[0] === 'final') allow(timeouts.finalMs);
    },
    stop: () => clearTimeout(timer),
  };
}

/** nodemailer ends by itself, with a lone dot, the content that a peer asked for without a recipient. */
const STAGE_OF_VERB: ReadonlyMap<string, Stage> = new Map([
  ['EHLO', 'ehlo'],
  ['HELO', 'ehlo'],
  ['STARTTLS', 'starttls'],
  ['MAIL', 'mail'],
  ['RCPT', 'rcpt'],
  ['DATA', 'data'],
  ['.', 'final'],
  ['RSET', 'mail'],
  ['QUIT', 'mail'],
]);

function isOfKind(entry: unknown, tnx: 'client' | 'server'): boolean {
  return typeof entry === 'object' && entry !== null && 'tnx' in entry && entry.tnx === tnx;
}
