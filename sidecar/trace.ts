// The dialogue trace of `--verbose`: one record for each line of an SMTP or LMTP dialogue, each request that a local
// program made, and each request to a receiver. A closed set like the log, and on the same output. Never content, never
// credentials: SMTP lines come with secrets masked, headers of requests are left out but for three, queries as well.

import type { HttpTraceLine } from './http/settings.ts';
import type { Exchange } from './push/receiver-client.ts';
import type { TraceLine } from './smtp/settings.ts';

/** A line of a dialogue with a client. */
export interface SmtpTrace {
  readonly type: 'SmtpTrace';
  /** Epoch seconds. */
  readonly timestamp: number;
  /** The same for all lines of a connection. */
  readonly session_id: string;
  readonly from: TraceLine['from'];
  readonly text: string;
}

/** A request of a local program, or a stranger turned away: then method and path are empty. */
export interface HttpTrace {
  readonly type: 'HttpTrace';
  readonly timestamp: number;
  readonly peer: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly latency_ms: number;
  /** Of its messages. */
  readonly ids: readonly string[];
}

/** A request to a receiver, or to the store that it named. */
export interface PushTrace {
  readonly type: 'PushTrace';
  readonly timestamp: number;
  readonly method: string;
  /** Without its query. */
  readonly url: string;
  readonly body_bytes: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Null when no answer came: `reason` says why. */
  readonly status: number | null;
  readonly reason: string | null;
  readonly latency_ms: number;
}

export type TraceRecord = SmtpTrace | HttpTrace | PushTrace;

export interface Trace {
  smtp(line: TraceLine): void;
  http(line: HttpTraceLine): void;
  push(exchange: Exchange): void;
}

const SHOWN_HEADERS = ['content-type', 'content-encoding', 'x-xfer-patience-ms'];

export function traceTo(sink: (record: TraceRecord) => void, nowMs: () => number): Trace {
  const timestamp = (): number => nowMs() / 1000;
  return {
    smtp({ session, from, text }) {
      sink({ type: 'SmtpTrace', timestamp: timestamp(), session_id: session, from, text });
    },
    http({ peer, method, path, status, durationMs, ids }) {
      const about = { peer, method, path, status, latency_ms: durationMs, ids };
      sink({ type: 'HttpTrace', timestamp: timestamp(), ...about });
    },
    push({ method, url, requestHeaders, bodyBytes, outcome, durationMs }) {
      const headers = Object.entries(requestHeaders).filter(([name]) =>
        SHOWN_HEADERS.includes(name.toLowerCase()),
      );
      sink({
        type: 'PushTrace',
        timestamp: timestamp(),
        method,
        url,
        body_bytes: bodyBytes,
        headers: Object.fromEntries(headers),
        status: outcome.kind === 'answer' ? outcome.answer.status : null,
        reason: outcome.kind === 'answer' ? null : `${outcome.kind}: ${outcome.reason}`,
        latency_ms: durationMs,
      });
    },
  };
}
