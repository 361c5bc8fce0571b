// What an attempt came to, as the queue sees it: one outcome per open recipient and the peer that spoke.

import type { RecipientOutcome, TlsFacts } from '../smtp/client.ts';

export interface Peer {
  readonly host: string;
  readonly address: string;
  /** ESMTP when absent. */
  readonly protocol?: 'LMTP';
  readonly tls?: TlsFacts;
  /** Whether it announced DSN (RFC 3461): it answers for NOTIFY then. Absent when no session was opened. */
  readonly takesDsn?: boolean;
}

export interface Attempt {
  readonly atMs: number;
  /** By position in the delivery's recipients; recipients that had ended before are absent. */
  readonly outcomes: ReadonlyMap<number, RecipientOutcome>;
  readonly peer?: Peer;
  readonly site?: string;
}
