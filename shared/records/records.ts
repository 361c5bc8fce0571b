// Log records: a closed set of events, one JSON line each, with KumoMTA's record and field names where they
// exist, so that pipelines written for it keep working. Event ids are stable across repeats of the same event:
// a reader may drop the second. Never a body, never a whole request.

import { createHash } from 'node:crypto';
import type { DeliveryFacts, ItemKey } from '../queue/delivery.ts';
import type { Peer } from '../queue/outcomes.ts';
import type { HostReply, Reply } from '../smtp/reply.ts';

export type RecordType =
  | 'XferIn'
  | 'Delivery'
  | 'TransientFailure'
  | 'Bounce'
  | 'Expiration'
  | 'AdminBounce'
  | 'Delayed'
  | 'Uncertain'
  | 'Held'
  | 'Withdrawn';

export interface LogRecord {
  readonly type: RecordType;
  /** Stable across repeats. */
  readonly event_id: string;
  readonly id: string;
  readonly credential: string;
  readonly sender: string;
  readonly recipient: string;
  /** Destination domain, KumoMTA's queue name. */
  readonly queue: string;
  readonly site?: string;
  readonly size: number;
  readonly response?: {
    readonly code: number;
    readonly enhanced_code: string | null;
    readonly content: string;
    readonly command: string | null;
  };
  /** What the operator reads in place of `response`, and what decided. */
  readonly response_read_as?: {
    readonly code: number;
    readonly enhanced_code: string | null;
    readonly content: string;
  };
  /** A `ReplyClassName`, or a name from an operator's rules: of Bounce, TransientFailure and Expiration. */
  readonly bounce_classification?: string;
  readonly peer_address?: { readonly name: string; readonly addr: string };
  /** Epoch seconds. */
  readonly timestamp: number;
  readonly created: number;
  readonly num_attempts: number;
  readonly egress_source: string;
  readonly delivery_protocol?: 'ESMTP' | 'LMTP';
  readonly reception_protocol: 'XFER';
  readonly tls_cipher?: string;
  readonly tls_protocol_version?: string;
  readonly next_due?: string;
  readonly meta: Readonly<Record<string, unknown>>;
}

/** Something an operator must know that is not about one recipient: a line with `level` and `code`. */
export interface Notice {
  readonly level: 'info' | 'warn' | 'error';
  /** Literal, for alarms and searches. */
  readonly code: NoticeCode;
  readonly message: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export type NoticeCode =
  | 'id-reused'
  | 'timer-malformed'
  | 'timer-gone'
  | 'store-failed'
  | 'content-missing'
  | 'poisoned'
  | 'straggler'
  | 'stragglers-wait'
  | 'orphan-removed'
  | 'release-summary'
  | 'no-report'
  | 'report-unpaid'
  | 'bad-credentials'
  | 'policy-failed'
  | 'sharing-failed'
  | 'tls-results'
  | 'bug';

export interface Log {
  record(record: LogRecord): void;
  notice(notice: Notice): void;
}

/** What every record of a delivery shares. */
export interface RecordContext {
  readonly key: ItemKey;
  readonly generation: number;
  readonly facts: Pick<
    DeliveryFacts,
    'domain' | 'sender' | 'sizeBytes' | 'binding' | 'receivedAtMs' | 'meta'
  >;
  readonly attempts: number;
}

export function deliveryRecord(
  type: RecordType,
  context: RecordContext,
  recipient: string,
  atMs: number,
  extra: {
    readonly reply?: Reply | HostReply;
    readonly readAs?: Reply;
    readonly command?: string;
    readonly peer?: Peer;
    readonly site?: string;
    readonly nextDueMs?: number;
  } = {},
): LogRecord {
  const { key, facts } = context;
  return {
    type,
    event_id: eventId(type, context, recipient, extra.nextDueMs),
    id: key.id,
    credential: key.credential,
    sender: facts.sender,
    recipient,
    queue: facts.domain,
    ...(extra.site === undefined ? {} : { site: extra.site }),
    size: facts.sizeBytes,
    ...(extra.reply === undefined
      ? {}
      : {
          response: {
            code: extra.reply.code,
            enhanced_code: extra.reply.enhanced ?? null,
            content: extra.reply.text,
            command: extra.command ?? null,
          },
        }),
    ...(extra.readAs === undefined
      ? {}
      : {
          response_read_as: {
            code: extra.readAs.code,
            enhanced_code: extra.readAs.enhanced ?? null,
            content: extra.readAs.text,
          },
        }),
    ...(extra.peer === undefined
      ? {}
      : {
          peer_address: { name: extra.peer.host, addr: extra.peer.address },
          delivery_protocol: extra.peer.protocol ?? 'ESMTP',
        }),
    timestamp: atMs / 1_000,
    created: facts.receivedAtMs / 1_000,
    num_attempts: context.attempts,
    egress_source: facts.binding,
    reception_protocol: 'XFER',
    ...(extra.peer?.tls === undefined
      ? {}
      : { tls_cipher: extra.peer.tls.cipher, tls_protocol_version: extra.peer.tls.protocol }),
    ...(extra.nextDueMs === undefined ? {} : { next_due: new Date(extra.nextDueMs).toISOString() }),
    meta: facts.meta,
  };
}

const ONCE_PER_ATTEMPT: ReadonlySet<RecordType> = new Set(['TransientFailure', 'Uncertain']);

// A postponement is told apart by the time it ends; all but attempts and postponements happen once per recipient.
function eventId(
  type: RecordType,
  context: RecordContext,
  recipient: string,
  nextDueMs: number | undefined,
): string {
  const { key, generation } = context;
  const attempt = ONCE_PER_ATTEMPT.has(type) ? context.attempts : type === 'Delayed' ? nextDueMs : 0;
  return createHash('sha256')
    .update(JSON.stringify([type, key.credential, key.id, key.chunk, generation, attempt, recipient]))
    .digest('base64url')
    .slice(0, 22);
}
