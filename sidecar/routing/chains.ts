// Chains of reroutes as the configuration writes them: which domain stands for which, and where that goes round in
// a circle. A domain that names itself names nothing: so a global setting holds for its own target as well.

import type { Configuration, Setting } from '../../shared/config/configuration.ts';
import { comparableDomain, evaluate, findSetting } from '../../shared/config/evaluate.ts';
import type { Fault, Place } from '../../shared/config/fault.ts';
import { OPTIONS } from '../../shared/config/options.ts';

export type RerouteOption = 'Reroute_Domain' | 'Delayed_Reroute_Domain';

/** One setting, as it holds for one domain. */
export interface Link {
  readonly option: RerouteOption;
  readonly from: string;
  readonly to: string;
  readonly place: Place;
}

/** `domain` as `comparableDomain` writes it. Undefined: nothing is set, it is "disabled", or it names `domain`. */
export function linkOf(
  configuration: Configuration,
  option: RerouteOption,
  domain: string,
): Link | undefined {
  const row = OPTIONS[option];
  const written = evaluate(configuration, row, { domain });
  const setting: Setting | undefined = findSetting(configuration, row, { domain });
  if (written === undefined || written === DISABLED || setting === undefined) return undefined;
  const to = comparableDomain(written);
  return to === domain ? undefined : { option, from: domain, to, place: setting.place };
}

export function isDisabled(configuration: Configuration, option: RerouteOption, domain: string): boolean {
  return evaluate(configuration, OPTIONS[option], { domain }) === DISABLED;
}

const DISABLED = 'disabled';

export interface Chain {
  /** In order; none when `domain` is not rerouted. */
  readonly links: readonly Link[];
  /** Where it ends; undefined when it never does. */
  readonly end: string | undefined;
}

/** The Reroute_Domains from a domain on. */
export function rerouteChain(configuration: Configuration, domain: string): Chain {
  const links: Link[] = [];
  const seen = new Set([domain]);
  for (let at = domain; ; ) {
    const link = linkOf(configuration, 'Reroute_Domain', at);
    if (link === undefined) return { links, end: at };
    links.push(link);
    if (seen.has(link.to)) return { links, end: undefined };
    seen.add(link.to);
    at = link.to;
  }
}

/** Ends of chains, by any domain on them; undefined for one that goes round. Each link is followed once. */
export function rerouteEnds(configuration: Configuration): (domain: string) => string | undefined {
  const ends = new Map<string, string | undefined>();
  return (domain) => {
    const passed: string[] = [];
    let at = domain;
    while (!ends.has(at)) {
      // What stands here already without an end is on this very way: it goes round.
      ends.set(at, undefined);
      passed.push(at);
      const link = linkOf(configuration, 'Reroute_Domain', at);
      if (link === undefined) ends.set(at, at);
      else at = link.to;
    }
    const end = ends.get(at);
    for (const name of passed) ends.set(name, end);
    return end;
  };
}

/** From a domain over its Delayed_Reroute_Domain to the end of that one's Reroute_Domains. */
export function delayedChain(configuration: Configuration, domain: string): Chain {
  return chainFrom(configuration, linkOf(configuration, 'Delayed_Reroute_Domain', domain));
}

export function chainFrom(configuration: Configuration, first: Link | undefined): Chain {
  if (first === undefined) return { links: [], end: undefined };
  const rest = rerouteChain(configuration, first.to);
  return { links: [first, ...rest.links], end: rest.end };
}

/** Every domain that a Reroute_Domain or Delayed_Reroute_Domain names, with the place that names it. */
export function namedDomains(
  configuration: Configuration,
): readonly { readonly name: string; readonly place: Place }[] {
  const scopes = [configuration.global, ...configuration.domains.map((domain) => domain.settings)];
  return scopes.flatMap((settings) =>
    [OPTIONS.Reroute_Domain, OPTIONS.Delayed_Reroute_Domain].flatMap((option) => {
      const setting = settings.get(option.name);
      const reading = setting === undefined ? undefined : option.type.read(setting.value);
      if (setting === undefined || !reading?.ok || reading.value === undefined) return [];
      if (reading.value === DISABLED) return [];
      return [{ name: comparableDomain(reading.value), place: setting.place }];
    }),
  );
}

/** Each circle once, shown where its last link is written. */
export function circles(configuration: Configuration): readonly Fault[] {
  const faults = new Map<string, Fault>();
  const tell = (links: readonly Link[]): void => {
    const circle = onlyTheCircle(links);
    const key = circle
      .map((link) => `${link.option} ${link.from}`)
      .toSorted()
      .join();
    const fault = circleFault(circle);
    if (fault !== undefined && !faults.has(key)) faults.set(key, fault);
  };
  // Whatever stands in a circle is named by another link of it. Each domain is looked at once.
  const names = new Set(namedDomains(configuration).map(({ name }) => name));
  const ends = rerouteEnds(configuration);
  const rerouted = new Set<string>();
  const delayed = new Set<string>();
  for (const name of names) {
    const end = ends(name);
    if (end !== undefined) tellOfDelayed(configuration, end, { ends, looked: delayed, tell });
    else if (!rerouted.has(name)) {
      const { links } = rerouteChain(configuration, name);
      for (const { from } of links) rerouted.add(from);
      tell(links);
    }
  }
  return [...faults.values()];
}

// Target after target, as mail would go while no route of any is up.
function tellOfDelayed(
  configuration: Configuration,
  from: string,
  walk: {
    readonly ends: (domain: string) => string | undefined;
    /** Domains that were come by before. */
    readonly looked: Set<string>;
    readonly tell: (links: readonly Link[]) => void;
  },
): void {
  const targets: string[] = [];
  const own = new Set<string>();
  for (let at: string | undefined = from; at !== undefined && !walk.looked.has(at); ) {
    walk.looked.add(at);
    own.add(at);
    targets.push(at);
    const first = linkOf(configuration, 'Delayed_Reroute_Domain', at);
    at = first === undefined ? undefined : walk.ends(first.to);
    if (at !== undefined && own.has(at)) {
      walk.tell(targets.flatMap((target) => delayedChain(configuration, target).links));
    }
  }
}

/** Without what leads to it. */
function onlyTheCircle(links: readonly Link[]): readonly Link[] {
  const closing = links.at(-1)?.to;
  return links.slice(links.findIndex(({ from }) => from === closing));
}

function circleFault(circle: readonly Link[]): Fault | undefined {
  const [first] = circle;
  const last = circle.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const option = circle.some((link) => link.option === 'Delayed_Reroute_Domain')
    ? 'Delayed_Reroute_Domain'
    : 'Reroute_Domain';
  const mended = circle.findLast((link) => link.option === option) ?? last;
  const steps = circle.map(({ to, place }) => ` → ${to} (${place.file}:${place.line})`).join('');
  return {
    place: mended.place,
    message: `${option} goes round in a circle: ${first.from}${steps}`,
    mend: `write ${option} = "disabled" in Domain ${mended.from}`,
  };
}
