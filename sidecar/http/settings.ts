// What the HTTP listener goes by, asked for at each request, so that a reload holds without closing a connection.

import type { Network } from '../../shared/config/networks.ts';
import type { Ways } from './ways.ts';

export interface HttpSettings {
  /** A name that requests may be addressed to, beside localhost and addresses. */
  readonly hostName: string;
  /** Networks whose clients are let in beside the loopback interface. */
  readonly relayHosts: readonly Network[];
  /** Past it a client is answered 503. */
  readonly maxConnections: number;
  readonly ways: Ways;
  /** Takes one line for each request answered. */
  readonly trace?: ((line: HttpTraceLine) => void) | undefined;
}

export interface HttpTraceLine {
  readonly peer: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
  readonly ids: readonly string[];
}
