// How this function reaches destinations: DNS, policies, routes, SMTP. One place for the deployed function, the
// embedded stack and the tests.

import type { DestinationStores } from '../../shared/aws/stores.ts';
import type { DeliverySettings } from '../../shared/config/delivery-settings.ts';
import type { Clock, Random } from '../../shared/queue/ports.ts';
import type { Egress } from '../../shared/queue/site-run.ts';
import type { Log, Notice } from '../../shared/records/records.ts';
import { createTlsResults } from '../../shared/records/tls-results.ts';
import { createAddressPolicy, createRoutePolicy } from '../../shared/routing/address-policy.ts';
import { createRouter } from '../../shared/routing/create-router.ts';
import { createDnsCache } from '../../shared/routing/dns-cache.ts';
import { createDnsResolver } from '../../shared/routing/dns-resolver.ts';
import { routeSettings } from '../../shared/routing/route-settings.ts';
import type { Router } from '../../shared/routing/router.ts';
import { createStsPolicies } from '../../shared/routing/sts-cache.ts';
import { createStsFetch } from '../../shared/routing/sts-fetch.ts';
import { createTxtResolver } from '../../shared/routing/sts-txt.ts';
import { withTlsPolicy } from '../../shared/routing/tls-policy.ts';
import type { SmtpTimeouts } from '../../shared/smtp/client.ts';
import { createPeerMemory } from '../../shared/smtp/peer-memory.ts';
import { createSmtpClient } from '../../shared/smtp/smtp-client.ts';

/**
 * RFC 5321 §4.5.3.2; connecting (Connect_Timeout), TLS, RSET and QUIT are ours, the RFC names none. The opening is
 * shorter than the 5 minutes that the RFC gives the greeting alone: an invocation has 15 for everything, and other
 * hosts to ask.
 */
export const SMTP_TIMEOUTS: SmtpTimeouts = {
  openingMs: 60_000,
  connectMs: 30_000,
  greetingMs: 300_000,
  ehloMs: 300_000,
  tlsMs: 30_000,
  mailMs: 300_000,
  rcptMs: 300_000,
  dataMs: 120_000,
  contentMs: 180_000,
  finalMs: 600_000,
  rsetMs: 30_000,
  quitMs: 3_000,
};

/** The resolver's own patience: a domain that does not answer is put off, not waited for. */
const DNS_TIMEOUT_MS = 5_000;
const DNS_TRIES = 2;
/** RFC 5321 §5.1 asks for at least two addresses. */
const MAX_HOSTS = 5;
/** A neighbourly few, since every invocation has its own. */
const SESSIONS_PER_SITE = 5;
/** Domains whose settings are at hand: reading a configuration again is cheap, and a list of strangers long. */
const MAX_DOMAINS = 10_000;

export interface EgressSettings {
  readonly ehloName: string;
  /** What the configuration says of a domain; without one, of all. */
  readonly settingsFor: (domain?: string) => DeliverySettings;
  /** The text of every file that settings name, by path. */
  readonly named?: ReadonlyMap<string, string>;
  /** The port of the embedded stack's destinations, instead of the one that settings name. */
  readonly smtpPort?: number;
  /** CIDR blocks that mail may go to although they are not public. */
  readonly allowedNetworks: readonly string[];
  /** The machine's own when absent. */
  readonly dnsServers?: readonly string[];
  /** Where policies of MTA-STS are fetched; HTTPS's port and the platform's authorities when absent. */
  readonly policyHosts?: { readonly port: number; readonly ca: string };
  readonly timeouts?: SmtpTimeouts;
  /** At once, from one invocation; 5 when absent, or Max_Outbound_Connections where that is fewer. */
  readonly sessionsPerSite?: number;
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
  const { ehloName, dnsServers, smtpPort, allowedNetworks, named = new Map() } = settings;
  const { clock } = world;
  const common = settings.settingsFor();
  const settingsFor = remembered((domain: string) => settings.settingsFor(domain));
  const resolving = {
    timeoutMs: DNS_TIMEOUT_MS,
    tries: DNS_TRIES,
    ...(dnsServers === undefined ? {} : { servers: dnsServers }),
  };
  const dns = createDnsCache({ dns: createDnsResolver(resolving), nowMs: clock.nowMs });
  const policy = createAddressPolicy({ allow: allowedNetworks });
  const routePolicy = createRoutePolicy({ allow: allowedNetworks });
  const router = createRouter({
    dns,
    policy,
    routePolicy,
    settingsFor: (domain) => ({
      ...routeSettings(settingsFor(domain), named),
      ...(smtpPort === undefined ? {} : { port: smtpPort }),
    }),
    usualPort: smtpPort ?? common.remoteSmtpPort,
    random: world.random.fraction,
    ownNames: [ehloName],
    maxHosts: MAX_HOSTS,
  });
  const policies = createStsPolicies({
    txt: createTxtResolver(resolving),
    fetch: createStsFetch({ dns, policy, ...settings.policyHosts }),
    store: world.policies,
    clock,
    onStoreFailure: (error) => world.log.notice(sharingFailed(error)),
    onFailure: (domain, { failure, because, id }) =>
      world.log.notice({
        level: 'warn',
        code: 'policy-failed',
        message: `the MTA-STS policy of ${domain} could not be fetched: ${because}`,
        detail: { domain, failure, id },
      }),
  });
  return {
    router: withTlsPolicy(router, policies, { settingsFor }),
    smtp: createSmtpClient({
      memory: createPeerMemory({ nowMs: clock.nowMs, behind: world.peers }),
      eightBit: common.eightBitMail,
      permits: (address, source) => (source === 'mx' ? policy : routePolicy)(address),
    }),
    ehloName,
    timeouts: settings.timeouts ?? smtpTimeouts(common),
    sessionsPerSite: settings.sessionsPerSite ?? Math.min(SESSIONS_PER_SITE, common.maxOutboundConnections),
    tlsResults: createTlsResults(),
    deliveriesPerSession:
      common.maxDeliveriesPerConnection === 0 ? Infinity : common.maxDeliveriesPerConnection,
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

function smtpTimeouts(settings: DeliverySettings): SmtpTimeouts {
  return {
    ...SMTP_TIMEOUTS,
    connectMs: settings.connectTimeoutSeconds * 1_000,
    ehloMs: settings.ehloTimeoutSeconds * 1_000,
    mailMs: settings.mailfromTimeoutSeconds * 1_000,
    rcptMs: settings.rcpttoTimeoutSeconds * 1_000,
    finalMs: settings.bodyTimeoutSeconds * 1_000,
    rsetMs: settings.rsetTimeoutSeconds * 1_000,
  };
}

function remembered<T>(read: (domain: string) => T): (domain: string) => T {
  const known = new Map<string, T>();
  return (domain) => {
    const before = known.get(domain);
    if (before !== undefined) return before;
    if (known.size >= MAX_DOMAINS) known.clear();
    const value = read(domain);
    known.set(domain, value);
    return value;
  };
}
