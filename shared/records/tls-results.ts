// Counts how TLS came out at the domains that publish a policy, and says it in the log, one line for each domain,
// policy, host, address and result, in the words of RFC 8460 §4.4: a TLS-RPT report of a day can be built from the
// lines of that day alone. `result-type` is `successful` where the session was as the policy wants it.

import type { PolicyFacts, PolicyTrouble } from '../routing/router.ts';
import type { TlsResult } from '../smtp/client.ts';
import type { Log } from './records.ts';

export interface TlsObservation {
  /** The domains of the recipients for whom the session was: each counts it. */
  readonly policyDomains: readonly string[];
  /** Absent when the policy could not be had. */
  readonly policy?: PolicyFacts;
  readonly mxHost?: string;
  readonly receivingIp?: string;
  readonly sendingIp?: string;
  readonly result: TlsResult | PolicyTrouble['result'];
  /** A code or a few words. */
  readonly reason?: string;
}

export interface TlsResults {
  note(observation: TlsObservation): void;
  /** Writes what was counted since the last time. */
  flush(log: Pick<Log, 'notice'>): void;
}

export function createTlsResults(): TlsResults {
  const counted = new Map<string, { readonly detail: Detail; sessions: number }>();
  return {
    note(observation) {
      for (const domain of new Set(observation.policyDomains)) {
        const detail = detailOf(domain, observation);
        const key = JSON.stringify(detail);
        const count = counted.get(key) ?? { detail, sessions: 0 };
        count.sessions += 1;
        counted.set(key, count);
      }
    },
    flush(log) {
      for (const { detail, sessions } of counted.values()) {
        const result = detail['result-type'];
        log.notice({
          level: result === 'successful' ? 'info' : 'warn',
          code: 'tls-results',
          message: `TLS with ${detail['receiving-mx-hostname'] ?? 'no host'} for ${detail['policy-domain']}: ${result}`,
          detail: { ...detail, 'session-count': sessions },
        });
      }
      counted.clear();
    },
  };
}

interface Detail {
  readonly 'policy-domain': string;
  readonly 'policy-type': 'sts';
  readonly 'policy-string'?: readonly string[];
  readonly 'mx-host'?: readonly string[];
  readonly 'result-type': TlsObservation['result'];
  readonly 'receiving-mx-hostname'?: string;
  readonly 'receiving-ip'?: string;
  readonly 'sending-mta-ip'?: string;
  readonly 'failure-reason-code'?: string;
}

function detailOf(domain: string, observation: TlsObservation): Detail {
  const { policy, mxHost, receivingIp, sendingIp, result, reason } = observation;
  return {
    'policy-domain': domain,
    'policy-type': 'sts',
    ...(policy === undefined ? {} : { 'policy-string': policy.lines, 'mx-host': policy.mx }),
    'result-type': result,
    ...(mxHost === undefined ? {} : { 'receiving-mx-hostname': mxHost }),
    ...(receivingIp === undefined ? {} : { 'receiving-ip': receivingIp }),
    ...(sendingIp === undefined ? {} : { 'sending-mta-ip': sendingIp }),
    ...(reason === undefined ? {} : { 'failure-reason-code': reason }),
  };
}
