// Hands one message in at its target's outbox and makes of the result what the client hears. Whoever takes mail
// here, by SMTP or LMTP, comes through it; the log gets its record.

import { isLoopback } from '../../shared/config/networks.ts';
import type { XferRoute } from '../../shared/config/routes.ts';
import type { Recipient } from '../../shared/message/envelope.ts';
import { isHostName } from '../../shared/message/trace.ts';
import type { HostReply, Reply } from '../../shared/smtp/reply.ts';
import { formatFrameHeader } from '../../shared/xfer/frame-format.ts';
import { MAX_HEADER_LINE_BYTES, MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import type { XferHeader } from '../../shared/xfer/message.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { HandOverResult } from '../push/held-message.ts';
import { afterAll, type JointAnswer } from '../push/joint-answer.ts';
import type { Outbox } from '../push/outbox.ts';
import { chainOf, type Mode, type Target } from '../routing/targets.ts';
import { xferOut } from '../xfer-out.ts';
import { replyFor, requireTlsReply } from './replies.ts';
import type { Client, Submission } from './submission.ts';

export interface HandInOptions {
  readonly outboxes: ReadonlyMap<
    Target,
    Pick<Outbox, 'add' | 'takeBack'> & Partial<Pick<Outbox, 'full' | 'mayBeThere'>>
  >;
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
 * Never rejects. `gone` aborts when the client left before its reply, which `joint` makes: the log tells of the message
 * when that ends. The hand-over is given up after
 * Handoff_Deadline, or at `deadlineAtMs` where that is earlier.
 */
export async function handIn(
  options: HandInOptions,
  { mode, target }: Way,
  header: XferHeader,
  submission: Pick<Submission, 'client' | 'content'>,
  gone: AbortSignal,
  joint: JointAnswer,
  deadlineAtMs = Infinity,
): Promise<HandedIn> {
  const { clock } = options;
  const startMs = clock.nowMs();
  if (header.envelope.requireTls && mayLeaveInClear(target)) {
    const refusal = requireTlsReply(mode, target.domain);
    return refuse(options, { mode, target }, header, submission, gone, refusal);
  }
  const outbox = options.outboxes.get(target);
  if (outbox === undefined) throw new Error(`the target ${target.domain} has no outbox`);
  const endAtMs = Math.min(startMs + target.handoffDeadlineMs, deadlineAtMs);
  const result = await new Promise<HandOverResult>((resolve) => {
    const settle = (settled: HandOverResult): Promise<void> => {
      resolve(settled);
      return joint.decided;
    };
    outbox.add({ mode, header, content: submission.content, deadlineAtMs: endAtMs, gone, settle });
  });
  const reply = replyFor(result, mode, header.id);
  joint.atEnd(async () => {
    const last = await afterAll(outbox, { header, mode, gone }, result);
    record(options, { mode, target }, header, submission, gone, { result: last, reply }, startMs);
  });
  return { result, reply };
}

/** A message that goes nowhere on our own account. */
export function refuse(
  options: Pick<HandInOptions, 'clock' | 'log'>,
  way: { readonly mode: Mode; readonly target: Target | undefined },
  header: XferHeader,
  submission: Pick<Submission, 'client' | 'content'>,
  gone: AbortSignal,
  reply: Reply,
): HandedIn {
  const result = {
    ending: 'refused',
    reason: reply.text,
    withdrawal: null,
    route: null,
    tries: 0,
    batch: 0,
  } as const;
  record(options, way, header, submission, gone, { result, reply }, options.clock.nowMs());
  return { result, reply };
}

/** Whether a route of the target, or of those that stand in for it, is read by others on its way. */
export function mayLeaveInClear(target: Target): boolean {
  const inClear = ({ tls, host }: XferRoute) => !tls && host !== 'localhost' && !isLoopback(host);
  return chainOf(target).some(({ routes }) => routes.some(inClear));
}

function record(
  { clock, log }: Pick<HandInOptions, 'clock' | 'log'>,
  { mode, target }: { readonly mode: Mode; readonly target: Target | undefined },
  header: XferHeader,
  { client }: Pick<Submission, 'client'>,
  gone: AbortSignal,
  { result, reply }: HandedIn,
  startMs: number,
): void {
  log.record(
    xferOut({
      header,
      mode,
      queue: target?.domain ?? '',
      result,
      reply,
      clientGone: gone.aborted,
      latencyMs: clock.nowMs() - startMs,
      by: {
        name: client.name === '' ? null : client.name,
        address: client.address,
        protocol: client.protocol,
        session: client.session,
      },
    }),
  );
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
  return withUpload({
    ...others,
    envelope: { ...envelope, recipients },
    sizeBytes: content.sizeBytes,
    sha256: content.sha256.toString('hex'),
    ...(receivedFrom !== undefined && { receivedFrom }),
    upload: false,
    meta: {},
  });
}

/** With `upload` as it must be: a request holds no frame over MAX_INLINE_BYTES, the header of many recipients included. */
export function withUpload(header: XferHeader): XferHeader {
  const { sizeBytes } = header;
  const fits =
    sizeBytes + MAX_HEADER_LINE_BYTES <= MAX_INLINE_BYTES ||
    (sizeBytes <= MAX_INLINE_BYTES &&
      sizeBytes + formatFrameHeader({ ...header, upload: false }).length <= MAX_INLINE_BYTES);
  return { ...header, upload: !fits };
}

/** What the client calls itself; an address in brackets when that is no name. */
export function hostOf(client: Client): string | undefined {
  const literal = client.address.includes(':') ? `[IPv6:${client.address}]` : `[${client.address}]`;
  return [client.name, literal].find(isHostName);
}
