// Makes targets of what a configuration says of domains, each once. A target whose Delivery_Method stands in a
// Domain with a regular expression, or at the top of a file, takes its other options from there as well: it is one
// target, however many domains it serves.

import type { Configuration, Setting, Settings } from '../../shared/config/configuration.ts';
import { evaluate, findSetting, hasDomain } from '../../shared/config/evaluate.ts';
import { OPTIONS } from '../../shared/config/options.ts';
import { chainFrom, linkOf } from './chains.ts';
import type { Target } from './targets.ts';

/** The name of the target that the top of a file describes. */
export const ALL_DOMAINS = '*';

/** A string says why there is no such target. */
export interface TargetReader {
  /** At the end of a chain: a domain as `comparableDomain` writes it. */
  named(domain: string): Target | string;
  /** Of a Domain with a regular expression, or of the top; undefined when it does not say delay_xfer. */
  ofScope(name: string, settings: Settings): Target | string | undefined;
  /** The target that a domain is by its own Delivery_Method; undefined when it is none. */
  own(domain: string): Target | string | undefined;
  /** Those that were asked for. */
  all(): readonly Target[];
}

/** `withNext` asks for chains of targets, which must not go round. */
export function createTargetReader(
  configuration: Configuration,
  { withNext }: { readonly withNext: boolean },
): TargetReader {
  const known = new Map<string, Target | string>();
  const byMethod = new Map<Setting, Target | string>();

  function remembered(name: string, read: () => Target | string): Target | string {
    const target = known.get(name) ?? read();
    known.set(name, target);
    return target;
  }

  // The last of a chain is read first: it may be longer than the stack is deep.
  function named(domain: string): Target | string {
    const chain: string[] = [];
    for (let at: string | undefined = domain; withNext && at !== undefined && !known.has(at); ) {
      chain.push(at);
      at = chainFrom(configuration, linkOf(configuration, 'Delayed_Reroute_Domain', at)).end;
    }
    for (const at of chain.toReversed()) remembered(at, () => readTarget(configuration, at, at));
    return remembered(domain, () => readTarget(configuration, domain, domain));
  }

  function readTarget(at: Configuration, domain: string, label: string): Target | string {
    const target = targetAt(at, domain, label);
    const { end } = chainFrom(configuration, linkOf(at, 'Delayed_Reroute_Domain', domain));
    const next = typeof target === 'string' || end === undefined || !withNext ? undefined : named(end);
    // What is wrong with the next one is told where it is named.
    return typeof target === 'string' || next === undefined || typeof next === 'string'
      ? target
      : { ...target, next };
  }

  return {
    named,
    ofScope(name, settings) {
      const setting = settings.get(OPTIONS.Delivery_Method.name);
      const domains = name === ALL_DOMAINS ? [] : [{ name: ANY_NAME, settings }];
      const alone = { ...configuration, domains };
      if (setting === undefined || evaluate(alone, OPTIONS.Delivery_Method, AT_ANY) !== 'delay_xfer')
        return undefined;
      const target = remembered(name, () => readTarget(alone, ANY_NAME, name));
      byMethod.set(setting, target);
      return target;
    },
    own(domain) {
      if (evaluate(configuration, OPTIONS.Delivery_Method, { domain }) !== 'delay_xfer') return undefined;
      const isExact = hasDomain(configuration, domain);
      const setting = findSetting(configuration, OPTIONS.Delivery_Method, { domain });
      return isExact || setting === undefined ? named(domain) : byMethod.get(setting);
    },
    all: () => [...known.values()].filter((target) => typeof target !== 'string'),
  };
}

const ANY_NAME = 'any.invalid';
const AT_ANY = { domain: ANY_NAME };

function targetAt(configuration: Configuration, domain: string, label: string): Target | string {
  const at = { domain };
  if (evaluate(configuration, OPTIONS.Delivery_Method, at) !== 'delay_xfer') {
    return `mail goes to ${label}, but no Domain ${label} has Delivery_Method = "delay_xfer"`;
  }
  const written = evaluate(configuration, OPTIONS.Routes, at);
  const routes = written.filter((route) => route.scheme === 'xfer').toSorted((a, b) => a.pref - b.pref);
  if (routes.length === 0 || routes.length < written.length) {
    const line = findSetting(configuration, OPTIONS.Routes, at)?.place;
    const where = line === undefined ? '' : ` (${line.file}:${line.line})`;
    const scope = label === ALL_DOMAINS ? 'Delivery_Method = "delay_xfer"' : `Domain ${label}`;
    return `${scope} needs Routes that all begin with xfer://${where}`;
  }
  return {
    domain: label,
    routes,
    uri: evaluate(configuration, OPTIONS.HTTP_URI, at),
    host: evaluate(configuration, OPTIONS.HTTP_HOST, at),
    credentials: evaluate(configuration, OPTIONS.HTTP_Basic_Auth, at),
    responseTimeoutMs: evaluate(configuration, OPTIONS.Delivery_Response_Timeout, at),
    hostFailureRetryMs: evaluate(configuration, OPTIONS.Host_Failure_Retry, at) * 1000,
    handoffDeadlineMs: evaluate(configuration, OPTIONS.Handoff_Deadline, at) * 1000,
  };
}
