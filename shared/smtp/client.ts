// The port through which the delivery engine speaks SMTP. Outcomes are values, one per recipient; nothing
// that a peer does makes these functions throw. `shared/smtp/nodemailer-client.ts` is the first adapter.

import type { Readable } from 'node:stream';
import type { Envelope } from '../message/envelope.ts';
import type { Reply } from './reply.ts';

/** Where in the dialogue an outcome was decided. `final` is the reply to the final dot. */
export type Stage =
  | 'connect'
  | 'greeting'
  | 'ehlo'
  | 'starttls'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'content'
  | 'final';

export type RecipientOutcome =
  | { readonly kind: 'delivered'; readonly stage: Stage; readonly reply: Reply }
  | { readonly kind: 'transient'; readonly stage: Stage; readonly reply: Reply }
  | { readonly kind: 'permanent'; readonly stage: Stage; readonly reply: Reply }
  /** The content was sent whole and no reply came: the peer may have it (RFC 1047). */
  | { readonly kind: 'uncertain'; readonly stage: Stage; readonly reply: Reply };

/** Milliseconds; the defaults are RFC 5321 §4.5.3.2's, Connect_Timeout ours. */
export interface SmtpTimeouts {
  /** From the first packet to the reply to EHLO and the TLS handshake, altogether, whatever the others allow. */
  readonly openingMs: number;
  readonly connectMs: number;
  readonly greetingMs: number;
  readonly commandMs: number;
  /** Between two pieces of content, RFC 5321 §4.5.3.2.5. */
  readonly contentMs: number;
  /** From the final dot to its reply, RFC 5321 §4.5.3.2.6. */
  readonly finalMs: number;
}

export interface SmtpTarget {
  /** The MX host's name, for the log and for SNI. */
  readonly host: string;
  /** The IP address to connect to: already passed by the address policy. */
  readonly address: string;
  readonly port: number;
  readonly ehloName: string;
  readonly localAddress?: string;
  readonly tls: 'no' | 'ifavailable' | 'required';
  readonly timeouts: SmtpTimeouts;
}

export interface TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
}

/** Content as it goes on the wire before dot-stuffing; `open` is called at most once per transaction. */
export interface SmtpContent {
  readonly sizeBytes: number;
  open(): Promise<Readable>;
}

export interface SmtpSession {
  readonly target: SmtpTarget;
  readonly tls: TlsFacts | undefined;
  /** False when the session must not carry another transaction. */
  readonly usable: boolean;
  /**
   * One mail transaction. The result has one outcome per recipient, in the envelope's order.
   * Rejects only when `content.open` or its stream fails: then nothing was delivered, the session is unusable.
   */
  transact(envelope: Envelope, content: SmtpContent): Promise<readonly RecipientOutcome[]>;
  /** QUIT and close; never rejects, takes at most a few seconds. */
  quit(): Promise<void>;
  /** Destroys the socket at once: pending transactions end as transient, or uncertain after the content. */
  destroy(): void;
}

export type OpenOutcome =
  | { readonly kind: 'opened'; readonly session: SmtpSession }
  /** No session: the next address or host may be tried. `reply` is the peer's, or ours (421 4.4.x). */
  | { readonly kind: 'failed'; readonly stage: Stage; readonly reply: Reply };

export interface SmtpClient {
  open(target: SmtpTarget): Promise<OpenOutcome>;
}
