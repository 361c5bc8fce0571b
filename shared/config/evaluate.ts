// What an option is worth for a given domain and binding. The first scope that sets it decides:
// Binding::Domain, Binding, Domain (exact, then regular expressions in the order of the files), Global, default.

import { domainToASCII } from 'node:url';
import type {
  Configuration,
  DomainScope,
  ListenerScope,
  ListenScope,
  Setting,
  Settings,
} from './configuration.ts';
import type { Option } from './options.ts';

export interface At {
  readonly domain?: string;
  readonly binding?: string;
}

export function evaluate<T>(configuration: Configuration, option: Option<T>, at: At = {}): T {
  return read(option, findSetting(configuration, option, at));
}

/** The value for one Listen stanza: its own, its listener's, Global, default. */
export function evaluateListen<T>(
  configuration: Configuration,
  option: Option<T>,
  listener: ListenerScope,
  listen: ListenScope,
): T {
  const scopes = [listen.settings, listener.settings, configuration.global];
  return read(
    option,
    scopes.map((settings) => settings.get(option.name)).find((found) => found !== undefined),
  );
}

/** The setting that decides, with its place; undefined when the default holds. */
export function findSetting(
  configuration: Configuration,
  option: Option<unknown>,
  at: At,
): Setting | undefined {
  for (const settings of scopesAt(configuration, at)) {
    const setting = settings.get(option.name);
    if (setting !== undefined) return setting;
  }
  return undefined;
}

/** Lower case, A-labels, no final dot: how domains are compared. An address literal keeps its brackets. */
export function comparableDomain(domain: string): string {
  const lower = domain.toLowerCase().replace(/\.$/, '');
  if (/^[\x21-\x7e]*$/.test(lower)) return lower;
  return domainToASCII(lower) || lower;
}

function* scopesAt(configuration: Configuration, at: At): Generator<Settings> {
  const binding = configuration.bindings.find((scope) => scope.name === at.binding);
  const domain = at.domain === undefined ? undefined : comparableDomain(at.domain);
  if (binding !== undefined) {
    if (domain !== undefined) yield* matching(binding.domains, domain);
    yield binding.settings;
  }
  if (domain !== undefined) yield* matching(configuration.domains, domain);
  yield configuration.global;
}

function* matching(scopes: readonly DomainScope[], domain: string): Generator<Settings> {
  for (const scope of scopes) if (scope.pattern === undefined && scope.name === domain) yield scope.settings;
  for (const scope of scopes) if (scope.pattern?.test(domain)) yield scope.settings;
}

function read<T>(option: Option<T>, setting: Setting | undefined): T {
  if (setting === undefined) return option.default;
  const reading = option.type.read(setting.value);
  if (!reading.ok) throw new Error(`${option.name} was not checked when the configuration was read`);
  return reading.value;
}
