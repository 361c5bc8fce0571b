// One mail transaction of a session: from an accepted MAIL to the replies for its content. SMTP has one reply for
// all recipients; LMTP has one for each RCPT that was accepted, in their order, also for the same recipient twice.

import { needsSmtpUtf8 } from '../../shared/message/address.ts';
import type { Envelope, Recipient } from '../../shared/message/envelope.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { MAX_RECIPIENTS } from '../../shared/xfer/limits.ts';
import type { Terms, Transaction } from '../intake/submission.ts';

export class Mail {
  readonly #envelope: Omit<Envelope, 'recipients'>;
  readonly #transaction: Transaction;
  readonly #protocol: Terms['protocol'];
  readonly #recipients = new Map<string, Recipient>();
  /** Of each RCPT that was accepted. */
  readonly #accepted: string[] = [];

  constructor(envelope: Omit<Envelope, 'recipients'>, transaction: Transaction, protocol: Terms['protocol']) {
    this.#envelope = envelope;
    this.#transaction = transaction;
    this.#protocol = protocol;
  }

  get transaction(): Transaction {
    return this.#transaction;
  }

  get isWithoutRecipients(): boolean {
    return this.#recipients.size === 0;
  }

  /** What a recipient's second RCPT says of DSN is not heard. */
  add(recipient: Recipient): Reply {
    const { address } = recipient;
    const isNew = !this.#recipients.has(address);
    if ((isNew || this.#protocol === 'lmtp') && this.#accepted.length >= MAX_RECIPIENTS) return TOO_MANY;
    if (isNew) {
      const refusal = this.#transaction.recipient(recipient);
      if (refusal !== undefined) return refusal;
      this.#recipients.set(address, recipient);
    }
    if (isNew || this.#protocol === 'lmtp') this.#accepted.push(address);
    return RECIPIENT_OK;
  }

  envelope(): Envelope {
    const recipients = [...this.#recipients.values()];
    const smtputf8 = this.#envelope.smtputf8 || recipients.some(({ address }) => needsSmtpUtf8(address));
    return { ...this.#envelope, smtputf8, recipients };
  }

  /** What the client hears of its content, when each recipient has such a verdict. */
  replies(verdictOf: (address: string) => Reply): readonly Reply[] {
    const [first] = this.#accepted;
    if (first === undefined) throw new Error('content came without a recipient');
    return this.#protocol === 'lmtp' ? this.#accepted.map(verdictOf) : [verdictOf(first)];
  }
}

const RECIPIENT_OK = ownReply(250, '2.1.5', 'ok');
const TOO_MANY = ownReply(452, '4.5.3', `${MAX_RECIPIENTS} recipients; send the others after these`);
