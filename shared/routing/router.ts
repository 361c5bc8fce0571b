// The port that answers where a domain's mail goes (RFC 5321 §5.1, RFC 7505).

import type { TlsDemand } from '../smtp/client.ts';
import type { Reply } from '../smtp/reply.ts';

/** One address to connect to. */
export interface Hop {
  /** Lower case, A-labels, no final dot; the address itself where no name led to it. */
  readonly host: string;
  readonly address: string;
  readonly port: number;
  /** `mx`: found as RFC 5321 §5.1 says, the domain's own word. `routes`: named by the operator instead. */
  readonly source: 'mx' | 'routes';
}

/** A published TLS policy as RFC 8460 §4.3.1 reports it. */
export interface PolicyFacts {
  readonly type: 'sts';
  readonly mode: 'enforce' | 'testing';
  /** `id` of the TXT record that announced it. */
  readonly id: string;
  /** Host names and `*.` patterns that it allows. */
  readonly mx: readonly string[];
  /** What it says, line by line. */
  readonly lines: readonly string[];
}

/** A policy that a domain announces and that could not be had (RFC 8460 §4.3.2.2). */
export interface PolicyTrouble {
  readonly result: 'sts-policy-fetch-error' | 'sts-policy-invalid' | 'sts-webpki-invalid';
  readonly id: string;
  readonly because: string;
}

/** What is known of a domain's policy along with its route. */
export interface PolicyFindings {
  /** The domain's published policy, for the count of TLS results; absent when it has none. */
  readonly policy?: PolicyFacts;
  readonly policyTrouble?: PolicyTrouble;
  /** Hosts that an enforced policy does not allow. */
  readonly leftOut?: readonly Hop[];
}

export type RouteOutcome =
  /** Hops in the order to try; `site` names the normalised MX set, which domains with the same set share. */
  | (PolicyFindings & {
      readonly kind: 'hops';
      readonly site: string;
      readonly hops: readonly Hop[];
      /** What a session for this domain must have; domains of one site that differ in it share no sessions. */
      readonly tls: TlsDemand;
      /**
       * The hosts are known to be the domain's: an enforced policy allows each, or the operator named them. A
       * message that requires TLS goes nowhere else (RFC 8689 §4.2.1).
       */
      readonly mxAuthenticated?: boolean;
    })
  /** The domain takes no mail: NXDOMAIN 5.1.2, null MX 5.1.10. */
  | { readonly kind: 'permanent'; readonly reply: Reply }
  /**
   * A verdict that may change at the next attempt: no usable address, all refused by the address policy or by the
   * domain's own TLS policy.
   */
  | (PolicyFindings & { readonly kind: 'transient'; readonly reply: Reply })
  /** DNS did not answer (SERVFAIL, timeout): no attempt is counted. */
  | { readonly kind: 'postpone'; readonly reply: Reply };

export interface Router {
  /** Never rejects. `domain` is a lower-case domain, A- or U-labels, or an address literal in brackets. */
  route(domain: string): Promise<RouteOutcome>;
}
