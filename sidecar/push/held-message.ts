// A message while the sidecar has it: from its final dot to the reply, in memory alone.

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
  /** Called exactly once. */
  settle(result: HandOverResult): void;
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
