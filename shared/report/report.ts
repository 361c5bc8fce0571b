// A report as facts: about whom, what came of it, and what is known of the message. All of it is in the ledger when
// the report is owed, so that the same report is composed whenever it is.

import type { HostReply } from '../smtp/reply.ts';

export type ReportKind =
  /** Not delivered, for good (RFC 3464 `failed`). */
  | 'failure'
  /** Not delivered yet. */
  | 'delay'
  /** Taken by a host that does not report successes (RFC 3461 §5.2.2). */
  | 'relayed';

export interface Report {
  readonly kind: ReportKind;
  /** Names the report for good: Message-ID and boundary come from it. `[A-Za-z0-9_-]{1,64}`. */
  readonly id: string;
  readonly atMs: number;
  readonly recipients: readonly ReportedRecipient[];
  readonly message: ReportedMessage;
}

export interface ReportedMessage {
  /** The id that it was handed over under. */
  readonly id: string;
  /** The reverse path: whom the report is for. Never empty. */
  readonly sender: string;
  /** RFC 3461 §4.4, decoded. */
  readonly envid?: string;
  readonly ret?: 'FULL' | 'HDRS';
  readonly smtputf8: boolean;
  readonly requireTls: boolean;
  readonly sizeBytes: number;
  /** Host that handed it to the sending side. */
  readonly receivedFrom?: string;
  readonly receivedAtMs: number;
  readonly expiresAtMs: number;
}

export interface ReportedRecipient {
  readonly address: string;
  /** `addr-type;address`, decoded (RFC 3461 §4.2). */
  readonly orcpt?: string;
  /** What was last said about it; without a host it is our own word. */
  readonly reply: HostReply;
  /** Its time was up, whatever was last said. */
  readonly expired: boolean;
  readonly lastAttemptAtMs: number;
}
