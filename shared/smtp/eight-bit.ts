// A message that is announced as 8-bit, at a peer without 8BITMIME: it goes when it holds no 8-bit octet or was made
// 7-bit, and is refused otherwise (RFC 6152 §3). What cannot be read is nobody's verdict.

import type { Envelope } from '../message/envelope.ts';
import type { SmtpContent, TransactionResult } from './client.ts';
import { ownReply } from './reply.ts';
import { toSevenBits } from './seven-bit.ts';

export type EightBitFit =
  | { readonly kind: 'fits'; readonly envelope: Envelope; readonly content: SmtpContent }
  | TransactionResult;

/** Never rejects. */
export async function fitToPeer(
  envelope: Envelope,
  content: SmtpContent,
  host: string,
  mode: 'refuse' | 'convert',
): Promise<EightBitFit> {
  try {
    const fit = await toSevenBits(content, mode);
    if (fit.kind === 'fits') return { ...fit, envelope: { ...envelope, body: '7BIT' } };
    // RFC 3463 X.6.3: conversion required but not supported.
    const why = `${host} does not offer 8BITMIME, which the content needs: ${fit.because}`;
    const refused = { kind: 'permanent', stage: 'mail', reply: ownReply(554, '5.6.3', why) } as const;
    return { kind: 'settled', outcomes: envelope.recipients.map(() => refused) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { kind: 'unattempted', because: `the content cannot be read: ${why}` };
  }
}
