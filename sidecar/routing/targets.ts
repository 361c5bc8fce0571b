// Which recipients go to which receiver, out of the configuration. What reaches a listener has been attempted by
// its MTA: a recipient whose domain has a Reroute_Domain goes there, any other to Delayed_Reroute_Domain.
// `disabled` stops a chain; a chain of Reroute_Domains is followed to its end. The end of every chain that the
// configuration names must be a Domain with Delivery_Method = "delay_xfer" and xfer routes: faults are told at start.

import type { Configuration } from '../../shared/config/configuration.ts';
import { comparableDomain, evaluate, findSetting } from '../../shared/config/evaluate.ts';
import type { Fault, Place } from '../../shared/config/fault.ts';
import { OPTIONS } from '../../shared/config/options.ts';
import type { XferRoute } from '../../shared/config/routes.ts';
import { domainOf } from '../../shared/message/address.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';

/** A receiver, or several that stand in for each other: one synthetic domain of the configuration. */
export interface Target {
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
}

/** Why a recipient goes to a target: its MTA deferred it, or its domain is rerouted whole. */
export type Mode = 'delayed' | 'rerouted';

export type Choice =
  | { readonly kind: 'target'; readonly mode: Mode; readonly target: Target }
  | { readonly kind: 'none'; readonly reply: Reply };

export interface Targets {
  readonly all: readonly Target[];
  /** For an address with its domain. */
  choose(address: string): Choice;
}

export type TargetsResult =
  | { readonly ok: true; readonly targets: Targets }
  | { readonly ok: false; readonly faults: readonly Fault[]; readonly message?: string };

export function readTargets(configuration: Configuration): TargetsResult {
  const faults: Fault[] = [];
  const byDomain = new Map<string, Target>();
  for (const { name, place } of namedEnds(configuration)) {
    const end = followReroutes(configuration, name);
    if (end === undefined) {
      faults.push({ place, message: `rerouting to ${name} goes round in a circle` });
      continue;
    }
    const target = byDomain.get(end) ?? readTarget(configuration, end);
    if (typeof target === 'string') faults.push({ place, message: target });
    else byDomain.set(end, target);
  }
  if (faults.length > 0) return { ok: false, faults };
  if (byDomain.size === 0) {
    return {
      ok: false,
      faults,
      message:
        'no Delayed_Reroute_Domain and no Reroute_Domain is configured, so that no mail could go anywhere',
    };
  }
  const choose = (address: string): Choice => chooseFor(configuration, byDomain, domainOf(address));
  return { ok: true, targets: { all: [...byDomain.values()], choose } };
}

const DISABLED = 'disabled';
const MAX_CHAIN = 10;

function chooseFor(
  configuration: Configuration,
  byDomain: ReadonlyMap<string, Target>,
  domain: string,
): Choice {
  const reroute = evaluate(configuration, OPTIONS.Reroute_Domain, { domain });
  const delayed = evaluate(configuration, OPTIONS.Delayed_Reroute_Domain, { domain });
  const rerouted = reroute !== undefined && reroute !== DISABLED;
  const name = rerouted ? reroute : delayed;
  if (name === undefined || name === DISABLED) {
    const why = name === DISABLED ? 'is disabled' : 'is not set';
    return { kind: 'none', reply: ownReply(451, '4.3.5', `Delayed_Reroute_Domain ${why} for ${domain}`) };
  }
  const target = byDomain.get(followReroutes(configuration, name) ?? '');
  if (target === undefined) throw new Error(`the target ${name} was not checked at start`);
  return { kind: 'target', mode: rerouted ? 'rerouted' : 'delayed', target };
}

/** Every domain that some Reroute_Domain or Delayed_Reroute_Domain names, with the place that names it. */
function namedEnds(
  configuration: Configuration,
): readonly { readonly name: string; readonly place: Place }[] {
  const scopes = [configuration.global, ...configuration.domains.map((domain) => domain.settings)];
  return scopes.flatMap((settings) =>
    [OPTIONS.Reroute_Domain, OPTIONS.Delayed_Reroute_Domain].flatMap((option) => {
      const setting = settings.get(option.name);
      const reading = setting === undefined ? undefined : option.type.read(setting.value);
      if (setting === undefined || !reading?.ok || reading.value === undefined || reading.value === DISABLED)
        return [];
      return [{ name: reading.value, place: setting.place }];
    }),
  );
}

// The domain at which a chain of Reroute_Domains ends; undefined when it never does.
function followReroutes(configuration: Configuration, from: string): string | undefined {
  let domain = comparableDomain(from);
  for (let step = 0; step < MAX_CHAIN; step += 1) {
    const next = evaluate(configuration, OPTIONS.Reroute_Domain, { domain });
    if (next === undefined || next === DISABLED || comparableDomain(next) === domain) return domain;
    domain = comparableDomain(next);
  }
  return undefined;
}

function readTarget(configuration: Configuration, domain: string): Target | string {
  const at = { domain };
  if (evaluate(configuration, OPTIONS.Delivery_Method, at) !== 'delay_xfer') {
    return `mail goes to ${domain}, but no Domain ${domain} has Delivery_Method = "delay_xfer"`;
  }
  const written = evaluate(configuration, OPTIONS.Routes, at);
  const routes = written.filter((route) => route.scheme === 'xfer').toSorted((a, b) => a.pref - b.pref);
  if (routes.length === 0 || routes.length < written.length) {
    const line = findSetting(configuration, OPTIONS.Routes, at)?.place;
    const where = line === undefined ? '' : ` (${line.file}:${line.line})`;
    return `Domain ${domain} needs Routes that all begin with xfer://${where}`;
  }
  return {
    domain,
    routes,
    uri: evaluate(configuration, OPTIONS.HTTP_URI, at),
    host: evaluate(configuration, OPTIONS.HTTP_HOST, at),
    credentials: evaluate(configuration, OPTIONS.HTTP_Basic_Auth, at),
    responseTimeoutMs: evaluate(configuration, OPTIONS.Delivery_Response_Timeout, at),
    hostFailureRetryMs: evaluate(configuration, OPTIONS.Host_Failure_Retry, at) * 1000,
    handoffDeadlineMs: evaluate(configuration, OPTIONS.Handoff_Deadline, at) * 1000,
  };
}

/** A path below HTTP_URI: `/delay_message/uploads`. */
export function pathBelow(target: Target, name: string): string {
  return `${target.uri === '/' ? '' : target.uri}/${name}`;
}
