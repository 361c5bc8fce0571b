// What the HTTP listener goes by, asked for at each request, so that a reload holds without closing a connection.

import type { Network } from '../../shared/config/networks.ts';
import type { RefusalReason } from '../intake/refusals.ts';
import type { Ways } from './ways.ts';

export interface HttpSettings {
  /** A name that requests may be addressed to, beside localhost and addresses. */
  readonly hostName: string;
  /** Networks whose clients are let in beside the loopback interface. */
  readonly relayHosts: readonly Network[];
  /** Past it a client is answered 503. */
  readonly maxConnections: number;
  readonly ways: Ways;
  /** Told once of each connection or request that is turned away before a hand-over. */
  readonly refused?: ((reason: RefusalReason) => void) | undefined;
  /** Takes one line for each request answered, and each connection turned away. */
  readonly trace?: ((line: HttpTraceLine) => void) | undefined;
}

export interface HttpTraceLine {
  readonly peer: string;
  /** '' like the path where the connection was turned away as it opened. */
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
  readonly ids: readonly string[];
}
