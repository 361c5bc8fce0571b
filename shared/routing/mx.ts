// Where a domain's mail goes: MX records in order of preference, equal ones shuffled, the domain's own address
// when it has none (RFC 5321 §5.1), nowhere when it says so (RFC 7505). Never rejects.
//
// An answer that DNS gave is a verdict; no answer postpones. A domain whose mail hosts have no address, or only
// such as the policy refuses, is transient: somebody's mistake, which may be mended. Whoever is named in the MX
// list ourselves passes mail only to the hosts before us, so that it does not loop.

import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import type { TlsDemand } from '../smtp/client.ts';
import { ownReply } from '../smtp/reply.ts';
import { parseAddressLiteral } from './address-literal.ts';
import type { AddressPolicy } from './address-policy.ts';
import type { AddressFamily, DnsPort, MxRecord } from './dns.ts';
import type { Hop, RouteOutcome, Router } from './router.ts';
import { siteName } from './site.ts';

/** Hosts whose addresses are asked for, at most: an MX list may be of any length, and a stranger's. */
const MAX_HOSTS_ASKED = 32;

export interface MxRouterOptions {
  readonly dns: DnsPort;
  readonly policy: AddressPolicy;
  readonly port: number;
  readonly tls: TlsDemand;
  /** In [0, 1), for the order of hosts of equal preference and of the addresses of one host. */
  readonly random: () => number;
  /** Names under which we are in an MX list. */
  readonly ownNames: readonly string[];
  /** Hosts with usable addresses that a route has, at most. Each comes with all its addresses. */
  readonly maxHosts: number;
  /** Which addresses are asked for, in the order in which they are tried for a host; IPv4 first when absent. */
  readonly families?: readonly AddressFamily[];
}

export function createMxRouter(options: MxRouterOptions): Router {
  const ownNames = new Set(options.ownNames.map(hostName));
  return {
    async route(domain) {
      if (domain.startsWith('[')) return routeLiteral(domain, options);
      const name = toALabels(domain);
      if (name === '') return permanent(550, '5.1.2', `${domain} is not a domain name`);

      const answer = await options.dns.mx(name);
      switch (answer.kind) {
        case 'failed':
          return postponed(`DNS did not answer for the MX of ${domain}: ${answer.code}`);
        case 'nxdomain':
          return permanent(550, '5.1.2', `${domain} does not exist`);
        case 'nodata':
          return routeImplicit(domain, name, options);
        case 'records': {
          const records = answer.records.map((mx) => ({ ...mx, exchange: hostName(mx.exchange) }));
          const named = records.filter((mx) => mx.exchange !== '');
          if (named.length === 0) return permanent(556, '5.1.10', `${domain} takes no mail (null MX)`);
          const before = hostsBeforeUs(named, ownNames);
          if (before.length === 0)
            return permanent(554, '5.4.6', `mail for ${domain} comes back to this host`);
          return routeHosts(
            domain,
            siteName(before.map((mx) => mx.exchange)),
            inOrder(before, options.random),
            options,
          );
        }
      }
    },
  };
}

async function routeLiteral(literal: string, options: MxRouterOptions): Promise<RouteOutcome> {
  const address = parseAddressLiteral(literal);
  if (address === undefined) return permanent(550, '5.1.2', `${literal} is not an address`);
  return routeHosts(literal, literal.toLowerCase(), [address], options);
}

/** The domain itself is its mail host. It takes no mail when DNS knows no address of either kind. */
async function routeImplicit(domain: string, name: string, options: MxRouterOptions): Promise<RouteOutcome> {
  const outcome = await routeHosts(domain, siteName([name]), [name], options);
  const askedForBoth = familiesOf(options).length === 2;
  if (outcome.kind !== 'transient' || !askedForBoth || outcome.reply.enhanced !== NO_ADDRESS) return outcome;
  return permanent(550, '5.1.2', `${domain} has neither mail hosts nor an address`);
}

/** `hosts` in the order to try, names or addresses. */
async function routeHosts(
  domain: string,
  site: string,
  hosts: readonly string[],
  options: MxRouterOptions,
): Promise<RouteOutcome> {
  const hops: Hop[] = [];
  const refusals: string[] = [];
  const failures: string[] = [];
  let hostsFound = 0;
  for (let from = 0; from < hosts.length && from < MAX_HOSTS_ASKED; from += options.maxHosts) {
    const batch = hosts.slice(from, Math.min(from + options.maxHosts, MAX_HOSTS_ASKED));
    const answers = await Promise.all(batch.map((host) => addressesOf(host, options)));
    for (const { host, addresses, failed } of answers) {
      if (hostsFound === options.maxHosts) break;
      if (failed !== undefined) failures.push(`${host}: ${failed}`);
      const usable = addresses.filter((address) => {
        const refusal = options.policy(address);
        if (refusal !== undefined) refusals.push(`${host} [${address}] ${refusal}`);
        return refusal === undefined && !hops.some((hop) => hop.address === address);
      });
      if (usable.length > 0) hostsFound += 1;
      hops.push(...usable.map((address) => ({ host, address, port: options.port })));
    }
    if (hostsFound === options.maxHosts) break;
  }

  if (hops.length > 0) return { kind: 'hops', site, hops, tls: options.tls };
  if (failures.length > 0)
    return postponed(`DNS did not answer for the mail hosts of ${domain}: ${failures.join(', ')}`);
  if (refusals.length > 0) {
    const reply = ownReply(
      451,
      '4.7.1',
      `${domain} has no address that mail may go to: ${refusals.join(', ')}`,
    );
    return { kind: 'transient', reply };
  }
  return { kind: 'transient', reply: ownReply(451, NO_ADDRESS, `no mail host of ${domain} has an address`) };
}

/** RFC 3463: X.4.4, unable to route. */
const NO_ADDRESS = '4.4.4';

interface HostAddresses {
  readonly host: string;
  /** In the order to try. */
  readonly addresses: readonly string[];
  /** Why an address may be missing. */
  readonly failed: string | undefined;
}

async function addressesOf(host: string, options: MxRouterOptions): Promise<HostAddresses> {
  if (isIP(host) !== 0) return { host, addresses: [host], failed: undefined };
  const answers = await Promise.all(familiesOf(options).map((family) => options.dns.addresses(host, family)));
  const addresses = answers.flatMap((answer) =>
    answer.kind === 'records'
      ? shuffled(
          answer.records.map((record) => record.address),
          options.random,
        )
      : [],
  );
  const failed = answers.find((answer) => answer.kind === 'failed')?.code;
  return { host, addresses, failed };
}

function familiesOf(options: MxRouterOptions): readonly AddressFamily[] {
  return options.families ?? [4, 6];
}

/** RFC 5321 §5.1: ourselves, and all that is not preferred to us, is left out. */
function hostsBeforeUs(records: readonly MxRecord[], ownNames: ReadonlySet<string>): readonly MxRecord[] {
  const ours = records.filter((mx) => ownNames.has(mx.exchange)).map((mx) => mx.preference);
  const limit = Math.min(...ours);
  return records.filter((mx) => mx.preference < limit);
}

/** By preference, equal ones in random order; a host that is listed twice counts where it is preferred. */
function inOrder(records: readonly MxRecord[], random: () => number): readonly string[] {
  const sorted = shuffled(records, random).sort((a, b) => a.preference - b.preference);
  return [...new Set(sorted.map((mx) => mx.exchange))];
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const rest = [...items];
  const drawn: T[] = [];
  while (rest.length > 0) drawn.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return drawn;
}

/** Only what is not ASCII is converted, since the conversion also rewrites what looks like a number. */
function toALabels(domain: string): string {
  const name = hostName(domain);
  return Buffer.byteLength(name) === name.length ? name : domainToASCII(name);
}

function hostName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function permanent(code: number, enhanced: string, text: string): RouteOutcome {
  return { kind: 'permanent', reply: ownReply(code, enhanced, text) };
}

function postponed(text: string): RouteOutcome {
  return { kind: 'postpone', reply: ownReply(451, '4.4.3', text) };
}
