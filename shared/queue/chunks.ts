// Recipients → chunks: sorted, without repeats, one domain each, at most 50 per chunk. The same recipients
// always give the same chunks, so that a repeated transfer finds its own.

import { createHash } from 'node:crypto';
import { domainOf } from '../message/address.ts';
import type { Recipient } from '../message/envelope.ts';
import type { ItemKey } from './delivery.ts';

export const MAX_RECIPIENTS_PER_DELIVERY = 50;

export interface Chunk {
  readonly domain: string;
  readonly recipients: readonly Recipient[];
}

export function splitIntoChunks(recipients: readonly Recipient[]): readonly Chunk[] {
  const byDomain = new Map<string, Map<string, Recipient>>();
  for (const recipient of recipients) {
    const domain = domainOf(recipient.address);
    const group = byDomain.get(domain) ?? new Map<string, Recipient>();
    // The first mention of an address wins: its DSN parameters stand.
    if (!group.has(recipient.address)) group.set(recipient.address, recipient);
    byDomain.set(domain, group);
  }
  const chunks: Chunk[] = [];
  for (const domain of [...byDomain.keys()].sort()) {
    const sorted = [...(byDomain.get(domain) ?? new Map<string, Recipient>()).entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, recipient]) => recipient);
    for (let start = 0; start < sorted.length; start += MAX_RECIPIENTS_PER_DELIVERY) {
      chunks.push({ domain, recipients: sorted.slice(start, start + MAX_RECIPIENTS_PER_DELIVERY) });
    }
  }
  return chunks;
}

/**
 * A delivery's name in the set of a shared spool object. It comes from the first recipient, not from the chunk's
 * number, since a recipient is in one chunk only while numbers depend on what the ledger held before. Chunk 0, with
 * the whole of a message, is told apart: beside it may lie chunks that lost a race against it and are swept later.
 */
export function contentUser(key: ItemKey, generation: number, recipients: readonly Recipient[]): string {
  const place = key.chunk === 0 ? 'whole' : 'chunk';
  return createHash('sha256')
    .update(`${key.credential}#${key.id}#${generation}#${place}#${recipients[0]?.address ?? ''}`)
    .digest('base64url')
    .slice(0, 12);
}
