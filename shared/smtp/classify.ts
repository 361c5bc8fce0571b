// From what a peer said, or failed to say, to the outcome for a recipient. The one place that decides
// transient or permanent: the reply's first digit does, unknown means transient, and silence after the final
// dot is uncertain (RFC 1047), never a failure.

import type { RecipientOutcome, Stage } from './client.ts';
import { ownReply, type Reply, replyClass } from './reply.ts';

/** Whether a reply lets the dialogue go on: 3xx does after DATA, 2xx anywhere else. */
export function letsGoOn(stage: Stage, reply: Reply): boolean {
  return replyClass(reply) === 'positive' && reply.code >= 300 === (stage === 'data');
}

/**
 * RFC 5321 §4.5.3.1.10: 452, and 552 from peers of old, when it speaks of the number of recipients; a full mailbox
 * has the same code.
 */
export function isTooManyRecipients({ code, enhanced, text }: Reply): boolean {
  // OpenSMTPD says 451 4.5.3.
  if (enhanced !== undefined && enhanced.slice(1) === '.5.3')
    return code === 451 || code === 452 || code === 552;
  if (code !== 452 && code !== 552) return false;
  return /too many/i.test(text) && /recipient|rcpt/i.test(text);
}

/**
 * The peer has had enough of the session, whatever comes on it: 421 (RFC 5321 §3.8), or too many of something where no
 * recipient was named. OpenSMTPD answers MAIL so after its `max-mails`, and does not hang up.
 */
export function endsSession(stage: Stage | 'lone dot', { code, enhanced }: Reply): boolean {
  return code === 421 || (stage === 'mail' && code >= 400 && code < 500 && enhanced === '4.5.3');
}

/** The outcome of a recipient whose fate this reply sealed. */
export function classify(stage: Stage, reply: Reply): RecipientOutcome {
  switch (replyClass(reply)) {
    case 'transient':
      return { kind: 'transient', stage, reply };
    case 'permanent': {
      const isTransient = isAboutSession(stage, reply) || (stage === 'rcpt' && isTooManyRecipients(reply));
      return { kind: isTransient ? 'transient' : 'permanent', stage, reply };
    }
    case 'positive':
      if (stage === 'final' && letsGoOn(stage, reply)) return { kind: 'delivered', stage, reply };
      return { kind: 'transient', stage, reply: outOfTurn(reply) };
  }
}

// "Bad sequence of commands" (RFC 5321 §4.2.3) speaks of what went before, not of this mail: never bounce on it.
function isAboutSession(stage: Stage, reply: Reply): boolean {
  return reply.code === 503 && stage !== 'final';
}

/** The outcome of a recipient for whom no reply came; `reply` is ours, saying why. */
export function classifySilence(stage: Stage, reply: Reply): RecipientOutcome {
  return { kind: stage === 'final' ? 'uncertain' : 'transient', stage, reply };
}

/** A reply of ours for a peer that fell silent or hung up; `awaited` says what it owed us. */
export function silence(cause: 'timed out' | 'connection lost', stage: Stage): Reply {
  return ownReply(421, stage === 'connect' ? '4.4.1' : '4.4.2', `${cause} while ${AWAITED[stage]}`);
}

const AWAITED: Readonly<Record<Stage, string>> = {
  connect: 'connecting',
  greeting: 'waiting for the greeting',
  ehlo: 'waiting for the reply to EHLO',
  starttls: 'starting TLS',
  mail: 'waiting for the reply to MAIL FROM',
  rcpt: 'waiting for the reply to RCPT TO',
  data: 'waiting for the reply to DATA',
  content: 'sending the content',
  final: 'waiting for the reply to the final dot',
};

/** A reply of ours in place of one that answers nothing which was asked. */
export function outOfTurn(reply: Reply): Reply {
  return ownReply(451, '4.5.0', `${reply.code} came out of turn: ${reply.text}`);
}
