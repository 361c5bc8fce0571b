// What a listener hands in, and what it hears: the port between the listeners (SMTP, LMTP) and the reception that
// decides where mail goes.

import type { Envelope, Recipient } from '../../shared/message/envelope.ts';
import type { Reply } from '../../shared/smtp/reply.ts';
import type { ReceptionProtocol } from '../log.ts';
import type { Content } from './content.ts';

/** Who the client is, as far as it said. */
export interface Client {
  readonly address: string;
  /** What it said in EHLO, LHLO or HELO. */
  readonly name: string;
  /** XFORWARD's attributes, by upper-case name. */
  readonly forwarded: ReadonlyMap<string, string>;
  /** The user that it authenticated as. */
  readonly user?: string;
  /** How it speaks to us, for the log. */
  readonly protocol?: ReceptionProtocol;
  /** The connection's name in the dialogue trace. */
  readonly session?: string;
}

export interface Submission {
  readonly client: Client;
  /** Each address once, in the order of the first RCPT for it. */
  readonly envelope: Envelope;
  /** The listener's until `submit` resolves; released by the listener. */
  readonly content: Content;
}

/** One transaction's decisions. */
export interface Transaction {
  /** Undefined accepts the recipient. */
  recipient(recipient: Recipient): Reply | undefined;
  /** Before the content is asked for; undefined lets it come. */
  data(): Reply | undefined;
  /**
   * After the content: a reply for each address of the envelope. Where the protocol has one reply for all (SMTP),
   * they are the same. `gone` aborts when the client left before it heard them. Never rejects.
   */
  submit(submission: Submission, gone: AbortSignal): Promise<ReadonlyMap<string, Reply>>;
}

export interface Reception {
  /** At MAIL; a reply refuses. */
  begin(terms: Terms): Transaction | Reply;
}

/** What a listener's stanza and protocol say of its transactions. */
export interface Terms {
  /** LMTP answers for each recipient, so that recipients of one message may go different ways. */
  readonly protocol: 'smtp' | 'lmtp';
  /** Attempt_First. */
  readonly attemptFirst: boolean;
}
