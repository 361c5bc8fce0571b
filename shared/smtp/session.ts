// One SMTP session after its EHLO: transactions one behind the other, pipelined where the peer offers it, and
// overlapped once one went through cleanly: content, final dot and the next message's MAIL, RCPT and DATA leave in
// one write, so that a message costs one round trip. Overlap ends with any refusal, and begins again after the next
// clean transaction.
//
// What a reply means is decided in exchange.ts; here is whose it is. `owed` lists, in order, what the peer has to
// answer: the transaction under way, one that overlaps it, a RSET, or QUIT.
//
// Invariant (I6): the content of one transaction at most is on the wire, so that one message at most is in doubt.
// Enforced by `advance`, which lets an envelope follow a final dot and nothing else; test: "a connection lost with
// two messages under way leaves one in doubt" in test/dialogs/smtp-overlap.test.ts.

import type { Envelope } from '../message/envelope.ts';
import { classifySilence, outOfTurn, silence } from './classify.ts';
import type {
  PeerTrait,
  SmtpContent,
  SmtpSession,
  SmtpTarget,
  Stage,
  TlsFacts,
  TransactionResult,
} from './client.ts';
import { DATA, LONE_DOT, QUIT, RSET } from './commands.ts';
import { createConduct } from './conduct.ts';
import type { PeerExtensions } from './ehlo.ts';
import { fitToPeer } from './eight-bit.ts';
import type { Step } from './exchange.ts';
import { createJob, type Job, LEFT, settled } from './job.ts';
import { patience } from './patience.ts';
import { planTransaction } from './plan-transaction.ts';
import { formatReply, ownReply, type Reply } from './reply.ts';
import type { WireReply } from './reply-reader.ts';
import { sendContent } from './send-content.ts';
import { transcoder } from './transcode.ts';
import { createTurns } from './turns.ts';
import type { Wire, WireEnd } from './wire.ts';

/** What is said between transactions. */
interface Courtesy {
  readonly verb: 'RSET' | 'QUIT';
  readonly saidAt: number;
}

const BUSY = 'a transaction is running on this session';

export interface SessionFacts {
  readonly target: SmtpTarget;
  readonly tls: TlsFacts | undefined;
  readonly extensions: PeerExtensions;
  readonly traits: ReadonlySet<PeerTrait>;
  /** Never rejects. */
  readonly note: (trait: PeerTrait) => Promise<void>;
}

export function createSession(wire: Wire, facts: SessionFacts): SmtpSession {
  const { target, tls, extensions, traits } = facts;
  const { timeouts } = target;
  const { keywords } = extensions;
  const isPipelined = keywords.has('PIPELINING') && !traits.has('no-pipelining');
  const mayOverlap = isPipelined && !traits.has('no-overlap');
  const peer = {
    host: target.host,
    extensions,
    verifiedTls: tls?.verified === true && target.mxAuthenticated,
    tlsMayCome:
      tls === undefined &&
      target.mxAuthenticated &&
      target.tls.mode === 'ifavailable' &&
      keywords.has('STARTTLS'),
  };
  const reading = {
    readAs: target.transcode === undefined ? undefined : transcoder(target.transcode),
    answersEach: target.protocol === 'lmtp',
  };
  const conduct = createConduct(isPipelined, facts.note);
  const turns = createTurns(mayOverlap);

  /** What the peer has to answer, in order. */
  const owed: (Job | Courtesy)[] = [];
  /** Handed over, and nothing of them said. */
  const waiting: Job[] = [];
  let handedOver = 0;
  /** Decided, but told only when the peer answered RSET, where commands go one at a time. */
  let untold: Job | undefined;
  let stopContent = (): void => {};
  let endedWith: Reply | undefined;
  let silent = (stage: Stage): Reply => silence('connection lost', stage);
  let onQuit = (): void => {};
  let quitting: Promise<void> | undefined;
  const over = Promise.withResolvers<void>();

  async function transact(envelope: Envelope, content: SmtpContent): Promise<TransactionResult> {
    if (envelope.body === '7BIT' || keywords.has('8BITMIME')) return await handOver(envelope, content);
    if (turns.areTaken) throw new Error(BUSY);
    turns.take();
    const fit = await Promise.race([
      fitToPeer(envelope, content, target.host, target.eightBit ?? 'refuse'),
      over.promise.then(() => ({ kind: 'fits', envelope, content }) as const),
    ]);
    turns.giveBack();
    return fit.kind === 'fits' ? await handOver(fit.envelope, fit.content) : fit;
  }

  async function handOver(envelope: Envelope, content: SmtpContent): Promise<TransactionResult> {
    const plan = planTransaction(envelope, content.sizeBytes, peer);
    if (plan.spoken.length === 0) return settled(plan.decided);
    if (endedWith !== undefined) {
      if (handedOver > 0) return { kind: 'unattempted', because: formatReply(endedWith) };
      const verdict = classifySilence('mail', endedWith);
      return settled(plan.decided.map((outcome) => outcome ?? verdict));
    }
    if (turns.areTaken) throw new Error(BUSY);
    handedOver += 1;
    turns.take();
    return await new Promise((resolve) => {
      const done = (result: TransactionResult): void => {
        resolve(result);
        turns.giveBack();
      };
      waiting.push(createJob({ envelope, content, plan, keywords, isPipelined, reading, done }));
      advance();
    });
  }

  // ---- What is said ----

  /** Says what the next in line may say now. */
  function advance(): void {
    const head = owed[0];
    const isFree =
      head === undefined || (isPipelined && owed.length === 1 && isCourtesy(head) && head.verb === 'RSET');
    if (isFree || mayFollow(head)) say(begin(!isFree));
  }

  /** An envelope may follow a final dot, in the same write or behind it. */
  function mayFollow(head: Job | Courtesy): boolean {
    return turns.isClean && owed.length === 1 && !isCourtesy(head) && head.exchange.finalDotSent;
  }

  /** The first commands of the next in line; '' when nobody waits. */
  function begin(isOverlapped: boolean): string {
    const job = endedWith === undefined ? waiting.shift() : undefined;
    if (job === undefined) return '';
    job.isOverlapped = isOverlapped;
    job.saidAt = wire.turn;
    owed.push(job);
    if (owed.length === 1) wire.allow(timeouts.mailMs);
    return job.firstCommands();
  }

  function say(commands: string): void {
    if (commands !== '') wire.write(commands);
  }

  function beginContent(job: Job): void {
    wire.allow(timeouts.contentMs);
    stopContent = sendContent(job.content, wire.socket, {
      moved: () => wire.allow(timeouts.contentMs),
      finalDot() {
        job.exchange.sentFinalDot();
        return mayFollow(job) ? begin(true) : '';
      },
      finalDotLeft() {
        if (owed[0] === job) wire.allow(timeouts.finalMs);
      },
      // What the peer waits for cannot be sent: nobody judged the message, and nothing but an end is left.
      failed({ message }) {
        owed.shift();
        end(ownReply(421, '4.3.0', message));
        job.giveUp(message);
      },
    });
  }

  // ---- What is heard ----

  function replied(said: WireReply): void {
    if (endedWith !== undefined) return;
    const head = owed[0];
    if (head === undefined || head.saidAt === wire.turn) unasked(head, said.reply);
    else if (isCourtesy(head)) {
      if (head.verb === 'RSET') afterReset(said.reply);
      else onQuit();
    } else {
      if (said.reply.code >= 400) turns.judgedClean(false);
      const step = head.exchange.took(said);
      if (head.isOverlapped && !head.exchange.isOutOfSequence) conduct.answeredOverlap();
      act(head, step, said.reply);
    }
  }

  function act(job: Job, step: Step, reply: Reply): void {
    switch (step.do) {
      case 'wait':
        break;
      case 'say rcpt':
        job.saidAt = wire.turn;
        say(job.rcpt(step.recipient));
        break;
      case 'say data':
        job.saidAt = wire.turn;
        say(DATA);
        break;
      case 'send content':
        conduct.answeredGroup();
        beginContent(job);
        return;
      case 'send lone dot':
        conduct.stumbled();
        job.saidAt = wire.turn;
        say(LONE_DOT);
        break;
      case 'finish':
        finish(job, step.reset);
        return;
      case 'hang up':
        if (step.misbehaved) {
          conduct.misbehaved(job.isOverlapped);
          silent = () => (reply.code === 451 ? reply : outOfTurn(reply));
        }
        end(reply);
        return;
    }
    allow(job);
  }

  /** The peer has decided; the session goes on. */
  function finish(job: Job, mustReset: boolean): void {
    const { exchange } = job;
    owed.shift();
    stopContent();
    conduct.answeredGroup();
    // It took the envelope for part of the transaction before: it is said once more, by itself.
    if (job.isOverlapped && exchange.isOutOfSequence) {
      conduct.mixedUp();
      job.sayAgain();
      waiting.unshift(job);
      reset();
      return;
    }
    if (exchange.hasUnknownCommand) conduct.stumbled();
    job.record(silent);
    turns.judgedClean(exchange.isClean);
    const goesOn = job.takeRemainder();
    if (goesOn) waiting.unshift(job);
    // Where an envelope overlaps, its MAIL meets the open transaction: see above.
    if (!mustReset || owed.length > 0) {
      if (!goesOn) job.settle();
      attend();
    } else if (goesOn) reset();
    else if (isPipelined && !exchange.needsProof) {
      job.settle();
      reset();
    } else {
      untold = job;
      reset();
    }
  }

  /** RFC 5321 §4.1.1.5. With PIPELINING the next envelope leaves in the same write. */
  function reset(): void {
    owed.push({ verb: 'RSET', saidAt: wire.turn });
    wire.allow(timeouts.rsetMs);
    say(RSET + (isPipelined ? begin(false) : ''));
  }

  function afterReset(reply: Reply): void {
    // What its transaction now holds is unknown: nothing may be added to it.
    if (reply.code >= 300) {
      distrustUntold();
      end(reply);
      return;
    }
    owed.shift();
    tellUntold();
    attend();
  }

  /** The reply to DATA may have been that to a recipient. */
  function distrustUntold(): void {
    if (untold?.exchange.needsProof !== true) return;
    conduct.misbehaved(false);
    untold.exchange.distrust();
    untold.record(silent);
  }

  function tellUntold(): void {
    const job = untold;
    untold = undefined;
    job?.settle();
  }

  /** Whoever is owed a reply now has its time from now on. */
  function attend(): void {
    const head = owed[0];
    if (head === undefined) wire.lift();
    else if (!isCourtesy(head)) allow(head);
    advance();
  }

  function allow({ exchange, isOverlapped }: Job): void {
    wire.allow(patience(timeouts, exchange.awaited, isOverlapped));
  }

  // ---- How it ends ----

  /** A reply that nobody waits for, or that came before what it would answer: a 421, or a peer that lost count. */
  function unasked(head: Job | Courtesy | undefined, reply: Reply): void {
    const why = reply.code >= 400 && reply.code < 500 ? reply : outOfTurn(reply);
    silent = () => why;
    if (reply.code !== 421) {
      if (handedOver > 0) conduct.misbehaved(false);
      if (head !== undefined && !isCourtesy(head)) head.exchange.distrust();
      distrustUntold();
    }
    end(why);
  }

  function lost(why: WireEnd): void {
    if (endedWith !== undefined) return;
    silent = (stage) => silence(why, stage);
    const head = owed[0];
    if (head !== undefined && !isCourtesy(head)) {
      const { exchange, isOverlapped } = head;
      if (owed.length > 1 || (isOverlapped && exchange.awaited === 'mail')) conduct.brokeOffOverlap();
      else if (exchange.awaited === 'rcpt' || exchange.awaited === 'data') {
        if (!conduct.brokeOffGroup()) exchange.distrust();
      }
    }
    end(ownReply(421, '4.4.2', `${why} on this session`));
  }

  /** The session is over; `reply` says why, in the peer's words or ours. */
  function end(reply: Reply): void {
    if (endedWith !== undefined) return;
    endedWith = reply;
    stopContent();
    wire.destroy();
    tellUntold();
    const first = handedOver === turns.underWay ? owed[0] : undefined;
    for (const job of [...owed.splice(0), ...waiting.splice(0)]) {
      if (!isCourtesy(job)) job.sessionEnded(formatReply(reply), silent, job === first);
    }
    onQuit();
    over.resolve();
    turns.end();
  }

  wire.listen({ replied, ended: lost });
  return {
    target,
    tls,
    extensions,
    get usable() {
      return endedWith === undefined && !turns.areTaken;
    },
    ready: turns.ready,
    transact,
    async quit() {
      if (endedWith === undefined && turns.underWay === 0) {
        quitting ??= new Promise<void>((resolve) => {
          onQuit = resolve;
          owed.push({ verb: 'QUIT', saidAt: wire.turn });
          wire.allow(timeouts.quitMs);
          say(QUIT);
        });
        await quitting;
      }
      end(LEFT);
      await conduct.noted();
    },
    destroy: () => end(LEFT),
  };
}

function isCourtesy(owed: Job | Courtesy | undefined): owed is Courtesy {
  return owed !== undefined && 'verb' in owed;
}
