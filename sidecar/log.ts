// What the sidecar logs: one line of JSON per event, a closed set, never content. Field names follow KumoMTA's
// records where it has them.

import type { Reply } from '../shared/smtp/reply.ts';
import type { Mode } from './routing/targets.ts';

/** How the hand-over of one message ended. */
export type Ending =
  | 'accepted'
  | 'duplicate'
  | 'refused'
  /** Nothing was handed over: no route is up. */
  | 'no-route'
  /** Nothing was taken, and not for the message's sake: credentials, quota, a faulty request. */
  | 'untaken'
  /** It stayed unknown whether the message was taken. */
  | 'in-doubt';

/** `XferOut`: one message handed over, or not. */
export interface XferOut {
  readonly type: 'XferOut';
  /** Epoch seconds. */
  readonly timestamp: number;
  readonly id: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly size: number;
  /** The synthetic domain, KumoMTA's queue name. */
  readonly queue: string;
  readonly mode: Mode;
  /** The route that answered last; null when none was tried. */
  readonly route: string | null;
  readonly verdict: Ending;
  /** `kept`: the receiver had begun and answers for it. Null when nothing was withdrawn. */
  readonly withdrawal: 'withdrawn' | 'kept' | 'unconfirmed' | null;
  /** Whether the MTA was gone before its reply. */
  readonly client_gone: boolean;
  /** What the MTA was told. */
  readonly response: {
    readonly code: number;
    readonly enhanced_code: string | null;
    readonly content: string;
  };
  /** From the final dot to the reply. */
  readonly latency_ms: number;
  readonly tries: number;
  /** Messages in the last transfer. */
  readonly batch: number;
  /** When the sending side first took it, in epoch seconds. */
  readonly created?: number;
  /** Attempts at the destination, before it was handed over. */
  readonly num_attempts?: number;
  readonly reception_protocol?: ReceptionProtocol;
  readonly delivery_protocol?: 'XFER';
  /** Whoever handed it in: the name that it said, or null, and its address. */
  readonly peer_address?: { readonly name: string | null; readonly addr: string };
  /** The connection on which it came, as the dialogue trace names it. */
  readonly session_id?: string | null;
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** As a Received field names them (RFC 3848). */
export type ReceptionProtocol =
  | 'SMTP'
  | 'ESMTP'
  | 'ESMTPA'
  | 'ESMTPS'
  | 'ESMTPSA'
  | 'LMTP'
  | 'LMTPA'
  | 'LMTPS'
  | 'LMTPSA'
  | 'HTTP';

/** What came of an attempt by SMTP for one recipient (Attempt_First). `Delayed`: nobody was asked. */
export interface AttemptRecord {
  readonly type: 'Delivery' | 'TransientFailure' | 'Bounce' | 'Uncertain' | 'Delayed';
  /** Another for each attempt. */
  readonly event_id: string;
  /** Epoch seconds. */
  readonly timestamp: number;
  readonly id: string;
  readonly sender: string;
  readonly recipient: string;
  /** The recipient's domain, KumoMTA's queue name. */
  readonly queue: string;
  readonly site?: string;
  readonly size: number;
  readonly response: {
    readonly code: number;
    readonly enhanced_code: string | null;
    readonly content: string;
    /** Where in the dialogue it was said. */
    readonly command: string | null;
  };
  readonly peer_address?: { readonly name: string; readonly addr: string };
  /** When the MTA took the message. */
  readonly created: number;
  readonly num_attempts: number;
  readonly delivery_protocol?: 'ESMTP' | 'LMTP';
  readonly reception_protocol: ReceptionProtocol;
  readonly tls_cipher?: string;
  readonly tls_protocol_version?: string;
}

/** Something that an operator must know and that is not about one message. */
export interface Notice {
  readonly type: 'Notice';
  readonly timestamp: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly code: NoticeCode;
  readonly message: string;
}

export type NoticeCode =
  | 'listening'
  | 'stopping'
  | 'stopped'
  | 'configuration'
  | 'reloaded'
  /** The new configuration cannot be used; the old one stays. */
  | 'reload-refused'
  /** systemd could not be told. */
  | 'service-manager'
  | 'route-down'
  | 'route-up'
  /** 401, 403 or 404 and their like: mail waits at its MTA until a person mends it. */
  | 'receiver-refuses-us'
  /** The receiver takes no such request: the versions or the path do not fit. */
  | 'request-faulty'
  /** A request cannot be signed, made, or filled with its content: a fault on this machine. */
  | 'cannot-send'
  /** Content over 4 MiB could not be written to a file: its sender was told to come back. */
  | 'content-not-kept'
  /** Max_Held_Bytes is reached: clients are told to come back. At most once a minute. */
  | 'memory-full'
  /** A wrong name or password. At most once a minute. */
  | 'auth-failed'
  | 'withdrawal-unconfirmed'
  /** The MTA left before its 250 and the receiver had begun: it may deliver a second time. */
  | 'double-possible'
  /** Delivered by an attempt of ours, and the MTA keeps the message: who got it is left out of its repeat. */
  | 'delivered-unheard'
  /** A domain announces an MTA-STS policy that could not be fetched. */
  | 'policy-failed';

export type SidecarRecord = XferOut | AttemptRecord | Notice;

export interface Log {
  record(record: Omit<XferOut, 'type' | 'timestamp'>): void;
  notice(notice: Omit<Notice, 'type' | 'timestamp'>): void;
  attempt(record: AttemptRecord): void;
}

export function logTo(sink: (record: SidecarRecord) => void, nowMs: () => number): Log {
  return {
    record: (record) => sink({ type: 'XferOut', timestamp: nowMs() / 1000, ...record }),
    notice: (notice) => sink({ type: 'Notice', timestamp: nowMs() / 1000, ...notice }),
    attempt: sink,
  };
}

export function responseFields(reply: Reply): XferOut['response'] {
  return { code: reply.code, enhanced_code: reply.enhanced ?? null, content: reply.text };
}
