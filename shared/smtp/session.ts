// One SMTP session after its EHLO: transactions one behind the other, pipelined where the peer offers it, and
// overlapped once one went through cleanly: content, final dot and the next message's MAIL, RCPT and DATA leave in
// one write (RFC 2920 §3.1 lets a group follow the final dot), so that a message costs one round trip.
//
// What each reply means is decided in exchange.ts; here is who is owed the next one. `owed` lists, in order, what
// the peer still has to answer: the transaction under way, behind it one that overlaps, or a RSET.
//
// Invariant (I6): content of one transaction at most is on the wire, so that one message at most is in doubt; one
// whose MAIL was not answered when the session ended is `unattempted`. Enforced by `advance` and `end`; test:
// test/dialogs/smtp-overlap.test.ts.

import type { Envelope } from '../message/envelope.ts';
import { classifySilence, silence } from './classify.ts';
import type {
  PeerTrait,
  RecipientOutcome,
  SmtpContent,
  SmtpSession,
  SmtpTarget,
  Stage,
  TlsFacts,
  TransactionResult,
} from './client.ts';
import { DATA, LONE_DOT, mailCommand, QUIT, RSET, rcptCommand } from './commands.ts';
import type { PeerExtensions } from './ehlo.ts';
import { createExchange, type Exchange, type Step } from './exchange.ts';
import { planTransaction, type TransactionPlan } from './plan-transaction.ts';
import { formatReply, ownReply, type Reply } from './reply.ts';
import type { WireReply } from './reply-reader.ts';
import { type ContentError, sendContent } from './send-content.ts';
import type { Wire, WireEnd } from './wire.ts';

/** One whose content flows or is judged, one whose envelope left with its final dot, one that waits. */
const MAX_UNDER_WAY = 3;

/**
 * How long an overlapped MAIL may stay unanswered once the final dot before it is answered: a peer that throws away
 * what follows a final dot never answers, and nothing is lost by asking another session.
 */
const OVERLAP_PATIENCE_MS = 30_000;

export interface SessionFacts {
  readonly target: SmtpTarget;
  readonly tls: TlsFacts | undefined;
  readonly extensions: PeerExtensions;
  readonly traits: ReadonlySet<PeerTrait>;
  /** Never rejects. */
  readonly note: (trait: PeerTrait) => Promise<void>;
}

/** A message that was handed over. */
interface Job {
  readonly envelope: Envelope;
  readonly content: SmtpContent;
  readonly plan: TransactionPlan;
  /** By position in the envelope, as far as they are known. */
  readonly outcomes: (RecipientOutcome | undefined)[];
  /** Those named in the present transaction. */
  spoken: TransactionPlan['spoken'];
  exchange: Exchange;
  /** Its commands left before the reply to the final dot of another. */
  isOverlapped: boolean;
  /** Its first transaction is over: what is left are recipients whom the peer put off. */
  isRemainder: boolean;
  readonly resolve: (result: TransactionResult) => void;
}

export function createSession(wire: Wire, facts: SessionFacts): SmtpSession {
  const { target, tls, extensions, traits } = facts;
  const { timeouts } = target;
  const { keywords } = extensions;
  const isPipelined = keywords.has('PIPELINING') && !traits.has('no-pipelining');
  const mayOverlap = isPipelined && !traits.has('no-overlap');
  const peer = { host: target.host, extensions, verifiedTls: tls?.verified === true };

  /** What the peer has to answer, in order. */
  const owed: (Job | 'rset' | 'quit')[] = [];
  /** Handed over, nothing of them said. */
  const waiting: Job[] = [];
  /** Decided, but told only when the peer answered RSET: one command at a time. */
  let untold: (() => void) | undefined;
  let underWay = 0;
  let handedOver = 0;
  /** The last transaction went through without a refusal: the next may overlap it. */
  let isClean = false;
  let overlapGranted = false;
  let pipeliningProved = false;
  let overlapProved = false;
  let stopContent: (() => void) | undefined;
  let endedWith: Reply | undefined;
  let wakeReady: (() => void)[] = [];
  let onQuit = (): void => {};
  let silent = (stage: Stage): Reply => silence('connection lost', stage);
  const notes: Promise<void>[] = [];

  function transact(envelope: Envelope, content: SmtpContent): Promise<TransactionResult> {
    const plan = planTransaction(envelope, content.sizeBytes, peer);
    if (plan.spoken.length === 0) return Promise.resolve(settled([...plan.decided]));
    const isFirst = handedOver === 0;
    if (endedWith !== undefined) return Promise.resolve(onDeadSession(plan, endedWith, isFirst));
    if (underWay >= limit()) return Promise.reject(new Error('a transaction is running on this session'));
    handedOver += 1;
    underWay += 1;
    return new Promise((resolve) => {
      waiting.push({
        envelope,
        content,
        plan,
        outcomes: [...plan.decided],
        spoken: plan.spoken,
        exchange: createExchange(plan.spoken.length, isPipelined),
        isOverlapped: false,
        isRemainder: false,
        resolve,
      });
      advance();
    });
  }

  /** As many as may be handed over, also by one who was told `ready` before the peer's mood changed. */
  function limit(): number {
    return overlapGranted ? MAX_UNDER_WAY : 1;
  }

  /** Says what can be said now. */
  function advance(): void {
    const next = waiting[0];
    if (next === undefined || endedWith !== undefined) return;
    const isFree = owed.length === 0 || (isPipelined && owed.length === 1 && owed[0] === 'rset');
    if (!isFree && !(mayFollowDot() && owed.length === 1)) return;
    waiting.shift();
    wire.write(begin(next, !isFree));
  }

  function mayFollowDot(): boolean {
    const head = owed[0];
    return mayOverlap && isClean && typeof head === 'object' && head.exchange.finalDotSent;
  }

  /** The first commands of a transaction: all of them, or MAIL alone. */
  function begin(job: Job, isOverlapped: boolean): string {
    job.isOverlapped = isOverlapped;
    owed.push(job);
    if (owed.length === 1) wire.allow(timeouts.mailMs);
    const mail = mailCommand(job.envelope, job.plan, keywords);
    return isPipelined ? mail + job.spoken.map((_, i) => rcpt(job, i)).join('') + DATA : mail;
  }

  function rcpt(job: Job, index: number): string {
    const spoken = job.spoken[index];
    if (spoken === undefined) throw new Error('a recipient beyond the last');
    return rcptCommand(spoken.address, job.envelope.recipients[spoken.position], keywords);
  }

  function replied(said: WireReply): void {
    if (endedWith !== undefined) return;
    const head = owed[0];
    if (head === undefined) return unasked(said);
    if (head === 'quit') return onQuit();
    if (head === 'rset') return afterReset(said);
    if (said.reply.code >= 400) isClean = false;
    const step = head.exchange.took(said);
    if (head.isOverlapped && !head.exchange.isOutOfSequence) overlapProved = true;
    act(head, step, said.reply);
  }

  function act(job: Job, step: Step, reply: Reply): void {
    switch (step.do) {
      case 'wait':
        return wire.allow(patience(job));
      case 'say rcpt':
        wire.write(rcpt(job, step.recipient));
        return wire.allow(timeouts.rcptMs);
      case 'say data':
        wire.write(DATA);
        return wire.allow(timeouts.dataMs);
      case 'send content':
        pipeliningProved = true;
        return beginContent(job);
      case 'send lone dot':
        if (isPipelined) note('no-pipelining');
        wire.write(LONE_DOT);
        return wire.allow(timeouts.finalMs);
      case 'finish':
        return finish(job, step.reset);
      case 'hang up':
        if (step.misbehaved) blame(job);
        return end(reply);
    }
  }

  function beginContent(job: Job): void {
    wire.allow(timeouts.contentMs);
    stopContent = sendContent(job.content, wire.socket, {
      moved: () => wire.allow(timeouts.contentMs),
      finalDot() {
        job.exchange.sentFinalDot();
        const next = mayFollowDot() ? waiting.shift() : undefined;
        return next && Buffer.from(begin(next, true));
      },
      finalDotLeft: () => {
        if (owed[0] === job) wire.allow(timeouts.finalMs);
      },
      failed: (error) => contentFailed(job, error),
    });
  }

  /** What the peer was promised cannot be sent: nobody judged the message, and only the connection's end remains. */
  function contentFailed(job: Job, error: ContentError): void {
    owed.shift();
    if (job.isRemainder) resolve(job, settled(job.outcomes));
    else resolve(job, { kind: 'unattempted', because: error.message });
    end(ownReply(421, '4.3.0', error.message));
  }

  function finish(job: Job, reset: boolean): void {
    owed.shift();
    stopContent?.();
    stopContent = undefined;
    pipeliningProved = true;
    if (job.isOverlapped && job.exchange.isOutOfSequence) return sayAgain(job);
    record(job);
    isClean = job.exchange.isClean;
    overlapGranted ||= isClean && mayOverlap;
    const remainder = job.exchange.remainder().flatMap((at) => job.spoken[at] ?? []);
    const tell = remainder.length > 0 ? undefined : () => resolve(job, settled(job.outcomes));
    if (remainder.length > 0) queueAgain(job, remainder, true);
    // One that overlaps was said already; it is for its MAIL to find a transaction that is still open.
    const mustReset = reset && owed.length === 0;
    if (mustReset) sendReset(isPipelined ? undefined : tell);
    if (!mustReset || isPipelined) tell?.();
    if (!mustReset) next();
    else if (isPipelined) advance();
  }

  /** The peer took the overlapped commands for part of something else: they are said once more, by themselves. */
  function sayAgain(job: Job): void {
    note('no-overlap');
    queueAgain(job, job.spoken, job.isRemainder);
    if (owed.length === 0) sendReset(undefined);
    else next();
    advance();
  }

  function queueAgain(job: Job, spoken: TransactionPlan['spoken'], isRemainder: boolean): void {
    job.spoken = spoken;
    job.isRemainder = isRemainder;
    job.isOverlapped = false;
    job.exchange = createExchange(spoken.length, isPipelined);
    waiting.unshift(job);
  }

  /** Whoever is owed a reply next has its time from now on. */
  function next(): void {
    const head = owed[0];
    if (head === undefined) wire.lift();
    else if (typeof head === 'object') wire.allow(patience(head));
    advance();
  }

  function sendReset(tell: (() => void) | undefined): void {
    owed.push('rset');
    untold = tell;
    wire.write(RSET);
    wire.allow(timeouts.rsetMs);
  }

  function afterReset({ reply }: WireReply): void {
    if (reply.code >= 300) return end(reply);
    owed.shift();
    const tell = untold;
    untold = undefined;
    tell?.();
    next();
  }

  /** A reply that nobody waits for: a 421, or a count that is wrong. */
  function unasked({ reply }: WireReply): void {
    if (reply.code !== 421 && isPipelined && handedOver > 0) note('no-pipelining');
    end(reply);
  }

  function patience({ exchange, isOverlapped }: Job): number {
    switch (exchange.awaited) {
      case 'mail':
        return isOverlapped ? Math.min(timeouts.mailMs, OVERLAP_PATIENCE_MS) : timeouts.mailMs;
      case 'rcpt':
        return timeouts.rcptMs;
      case 'data':
        return timeouts.dataMs;
      case 'content':
        return timeouts.contentMs;
      default:
        return timeouts.finalMs;
    }
  }

  function lost(why: WireEnd): void {
    if (endedWith !== undefined) return;
    const head = owed[0];
    if (typeof head === 'object') {
      const { awaited } = head.exchange;
      const overlap = owed.some((other) => typeof other === 'object' && other.isOverlapped);
      if (overlap && !overlapProved) note('no-overlap');
      else if (isPipelined && !pipeliningProved && (awaited === 'rcpt' || awaited === 'data')) {
        note('no-pipelining');
      }
      silent = (stage) => silence(why, stage);
    }
    end(ownReply(421, '4.4.2', why === 'timed out' ? 'the session timed out' : 'the connection was lost'));
  }

  /** The session is over; `reply` says why, the peer's words or ours. */
  function end(reply: Reply): void {
    if (endedWith !== undefined) return;
    endedWith = reply;
    stopContent?.();
    wire.destroy();
    const tell = untold;
    untold = undefined;
    tell?.();
    const because = formatReply(reply);
    const isFirstStanding = handedOver === underWay;
    for (const [i, job] of [...owed.splice(0), ...waiting.splice(0)].entries()) {
      if (typeof job !== 'object') continue;
      if (job.isRemainder && job.exchange.isUnheard) resolve(job, settled(job.outcomes));
      else if (isJudged(job, i === 0 && isFirstStanding)) {
        record(job);
        resolve(job, settled(job.outcomes));
      } else resolve(job, { kind: 'unattempted', because });
    }
    onQuit();
    wake();
  }

  /**
   * Whether an end of the session says anything about this message. A peer that has had enough says 421 to the next
   * MAIL, or nothing: it has not looked at the message, unless it was the first.
   */
  function isJudged(job: Job, isFirst: boolean): boolean {
    if (job.isOverlapped && job.exchange.isOutOfSequence) return false;
    if (isFirst && !job.isOverlapped) return true;
    return !job.exchange.isUnheard;
  }

  function record(job: Job): void {
    for (const [i, outcome] of job.exchange.outcomes(silent).entries()) {
      const position = job.spoken[i]?.position;
      if (position !== undefined) job.outcomes[position] = outcome;
    }
  }

  function resolve(job: Job, result: TransactionResult): void {
    underWay -= 1;
    job.resolve(result);
    if (isReady()) wake();
  }

  function blame(job: Job): void {
    if (job.isOverlapped && !overlapProved) note('no-overlap');
    else if (isPipelined) note('no-pipelining');
  }

  function note(trait: PeerTrait): void {
    notes.push(facts.note(trait));
  }

  function isReady(): boolean {
    return endedWith !== undefined || underWay < (mayOverlap && isClean ? MAX_UNDER_WAY : 1);
  }

  function wake(): void {
    const all = wakeReady;
    wakeReady = [];
    for (const one of all) one();
  }

  wire.listen({ replied, ended: lost });
  return {
    target,
    tls,
    extensions,
    get usable() {
      return endedWith === undefined && underWay < limit();
    },
    async ready() {
      while (!isReady()) await new Promise<void>((resolve) => wakeReady.push(resolve));
    },
    transact,
    async quit() {
      if (endedWith === undefined && underWay === 0) {
        await new Promise<void>((resolve) => {
          onQuit = resolve;
          owed.push('quit');
          wire.write(QUIT);
          wire.allow(timeouts.quitMs);
        });
      }
      end(LEFT);
      await Promise.all(notes);
    },
    destroy: () => end(LEFT),
  };
}

const LEFT = ownReply(421, '4.4.2', 'the session was left');

function settled(outcomes: readonly (RecipientOutcome | undefined)[]): TransactionResult {
  return { kind: 'settled', outcomes: outcomes.map((outcome) => outcome ?? classifySilence('mail', LEFT)) };
}

/** The first message of a session that is already over has that for its outcome; another is nobody's. */
function onDeadSession(plan: TransactionPlan, reply: Reply, isFirst: boolean): TransactionResult {
  if (!isFirst) return { kind: 'unattempted', because: formatReply(reply) };
  const verdict = classifySilence('mail', reply.code === 421 && reply !== LEFT ? reply : LEFT);
  return settled(plan.decided.map((outcome) => outcome ?? verdict));
}
