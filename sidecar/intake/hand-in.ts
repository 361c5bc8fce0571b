// Hands one message in at its target's outbox and makes of the result what the client hears. Whoever takes mail
// here, by SMTP or LMTP, comes through it; the log gets its record.

import type { Recipient } from '../../shared/message/envelope.ts';
import { isHostName } from '../../shared/message/trace.ts';
import type { HostReply, Reply } from '../../shared/smtp/reply.ts';
import { MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import type { XferHeader } from '../../shared/xfer/message.ts';
import type { Clock } from '../clock.ts';
import { type Log, responseFields } from '../log.ts';
import type { HandOverResult } from '../push/held-message.ts';
import type { Outbox } from '../push/outbox.ts';
import type { Mode, Target } from '../routing/targets.ts';
import type { Content } from './content.ts';
import { replyFor } from './replies.ts';
import type { Client, Submission } from './submission.ts';

export interface HandInOptions {
  readonly outboxes: ReadonlyMap<Target, Pick<Outbox, 'add'>>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where a message goes, and why. */
export interface Way {
  readonly mode: Mode;
  readonly target: Target;
}

export interface HandedIn {
  readonly result: HandOverResult;
  readonly reply: Reply;
}

/**
 * Never rejects. `gone` aborts when the client left before its reply. The hand-over is given up after
 * Handoff_Deadline, or at `deadlineAtMs` where that is earlier.
 */
export async function handIn(
  options: HandInOptions,
  { mode, target }: Way,
  header: XferHeader,
  content: Content,
  gone: AbortSignal,
  deadlineAtMs = Infinity,
): Promise<HandedIn> {
  const { clock, log } = options;
  const startMs = clock.nowMs();
  const outbox = options.outboxes.get(target);
  if (outbox === undefined) throw new Error(`the target ${target.domain} has no outbox`);
  const endAtMs = Math.min(startMs + target.handoffDeadlineMs, deadlineAtMs);
  const result = await new Promise<HandOverResult>((settle) => {
    outbox.add({ mode, header, content, deadlineAtMs: endAtMs, gone, settle });
  });
  const reply = replyFor(result, mode, header.id);
  log.record({
    id: header.id,
    sender: header.envelope.sender,
    recipients: header.envelope.recipients.map(({ address }) => address),
    size: content.sizeBytes,
    queue: target.domain,
    mode,
    route: result.route,
    verdict: result.ending,
    withdrawal: result.withdrawal,
    client_gone: gone.aborted,
    response: responseFields(reply),
    latency_ms: clock.nowMs() - startMs,
    tries: result.tries,
    batch: result.batch,
  });
  return { result, reply };
}

/** What the sending side says of a message; the rest is the submission's. */
export interface HeaderFacts {
  readonly id: string;
  readonly recipients: readonly Recipient[];
  readonly receivedAtMs: number;
  readonly attempts: number;
  readonly lastReply?: HostReply;
}

export function headerOf({ client, envelope, content }: Submission, facts: HeaderFacts): XferHeader {
  const { recipients, ...others } = facts;
  const receivedFrom = hostOf(client);
  return {
    ...others,
    envelope: { ...envelope, recipients },
    sizeBytes: content.sizeBytes,
    sha256: content.sha256.toString('hex'),
    ...(receivedFrom !== undefined && { receivedFrom }),
    upload: content.sizeBytes > MAX_INLINE_BYTES,
    meta: {},
  };
}

/** What the client calls itself; an address in brackets when that is no name. */
export function hostOf(client: Client): string | undefined {
  const literal = client.address.includes(':') ? `[IPv6:${client.address}]` : `[${client.address}]`;
  return [client.name, literal].find(isHostName);
}
