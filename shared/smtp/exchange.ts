// One mail transaction as its replies decide it: which stage the next reply belongs to, what is to be done after
// it, and what becomes of each recipient. Pure: it knows no socket and no time.
//
//   mail ─► rcpt × n ─► data ─► content ─► final      each step by a reply; content ends by our final dot
//                          └──► lone dot               354 although nobody was accepted (RFC 2920 §3.1)
//
// Pipelined, all replies up to DATA's are owed at once, and only the last decides how to go on; one at a time, each
// reply decides whether the next command is said.
//
// Invariant (I6, I7): content goes only to a peer that accepted MAIL, at least one RCPT and DATA of this very
// transaction; where the peer's count of replies may differ from ours, the session ends and nothing it said in
// this transaction is permanent or delivered. Test: test/unit/smtp-exchange.test.ts.

import { endsSession, isTooManyRecipients, letsGoOn } from './classify.ts';
import type { RecipientOutcome, Stage } from './client.ts';
import type { Reply } from './reply.ts';
import type { WireReply } from './reply-reader.ts';
import { type StageReply, settleTransaction } from './settle-transaction.ts';
import type { ReadAs } from './transcode.ts';

/** What a reply of a transaction is for. */
export type TransactionStage = Extract<Stage, 'mail' | 'rcpt' | 'data' | 'content' | 'final'> | 'lone dot';

export type Step =
  /** More replies are owed. */
  | { readonly do: 'wait' }
  | { readonly do: 'say rcpt'; readonly recipient: number }
  | { readonly do: 'say data' }
  | { readonly do: 'send content' }
  | { readonly do: 'send lone dot' }
  /** The peer has decided. `reset`: its side may still hold a transaction open. */
  | { readonly do: 'finish'; readonly reset: boolean }
  /** Over, and the session with it. `why` is told to those who wait. */
  | { readonly do: 'hang up'; readonly misbehaved: boolean };

export interface Exchange {
  /** What the next reply is for. */
  readonly awaited: TransactionStage;
  readonly finalDotSent: boolean;
  /** Nothing was said about the message: no reply to MAIL, or one that is about the session. */
  readonly isUnheard: boolean;
  /** Every recipient accepted and the message delivered. */
  readonly isClean: boolean;
  /** The peer does not know what MAIL, RCPT or DATA is about here: its fault or ours, but not the message's. */
  readonly isOutOfSequence: boolean;
  /** DATA of a group was refused behind accepted recipients: right only when the peer's count is ours. */
  readonly needsProof: boolean;
  /** The peer does not know a command that left in a group. */
  readonly hasUnknownCommand: boolean;
  /** Positions among the recipients that a next transaction may name again. */
  remainder(): readonly number[];
  took(said: WireReply): Step;
  /** The final dot was handed to the socket. */
  sentFinalDot(): void;
  /** The peer has lost count, or may have: nothing that it said in this transaction is taken for permanent. */
  distrust(): void;
  outcomes(silence: (stage: Stage) => Reply): RecipientOutcome[];
}

export interface ExchangeOptions {
  readonly readAs?: ReadAs | undefined;
  /** LMTP (RFC 2033 §4.2): the final dot is answered for each accepted recipient, in order. */
  readonly answersEach?: boolean;
}

export function createExchange(
  recipients: number,
  isPipelined: boolean,
  { readAs, answersEach = false }: ExchangeOptions = {},
): Exchange {
  const replies: StageReply[] = [];
  let awaited: TransactionStage = 'mail';
  let rcptReplies = 0;
  let accepted = 0;
  let mailAccepted = false;
  let finalDotSent = false;
  let isOutOfStep = false;
  /** One at a time: no further recipient is named once there are too many. */
  let hasTooMany = false;

  function hangUp(misbehaved: boolean): Step {
    return { do: 'hang up', misbehaved };
  }

  /** The peer's replies are not those that we count: what it said so far may belong to other commands. */
  function outOfStep(): Step {
    isOutOfStep = true;
    return hangUp(true);
  }

  function took(said: WireReply): Step {
    const { reply, intelligible } = said;
    const stage = awaited;
    if (stage === 'lone dot') {
      if (!intelligible || reply.code === 421) return hangUp(!intelligible);
      return { do: 'finish', reset: true };
    }
    replies.push({ stage, reply, intelligible });
    if (endsSession(stage, reply)) return hangUp(false);
    switch (stage) {
      case 'mail':
      case 'rcpt':
        if (!intelligible || isIntermediate(reply)) return outOfStep();
        return stage === 'mail' ? afterMail(reply) : afterRcpt(reply);
      case 'data':
        if (!intelligible || reply.code < 300) return outOfStep();
        return afterData(reply);
      // Half a message is on the wire: nothing but its end could follow.
      case 'content':
        return hangUp(!intelligible || reply.code < 400);
      case 'final':
        if (!intelligible || isIntermediate(reply)) return hangUp(true);
        if (finals().length < finalsOwed()) return { do: 'wait' };
        return { do: 'finish', reset: !finals().every((final) => letsGoOn('final', final.reply)) };
    }
  }

  function afterMail(reply: Reply): Step {
    mailAccepted = letsGoOn('mail', reply);
    if (!isPipelined && !mailAccepted) return { do: 'finish', reset: true };
    awaited = 'rcpt';
    return isPipelined ? { do: 'wait' } : { do: 'say rcpt', recipient: 0 };
  }

  function afterRcpt(reply: Reply): Step {
    rcptReplies += 1;
    if (letsGoOn('rcpt', reply)) accepted += 1;
    else if (accepted > 0 && isTooManyRecipients(reply)) hasTooMany = true;
    const areAllNamed = rcptReplies === recipients || (!isPipelined && hasTooMany);
    if (!areAllNamed) return isPipelined ? { do: 'wait' } : { do: 'say rcpt', recipient: rcptReplies };
    if (!isPipelined && accepted === 0) return { do: 'finish', reset: true };
    awaited = 'data';
    return isPipelined ? { do: 'wait' } : { do: 'say data' };
  }

  function afterData(reply: Reply): Step {
    if (!letsGoOn('data', reply)) return { do: 'finish', reset: true };
    // Nobody would answer its dot.
    if (accepted === 0 && answersEach) return hangUp(true);
    if (accepted === 0) {
      awaited = 'lone dot';
      return { do: 'send lone dot' };
    }
    // Recipients without a sender: those of a transaction that we know nothing of. A dot would end that one.
    if (!mailAccepted) return hangUp(true);
    awaited = 'content';
    return { do: 'send content' };
  }

  function said(stage: Stage): StageReply | undefined {
    return replies.find((reply) => reply.stage === stage);
  }

  function finals(): readonly StageReply[] {
    return replies.filter((reply) => reply.stage === 'final');
  }

  function finalsOwed(): number {
    return answersEach ? accepted : 1;
  }

  return {
    get awaited() {
      return awaited;
    },
    get finalDotSent() {
      return finalDotSent;
    },
    get isUnheard() {
      const first = replies[0];
      return first === undefined || (first.stage === 'mail' && endsSession('mail', first.reply));
    },
    get isClean() {
      const positive = finals().filter(({ reply }) => letsGoOn('final', reply));
      return accepted === recipients && positive.length === finalsOwed();
    },
    get isOutOfSequence() {
      const mail = said('mail');
      return mail !== undefined && isAboutSequence(mail.reply);
    },
    get needsProof() {
      return isPipelined && awaited === 'data' && accepted > 0;
    },
    get hasUnknownCommand() {
      return isPipelined && replies.some(({ reply }) => reply.code === 500 || reply.code === 502);
    },
    distrust() {
      isOutOfStep = true;
    },
    remainder() {
      if (!finals().some(({ reply }) => letsGoOn('final', reply))) return [];
      const verdicts = replies.filter(({ stage }) => stage === 'rcpt');
      return Array.from({ length: recipients }, (_, at) => at).filter((at) => {
        const verdict = verdicts[at];
        return verdict === undefined ? hasTooMany : isTooManyRecipients(verdict.reply);
      });
    },
    took,
    sentFinalDot() {
      finalDotSent = true;
      awaited = 'final';
    },
    outcomes(silence) {
      const record = { replies, finalDotSent, silence, isPipelined, isOutOfStep, answersEach };
      return settleTransaction(recipients, readAs === undefined ? record : { ...record, readAs });
    },
  };
}

function isIntermediate(reply: Reply): boolean {
  return reply.code >= 300 && reply.code < 400;
}

/** RFC 5321 §4.2.3: command not recognised, not implemented, out of sequence. */
function isAboutSequence({ code }: Reply): boolean {
  return code === 500 || code === 502 || code === 503;
}
