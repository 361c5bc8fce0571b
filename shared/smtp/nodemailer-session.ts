// One SMTP session over an SMTPConnection that has said its EHLO. nodemailer speaks the commands and waits for
// their replies; what was answered, and how far the dialogue came, is read from the dialogue watch, because
// nodemailer's own results drop verdicts when a connection ends half way.
//
// The content does not pass through nodemailer's data stream, which turns bare CR and LF into CRLF: the message
// given to it is a stream whose `pipe` writes to the socket itself.
//
// Limits of nodemailer: NOTIFY and ORCPT are the same for all recipients of a transaction, so each is sent only
// when all recipients agree on it, else left off; SMTPUTF8 is declared only when an address needs it; addresses
// with angle brackets inside quotes are postponed.

import { Readable, Transform } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { Envelope, Recipient } from '../message/envelope.ts';
import { classifySilence, letsGoOn, silence } from './classify.ts';
import type { RecipientOutcome, SmtpContent, SmtpSession, SmtpTarget, TransactionResult } from './client.ts';
import type { DialogueWatch } from './dialogue-watch.ts';
import { NO_EXTENSIONS, parseEhlo } from './ehlo.ts';
import { planTransaction, type TransactionPlan } from './plan-transaction.ts';
import { ownReply } from './reply.ts';
import { type ContentError, sendContent } from './send-content.ts';
import { settleTransaction } from './settle-transaction.ts';

/** How long RSET and QUIT may take: nothing of value waits for their replies. */
const COURTESY_MS = 3_000;

export interface Dialogue {
  readonly target: SmtpTarget;
  readonly connection: SMTPConnection;
  readonly watch: DialogueWatch;
  /** Resolves when the connection is over, whoever ended it. */
  readonly ended: Promise<void>;
  readonly isEnded: () => boolean;
  /** Destroys the socket at once. */
  readonly hangUp: () => void;
}

export function createNodemailerSession(dialogue: Dialogue): SmtpSession {
  const { target, connection, watch } = dialogue;
  const greeted = watch.greetedWith();
  const extensions = greeted.verb === 'EHLO' ? parseEhlo(greeted.reply) : NO_EXTENSIONS;
  const socket = connection._socket;
  const tlsSocket = socket instanceof TLSSocket ? socket : undefined;
  const peer = { host: target.host, extensions, verifiedTls: tlsSocket?.authorized === true };
  let running = false;
  let carried = 0;
  let finished = Promise.withResolvers<void>();

  async function transact(envelope: Envelope, content: SmtpContent): Promise<TransactionResult> {
    if (running) throw new Error('a transaction is running on this session');
    running = true;
    try {
      const plan = holdBackUnspeakable(planTransaction(envelope, content.sizeBytes, peer));
      const outcomes = merge(plan, plan.spoken.length === 0 ? [] : await speak(envelope, plan, content));
      const isFirst = carried === 0;
      carried += 1;
      // A peer that has had enough of the session says so to the next MAIL: it has not looked at this message.
      if (!isFirst && outcomes.every(endsTheSession)) {
        return { kind: 'unattempted', because: 'the peer ended the session' };
      }
      return { kind: 'settled', outcomes };
    } catch (error) {
      dialogue.hangUp();
      return { kind: 'unattempted', because: error instanceof Error ? error.message : String(error) };
    } finally {
      running = false;
      finished.resolve();
      finished = Promise.withResolvers();
    }
  }

  async function speak(
    envelope: Envelope,
    plan: TransactionPlan,
    content: SmtpContent,
  ): Promise<readonly RecipientOutcome[]> {
    const over = new AbortController();
    let finalDotSent = false;
    let contentError: ContentError | undefined;
    const message = new Readable({ read() {} });
    // nodemailer pipes the message once DATA is answered with 354; see the head of this file.
    message.pipe = (dataStream) => {
      if (dataStream instanceof Transform) dataStream.unpipe();
      watch.contentBegins();
      const progress = {
        moved: watch.contentMoves,
        finalDotSent() {
          finalDotSent = true;
          watch.finalDotSent();
        },
        finalDotLeft: watch.finalDotLeft,
      };
      if (connection._socket) {
        sendContent(content, connection._socket, progress, over.signal).catch((error) => {
          if (over.signal.aborted) return;
          contentError = error;
          dialogue.hangUp();
        });
      }
      return dataStream;
    };

    watch.begin();
    await new Promise<void>((resolve) => {
      dialogue.ended.then(resolve);
      connection.send(nodemailerEnvelope(envelope, plan, content.sizeBytes), message, () => resolve());
    });
    over.abort();
    if (contentError !== undefined) throw contentError;

    const replies = [...watch.replies()];
    const last = replies.at(-1);
    const wasTaken = last?.stage === 'final' && letsGoOn('final', last.reply);
    // Half a message is on the wire: nothing but its end could follow.
    if (last?.stage === 'content') dialogue.hangUp();
    // Also after a refusal of the content: Postfix keeps the transaction open then, and refuses the next MAIL.
    else if (!wasTaken && !dialogue.isEnded()) await reset();
    return settleTransaction(plan.spoken.length, {
      replies,
      finalDotSent,
      silence: (stage) => silence(watch.timedOut() === undefined ? 'connection lost' : 'timed out', stage),
    });
  }

  /** RFC 5321 §4.1.1.5; a session that cannot be reset is given up. */
  async function reset(): Promise<void> {
    const done = await within(COURTESY_MS, (resolve) => {
      dialogue.ended.then(() => resolve(false));
      connection.reset((error) => resolve(error === null));
    });
    if (!done) dialogue.hangUp();
  }

  return {
    target,
    tls: tlsSocket && {
      protocol: tlsSocket.getProtocol() ?? 'unknown',
      cipher: tlsSocket.getCipher().standardName,
      verified: tlsSocket.authorized,
    },
    extensions,
    async ready() {
      if (running) await finished.promise;
    },
    get usable() {
      return !running && !dialogue.isEnded();
    },
    transact,
    async quit() {
      if (!running && !dialogue.isEnded()) {
        await within(COURTESY_MS, (resolve) => {
          dialogue.ended.then(() => resolve(true));
          connection.quit();
        });
      }
      dialogue.hangUp();
    },
    destroy: dialogue.hangUp,
  };
}

/** The outcomes decided without the peer, and those of the recipients who were named to it. */
function merge(plan: TransactionPlan, outcomes: readonly RecipientOutcome[]): readonly RecipientOutcome[] {
  const merged = [...plan.decided];
  for (const [i, { position }] of plan.spoken.entries()) merged[position] = outcomes[i];
  return merged.map((outcome) => outcome ?? classifySilence('mail', NOT_NAMED));
}

const NOT_NAMED = ownReply(451, '4.1.3', 'this client cannot speak the address');

/** nodemailer refuses a whole envelope for one address with angle brackets or surrounding blanks. */
function holdBackUnspeakable(plan: TransactionPlan): TransactionPlan {
  const spoken = isUnspeakable(plan.sender)
    ? []
    : plan.spoken.filter(({ address }) => !isUnspeakable(address));
  return { ...plan, spoken };
}

function isUnspeakable(address: string): boolean {
  return /[\r\n<>]/.test(address) || address !== address.trim();
}

function endsTheSession({ kind, stage, reply }: RecipientOutcome): boolean {
  return kind === 'transient' && stage === 'mail' && reply.code === 421;
}

/** Made afresh each time, since nodemailer writes into it. */
function nodemailerEnvelope(
  envelope: Envelope,
  plan: TransactionPlan,
  sizeBytes: number,
): Parameters<SMTPConnection['send']>[0] {
  const recipients = plan.spoken.flatMap(({ position }) => envelope.recipients[position] ?? []);
  const notify = agreed(recipients, (recipient) => recipient.notify?.toSorted().join(','));
  const orcpt = agreed(recipients, (recipient) => recipient.orcpt);
  return {
    from: plan.sender,
    to: plan.spoken.map(({ address }) => address),
    size: sizeBytes,
    use8BitMime: envelope.body === '8BITMIME',
    requireTLSExtensionEnabled: envelope.requireTls,
    dsn: { ret: envelope.ret, envid: envelope.envid, notify, orcpt },
  };
}

/** What every recipient has the same of. */
function agreed(
  recipients: readonly Recipient[],
  of: (recipient: Recipient) => string | undefined,
): string | undefined {
  const values = new Set(recipients.map(of));
  return values.size === 1 ? [...values][0] : undefined;
}

/** What `start` resolves with, or undefined after `ms`. */
function within(
  ms: number,
  start: (resolve: (value: boolean) => void) => void,
): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    start((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
