// What a message asks of its next host, held against what that host offers, before a word of it is said:
// recipients that cannot be sent there get their outcome here, the others get the address to speak.
//
// A message that asked for SMTPUTF8 but needs it in no address goes without it to a peer that does not offer it.
// Whether 8-bit content fits the peer is found out before, in seven-bit.ts.

import { domainToASCII } from 'node:url';
import type { Envelope } from '../message/envelope.ts';
import type { RecipientOutcome } from './client.ts';
import { isAscii } from './commands.ts';
import type { PeerExtensions } from './ehlo.ts';
import { ownReply, type Reply } from './reply.ts';

export interface TransactionPlan {
  /** In the envelope's order: an outcome for each recipient who will not be named to the peer. */
  readonly decided: readonly (RecipientOutcome | undefined)[];
  /** The reverse path as it is spoken. */
  readonly sender: string;
  readonly sizeBytes: number;
  readonly is8Bit: boolean;
  /** Positions in the envelope and addresses as they are spoken; empty when there is nobody to ask for. */
  readonly spoken: readonly { readonly position: number; readonly address: string }[];
}

export interface PeerFacts {
  readonly host: string;
  readonly extensions: PeerExtensions;
  /** The session is encrypted and the peer's certificate proved its name. */
  readonly verifiedTls: boolean;
  /** In clear, although TLS is offered: a handshake failed lately, and may not fail for ever. */
  readonly tlsMayCome: boolean;
}

export function planTransaction(envelope: Envelope, sizeBytes: number, peer: PeerFacts): TransactionPlan {
  const decideAll = (kind: 'permanent' | 'transient', reply: Reply): TransactionPlan => ({
    decided: envelope.recipients.map(() => ({ kind, stage: 'mail', reply })),
    sender: envelope.sender,
    sizeBytes,
    is8Bit,
    spoken: [],
  });
  const refuseAll = (reply: Reply) => decideAll('permanent', reply);
  const is8Bit = envelope.body === '8BITMIME';
  const { keywords, sizeLimitBytes } = peer.extensions;

  // RFC 8689 §4.2.1: the next host offers REQUIRETLS under verified TLS, or the message goes no further.
  if (envelope.requireTls && peer.tlsMayCome) {
    return decideAll(
      'transient',
      ownReply(451, '4.7.5', `REQUIRETLS is asked for and TLS with ${peer.host} failed lately`),
    );
  }
  if (envelope.requireTls && !(peer.verifiedTls && keywords.has('REQUIRETLS'))) {
    return refuseAll(ownReply(550, '5.7.30', `REQUIRETLS is asked for and ${peer.host} does not provide it`));
  }
  if (sizeLimitBytes !== undefined && sizeBytes > sizeLimitBytes) {
    return refuseAll(ownReply(552, '5.3.4', `${peer.host} takes ${sizeLimitBytes} octets, not ${sizeBytes}`));
  }

  const smtpUtf8 = keywords.has('SMTPUTF8');
  const sender = speak(envelope.sender, smtpUtf8);
  if (sender === undefined) return refuseAll(needsSmtpUtf8(peer.host, envelope.sender));
  if (isUnspeakable(sender)) {
    return { decided: envelope.recipients.map(() => NOT_SPOKEN), sender, sizeBytes, is8Bit, spoken: [] };
  }

  const decided: (RecipientOutcome | undefined)[] = [];
  const spoken: { position: number; address: string }[] = [];
  for (const [position, recipient] of envelope.recipients.entries()) {
    const address = speak(recipient.address, smtpUtf8);
    if (address === undefined) {
      decided.push({ kind: 'permanent', stage: 'rcpt', reply: needsSmtpUtf8(peer.host, recipient.address) });
    } else if (isUnspeakable(address)) {
      decided.push(NOT_SPOKEN);
    } else {
      decided.push(undefined);
      spoken.push({ position, address });
    }
  }
  return { decided, sender, sizeBytes, is8Bit, spoken };
}

/** Nobody's mail is bounced for it: intake lets no such address in, so that the fault is ours. */
const NOT_SPOKEN: RecipientOutcome = {
  kind: 'transient',
  stage: 'mail',
  reply: ownReply(451, '4.1.3', 'the address cannot be spoken'),
};

/** A control character would end the command, or begin another. */
function isUnspeakable(address: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return /[\0-\x1f\x7f]/.test(address);
}

/**
 * The address as the peer can read it: UTF-8 for one with SMTPUTF8, else ASCII, the domain in A-labels.
 * Undefined when the local part needs SMTPUTF8 (RFC 6531 §3.2).
 */
function speak(address: string, smtpUtf8: boolean): string | undefined {
  if (smtpUtf8 || isAscii(address)) return address;
  const at = address.lastIndexOf('@');
  const domain = domainToASCII(address.slice(at + 1));
  return isAscii(address.slice(0, at)) && domain !== '' ? `${address.slice(0, at)}@${domain}` : undefined;
}

/** RFC 6531 §4.2. */
function needsSmtpUtf8(host: string, address: string): Reply {
  return ownReply(553, '5.6.7', `${host} does not offer SMTPUTF8, which <${address}> needs`);
}
