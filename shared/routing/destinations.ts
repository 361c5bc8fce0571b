// How mail reaches destinations: DNS, address policies, MTA-STS, routes, SMTP sessions. Whoever delivers is wired
// here: the deliver function, the embedded stack, a sidecar that attempts first, and the tests.

import { type DeliverySettings, remembered } from '../config/delivery-settings.ts';
import type { Clock } from '../queue/ports.ts';
import type { PeerMemory, SmtpClient } from '../smtp/client.ts';
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

export { SMTP_TIMEOUTS, smtpTimeouts } from './session-terms.ts';

/** The resolver's own patience: a domain that does not answer is put off, not waited for. */
const DNS_TIMEOUT_MS = 5_000;
const DNS_TRIES = 2;
/** RFC 5321 §5.1 asks for at least two addresses. */
const MAX_HOSTS = 5;
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
      permits: (address, source) => (source === 'mx' ? policy : routePolicy)(address),
    }),
    settingsFor,
  };
}
