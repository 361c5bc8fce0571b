// All scopes of a configuration, one after the other, for checks that look at every setting.

import type { Configuration, NamedScope, Settings } from './configuration.ts';

export interface EveryScope {
  readonly kind: 'global' | 'domain' | 'binding' | 'binding-domain' | 'host' | 'listener';
  readonly settings: Settings;
  /** The Domain or Host. */
  readonly named?: NamedScope;
}

/** The top first, then Domains, Bindings and their Domains and Hosts, Hosts, listeners and their Listens. */
export function everyScope(configuration: Configuration): readonly EveryScope[] {
  const { global, domains, bindings, groups, hosts, listeners } = configuration;
  const all = <Kind extends EveryScope['kind']>(kind: Kind, scopes: readonly NamedScope[]) =>
    scopes.map((named): EveryScope => ({ kind, settings: named.settings, named }));
  return [
    { kind: 'global', settings: global },
    ...all('domain', domains),
    ...[...groups, ...bindings].flatMap((holder): readonly EveryScope[] => [
      { kind: 'binding', settings: holder.settings },
      ...all('binding-domain', holder.domains),
      ...all('host', holder.hosts),
    ]),
    ...all('host', hosts),
    ...listeners.flatMap((listener): readonly EveryScope[] => [
      { kind: 'listener', settings: listener.settings },
      ...listener.listens.map(({ settings }): EveryScope => ({ kind: 'listener', settings })),
    ]),
  ];
}
