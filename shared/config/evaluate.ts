// What an option is worth for a given domain and binding. The first scope that sets it decides: Binding::Domain,
// Binding_Group::Domain, Binding, Binding_Group, Domain, Global, default. Among Domains of one place an exact name
// comes before regular expressions, and those come in the order of the files. Limits of single hosts are a chain of
// their own: Binding::Host, Binding_Group::Host, Host.

import { domainToASCII } from 'node:url';
import type {
  BindingGroupScope,
  Configuration,
  ListenerScope,
  ListenScope,
  NamedScope,
  Setting,
  Settings,
} from './configuration.ts';
import type { Option } from './options.ts';

export interface At {
  readonly domain?: string;
  readonly binding?: string;
}

export function evaluate<T>(configuration: Configuration, option: Option<T>, at: At = {}): T {
  return readSetting(option, findSetting(configuration, option, at)) ?? option.default;
}

/** The value for one Listen stanza: its own, its listener's, Global, default. */
export function evaluateListen<T>(
  configuration: Configuration,
  option: Option<T>,
  listener: ListenerScope,
  listen: ListenScope,
): T {
  const setting = scopesOfListen(configuration, listener, listen)
    .map(({ settings }) => settings.get(option.name))
    .find((found) => found !== undefined);
  return readSetting(option, setting) ?? option.default;
}

/**
 * What a Host stanza says of a mail host, by the name that MX or Routes give it; undefined when none does: what
 * holds for its domains is asked for apart from it, and both hold.
 */
export function evaluateHost<T>(
  configuration: Configuration,
  option: Option<T>,
  at: { readonly host: string; readonly binding?: string },
): T | undefined {
  const setting = hostScopesAt(configuration, at)
    .map(({ settings }) => settings.get(option.name))
    .find((found) => found !== undefined);
  return readSetting(option, setting);
}

/** The setting that decides, with its place; undefined when the default holds. */
export function findSetting(
  configuration: Configuration,
  option: Option<unknown>,
  at: At,
): Setting | undefined {
  for (const { settings } of scopesAt(configuration, at)) {
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

/** Settings, and where they stand: "Domain gmail.com in Binding a". */
export interface ScopeAt {
  readonly told: string;
  readonly settings: Settings;
}

/** Every scope that has a say there, the first one first. */
export function scopesAt(configuration: Configuration, at: At): readonly ScopeAt[] {
  const { binding, group } = bindingsAt(configuration, at.binding);
  const domain = at.domain === undefined ? undefined : comparableDomain(at.domain);
  const domainsOf = (scopes: readonly NamedScope[], suffix = ''): readonly ScopeAt[] =>
    domain === undefined ? [] : matching('Domain', scopes, domain, suffix);
  return [
    ...(binding === undefined ? [] : domainsOf(binding.domains, ` in ${toldOf('Binding', binding)}`)),
    ...(group === undefined ? [] : domainsOf(group.domains, ` in ${toldOf('Binding_Group', group)}`)),
    ...(binding === undefined ? [] : [{ told: toldOf('Binding', binding), settings: binding.settings }]),
    ...(group === undefined ? [] : [{ told: toldOf('Binding_Group', group), settings: group.settings }]),
    ...domainsOf(configuration.domains),
    { told: 'the top of a file', settings: configuration.global },
  ];
}

/** Likewise for one mail host. */
export function hostScopesAt(
  configuration: Configuration,
  at: { readonly host: string; readonly binding?: string },
): readonly ScopeAt[] {
  const { binding, group } = bindingsAt(configuration, at.binding);
  const host = comparableDomain(at.host);
  return [
    ...(binding === undefined
      ? []
      : matching('Host', binding.hosts, host, ` in ${toldOf('Binding', binding)}`)),
    ...(group === undefined
      ? []
      : matching('Host', group.hosts, host, ` in ${toldOf('Binding_Group', group)}`)),
    ...matching('Host', configuration.hosts, host, ''),
  ];
}

/** Likewise for one Listen. */
export function scopesOfListen(
  configuration: Configuration,
  listener: ListenerScope,
  listen: ListenScope,
): readonly ScopeAt[] {
  return [
    { told: `a Listen in ${listener.kind}`, settings: listen.settings },
    { told: listener.kind, settings: listener.settings },
    { told: 'the top of a file', settings: configuration.global },
  ];
}

/** Whether a Domain at the top has this very name, as `comparableDomain` writes it. */
export function hasDomain({ domains }: Configuration, name: string): boolean {
  return namesOf(domains).byName.has(name);
}

function bindingsAt(configuration: Configuration, name: string | undefined) {
  const binding = configuration.bindings.find((scope) => scope.name === name);
  const group = configuration.groups.find(
    (scope) => binding?.group !== undefined && scope.name === binding.group,
  );
  return { binding, group };
}

function toldOf(kind: string, scope: Pick<BindingGroupScope, 'name'>): string {
  return `${kind} ${scope.name}`;
}

function matching(
  kind: string,
  scopes: readonly NamedScope[],
  name: string,
  suffix: string,
): readonly ScopeAt[] {
  const { byName, patterns } = namesOf(scopes);
  const exact = byName.get(name);
  const fitting = patterns.filter((scope) => scope.pattern?.test(name));
  return [...(exact === undefined ? [] : [exact]), ...fitting].map((scope) => ({
    told: `${toldOf(kind, scope)}${suffix}`,
    settings: scope.settings,
  }));
}

/** Exact names apart from regular expressions: there may be tens of thousands, and every recipient asks. */
interface Names {
  readonly byName: ReadonlyMap<string, NamedScope>;
  readonly patterns: readonly NamedScope[];
}

/** Of lists that do not change any more. */
const NAMES = new WeakMap<readonly NamedScope[], Names>();

function namesOf(scopes: readonly NamedScope[]): Names {
  const before = NAMES.get(scopes);
  if (before !== undefined) return before;
  const exact = scopes.filter(({ pattern }) => pattern === undefined);
  const names = {
    byName: new Map(exact.map((scope) => [scope.name, scope])),
    patterns: scopes.filter(({ pattern }) => pattern !== undefined),
  };
  NAMES.set(scopes, names);
  return names;
}

function readSetting<T>(option: Option<T>, setting: Setting | undefined): T | undefined {
  if (setting === undefined) return undefined;
  const reading = option.type.read(setting.value);
  if (!reading.ok) throw new Error(`${option.name} was not checked when the configuration was read`);
  return reading.value;
}
