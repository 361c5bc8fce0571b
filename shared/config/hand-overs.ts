// Where a configuration hands mail over, and what holds there.

import type { Configuration, NamedScope, Setting } from './configuration.ts';
import { evaluate, findSetting } from './evaluate.ts';
import type { Option } from './option.ts';
import { OPTIONS } from './options.ts';

/** Where mail is handed over: a Domain with Delivery_Method = "delay_xfer", or the top of a file. */
export interface HandOver {
  /** "Domain xfer.test". */
  readonly told: string;
  /** Of its Delivery_Method. */
  readonly method: Setting;
  get<T>(option: Option<T>): T;
  /** Where the value is written. */
  setting(option: Option<unknown>): Setting | undefined;
}

/** The settings of Routes that mail is handed over by. */
export function transferRoutes(configuration: Configuration): ReadonlySet<Setting | undefined> {
  const { domains } = configuration;
  const views = [undefined, ...domains].map((domain) => viewOf(configuration, domain));
  const over = views.filter((view) => view.get(OPTIONS.Delivery_Method) === 'delay_xfer');
  return new Set(over.map((view) => view.setting(OPTIONS.Routes)));
}

export function handOvers(configuration: Configuration): readonly HandOver[] {
  const { domains, global } = configuration;
  const views = [
    ...domains.map((domain) => viewOf(configuration, domain)),
    ...(global.has(OPTIONS.Delivery_Method.name) ? [viewOf(configuration, undefined)] : []),
  ];
  return views.flatMap((view) => {
    const method = view.setting(OPTIONS.Delivery_Method);
    if (method === undefined || view.get(OPTIONS.Delivery_Method) !== 'delay_xfer') return [];
    // What the top says is told of the top alone, unless the domain goes its own way.
    if (view.told !== TOP && method === global.get(OPTIONS.Delivery_Method.name) && !view.isParticular)
      return [];
    return [{ ...view, method }];
  });
}

const TOP = 'the top of a file';

function viewOf(
  configuration: Configuration,
  domain: NamedScope | undefined,
): Omit<HandOver, 'method'> & { readonly isParticular: boolean } {
  const isExact = domain !== undefined && domain.pattern === undefined;
  const at = isExact ? { domain: domain.name } : {};
  // Of a regular expression: what it says itself, or else what holds for all.
  const global =
    domain === undefined || isExact
      ? configuration.global
      : new Map([...configuration.global, ...domain.settings]);
  const view = { ...configuration, global };
  return {
    told: domain === undefined ? TOP : `Domain ${domain.name}`,
    get: (option) => evaluate(view, option, at),
    setting: (option) => findSetting(view, option, at),
    isParticular:
      domain?.settings.has(OPTIONS.Routes.name) === true ||
      [...(domain?.settings.values() ?? [])].some(({ option }) => option.name.startsWith('HTTP_')),
  };
}
