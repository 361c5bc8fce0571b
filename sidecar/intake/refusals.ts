// Why clients and mail are turned away before anything is handed over: a closed set, for the counter that
// docs/sidecar.md names delay_xfer_sidecar_refusals_total.

export const REFUSAL_REASONS = [
  /** Max_Held_Bytes is reached. */
  'memory',
  /** Max_Scratch_Bytes is reached. */
  'scratch',
  /** A temporary file could not be written. */
  'disk',
  /** Max_Inbound_Connections is reached, or a stranger's share of it. */
  'connections',
  /** The client is not in Relay_Hosts, and there are no users. */
  'relay',
  /** A wrong name or password, or MAIL without AUTH from somebody who needs it. */
  'auth',
  /** MAIL in clear where TLS_Required asks for STARTTLS. */
  'tls',
  /** No way for the mail stands now: no route is up. */
  'no-route',
  /** By HTTP: a web page, or a request for another machine than this one. */
  'browser',
  /** By HTTP: more than a request or a message may have. */
  'size',
  /** By HTTP: a path, a method, a format, a header or a body that is none of XFER/1. */
  'request',
] as const;

export type RefusalReason = (typeof REFUSAL_REASONS)[number];
