// Puts content that is too large for a request into the receiver's spool: asks for a place, then fills it. Nothing
// is handed over by that; the frame that follows does it.

import type { XferRoute } from '../../shared/config/routes.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { parseUploadTicket } from '../../shared/xfer/upload.ts';
import { parseVerdicts, type ReceivedAnswer } from '../../shared/xfer/verdict-parser.ts';
import type { Clock } from '../clock.ts';
import { pathBelow, type Target } from '../routing/targets.ts';
import type { HeldMessage } from './held-message.ts';
import type { HttpOutcome, ReceiverClient } from './receiver-client.ts';

export type UploadOutcome =
  | { readonly kind: 'uploaded' }
  /** Nothing answered at the route. */
  | Extract<HttpOutcome, { readonly kind: 'unreachable' }>
  /** Worth another try; `where` failed. `timedOut`: the receiver did not answer within the try's time. */
  | {
      readonly kind: 'again';
      readonly where: 'receiver' | 'store';
      readonly reason: string;
      readonly timedOut?: boolean;
      readonly retryAfterMs?: number;
    }
  /** The message is too large for the receiver. */
  | { readonly kind: 'refused'; readonly reply: Reply }
  /** The receiver takes no uploads as we ask for them, or not from us. */
  | { readonly kind: 'rejected'; readonly reason: string; readonly status: number }
  /** Our own copy of the content cannot be read. */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** The octets in flight may need so long where the line is slow; a store that hangs leaves time for another try. */
const STALL_MS = 30_000;

export async function upload(
  client: ReceiverClient,
  clock: Clock,
  target: Target,
  route: XferRoute,
  { header, content, deadlineAtMs }: HeldMessage,
  /** For the answer with the ticket; `ticketCame` is told before the content goes. */
  wanted: { readonly timeoutMs: number; ticketCame(): void },
): Promise<UploadOutcome> {
  const { id, sizeBytes, sha256 } = header;
  const leftMs = (): number => Math.max(deadlineAtMs - clock.nowMs(), 1);
  const asked = await client.send(target, route, {
    method: 'POST',
    path: pathBelow(target, 'uploads'),
    headers: { 'content-type': 'application/json' },
    body: [Buffer.from(JSON.stringify({ id, sizeBytes, sha256 }), 'utf8')],
    timeoutMs: wanted.timeoutMs,
  });
  if (asked.kind === 'unreachable' || asked.kind === 'unreadable') return asked;
  if (asked.kind === 'lost') {
    const { reason, how } = asked;
    return { kind: 'again', where: 'receiver', reason, timedOut: how === 'timeout' };
  }
  const ticket = parseUploadTicket(asked.answer);
  if (ticket === undefined) return withoutTicket(asked.answer, id, clock.nowMs());
  wanted.ticketCame();
  // Length and checksum are signed: the headers go as they stand, and the octets uncompressed.
  const put = await client.sendTo(new URL(ticket.url), {
    method: ticket.method,
    headers: ticket.headers,
    body: content.pieces ?? content,
    timeoutMs: leftMs(),
    stallMs: Math.max(STALL_MS, target.responseTimeoutMs),
  });
  if (put.kind === 'unreadable') return put;
  if (put.kind !== 'answer')
    return { kind: 'again', where: 'store', reason: `the upload failed: ${put.reason}` };
  const { status } = put.answer;
  if (status >= 200 && status < 300) return { kind: 'uploaded' };
  return { kind: 'again', where: 'store', reason: `the upload was answered with HTTP ${status}` };
}

function withoutTicket(answer: ReceivedAnswer, id: string, nowMs: number): UploadOutcome {
  const { status } = answer;
  const outcome = parseVerdicts(answer, [id], nowMs);
  const reason = outcome.kind === 'verdicts' ? `HTTP ${status} without a ticket` : outcome.reason;
  if (status === 413) return { kind: 'refused', reply: ownReply(552, '5.3.4', reason) };
  if (outcome.kind === 'retry' && (outcome.inDoubt || status === 429)) {
    const { retryAfterMs } = outcome;
    return {
      kind: 'again',
      where: 'receiver',
      reason,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    };
  }
  return { kind: 'rejected', reason, status };
}
