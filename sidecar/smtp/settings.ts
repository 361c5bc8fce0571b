// What a listener goes by. It asks for its settings at each new connection and, for the reception, at each MAIL, so
// that a reload changes them without closing a socket: what has begun goes on under the settings that it began with.

import type { SecureContext } from 'node:tls';
import type { KnownUsers } from '../../shared/access/password.ts';
import type { Network } from '../../shared/config/networks.ts';
import type { RefusalReason } from '../intake/refusals.ts';
import type { Reception, Terms } from '../intake/submission.ts';
import type { Log } from '../log.ts';

export interface ListenerSettings {
  /** What the listener calls itself. */
  readonly hostName: string;
  /** Networks whose clients are let in beside the loopback interface. Read at each connection and each MAIL. */
  readonly relayHosts: readonly Network[];
  /** Read at each MAIL; its `protocol` at each connection. */
  readonly terms: Terms;
  /** Read at each MAIL. */
  readonly reception: Reception;
  /** With it STARTTLS is offered. */
  readonly tls?: ListenerTls | undefined;
  /**
   * With them AUTH is offered, over TLS and to the loopback interface; who authenticates may hand mail over, as long
   * as the same password stands there at each MAIL.
   */
  readonly users?: KnownUsers | undefined;
  /** Past it a client hears 421. */
  readonly maxConnections: number;
  /** Silence after which a session is ended; RFC 5321 §4.5.3.2.7 asks for at least 5 minutes. */
  readonly idleTimeoutMs: number;
  /** Takes what an operator must know, such as a full disk. */
  readonly notice?: Log['notice'] | undefined;
  /** Told once of each client or message that is turned away before a hand-over. */
  readonly refused?: ((reason: RefusalReason) => void) | undefined;
  /** Takes every command and reply of every session: secrets masked, content as a count of octets. */
  readonly trace?: ((line: TraceLine) => void) | undefined;
}

export interface ListenerTls {
  readonly context: SecureContext;
  /** MAIL is refused before STARTTLS, except on the loopback interface. */
  readonly required: boolean;
}

export interface TraceLine {
  /** The same for all lines of a connection, and of no other. */
  readonly session: string;
  /** `client` said it, `server` answered it; `event` happened to the connection. */
  readonly from: 'client' | 'server' | 'event';
  /** Without its line end. */
  readonly text: string;
}
