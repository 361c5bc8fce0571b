// One question to a router, with a name server and a configuration behind it, and its answer in one line.

import assert from 'node:assert/strict';
import { deliverySettings } from '../../shared/config/delivery-settings.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { createAddressPolicy, createRoutePolicy } from '../../shared/routing/address-policy.ts';
import { createRouter, type RouterOptions } from '../../shared/routing/create-router.ts';
import { createDnsResolver } from '../../shared/routing/dns-resolver.ts';
import { routeSettings } from '../../shared/routing/route-settings.ts';
import type { RouteOutcome } from '../../shared/routing/router.ts';
import { formatReply } from '../../shared/smtp/reply.ts';
import { type Habits, startScriptedDns } from './scripted-dns.ts';

/** Addresses for documentation stand for public ones here. */
const TEST_NETS = { allow: ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32'] };

export interface Asked {
  readonly outcome: RouteOutcome;
  /** `site > host address port > …`, or `kind: reply`. */
  readonly route: string;
  /** What DNS was asked. */
  readonly questions: readonly string[];
}

export interface Circumstances extends Partial<RouterOptions> {
  /** A configuration file. */
  readonly configuration?: string;
  readonly habits?: Habits;
}

export async function ask(zone: string, domain: string, more: Circumstances = {}): Promise<Asked> {
  const { configuration: text = '', habits, ...options } = more;
  const loaded = loadConfiguration([{ path: 'x.conf', text }]);
  assert.ok(loaded.ok, text);
  await using dns = await startScriptedDns(zone, habits);
  // Only a server that says nothing is not waited for, since the machine may be slow.
  const timeoutMs = zone.includes('SILENT') || habits?.isMuteOverTcp ? 500 : 10_000;
  const router = createRouter({
    dns: createDnsResolver({ servers: [dns.server], timeoutMs, tries: 1 }),
    policy: createAddressPolicy(TEST_NETS),
    routePolicy: createRoutePolicy(TEST_NETS),
    settingsFor: (name) => routeSettings(deliverySettings(loaded.configuration, { domain: name }), new Map()),
    usualPort: 25,
    random: () => 0,
    ownNames: ['relay.example.com'],
    maxHosts: 5,
    ...options,
  });
  const outcome = await router.route(domain);
  const told =
    outcome.kind === 'hops'
      ? [outcome.site, ...outcome.hops.map((hop) => `${hop.host} ${hop.address} ${hop.port}`)].join(' > ')
      : `${outcome.kind}: ${formatReply(outcome.reply)}`;
  return { outcome, route: told, questions: dns.questions };
}

export async function route(zone: string, domain: string, more: Circumstances = {}): Promise<string> {
  return (await ask(zone, domain, more)).route;
}
