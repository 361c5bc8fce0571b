// A router that knows the TLS policies which domains publish (MTA-STS, RFC 8461 §4, §5). Under `enforce`, hosts
// that the policy does not allow are left out, and sessions need TLS with a certificate that proves the host's
// name, whatever the configuration says of TLS; a domain of which no host is left is put off, never bounced. Under
// `testing` mail goes as it would without, and what would have failed can be counted.
//
// Hosts that the operator names by Routes are not the domain's to judge: they stay. Where they stand beside the
// domain's own, what the policy demands of TLS holds for them too.

import { createHash } from 'node:crypto';
import { domainToASCII } from 'node:url';
import type { DeliverySettings } from '../config/delivery-settings.ts';
import { ownReply } from '../smtp/reply.ts';
import { allowsHost } from './mta-sts-policy.ts';
import type { Hop, PolicyFacts, PolicyTrouble, RouteOutcome, Router } from './router.ts';
import type { StsDecision, StsPolicies } from './sts-cache.ts';

/** What the configuration says of a domain. */
export type PolicySettings = Pick<DeliverySettings, 'enableMtaSts' | 'routes'>;

export interface TlsPolicyOptions {
  /** `domain` in A-labels, or an address literal. */
  readonly settingsFor: (domain: string) => PolicySettings;
}

export function withTlsPolicy(
  router: Router,
  policies: StsPolicies,
  { settingsFor }: TlsPolicyOptions,
): Router {
  return {
    async route(domain) {
      const settings = settingsFor(domain.startsWith('[') ? domain : domainToASCII(domain));
      const looked = isAsked(settings) ? policies.policyFor(domain) : Promise.resolve<StsDecision>({});
      const outcome = await router.route(domain);
      if (outcome.kind !== 'hops') return outcome;
      if (outcome.hops.some(isOwn)) {
        const found = applied(domain, outcome, await looked);
        return found.kind === 'hops' && found.mxAuthenticated === true && trustsOthersMx(settings)
          ? { ...found, mxAuthenticated: false }
          : found;
      }
      return { ...outcome, mxAuthenticated: areNamed(settings) };
    },
  };
}

/** A domain's policy is about its own mail hosts: it is asked for where they are used. */
function isAsked({ enableMtaSts, routes }: PolicySettings): boolean {
  return enableMtaSts && (routes.length === 0 || routes.some(({ target }) => target.kind === 'own-mx'));
}

/** The operator said which hosts, and left nothing to the MX records of any domain. */
function areNamed({ routes }: PolicySettings): boolean {
  return routes.every(({ target }) => target.kind === 'host');
}

/** Some hosts come from the MX records of a domain that the operator named, which nothing authenticates. */
function trustsOthersMx({ routes }: PolicySettings): boolean {
  return routes.some(({ target }) => target.kind === 'mx-of');
}

type Hops = Extract<RouteOutcome, { kind: 'hops' }>;

function isOwn({ source }: Hop): boolean {
  return source === 'mx';
}

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
  const hops = route.hops.filter((hop) => !isOwn(hop) || allowsHost(policy.mx, hop.host));
  const leftOut = route.hops.filter((hop) => !hops.includes(hop));
  if (hops.length === 0) {
    const text = `the MTA-STS policy of ${domain} does not allow its mail hosts: ${hostsOf(leftOut).join(', ')}`;
    return { kind: 'transient', reply: ownReply(451, '4.7.5', text), policy, leftOut };
  }
  const tls = { ...route.tls, mode: 'required', verify: true } as const;
  const allowed = { ...route, hops, tls, mxAuthenticated: true, policy };
  return leftOut.length === 0 ? allowed : { ...allowed, site: siteWithout(route.site, leftOut), leftOut };
}

/** Domains of one site share sessions: those whose policies allow other hosts of it must not. */
function siteWithout(site: string, leftOut: readonly Hop[]): string {
  const mark = createHash('sha256').update(hostsOf(leftOut).toSorted().join()).digest('hex').slice(0, 8);
  return `${site}-${mark}`;
}

function hostsOf(hops: readonly Hop[]): readonly string[] {
  return [...new Set(hops.map(({ host }) => host))];
}
