// The port that answers where a domain's mail goes (RFC 5321 §5.1, RFC 7505).

import type { TlsDemand } from '../smtp/client.ts';
import type { Reply } from '../smtp/reply.ts';

/** One address to connect to. */
export interface Hop {
  readonly host: string;
  readonly address: string;
  readonly port: number;
}

/** A published TLS policy as RFC 8460 §4.3.1 reports it. */
export interface PolicyFacts {
  readonly type: 'sts';
  readonly mode: 'enforce' | 'testing';
  /** `id` of the TXT record that announced it. */
  readonly id: string;
}

export type RouteOutcome =
  /** Hops in the order to try; `site` names the normalised MX set, which domains with the same set share. */
  | {
      readonly kind: 'hops';
      readonly site: string;
      readonly hops: readonly Hop[];
      /** What a session for this domain must have; domains of one site that differ in it share no sessions. */
      readonly tls: TlsDemand;
      /** The domain's published policy, for the count of TLS results; absent when it has none. */
      readonly policy?: PolicyFacts;
    }
  /** The domain takes no mail: NXDOMAIN 5.1.2, null MX 5.1.10. */
  | { readonly kind: 'permanent'; readonly reply: Reply }
  /** A verdict that may change at the next attempt: no usable address, all refused by the address policy. */
  | { readonly kind: 'transient'; readonly reply: Reply }
  /** DNS did not answer (SERVFAIL, timeout): no attempt is counted. */
  | { readonly kind: 'postpone'; readonly reply: Reply };

export interface Router {
  /** Never rejects. `domain` is a lower-case domain, A- or U-labels, or an address literal in brackets. */
  route(domain: string): Promise<RouteOutcome>;
}
