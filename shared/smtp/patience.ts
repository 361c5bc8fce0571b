// How long the peer may keep the next reply of a transaction to itself.

import type { SmtpTimeouts } from './client.ts';
import type { TransactionStage } from './exchange.ts';

/**
 * How long an overlapping MAIL may stay unanswered once the final dot before it is answered. A peer that throws away
 * what follows a final dot would never answer, and nothing is lost by asking on another session.
 */
const OVERLAP_PATIENCE_MS = 30_000;

/** Milliseconds. */
export function patience(timeouts: SmtpTimeouts, awaited: TransactionStage, isOverlapped: boolean): number {
  switch (awaited) {
    case 'mail':
      return isOverlapped ? Math.min(timeouts.mailMs, OVERLAP_PATIENCE_MS) : timeouts.mailMs;
    case 'rcpt':
      return timeouts.rcptMs;
    case 'data':
      return timeouts.dataMs;
    case 'content':
      return timeouts.contentMs;
    case 'final':
    case 'lone dot':
      return timeouts.finalMs;
  }
}
