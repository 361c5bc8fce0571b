// From the replies of one transaction to the outcome of each recipient who was named in it. Pure: it knows
// nothing of sockets.

import { classify, classifySilence, isTooManyRecipients, letsGoOn } from './classify.ts';
import type { RecipientOutcome, Stage } from './client.ts';
import type { Reply } from './reply.ts';
import type { ReadAs } from './transcode.ts';

export interface StageReply {
  readonly stage: Stage;
  readonly reply: Reply;
  /** False when the peer's words were no reply, and `reply` is ours. */
  readonly intelligible: boolean;
}

export interface TransactionRecord {
  /** In the order in which they came; those to RCPT TO in the order of the recipients. */
  readonly replies: readonly StageReply[];
  /** The final dot was handed to the socket: from here on the peer may have the message. */
  readonly finalDotSent: boolean;
  /** Why no more replies came. */
  readonly silence: (stage: Stage) => Reply;
  /**
   * The commands left together. A peer that does not know one of them may have lost a part of them: 500 and 502 are
   * transient then; said one at a time, they are the peer's word on the command.
   */
  readonly isPipelined?: boolean;
  /** The peer's replies do not fit the commands: none of them is believed to be final. */
  readonly isOutOfStep?: boolean;
  /** The final dot is answered for each accepted recipient. */
  readonly answersEach?: boolean;
  /** An operator's other reading of replies. */
  readonly readAs?: ReadAs;
}

/** One outcome per recipient, in the order in which they were named. */
export function settleTransaction(recipients: number, record: TransactionRecord): RecipientOutcome[] {
  const rcptReplies = record.replies.filter((said) => said.stage === 'rcpt');
  const mail = verdict(record, 'mail');
  const data = verdict(record, 'data');
  const whole = data ?? contentVerdict(record, 0);
  let accepted = 0;
  return Array.from({ length: recipients }, (_, position) => {
    if (mail !== undefined) return mail;
    const rcpt = rcptReplies[position];
    if (rcpt === undefined) return unnamedOrUnanswered(record, rcptReplies);
    if (!letsGoOn('rcpt', rcpt.reply)) return judged(record, 'rcpt', rcpt.reply);
    accepted += 1;
    return record.answersEach === true && data === undefined ? contentVerdict(record, accepted - 1) : whole;
  });
}

/** One at a time, those behind the recipient who was one too many were not named: his is their reply as well. */
function unnamedOrUnanswered(record: TransactionRecord, said: readonly StageReply[]): RecipientOutcome {
  const last = said.at(-1);
  const tooMany = record.isPipelined !== true && last !== undefined && isTooManyRecipients(last.reply);
  return tooMany ? classifyAs(record, 'rcpt', last.reply) : unanswered(record, 'rcpt');
}

function judged(record: TransactionRecord, stage: Stage, reply: Reply): RecipientOutcome {
  const outcome = classifyAs(record, stage, reply);
  if (outcome.kind !== 'permanent') return outcome;
  const isLost = record.isPipelined === true && (reply.code === 500 || reply.code === 502);
  return record.isOutOfStep === true || isLost ? { ...outcome, kind: 'transient' } : outcome;
}

/** The outcome that the reply to a command, or its lack, gives; undefined when the dialogue went on. */
function verdict(record: TransactionRecord, stage: Stage): RecipientOutcome | undefined {
  const said = record.replies.find((reply) => reply.stage === stage);
  if (said === undefined) return unanswered(record, stage);
  return letsGoOn(stage, said.reply) ? undefined : judged(record, stage, said.reply);
}

/**
 * A reply that came before the final dot is a refusal or nonsense, never an acceptance. `nth` of the replies to the
 * final dot, from 0.
 */
function contentVerdict(record: TransactionRecord, nth: number): RecipientOutcome {
  const early = record.replies.find((reply) => reply.stage === 'content');
  const said = early ?? record.replies.filter((reply) => reply.stage === 'final')[nth];
  if (said === undefined) return unanswered(record, record.finalDotSent ? 'final' : 'content');
  if (said.stage === 'final' && !said.intelligible) return classifySilence('final', said.reply);
  return classifyAs(record, said.stage, said.reply);
}

/** The outcome that the reply has as the operator reads it, in the words of the peer. */
function classifyAs(record: TransactionRecord, stage: Stage, reply: Reply): RecipientOutcome {
  const readAs = record.readAs?.(reply);
  if (readAs === undefined) return classify(stage, reply);
  const { kind } = classify(stage, readAs);
  return { kind: kind === 'permanent' ? kind : 'transient', stage, reply, readAs };
}

/** A peer that said 421 gave its reason for all that stays unanswered (RFC 5321 §3.8). */
function unanswered(record: TransactionRecord, stage: Stage): RecipientOutcome {
  const last = record.replies.at(-1)?.reply;
  return classifySilence(stage, last?.code === 421 ? last : record.silence(stage));
}
