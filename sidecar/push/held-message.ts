// A message while the sidecar has it: from its final dot to the reply. Its content is in memory, or in a file that
// ends with the process.

import type { HostReply, Reply } from '../../shared/smtp/reply.ts';
import type { XferHeader } from '../../shared/xfer/message.ts';
import type { Content } from '../intake/content.ts';
import type { Ending, XferOut } from '../log.ts';
import type { Mode } from '../routing/targets.ts';

export interface HeldMessage {
  readonly mode: Mode;
  readonly header: XferHeader;
  readonly content: Content;
  /** The hand-over is given up then, whatever is known. */
  readonly deadlineAtMs: number;
  /** Aborts when the MTA left before its reply. */
  readonly gone: AbortSignal;
  /**
   * Called exactly once. With a promise, the id stays under way until it resolves: whoever makes one answer for
   * several parts may take this one back until then.
   */
  settle(result: HandOverResult): Promise<void> | undefined;
}

export interface HandOverResult {
  readonly ending: Ending;
  /** What the receiver said of the message: with `refused`. */
  readonly refusal?: Reply | HostReply;
  /** For replies and the log: why it ended so. */
  readonly reason: string;
  readonly withdrawal: XferOut['withdrawal'];
  readonly route: string | null;
  readonly tries: number;
  readonly batch: number;
}

/** One try to hand over a transfer, for metrics. */
export interface PushSample {
  /** As `formatXferRoute` writes it. */
  readonly route: string;
  readonly outcome: 'answered' | 'lost' | 'unreachable';
  readonly status: number | null;
  readonly durationMs: number;
  /** Content of its messages, uploaded content included. */
  readonly contentBytes: number;
  /** The request's body as it was sent. */
  readonly wireBytes: number;
  readonly messages: number;
}
