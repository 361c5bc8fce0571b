// What is to be counted of TLS for a domain that publishes a policy: per session, and per host that its policy
// leaves out. Domains without one are not counted.

import type { TlsObservation } from '../records/tls-results.ts';
import type { TlsResult } from '../smtp/client.ts';
import { allowsHost } from './mta-sts-policy.ts';
import type { Hop, PolicyFindings } from './router.ts';

/** RFC 8460 §4.3.1 has no word of its own for a host that the policy does not name. */
const NOT_ALLOWED = { result: 'validation-failure', reason: 'mx-mismatch' } as const;

/** Of one look at a route: a host that is left out is a session that failed. */
export function leftOutObservations(domain: string, findings: PolicyFindings): readonly TlsObservation[] {
  const { policy, leftOut = [] } = findings;
  if (policy === undefined) return [];
  return leftOut.map(({ host, address }) => ({
    policyDomains: [domain],
    policy,
    mxHost: host,
    receivingIp: address,
    ...NOT_ALLOWED,
  }));
}

/**
 * Of one session that was opened, or failed to open, for mail of `domain`. `result` as the client says it; nothing
 * is counted when the dialogue did not come to TLS. `reason` is Node's code for a failure.
 */
export function sessionObservations(
  domain: string,
  { policy, policyTrouble }: PolicyFindings,
  { host, address }: Pick<Hop, 'host' | 'address'>,
  result: TlsResult | undefined,
  reason?: string,
): readonly TlsObservation[] {
  if (result === undefined) return [];
  const session = { policyDomains: [domain], mxHost: host, receivingIp: address };
  if (policy !== undefined) {
    if (!allowsHost(policy.mx, host)) return [{ ...session, policy, ...NOT_ALLOWED }];
    return [{ ...session, policy, result, ...(reason === undefined ? {} : { reason }) }];
  }
  if (policyTrouble === undefined) return [];
  return [{ ...session, result: policyTrouble.result, reason: policyTrouble.because }];
}
