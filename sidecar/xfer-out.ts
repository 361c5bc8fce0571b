// The log record of a message that was handed over, or was not: the same for every listener.

import type { Reply } from '../shared/smtp/reply.ts';
import type { XferHeader } from '../shared/xfer/message.ts';
import { type ReceptionProtocol, responseFields, type XferOut } from './log.ts';
import type { HandOverResult } from './push/held-message.ts';
import type { Mode } from './routing/targets.ts';

export interface HandedIn {
  readonly header: XferHeader;
  readonly mode: Mode;
  /** The target's synthetic domain. */
  readonly queue: string;
  readonly result: HandOverResult;
  /** What the client was told. */
  readonly reply: Reply;
  readonly clientGone: boolean;
  readonly latencyMs: number;
  readonly by: {
    readonly protocol?: ReceptionProtocol | undefined;
    readonly name: string | null;
    readonly address: string;
    readonly session?: string | undefined;
  };
}

export function xferOut(message: HandedIn): Omit<XferOut, 'type' | 'timestamp'> {
  const { header, result, by } = message;
  return {
    id: header.id,
    sender: header.envelope.sender,
    recipients: header.envelope.recipients.map(({ address }) => address),
    size: header.sizeBytes,
    queue: message.queue,
    mode: message.mode,
    route: result.route,
    verdict: result.ending,
    withdrawal: result.withdrawal,
    client_gone: message.clientGone,
    response: responseFields(message.reply),
    latency_ms: message.latencyMs,
    tries: result.tries,
    batch: result.batch,
    ...(header.receivedAtMs !== undefined && { created: header.receivedAtMs / 1000 }),
    num_attempts: header.attempts,
    ...(by.protocol !== undefined && { reception_protocol: by.protocol }),
    delivery_protocol: 'XFER',
    peer_address: { name: by.name, addr: by.address },
    session_id: by.session ?? null,
    meta: header.meta,
  };
}
