// The envelope: who a message is from and for, apart from its content (RFC 5321 §2.3.1), with the DSN
// parameters of RFC 3461 and the BODY, SMTPUTF8 and REQUIRETLS parameters of RFC 6152, 6531 and 8689.

export type NotifyCondition = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY';

export interface Recipient {
  /** Mailbox without angle brackets; the domain in lower case, the local part as received. */
  readonly address: string;
  /** `addr-type;xtext-decoded address`, RFC 3461 §4.2. */
  readonly orcpt?: string;
  /** RFC 3461 §4.1; `NEVER` stands alone. */
  readonly notify?: readonly NotifyCondition[];
}

export interface Envelope {
  /** Reverse path without angle brackets; '' is the null path, which is never bounced. */
  readonly sender: string;
  readonly recipients: readonly Recipient[];
  readonly body: '7BIT' | '8BITMIME';
  readonly smtputf8: boolean;
  readonly requireTls: boolean;
  /** RFC 3461 §4.4, xtext-decoded. */
  readonly envid?: string;
  /** RFC 3461 §4.3. */
  readonly ret?: 'FULL' | 'HDRS';
}
