// A router that knows the TLS policies which domains publish (MTA-STS, RFC 8461 §4, §5). Under `enforce`, hosts
// that the policy does not allow are left out, and sessions need TLS with a certificate that proves the host's
// name, whatever the configuration says of TLS; a domain of which no host is left is put off, never bounced. Under
// `testing` mail goes as it would without, and what would have failed can be counted.
//
// What the operator says by Routes is not the domain's to judge: such hops pass as they are.

import { ownReply } from '../smtp/reply.ts';
import { allowsHost } from './mta-sts-policy.ts';
import type { PolicyFacts, PolicyTrouble, RouteOutcome, Router } from './router.ts';
import type { StsDecision, StsPolicies } from './sts-cache.ts';

export interface TlsPolicyOptions {
  /** False: the domain's policy is not asked for (Enable_MTA_STS, or Routes that name its hosts); true when absent. */
  readonly isAsked?: (domain: string) => boolean;
}

export function withTlsPolicy(
  router: Router,
  policies: StsPolicies,
  { isAsked = () => true }: TlsPolicyOptions = {},
): Router {
  return {
    async route(domain) {
      const looked = isAsked(domain) ? policies.policyFor(domain) : Promise.resolve<StsDecision>({});
      const outcome = await router.route(domain);
      if (outcome.kind !== 'hops') return outcome;
      if (outcome.source === 'routes') return { ...outcome, mxAuthenticated: true };
      return applied(domain, outcome, await looked);
    },
  };
}

type Hops = Extract<RouteOutcome, { kind: 'hops' }>;

function applied(domain: string, route: Hops, { policy, failed }: StsDecision): RouteOutcome {
  if (policy === undefined) {
    if (failed === undefined) return route;
    const { failure: result, id, because } = failed;
    const policyTrouble: PolicyTrouble = { result, id, because };
    return { ...route, policyTrouble };
  }
  const { id, mx, lines } = policy;
  switch (policy.mode) {
    case 'none':
      return route;
    case 'testing':
      return { ...route, policy: { type: 'sts', mode: policy.mode, id, mx, lines } };
    case 'enforce':
      return enforced(domain, route, { type: 'sts', mode: policy.mode, id, mx, lines });
  }
}

function enforced(domain: string, route: Hops, policy: PolicyFacts): RouteOutcome {
  const hops = route.hops.filter(({ host }) => allowsHost(policy.mx, host));
  const leftOut = route.hops.filter((hop) => !hops.includes(hop));
  const findings = { policy, ...(leftOut.length === 0 ? {} : { leftOut }) };
  if (hops.length === 0) {
    const hosts = [...new Set(leftOut.map(({ host }) => host))].join(', ');
    const text = `the MTA-STS policy of ${domain} does not allow its mail hosts: ${hosts}`;
    return { kind: 'transient', reply: ownReply(451, '4.7.5', text), ...findings };
  }
  return {
    ...route,
    hops,
    tls: { ...route.tls, mode: 'required', verify: true },
    mxAuthenticated: true,
    ...findings,
  };
}
