// One try to hand a transfer over: uploads what must be uploaded, sends the request, reads the answer, and says what
// follows. It tells the health of the route, and the operator where a person must mend something; it settles nothing.

import { formatXferRoute, type XferRoute } from '../../shared/config/routes.ts';
import type { Reply } from '../../shared/smtp/reply.ts';
import { FRAMES_CONTENT_TYPE, formatFrameHeader } from '../../shared/xfer/frame-format.ts';
import { MIN_PATIENCE_MS } from '../../shared/xfer/patience.ts';
import { parseVerdicts, type ReceivedAnswer } from '../../shared/xfer/verdict-parser.ts';
import type { Ending } from '../log.ts';
import type { Target } from '../routing/targets.ts';
import type { EncodedBody } from './compression.ts';
import type { Open } from './ending.ts';
import type { TransferTools } from './hand-over.ts';
import type { HeldMessage, PushSample } from './held-message.ts';
import { reasonOf } from './http-exchange.ts';
import { type HttpOutcome, sizeOf } from './receiver-client.ts';
import type { Passage } from './route-health.ts';
import { upload } from './upload.ts';

export interface Verdict {
  readonly ending: Ending;
  readonly reason: string;
  readonly refusal?: Reply;
}

/** What a try leaves to do. */
export type Step = (
  | { readonly kind: 'settled'; readonly verdicts: ReadonlyMap<Open, Verdict> }
  /** Nothing left this machine. */
  | { readonly kind: 'pass-over'; readonly reason: string }
  | { readonly kind: 'at-once'; readonly reason: string }
  /** `dropped`: the receiver broke off, or failed, over this request. */
  | {
      readonly kind: 'wait';
      readonly reason: string;
      readonly retryAfterMs?: number;
      readonly dropped: boolean;
    }
  | { readonly kind: 'give-up'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reply: Reply }
  | { readonly kind: 'split' }
) & {
  /** The request has left: from now on it is this receiver or none. */
  readonly left?: boolean;
};

export interface Try {
  readonly open: readonly Open[];
  /** Asked for before each request. */
  timeoutMs(): number;
  /** Whether the content of an upload is in this route's store already; told when it has come there. */
  readonly isUploaded: boolean;
  uploaded(): void;
}

/** Marks messages `inDoubt` as soon as they are, and releases the passage. Never rejects. */
export async function attempt(tools: TransferTools, passage: Passage, one: Try): Promise<Step> {
  const sent = { left: false };
  try {
    return await fillAndSend(tools, passage, one, sent);
  } catch (error) {
    // A fault of ours, as in writing a header: its messages end here, and those of other transfers go on.
    const reason = `the request cannot be made: ${reasonOf(error)}`;
    for (const each of one.open) each.inDoubt ||= sent.left;
    tools.operator.cannotSend(passage.route, reason);
    return { kind: 'give-up', left: sent.left, reason };
  } finally {
    passage.release();
  }
}

async function fillAndSend(
  tools: TransferTools,
  passage: Passage,
  one: Try,
  sent: { left: boolean },
): Promise<Step> {
  const [first] = one.open;
  if (first?.message.header.upload && !one.isUploaded) {
    const step = await fill(tools, passage, first.message, one.timeoutMs());
    if (step !== undefined) return step;
    one.uploaded();
  }
  return send(tools, passage, one.open, one.timeoutMs(), sent);
}

async function fill(
  { client, clock, operator }: TransferTools,
  passage: Passage,
  message: HeldMessage,
  timeoutMs: number,
): Promise<Step | undefined> {
  const { target, route } = passage;
  const startedAtMs = clock.nowMs();
  const outcome = await upload(client, clock, target, route, message, {
    timeoutMs,
    // The content may take minutes, and the route may be under test by it.
    ticketCame: () => passage.reached(),
  });
  switch (outcome.kind) {
    case 'uploaded':
      return undefined;
    case 'unreachable':
      return notReached({ clock, operator }, passage, outcome, timeoutMs);
    case 'again': {
      const { reason, retryAfterMs } = outcome;
      const after = retryAfterMs !== undefined && { retryAfterMs };
      if (outcome.where === 'receiver' && (!outcome.timedOut || isPatient(target, timeoutMs)))
        passage.failed(clock.nowMs(), { startedAtMs, ids: [message.header.id], reason, ...after });
      return { kind: 'wait', reason, dropped: false, ...after };
    }
    case 'refused':
      passage.answered();
      return { kind: 'refused', reply: outcome.reply };
    case 'rejected':
      passage.answered();
      operator.refused(route, outcome.status, outcome.reason);
      return { kind: 'give-up', reason: outcome.reason };
    case 'unreadable':
      operator.cannotSend(route, outcome.reason);
      return { kind: 'give-up', reason: outcome.reason };
  }
}

async function send(
  tools: TransferTools,
  passage: Passage,
  open: readonly Open[],
  timeoutMs: number,
  sent: { left: boolean },
): Promise<Step> {
  const { client, clock, compression, operator } = tools;
  const { whereabouts } = tools.health;
  const { target, route } = passage;
  const body = await compression.encode(
    route,
    open.flatMap(({ message: { header, content } }) => [
      formatFrameHeader(header),
      ...(header.upload ? [] : (content.pieces ?? [])),
    ]),
  );
  const startedAtMs = clock.nowMs();
  // From now on a repeat of its MTA goes there too, also while this try is still under way.
  for (const { message } of open) whereabouts.leaveFor(tools.keyOf(message.header.id), target, route);
  sent.left = true;
  const outcome = await client.send(target, route, {
    method: 'POST',
    path: target.uri,
    headers: {
      'content-type': FRAMES_CONTENT_TYPE,
      ...(body.gzipped && { 'content-encoding': 'gzip' }),
      ...(timeoutMs >= MIN_PATIENCE_MS && { 'x-xfer-patience-ms': String(Math.floor(timeoutMs)) }),
    },
    body: body.pieces,
    timeoutMs,
  });
  const endedAtMs = clock.nowMs();
  tools.pushed?.(sampleOf(route, open, body, outcome, endedAtMs - startedAtMs));
  switch (outcome.kind) {
    case 'unreachable':
      return notReached(tools, passage, outcome, timeoutMs);
    case 'lost': {
      for (const one of open) one.inDoubt = true;
      const { reason, how } = outcome;
      // The repeat goes over another connection: the server had closed this one, or was about to.
      if (how === 'stale') return { kind: 'at-once', left: true, reason };
      if (how !== 'timeout' || isPatient(target, timeoutMs))
        passage.failed(endedAtMs, { startedAtMs, ids: idsOf(open), reason });
      return { kind: 'wait', left: true, reason, dropped: how === 'cut' };
    }
    case 'unreadable':
      for (const one of open) one.inDoubt = true;
      operator.cannotSend(route, outcome.reason);
      return { kind: 'give-up', left: true, reason: outcome.reason };
    case 'answer':
      if (body.gzipped && compression.refusedBy(route, outcome.answer)) {
        passage.answered();
        return { kind: 'at-once', left: true, reason: 'the receiver does not take gzip' };
      }
      return { ...readAnswer(tools, passage, open, outcome.answer, startedAtMs), left: true };
  }
}

function readAnswer(
  { clock, operator }: TransferTools,
  passage: Passage,
  open: readonly Open[],
  answer: ReceivedAnswer,
  startedAtMs: number,
): Step {
  const { route } = passage;
  const ids = idsOf(open);
  const outcome = parseVerdicts(answer, ids, clock.nowMs());
  if (outcome.kind === 'faulty') {
    passage.answered();
    // One message may spoil the request for the others.
    if (open.length > 1) return { kind: 'split' };
    operator.refused(route, answer.status, outcome.reason);
    return { kind: 'give-up', reason: outcome.reason };
  }
  if (outcome.kind === 'retry') {
    const { reason, retryAfterMs, inDoubt } = outcome;
    if (!inDoubt && answer.status !== 429) {
      passage.answered();
      operator.refused(route, answer.status, reason);
      return { kind: 'give-up', reason };
    }
    if (inDoubt) for (const one of open) one.inDoubt = true;
    const after = retryAfterMs !== undefined && { retryAfterMs };
    passage.failed(clock.nowMs(), { startedAtMs, ids, reason, ...after });
    // A receiver that says when it will have time is not one that dies of a message.
    return { kind: 'wait', reason, dropped: inDoubt && retryAfterMs === undefined, ...after };
  }
  const verdicts = new Map<Open, Verdict>();
  for (const [index, one] of open.entries()) {
    const verdict = outcome.messages[index];
    if (verdict === undefined || verdict.status === 'unknown') {
      one.inDoubt = true;
    } else if (verdict.status === 'refused') {
      verdicts.set(one, { ending: 'refused', reason: 'refused by the receiver', refusal: verdict.reply });
    } else {
      verdicts.set(one, { ending: verdict.status, reason: `${verdict.status} by the receiver` });
    }
  }
  if (verdicts.size > 0) passage.answered();
  else {
    const reason = 'the answer names no message of the request';
    passage.failed(clock.nowMs(), { startedAtMs, ids, reason });
  }
  return { kind: 'settled', verdicts };
}

function notReached(
  { clock, operator }: Pick<TransferTools, 'clock' | 'operator'>,
  passage: Passage,
  { reason, ours, timedOut }: Extract<HttpOutcome, { readonly kind: 'unreachable' }>,
  timeoutMs: number,
): Step {
  if (ours) operator.cannotSend(passage.route, reason);
  else if (!timedOut || isPatient(passage.target, timeoutMs)) passage.unreachable(clock.nowMs(), reason);
  return { kind: 'pass-over', reason };
}

// A message near its deadline, or of a client in a hurry, gives the receiver less time than it may take: silence then
// says nothing to the others.
function isPatient({ responseTimeoutMs, handoffDeadlineMs }: Target, timeoutMs: number): boolean {
  return timeoutMs >= Math.min(responseTimeoutMs, handoffDeadlineMs / 2);
}

function idsOf(open: readonly Open[]): readonly string[] {
  return open.map(({ message }) => message.header.id);
}

function sampleOf(
  route: XferRoute,
  open: readonly Open[],
  body: EncodedBody,
  outcome: HttpOutcome,
  durationMs: number,
): PushSample {
  const answered = outcome.kind === 'answer';
  return {
    route: formatXferRoute(route),
    outcome: answered ? 'answered' : outcome.kind === 'unreachable' ? 'unreachable' : 'lost',
    status: answered ? outcome.answer.status : null,
    durationMs,
    contentBytes: open.reduce((sum, { message }) => sum + message.header.sizeBytes, 0),
    wireBytes: sizeOf(body.pieces),
    messages: open.length,
  };
}
