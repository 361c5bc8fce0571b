// What a transfer carries once it is parsed: one `XferMessage` per message, whatever the body's format was.

import type { Envelope } from '../message/envelope.ts';
import type { HostReply, Reply } from '../smtp/reply.ts';

/** `id` of a message and name of a credential, both chosen outside: 1 to 64 of these. */
export const ID_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

export interface XferHeader {
  readonly id: string;
  readonly envelope: Envelope;
  readonly sizeBytes: number;
  /** Lower-case hex, as the client claims it; the receiver compares it with what came. */
  readonly sha256?: string;
  /** When the sending side first took the message: the clock of expiry starts here. */
  readonly receivedAtMs?: number;
  /** Host that handed the message to the sending side, for the trace header. */
  readonly receivedFrom?: string;
  /** Attempts that the sending side made before. */
  readonly attempts: number;
  readonly dueAtMs?: number;
  readonly expiresAtMs?: number;
  readonly lastReply?: HostReply;
  /** The content was put into the spool by a presigned PUT; the frame carries no octets. */
  readonly upload: boolean;
  /** At most 4 KiB of JSON, kept and logged. */
  readonly meta: Readonly<Record<string, unknown>>;
}

/** A well-framed message: either fit to be accepted, or refused alone without touching its neighbours. */
export type XferMessage<C = Buffer> =
  | { readonly kind: 'message'; readonly header: XferHeader; readonly content: C }
  | { readonly kind: 'upload'; readonly header: XferHeader }
  | { readonly kind: 'refused'; readonly id: string; readonly reply: Reply };

/** The answer per message, in request order. */
export type Verdict =
  | { readonly id: string; readonly status: 'accepted' | 'duplicate' }
  | { readonly id: string; readonly status: 'refused'; readonly reply: Reply };
