// Which recipients go to which receiver, out of the configuration, in this order: where the Reroute_Domains of the
// recipient's domain lead; the domain itself, when its Delivery_Method is delay_xfer; its Delayed_Reroute_Domain, and
// where that one's Reroute_Domains lead. A target's own Delayed_Reroute_Domain is the next one, for when no route of
// it is up. `disabled` ends a chain. Every end that the configuration names must be a Domain with
// Delivery_Method = "delay_xfer" and xfer routes, and none may go round in a circle: faults are told at start.

import type { Configuration } from '../../shared/config/configuration.ts';
import { comparableDomain, findSetting } from '../../shared/config/evaluate.ts';
import type { Fault } from '../../shared/config/fault.ts';
import { OPTIONS } from '../../shared/config/options.ts';
import type { XferRoute } from '../../shared/config/routes.ts';
import { domainOf } from '../../shared/message/address.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import {
  circles,
  delayedChain,
  isDisabled,
  linkOf,
  namedDomains,
  rerouteChain,
  rerouteEnds,
} from './chains.ts';
import { ALL_DOMAINS, createTargetReader, type TargetReader } from './target-reader.ts';

/** A receiver, or several that stand in for each other: one synthetic domain of the configuration. */
export interface Target {
  /** Its domain; of a regular expression that names several, the expression; `*` for all. */
  readonly domain: string;
  /** In the order to try. */
  readonly routes: readonly XferRoute[];
  readonly uri: string;
  /** The Host header, when it is not the route's host. */
  readonly host: string | undefined;
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
  readonly responseTimeoutMs: number;
  readonly hostFailureRetryMs: number;
  readonly handoffDeadlineMs: number;
  /** Tried when no route of this one is up and nothing of the message has left. */
  readonly next?: Target;
}

/** Why a recipient goes to a target: its MTA deferred it, or its domain is rerouted whole. */
export type Mode = 'delayed' | 'rerouted';

export type Choice =
  | { readonly kind: 'target'; readonly mode: Mode; readonly target: Target }
  | { readonly kind: 'none'; readonly reply: Reply };

export interface Targets {
  readonly all: readonly Target[];
  /** For an address with its domain, in any letter case, in A- or U-labels. Remembered for each domain. */
  choose(address: string): Choice;
}

export type TargetsResult =
  | { readonly ok: true; readonly targets: Targets }
  | { readonly ok: false; readonly faults: readonly Fault[]; readonly message?: string };

/** Domains whose way is at hand: the configuration can be asked again, and a list of strangers is long. */
const MAX_DOMAINS = 10_000;

export function readTargets(configuration: Configuration): TargetsResult {
  const round = circles(configuration);
  const reader = createTargetReader(configuration, { withNext: round.length === 0 });
  const named = faultsOfNamed(configuration, reader);
  const own = faultsOfMethods(configuration, reader);
  // What is wrong with a Domain is told at that Domain, and not again where it is named.
  const told = new Set(own.map(({ message }) => message));
  const faults = [...round, ...named.filter(({ message }) => !told.has(message)), ...own];
  const all = reader.all();
  if (faults.length > 0) return { ok: false, faults };
  if (all.length === 0) {
    const message =
      'no Delayed_Reroute_Domain and no Reroute_Domain is configured, so that no mail could go anywhere';
    return { ok: false, faults, message };
  }
  const known = new Map<string, Choice>();
  return {
    ok: true,
    targets: {
      all,
      choose(address) {
        const domain = comparableDomain(domainOf(address));
        const before = known.get(domain);
        if (before !== undefined) return before;
        if (known.size >= MAX_DOMAINS) known.clear();
        const choice = chooseFor(configuration, reader, domain);
        known.set(domain, choice);
        return choice;
      },
    },
  };
}

function chooseFor(configuration: Configuration, reader: TargetReader, domain: string): Choice {
  const { links, end } = rerouteChain(configuration, domain);
  if (links.length > 0 && end !== undefined) return chosen('rerouted', reader.named(end));
  const own = reader.own(domain);
  if (own !== undefined) return chosen('rerouted', own);
  const delayed = delayedChain(configuration, domain);
  if (delayed.end !== undefined) return chosen('delayed', reader.named(delayed.end));
  const why = isDisabled(configuration, 'Delayed_Reroute_Domain', domain) ? 'is disabled' : 'is not set';
  return { kind: 'none', reply: ownReply(451, '4.3.5', `Delayed_Reroute_Domain ${why} for ${domain}`) };
}

function chosen(mode: Mode, target: Target | string): Choice {
  if (typeof target === 'string') throw new Error(`the target was not checked at start: ${target}`);
  return { kind: 'target', mode, target };
}

/** The ends that reroutes name. */
function faultsOfNamed(configuration: Configuration, reader: TargetReader): readonly Fault[] {
  const ends = rerouteEnds(configuration);
  return namedDomains(configuration).flatMap(({ name, place }) => {
    const end = ends(name);
    const target = end === undefined ? undefined : reader.named(end);
    return typeof target === 'string' ? [{ place, message: target }] : [];
  });
}

/** Domains that are targets by their own Delivery_Method, whether or not a reroute names them. */
function faultsOfMethods(configuration: Configuration, reader: TargetReader): readonly Fault[] {
  const { domains, global } = configuration;
  const option = OPTIONS.Delivery_Method;
  const wide = [
    ...domains.filter(({ pattern }) => pattern !== undefined),
    { name: ALL_DOMAINS, settings: global },
  ].filter(({ settings }) => settings.has(option.name));
  const exact = domains.filter(
    ({ pattern, settings }) => pattern === undefined && (wide.length > 0 || settings.has(option.name)),
  );
  const faulty = [
    ...wide.map(({ name, settings }) => ({
      target: reader.ofScope(name, settings),
      setting: settings.get(option.name),
    })),
    ...exact
      .filter(({ name }) => linkOf(configuration, 'Reroute_Domain', name) === undefined)
      .map(({ name: domain }) => ({
        target: reader.own(domain),
        setting: findSetting(configuration, option, { domain }),
      })),
  ];
  return faulty.flatMap(({ target, setting }) =>
    typeof target === 'string' && setting !== undefined ? [{ place: setting.place, message: target }] : [],
  );
}

/** A path below HTTP_URI: `/delay_message/uploads`. */
export function pathBelow(target: Target, name: string): string {
  return `${target.uri === '/' ? '' : target.uri}/${name}`;
}

/** A target and those that stand in for it, in order. */
export function chainOf(target: Target): readonly Target[] {
  const chain: Target[] = [];
  for (let each: Target | undefined = target; each !== undefined && !chain.includes(each); each = each.next) {
    chain.push(each);
  }
  return chain;
}
