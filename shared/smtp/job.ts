// A message that was handed to a session: what is said for it, the transaction it is in, and its outcomes as they
// come in. It takes a second transaction when the peer puts recipients off with "too many", and says its envelope
// again when the peer took it for part of another.

import type { Envelope } from '../message/envelope.ts';
import { classifySilence } from './classify.ts';
import type { RecipientOutcome, SmtpContent, Stage, TransactionResult } from './client.ts';
import { DATA, mailCommand, rcptCommand } from './commands.ts';
import { createExchange, type Exchange, type ExchangeOptions } from './exchange.ts';
import type { TransactionPlan } from './plan-transaction.ts';
import { ownReply, type Reply } from './reply.ts';

export interface Job {
  readonly content: SmtpContent;
  /** The present transaction. */
  readonly exchange: Exchange;
  /** Its commands left before the reply to the final dot of another. */
  isOverlapped: boolean;
  /** The wire's turn in which the command that is owed a reply was said. */
  saidAt: number;
  /** MAIL, and with PIPELINING all the rest up to DATA. */
  firstCommands(): string;
  rcpt(index: number): string;
  /** Takes the outcomes of the present transaction. */
  record(silence: (stage: Stage) => Reply): void;
  /** Begins a transaction for recipients whom the peer put off to the next one; false when there are none. */
  takeRemainder(): boolean;
  /** Begins the present transaction anew. */
  sayAgain(): void;
  /** The outcomes that are known. */
  settle(): void;
  /** Nobody judged the message, but for what an earlier transaction came to. */
  giveUp(because: string): void;
  /** The session is over. `isFirst`: it never carried another message. */
  sessionEnded(because: string, silence: (stage: Stage) => Reply, isFirst: boolean): void;
}

export interface JobOptions {
  readonly envelope: Envelope;
  readonly content: SmtpContent;
  readonly plan: TransactionPlan;
  readonly keywords: ReadonlySet<string>;
  readonly isPipelined: boolean;
  readonly reading: ExchangeOptions;
  /** Called once. */
  readonly done: (result: TransactionResult) => void;
}

export function createJob(options: JobOptions): Job {
  const { envelope, plan, keywords, isPipelined, reading, done } = options;
  const outcomes: (RecipientOutcome | undefined)[] = [...plan.decided];
  let spoken = plan.spoken;
  let exchange = createExchange(spoken.length, isPipelined, reading);
  let isRecorded = false;

  function rcpt(index: number): string {
    const named = spoken[index];
    if (named === undefined) throw new Error('there is no such recipient');
    return rcptCommand(named.address, envelope.recipients[named.position], keywords);
  }

  const job: Job = {
    content: options.content,
    get exchange() {
      return exchange;
    },
    isOverlapped: false,
    saidAt: 0,
    firstCommands() {
      const mail = mailCommand(envelope, plan, keywords);
      return isPipelined ? mail + spoken.map((_, index) => rcpt(index)).join('') + DATA : mail;
    },
    rcpt,
    record(silence) {
      isRecorded = true;
      for (const [index, outcome] of exchange.outcomes(silence).entries()) {
        const position = spoken[index]?.position;
        if (position !== undefined) outcomes[position] = outcome;
      }
    },
    takeRemainder() {
      const remainder = exchange.remainder().flatMap((index) => spoken[index] ?? []);
      if (remainder.length === 0) return false;
      spoken = remainder;
      job.sayAgain();
      return true;
    },
    sayAgain() {
      exchange = createExchange(spoken.length, isPipelined, reading);
      job.isOverlapped = false;
    },
    settle: () => done(settled(outcomes)),
    giveUp(because) {
      if (isRecorded) job.settle();
      else done({ kind: 'unattempted', because });
    },
    sessionEnded(because, silence, isFirst) {
      // A peer that has had enough says so to the next MAIL, or nothing at all: it has not looked at the message.
      const isUnheard = exchange.isUnheard && !isFirst;
      if (isUnheard || (job.isOverlapped && exchange.isOutOfSequence)) job.giveUp(because);
      else {
        job.record(silence);
        job.settle();
      }
    },
  };
  return job;
}

export const LEFT = ownReply(421, '4.4.2', 'the session was left');

/** A recipient without an outcome would be a bug; it is tried again. */
export function settled(outcomes: readonly (RecipientOutcome | undefined)[]): TransactionResult {
  return { kind: 'settled', outcomes: outcomes.map((outcome) => outcome ?? classifySilence('mail', LEFT)) };
}
