// How this function reaches destinations, and how many sessions it has there. One place for the deployed function,
// the embedded stack and the tests.

import type { DestinationStores } from '../../shared/aws/stores.ts';
import { remembered } from '../../shared/config/delivery-settings.ts';
import type { Clock, Random } from '../../shared/queue/ports.ts';
import type { Egress } from '../../shared/queue/site-run.ts';
import type { Log, Notice } from '../../shared/records/records.ts';
import { createTlsResults } from '../../shared/records/tls-results.ts';
import { createDestinations, type DestinationSettings } from '../../shared/routing/destinations.ts';
import type { Router } from '../../shared/routing/router.ts';
import { sessionTerms } from '../../shared/routing/session-terms.ts';
import type { SmtpTimeouts } from '../../shared/smtp/client.ts';

export { SMTP_TIMEOUTS } from '../../shared/routing/destinations.ts';

/** A neighbourly few, since every invocation has its own. */
const SESSIONS_PER_SITE = 5;

export interface EgressSettings extends DestinationSettings {
  /** Whether connections leave from Bind_Address, as they do when absent: a function behind a NAT does not have it. */
  readonly bindsAddress?: boolean;
  readonly timeouts?: SmtpTimeouts;
  /**
   * At once, from one invocation, of those that a site may have (Max_Outbound_Connections); 5 when absent, or all
   * where those are fewer.
   */
  readonly sessionsOf?: (maxOutboundConnections: number) => number;
  /** What the configuration allows to one mail host, beside what it allows to a domain. */
  readonly connectionsTo?: (host: string) => number | undefined;
}

export interface EgressWorld extends DestinationStores {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Throws when a network or a server cannot be read: a fault of the configuration. */
export function createEgress(
  settings: EgressSettings,
  world: EgressWorld,
): Omit<Egress, 'clock'> & { readonly router: Router } {
  const { ehloName, timeouts } = settings;
  const sessionsOf = settings.sessionsOf ?? ((most: number) => Math.min(SESSIONS_PER_SITE, most));
  const { router, smtp, settingsFor } = createDestinations(settings, {
    clock: world.clock,
    random: world.random.fraction,
    policies: world.policies,
    peers: world.peers,
    onStoreFailure: (error) => world.log.notice(sharingFailed(error)),
    onPolicyFailure: (domain, { failure, because, id }) =>
      world.log.notice({
        level: 'warn',
        code: 'policy-failed',
        message: `the MTA-STS policy of ${domain} could not be fetched: ${because}`,
        detail: { domain, failure, id },
      }),
  });
  return {
    router,
    smtp,
    sessionTermsFor: remembered((domain) => {
      const own = settingsFor(domain);
      const terms = sessionTerms(
        settings.bindsAddress === false ? { ...own, bindAddress: undefined } : own,
        ehloName,
      );
      return timeouts === undefined ? terms : { ...terms, opening: { ...terms.opening, timeouts } };
    }),
    sessionsFor: (domain, hosts) =>
      sessionsOf(
        Math.min(
          settingsFor(domain).maxOutboundConnections,
          ...hosts.flatMap((host) => settings.connectionsTo?.(host) ?? []),
        ),
      ),
    tlsResults: createTlsResults(),
  };
}

/** Mail goes on by what this process knows; a permission that is missing would show nowhere else. */
export function sharingFailed(error: unknown): Notice {
  return {
    level: 'warn',
    code: 'sharing-failed',
    message: 'what is known of destinations could not be shared through the ledger',
    detail: { error: error instanceof Error ? error.message : String(error) },
  };
}
