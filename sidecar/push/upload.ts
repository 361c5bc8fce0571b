// Puts content that is too large for a request into the receiver's spool: asks for a place, then fills it. Nothing
// is handed over by that; the frame that follows does it.

import type { XferRoute } from '../../shared/config/routes.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { parseUploadTicket } from '../../shared/xfer/upload.ts';
import { parseVerdicts, type ReceivedAnswer } from '../../shared/xfer/verdict-parser.ts';
import type { Clock } from '../clock.ts';
import { pathBelow, type Target } from '../routing/targets.ts';
import type { HeldMessage } from './held-message.ts';
import type { ReceiverClient } from './receiver-client.ts';

export type UploadOutcome =
  | { readonly kind: 'uploaded' }
  /** Nothing answered at the route. */
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** Worth another try. */
  | { readonly kind: 'again'; readonly reason: string; readonly retryAfterMs?: number }
  /** The message is too large for the receiver. */
  | { readonly kind: 'refused'; readonly reply: Reply }
  /** The receiver takes no uploads as we ask for them, or not from us. */
  | { readonly kind: 'rejected'; readonly reason: string; readonly status: number };

export async function upload(
  client: ReceiverClient,
  clock: Clock,
  target: Target,
  route: XferRoute,
  message: HeldMessage,
): Promise<UploadOutcome> {
  const { id, sizeBytes, sha256 } = message.header;
  const asked = await client.send(target, route, {
    method: 'POST',
    path: pathBelow(target, 'uploads'),
    headers: { 'content-type': 'application/json' },
    body: [Buffer.from(JSON.stringify({ id, sizeBytes, sha256 }), 'utf8')],
    timeoutMs: target.responseTimeoutMs,
  });
  if (asked.kind === 'unreachable') return asked;
  if (asked.kind === 'lost') return { kind: 'again', reason: asked.reason };
  const ticket = parseUploadTicket(asked.answer);
  if (ticket === undefined) return withoutTicket(asked.answer, id, clock.nowMs());
  const put = await client.sendTo(new URL(ticket.url), {
    method: ticket.method,
    headers: ticket.headers,
    body: message.content.pieces ?? [],
    // The bytes may take long; the hand-over's deadline bounds them.
    timeoutMs: Math.max(message.deadlineAtMs - clock.nowMs(), 1),
  });
  if (put.kind !== 'answer') return { kind: 'again', reason: `the upload failed: ${put.reason}` };
  const { status } = put.answer;
  if (status >= 200 && status < 300) return { kind: 'uploaded' };
  return { kind: 'again', reason: `the upload was answered with HTTP ${status}` };
}

function withoutTicket(answer: ReceivedAnswer, id: string, nowMs: number): UploadOutcome {
  const { status } = answer;
  const outcome = parseVerdicts(answer, [id], nowMs);
  const reason = outcome.kind === 'verdicts' ? `HTTP ${status} without a ticket` : outcome.reason;
  if (status === 413) return { kind: 'refused', reply: ownReply(552, '5.3.4', reason) };
  if (outcome.kind === 'retry' && (outcome.inDoubt || status === 429)) {
    const { retryAfterMs } = outcome;
    return { kind: 'again', reason, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }
  return { kind: 'rejected', reason, status };
}
