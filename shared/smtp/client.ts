// The port through which the delivery engine speaks SMTP. Outcomes are values, one per recipient; nothing
// that a peer does makes these functions throw.

import type { Envelope } from '../message/envelope.ts';
import type { PeerExtensions } from './ehlo.ts';
import type { Reply } from './reply.ts';
import type { Transcode } from './transcode.ts';

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

/** `readAs` is the reply that the operator reads in place of it, and that decided. */
export type RecipientOutcome =
  | { readonly kind: 'delivered'; readonly stage: Stage; readonly reply: Reply }
  | { readonly kind: 'transient'; readonly stage: Stage; readonly reply: Reply; readonly readAs?: Reply }
  | { readonly kind: 'permanent'; readonly stage: Stage; readonly reply: Reply; readonly readAs?: Reply }
  /** The content was sent whole and no reply came: the peer may have it (RFC 1047). */
  | { readonly kind: 'uncertain'; readonly stage: Stage; readonly reply: Reply };

/** Milliseconds, each for one reply; the defaults are RFC 5321 §4.5.3.2's where it names one. */
export interface SmtpTimeouts {
  /**
   * From the first packet to the reply to EHLO and the TLS handshake, altogether, whatever the others allow; anew
   * for the second connection, in clear, after a handshake that failed.
   */
  readonly openingMs: number;
  readonly connectMs: number;
  readonly greetingMs: number;
  /** To EHLO, HELO and STARTTLS. */
  readonly ehloMs: number;
  /** The TLS handshake. */
  readonly tlsMs: number;
  readonly mailMs: number;
  readonly rcptMs: number;
  readonly dataMs: number;
  /** Between two pieces of content, RFC 5321 §4.5.3.2.5. */
  readonly contentMs: number;
  /** From the final dot to its reply, RFC 5321 §4.5.3.2.6. */
  readonly finalMs: number;
  /** Nothing of value waits for it: the session is given up. */
  readonly rsetMs: number;
  readonly quitMs: number;
}

export interface SmtpTarget {
  /** The MX host's name, for the log and for SNI. */
  readonly host: string;
  /** The IP address to connect to: already passed by the address policy. */
  readonly address: string;
  readonly port: number;
  /** SMTP when absent. */
  readonly protocol?: 'lmtp';
  /** Who named the host: a domain's own DNS, or the operator. */
  readonly source: 'mx' | 'routes';
  /** The host is known to be the domain's, without trust in its DNS: REQUIRETLS asks for it (RFC 8689 §4.2.1). */
  readonly mxAuthenticated: boolean;
  readonly ehloName: string;
  readonly localAddress?: string;
  /**
   * What becomes of 8-bit content at a peer without 8BITMIME: a permanent refusal, or its conversion to 7 bits, which
   * breaks DKIM signatures. `refuse` when absent.
   */
  readonly eightBit?: 'refuse' | 'convert';
  /** How the replies of transactions are read. As they come when absent. */
  readonly transcode?: Transcode;
  readonly tls: TlsDemand;
  readonly timeouts: SmtpTimeouts;
}

/** What a session must have of TLS before any mail is named on it. */
export interface TlsDemand {
  /** `ifavailable` falls back to clear when a handshake fails; `required` never does. */
  readonly mode: 'no' | 'ifavailable' | 'required';
  /** With `ifavailable`: whether mail goes in clear after a handshake that failed. It does when absent. */
  readonly fallsBack?: boolean;
  /** With `required`: the certificate must be trusted and good for the host's name. */
  readonly verify: boolean;
  /** PEM; the platform's own authorities when absent. */
  readonly ca?: string;
  /** Those of Node.js when absent. */
  readonly versions?: TlsVersions;
  /** Up to TLS 1.2, as OpenSSL lists them; those of Node.js when absent. */
  readonly ciphers?: string;
}

/** As Node.js names them. */
export interface TlsVersions {
  readonly least: TlsVersion;
  readonly most: TlsVersion;
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

export interface TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  /** The certificate is trusted and good for the host's name, whether or not that was demanded. */
  readonly verified: boolean;
}

/** How TLS came out at a host, in the words of RFC 8460 §4.3. */
export type TlsResult =
  | 'successful'
  | 'starttls-not-supported'
  | 'certificate-host-mismatch'
  | 'certificate-expired'
  | 'certificate-not-trusted'
  | 'validation-failure';

/**
 * Content as it goes on the wire before dot-stuffing: exactly `sizeBytes`. `open` is called when the peer asks for
 * the content; again when recipients whom it put off with "too many recipients" are named in a next transaction of
 * the same `transact`; and before that, up to three times, when 8-bit content meets a peer without 8BITMIME. Content
 * that cannot be opened again throws: recipients put off stay transient, and what could not be looked at or sent is
 * unattempted. What it gives is read to its end, or closed.
 */
export interface SmtpContent {
  readonly sizeBytes: number;
  open(): Promise<AsyncIterable<Uint8Array>>;
}

export type TransactionResult =
  /** One outcome per recipient, in the envelope's order. */
  | { readonly kind: 'settled'; readonly outcomes: readonly RecipientOutcome[] }
  /**
   * Nobody judged this message: the session ended, or was ended by a 421 to its MAIL on a session that had carried
   * others, before anything was said about it; or its content could not be read, so that no final dot was sent.
   */
  | { readonly kind: 'unattempted'; readonly because: string };

export interface SmtpSession {
  readonly target: SmtpTarget;
  readonly tls: TlsFacts | undefined;
  readonly extensions: PeerExtensions;
  /** False when the session must not carry another transaction: it ended, or as many are under way as it takes. */
  readonly usable: boolean;
  /**
   * Resolves when one more transaction may be handed over, or the session is no longer usable. Before the first
   * clean transaction that is when nothing is under way; then, at a peer that takes overlap, up to three may be
   * under way: one whose content flows or whose final reply is awaited, one whose MAIL, RCPT and DATA left in the
   * same write as the first one's final dot, and one that waits for its turn. Only one is ever in doubt.
   */
  ready(): Promise<void>;
  /**
   * One mail transaction, after those that were handed over before it. Never rejects for anything that a peer does;
   * handing over more than `ready` allowed is a bug of the caller, and rejects.
   */
  transact(envelope: Envelope, content: SmtpContent): Promise<TransactionResult>;
  /** QUIT and close; never rejects, takes at most a few seconds. */
  quit(): Promise<void>;
  /** Destroys the socket at once: pending transactions end as transient, or uncertain after the content. */
  destroy(): void;
}

export type OpenOutcome =
  | { readonly kind: 'opened'; readonly session: SmtpSession; readonly tlsResult?: TlsResult }
  /** No session: the next address or host may be tried. `reply` is the peer's, or ours (421 4.4.x). */
  | {
      readonly kind: 'failed';
      readonly stage: Stage;
      readonly reply: Reply;
      /** Absent when the dialogue did not come so far. */
      readonly tlsResult?: TlsResult;
    };

export interface SmtpClient {
  /** Never rejects. */
  open(target: SmtpTarget): Promise<OpenOutcome>;
}

/** What a peer did against its own words. It is spoken to accordingly from then on. */
export type PeerTrait =
  /** Its TLS handshake fails: called in clear where policy allows. */
  | 'tls-fails'
  /** It announces PIPELINING and does not keep to it: one command at a time. */
  | 'no-pipelining'
  /** It loses what follows a final dot in the same write: no overlap. */
  | 'no-overlap';

/** What is remembered of peers, shared between invocations where the adapter can. */
export interface PeerMemory {
  /** Never rejects; what cannot be read counts as nothing known. */
  recall(host: string, port: number): Promise<ReadonlySet<PeerTrait>>;
  /** For an hour. Never rejects. */
  note(host: string, port: number, trait: PeerTrait): Promise<void>;
}
