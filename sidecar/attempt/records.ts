// What the log says of one recipient of an attempt, in KumoMTA's record names.

import { createHash } from 'node:crypto';
import { domainOf } from '../../shared/message/address.ts';
import type { Recipient } from '../../shared/message/envelope.ts';
import type { AttemptRecord } from '../log.ts';
import type { Work } from './attempt-first.ts';
import type { Attempted } from './attempter.ts';

/**
 * `isTold`: the MTA hears of the permanent refusal; otherwise the mail goes on to the receiver. The message's next
 * attempt, when its MTA comes again, begins at another `startedAtMs`.
 */
export function attemptRecord(
  { id, submission, protocol, receivedAtMs }: Work,
  { address }: Recipient,
  { outcome, peer, site }: Attempted,
  isTold: boolean,
  startedAtMs: number,
  nowMs: number,
): AttemptRecord {
  const { reply } = outcome;
  const type = typeOf(outcome.kind, isTold);
  return {
    type,
    event_id: eventId([type, id, startedAtMs, address]),
    timestamp: nowMs / 1_000,
    id,
    sender: submission.envelope.sender,
    recipient: address,
    queue: domainOf(address),
    ...(site !== undefined && { site }),
    size: submission.content.sizeBytes,
    response: {
      code: reply.code,
      enhanced_code: reply.enhanced ?? null,
      content: reply.text,
      command: outcome.kind === 'postponed' ? null : outcome.stage,
    },
    ...(peer !== undefined && {
      peer_address: { name: peer.host, addr: peer.address },
      delivery_protocol: peer.protocol,
      ...(peer.tls !== undefined && {
        tls_cipher: peer.tls.cipher,
        tls_protocol_version: peer.tls.protocol,
      }),
    }),
    created: receivedAtMs / 1_000,
    num_attempts: 1,
    reception_protocol: submission.client.protocol ?? (protocol === 'smtp' ? 'ESMTP' : 'LMTP'),
  };
}

/** As the receiving side makes it: whoever reads the same event twice may drop the second. */
function eventId(facts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('base64url').slice(0, 22);
}

function typeOf(kind: Attempted['outcome']['kind'], isTold: boolean): AttemptRecord['type'] {
  switch (kind) {
    case 'delivered':
      return 'Delivery';
    case 'transient':
      return 'TransientFailure';
    case 'permanent':
      return isTold ? 'Bounce' : 'TransientFailure';
    case 'uncertain':
      return 'Uncertain';
    case 'postponed':
      return 'Delayed';
  }
}
