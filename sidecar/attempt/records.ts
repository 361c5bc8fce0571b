// What the log says of one recipient of an attempt, in KumoMTA's record names.

import { domainOf } from '../../shared/message/address.ts';
import type { Recipient } from '../../shared/message/envelope.ts';
import type { AttemptRecord } from '../log.ts';
import type { Work } from './attempt-first.ts';
import type { Attempted } from './attempter.ts';

/** `isTold`: the MTA hears of the permanent refusal; otherwise the mail goes on to the receiver. */
export function attemptRecord(
  { id, submission, protocol, receivedAtMs }: Work,
  { address }: Recipient,
  { outcome, peer, site }: Attempted,
  isTold: boolean,
  nowMs: number,
): AttemptRecord {
  const { reply } = outcome;
  return {
    type: typeOf(outcome.kind, isTold),
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
      delivery_protocol: 'ESMTP',
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
