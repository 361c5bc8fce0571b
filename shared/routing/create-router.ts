// Where a domain's mail goes: to its mail hosts, or to the routes that the operator wrote for it. Never rejects, and
// never says permanent on a doubt: that takes a domain whose own DNS says that it takes no mail, and no other route.
// Hops of one route stand together, in the order of Routes; an address is tried once, where it stands first.

import type { SmtpRoute } from '../config/routes.ts';
import type { TlsDemand } from '../smtp/client.ts';
import { ownReply } from '../smtp/reply.ts';
import type { AddressPolicy } from './address-policy.ts';
import type { AddressFamily, DnsPort } from './dns.ts';
import { type AddressSearch, type Candidate, findAddresses, isAt } from './host-addresses.ts';
import { comparableName, toALabels } from './host-name.ts';
import { findMailHosts, type NoHosts, noAnswer, noRoute, permanent } from './mail-hosts.ts';
import type { Hop, RouteOutcome, Router } from './router.ts';
import { inOrderOfPref } from './routes-order.ts';
import { type SiteHost, siteOf } from './site.ts';

/** What the configuration says of one domain. */
export interface RouteSettings {
  /** None: the domain's own mail hosts. */
  readonly routes: readonly SmtpRoute[];
  /** Of hosts whose route names none. */
  readonly port: number;
  readonly skipHosts: readonly { contains(address: string): boolean }[];
  /** A domain whose mail hosts are here is denied. */
  readonly prohibitedHosts?: readonly { contains(address: string): boolean }[];
  readonly tls: TlsDemand;
  /** The name that we say there in EHLO: we are in an MX list under it. */
  readonly ownName?: string;
}

export interface RouterOptions {
  readonly dns: DnsPort;
  /** For addresses that strangers published (I10). */
  readonly policy: AddressPolicy;
  /** For addresses of hosts that the operator names in Routes. */
  readonly routePolicy: AddressPolicy;
  /** `domain` in lower-case A-labels, or an address literal. */
  readonly settingsFor: (domain: string) => RouteSettings;
  /** Sites are named with their port where it is another. */
  readonly usualPort: number;
  /** In [0, 1), for the order of hosts of equal preference and of the addresses of one host. */
  readonly random: () => number;
  /** Names under which we are in an MX list. */
  readonly ownNames: readonly string[];
  /** MX hosts with usable addresses that a domain has, at most. */
  readonly maxHosts: number;
  /** Which addresses are asked for, in the order in which they are tried for a host; IPv4 first when absent. */
  readonly families?: readonly AddressFamily[];
}

export function createRouter(options: RouterOptions): Router {
  const ownNames = new Set(options.ownNames.map(comparableName));
  return {
    async route(domain) {
      const name = domain.startsWith('[') ? domain : toALabels(domain);
      if (name === '') return permanent(550, '5.1.2', `${domain} is not a domain name`);
      const settings = options.settingsFor(name);
      const names = settings.ownName === undefined ? [] : [comparableName(settings.ownName)];
      const wanted: readonly SmtpRoute[] = settings.routes.length === 0 ? [OWN_MX] : settings.routes;
      const ways = await Promise.all(
        inOrderOfPref(wanted, options.random).map((route) =>
          findWay(route, { domain, name, settings, ownNames: new Set([...ownNames, ...names]), options }),
        ),
      );
      return outcomeOf(domain, ways, settings, options);
    },
  };
}

const OWN_MX: SmtpRoute = { scheme: 'smtp', target: { kind: 'own-mx' }, port: undefined, pref: undefined };

/** A lone host comes with more addresses than one of several: there is no other to go on to. */
const ADDRESSES_OF_LONE_HOST = 6;
const ADDRESSES_OF_HOST = 2;
const BOTH_FAMILIES: readonly AddressFamily[] = [4, 6];

/** What one route comes to. */
interface Way {
  readonly candidates: readonly Candidate[];
  readonly search: AddressSearch;
  /** Why there is nobody to ask. */
  readonly none?: NoHosts;
}

interface Question {
  /** As it was asked for, for replies. */
  readonly domain: string;
  readonly name: string;
  readonly settings: RouteSettings;
  readonly ownNames: ReadonlySet<string>;
  readonly options: RouterOptions;
}

const NOTHING: AddressSearch = { hops: [], refusals: [], skipped: [], prohibited: [], failures: [] };

async function findWay(route: SmtpRoute, question: Question): Promise<Way> {
  const { settings, options } = question;
  const { target } = route;
  const found = await hostsOf(target, question);
  if (found.kind !== 'hosts') return { candidates: [], search: NOTHING, none: found };
  const source = target.kind === 'own-mx' ? 'mx' : 'routes';
  const port = route.port ?? settings.port;
  const candidates = found.hosts.map((host) => ({ host, port, source }) as const);
  const families = options.families ?? BOTH_FAMILIES;
  const isLone = candidates.length === 1 && settings.routes.length < 2;
  const search = await findAddresses(candidates, {
    dns: options.dns,
    policy: source === 'mx' ? options.policy : options.routePolicy,
    skips: (address) => settings.skipHosts.some((network) => network.contains(address)),
    prohibits: (address) => settings.prohibitedHosts?.some((network) => network.contains(address)) === true,
    random: options.random,
    maxHosts: options.maxHosts,
    maxAddressesPerHost: isLone ? ADDRESSES_OF_LONE_HOST : ADDRESSES_OF_HOST,
    families,
  });
  // Hosts that the operator names are the operator's to mend: of those, prohibited addresses are left out.
  if (source === 'mx' && search.prohibited.length > 0) {
    const text = `${question.domain} leads where mail is never sent: ${few(search.prohibited)}`;
    return { candidates: [], search: NOTHING, none: permanent(550, '5.4.4', text) };
  }
  if (!found.isImplicit || !isEmpty(search) || families.length < BOTH_FAMILIES.length)
    return { candidates, search };
  return { candidates: [], search: NOTHING, none: await withoutAnyHost(question, source) };
}

type Found = Awaited<ReturnType<typeof findMailHosts>>;

async function hostsOf(target: SmtpRoute['target'], question: Question): Promise<Found> {
  const { options, ownNames } = question;
  const asked = { dns: options.dns, random: options.random, ownNames };
  switch (target.kind) {
    case 'own-mx':
      return findMailHosts(question.domain, asked);
    case 'host': {
      const host = toALabels(target.host);
      if (host === '') return noRoute(`the route of ${question.domain}, ${target.host}, is no host name`);
      return { kind: 'hosts', hosts: [host], isImplicit: false };
    }
    case 'mx-of': {
      const found = await findMailHosts(target.domain, asked);
      return found.kind === 'permanent' ? unlessMended(question, found) : found;
    }
  }
}

/** What is wrong with a route is the operator's to mend, and no verdict on the mail. */
function unlessMended({ domain }: Question, { reply }: NoHosts): NoHosts {
  return noRoute(`the route of ${domain} leads nowhere: ${reply.text}`);
}

/** DNS knows no address of a domain without MX. That is a verdict, unless an alias broke on the way. */
async function withoutAnyHost(question: Question, source: Hop['source']): Promise<NoHosts> {
  const { domain, name, options } = question;
  if (source === 'routes') return noRoute(`no host of the route of ${domain} has an address`);
  const alias = await options.dns.alias(name);
  switch (alias.kind) {
    case 'records':
      return noRoute(`${domain} is an alias of ${alias.records[0]}, which leads to no mail host`);
    case 'failed':
      return noAnswer(`DNS did not answer for the alias of ${domain}: ${alias.code}`);
    case 'nodata':
    case 'nxdomain':
      return permanent(550, '5.1.2', `${domain} has neither mail hosts nor an address`);
  }
}

function isEmpty({ hops, refusals, skipped, prohibited, failures }: AddressSearch): boolean {
  return hops.length + refusals.length + skipped.length + prohibited.length + failures.length === 0;
}

function outcomeOf(
  domain: string,
  ways: readonly Way[],
  { tls }: RouteSettings,
  { usualPort }: RouterOptions,
): RouteOutcome {
  const hops = uniqueHops(ways.flatMap((way) => way.search.hops));
  const skipped = ways.flatMap((way) => way.search.skipped);
  if (hops.length > 0) {
    const hosts: readonly SiteHost[] = ways.flatMap((way) => way.candidates);
    return { kind: 'hops', site: siteOf(hosts, { usualPort, skipped }), hops, tls };
  }

  const nones = ways.flatMap((way) => way.none ?? []);
  const failures = ways.flatMap((way) => way.search.failures);
  const postponed = nones.find((none) => none.kind === 'postpone');
  if (postponed !== undefined) return postponed;
  if (failures.length > 0)
    return noAnswer(`DNS did not answer for the mail hosts of ${domain}: ${few(failures)}`);
  const refusals = ways.flatMap((way) => way.search.refusals);
  if (refusals.length > 0) {
    const text = `${domain} has no address that mail may go to: ${few(refusals)}`;
    return { kind: 'transient', reply: ownReply(451, '4.7.1', text) };
  }
  const prohibited = ways.flatMap((way) => way.search.prohibited);
  if (prohibited.length > 0)
    return noRoute(`every host of the routes of ${domain} is prohibited: ${few(prohibited)}`);
  if (skipped.length > 0)
    return noRoute(`every address of ${domain} is skipped by configuration: ${few(skipped)}`);
  const transient = nones.find((none) => none.kind === 'transient');
  if (transient !== undefined) return transient;
  const verdict = nones.find((none) => none.kind === 'permanent');
  return verdict !== undefined && nones.length === ways.length
    ? verdict
    : noRoute(`no mail host of ${domain} has an address`);
}

function uniqueHops(hops: readonly Hop[]): readonly Hop[] {
  return hops.filter((hop, at) => hops.findIndex((other) => isAt(other, hop.address, hop.port)) === at);
}

/** A stranger's list may be long. */
function few(reasons: readonly string[]): string {
  const shown = 5;
  const more = reasons.length > shown ? ` and ${reasons.length - shown} more` : '';
  return `${reasons.slice(0, shown).join(', ')}${more}`;
}
