// How this function reaches destinations: DNS, address policy, SMTP. One place for the deployed function and the
// embedded stack.

import type { Clock, Random } from '../../shared/queue/ports.ts';
import type { Egress } from '../../shared/queue/site-run.ts';
import { createTlsResults } from '../../shared/records/tls-results.ts';
import { createAddressPolicy } from '../../shared/routing/address-policy.ts';
import { createDnsCache } from '../../shared/routing/dns-cache.ts';
import { createDnsResolver } from '../../shared/routing/dns-resolver.ts';
import { createMxRouter } from '../../shared/routing/mx.ts';
import type { Router } from '../../shared/routing/router.ts';
import type { SmtpTimeouts, TlsDemand } from '../../shared/smtp/client.ts';
import { createPeerMemory } from '../../shared/smtp/peer-memory.ts';
import { createSmtpClient } from '../../shared/smtp/smtp-client.ts';

/**
 * RFC 5321 §4.5.3.2; connecting (Connect_Timeout), TLS, RSET and QUIT are ours, the RFC names none. The opening is shorter than the 5
 * minutes that the RFC gives the greeting alone: an invocation has 15 for everything, and other hosts to ask.
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
  rsetMs: 5_000,
  quitMs: 3_000,
};

/** The resolver's own patience: a domain that does not answer is put off, not waited for. */
const DNS_TIMEOUT_MS = 5_000;
const DNS_TRIES = 2;
/** RFC 5321 §5.1 asks for at least two addresses. */
const MAX_HOSTS = 5;
/** A neighbourly few, since every invocation has its own. */
const SESSIONS_PER_SITE = 5;
const DELIVERIES_PER_SESSION = 100;
const TLS = 'ifavailable';

export interface EgressSettings {
  readonly ehloName: string;
  readonly smtpPort: number;
  /** CIDR blocks that mail may go to although they are not public. */
  readonly allowedNetworks: readonly string[];
  /** The machine's own when absent. */
  readonly dnsServers?: readonly string[];
  readonly timeouts?: SmtpTimeouts;
  /** `ifavailable` when absent. */
  readonly tls?: TlsDemand['mode'];
  /** At once, from one invocation; 5 when absent. */
  readonly sessionsPerSite?: number;
  /** 100 when absent. */
  readonly deliveriesPerSession?: number;
}

/** Throws when a network or a server cannot be read: a fault of the configuration. */
export function createEgress(
  settings: EgressSettings,
  world: { readonly clock: Clock; readonly random: Random },
): Omit<Egress, 'clock'> & { readonly router: Router } {
  const { dnsServers } = settings;
  const resolver = createDnsResolver({
    timeoutMs: DNS_TIMEOUT_MS,
    tries: DNS_TRIES,
    ...(dnsServers === undefined ? {} : { servers: dnsServers }),
  });
  return {
    router: createMxRouter({
      dns: createDnsCache({ dns: resolver, nowMs: world.clock.nowMs }),
      policy: createAddressPolicy({ allow: settings.allowedNetworks }),
      port: settings.smtpPort,
      tls: { mode: settings.tls ?? TLS, verify: false },
      random: world.random.fraction,
      ownNames: [settings.ehloName],
      maxHosts: MAX_HOSTS,
    }),
    smtp: createSmtpClient({ memory: createPeerMemory({ nowMs: world.clock.nowMs }) }),
    ehloName: settings.ehloName,
    timeouts: settings.timeouts ?? SMTP_TIMEOUTS,
    sessionsPerSite: settings.sessionsPerSite ?? SESSIONS_PER_SITE,
    tlsResults: createTlsResults(),
    deliveriesPerSession: settings.deliveriesPerSession ?? DELIVERIES_PER_SESSION,
  };
}
