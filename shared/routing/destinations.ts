// How mail reaches destinations: DNS, address policies, MTA-STS, routes, SMTP sessions. Whoever delivers is wired
// here: the deliver function, the embedded stack, a sidecar that attempts first, and the tests.

import type { DeliverySettings } from '../config/delivery-settings.ts';
import type { Clock } from '../queue/ports.ts';
import type { PeerMemory, SmtpClient, SmtpTimeouts } from '../smtp/client.ts';
import { createPeerMemory } from '../smtp/peer-memory.ts';
import { createSmtpClient } from '../smtp/smtp-client.ts';
import { createAddressPolicy, createRoutePolicy } from './address-policy.ts';
import { createRouter } from './create-router.ts';
import { createDnsCache } from './dns-cache.ts';
import { createDnsResolver } from './dns-resolver.ts';
import { routeSettings } from './route-settings.ts';
import type { Router } from './router.ts';
import { createStsPolicies, type PolicyFailure, type PolicyStore } from './sts-cache.ts';
import { createStsFetch } from './sts-fetch.ts';
import { createTxtResolver } from './sts-txt.ts';
import { withTlsPolicy } from './tls-policy.ts';

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
/** Domains whose settings are at hand: reading a configuration again is cheap, and a list of strangers long. */
const MAX_DOMAINS = 10_000;

export interface DestinationSettings {
  readonly ehloName: string;
  /** What the configuration says of a domain; without one, of all. */
  readonly settingsFor: (domain?: string) => DeliverySettings;
  /** The text of every file that settings name, by path. */
  readonly named?: ReadonlyMap<string, string>;
  /** Instead of the port that settings name. */
  readonly smtpPort?: number;
  /** CIDR blocks that mail may go to although they are not public. */
  readonly allowedNetworks: readonly string[];
  /** The machine's own when absent. */
  readonly dnsServers?: readonly string[];
  /** Where policies of MTA-STS are fetched; HTTPS's port and the platform's authorities when absent. */
  readonly policyHosts?: { readonly port: number; readonly ca: string };
}

export interface DestinationWorld {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly policies: PolicyStore;
  /** Shared between processes, behind what this one knows. */
  readonly peers?: PeerMemory;
  readonly onPolicyFailure: (domain: string, failed: PolicyFailure & { readonly id: string }) => void;
  readonly onStoreFailure: (error: unknown) => void;
}

export interface Destinations {
  readonly router: Router;
  readonly smtp: SmtpClient;
  /** Remembered for each domain. */
  readonly settingsFor: (domain: string) => DeliverySettings;
}

/** Throws when a network or a server cannot be read: a fault of the configuration. */
export function createDestinations(settings: DestinationSettings, world: DestinationWorld): Destinations {
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
    random: world.random,
    ownNames: [ehloName],
    maxHosts: MAX_HOSTS,
  });
  const policies = createStsPolicies({
    txt: createTxtResolver(resolving),
    fetch: createStsFetch({ dns, policy, ...settings.policyHosts }),
    store: world.policies,
    clock,
    onStoreFailure: world.onStoreFailure,
    onFailure: world.onPolicyFailure,
  });
  return {
    router: withTlsPolicy(router, policies, { settingsFor }),
    smtp: createSmtpClient({
      memory: createPeerMemory({
        nowMs: clock.nowMs,
        ...(world.peers === undefined ? {} : { behind: world.peers }),
      }),
      eightBit: common.eightBitMail,
      permits: (address, source) => (source === 'mx' ? policy : routePolicy)(address),
    }),
    settingsFor,
  };
}

export function smtpTimeouts(settings: DeliverySettings): SmtpTimeouts {
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
