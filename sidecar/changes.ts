// What a reload changes, in words for the log: options by their stanza, addresses, and files whose content differs.
// Values of secrets are not shown.

import type { Configuration, NamedScope, Setting, Settings } from '../shared/config/configuration.ts';
import { formatListen } from '../shared/config/listen.ts';
import type { Value } from '../shared/config/syntax.ts';
import type { Plan } from './generation.ts';
import { describePlace, type Place, placeName } from './places.ts';

/** One text for each; none when nothing that is written differs. */
export function changesBetween(before: Plan, after: Plan): readonly string[] {
  return [
    ...changedSettings(before.configuration, after.configuration),
    ...changedPlaces(before.places, after.places),
    ...changedFiles(before.places, after.places),
  ];
}

function changedSettings(before: Configuration, after: Configuration): readonly string[] {
  const [old, fresh] = [scopesOf(before), scopesOf(after)];
  const stanzas = new Set([...old.keys(), ...fresh.keys()]);
  return [...stanzas].flatMap((stanza) => {
    const [was, is] = [old.get(stanza), fresh.get(stanza)];
    const names = new Set([...(was?.keys() ?? []), ...(is?.keys() ?? [])]);
    return [...names].flatMap((name) => {
      const text = changed(was?.get(name), is?.get(name));
      return text === undefined ? [] : [stanza === '' ? text : `${stanza}: ${text}`];
    });
  });
}

// The order of stanzas matters only among regular expressions, and a new order is not told.
function scopesOf(configuration: Configuration): ReadonlyMap<string, Settings> {
  const { global, domains, hosts, groups, bindings, listeners } = configuration;
  const scopes = new Map<string, Settings>([['', global]]);
  const addNamed = (kind: string, named: readonly NamedScope[], within = ''): void => {
    for (const { name, settings } of named) scopes.set(`${within}${kind} ${name}`, settings);
  };
  addNamed('Domain', domains);
  addNamed('Host', hosts);
  const holders = [
    ...groups.map((scope) => ({ stanza: `Binding_Group ${scope.name}`, scope })),
    ...bindings.map((scope) => ({ stanza: `Binding ${scope.name}`, scope })),
  ];
  for (const { stanza, scope } of holders) {
    scopes.set(stanza, scope.settings);
    addNamed('Domain', scope.domains, `${stanza}, `);
    addNamed('Host', scope.hosts, `${stanza}, `);
  }
  for (const listener of listeners) {
    const addresses = listener.listens.map(({ listen }) => formatListen(listen));
    scopes.set(`${listener.kind} ${addresses.join(' ')}`, listener.settings);
    for (const { listen, settings } of listener.listens) {
      scopes.set(`${listener.kind}, Listen ${formatListen(listen)}`, settings);
    }
  }
  return scopes;
}

function changed(was: Setting | undefined, is: Setting | undefined): string | undefined {
  const [old, fresh] = [was && textOf(was.value), is && textOf(is.value)];
  const option = is?.option ?? was?.option;
  if (option === undefined || old === fresh) return undefined;
  if (option.secret) return `${option.name} changed`;
  if (fresh === undefined) return `${option.name} is no longer set (was ${old})`;
  return old === undefined ? `${option.name} = ${fresh}` : `${option.name} = ${fresh} (was ${old})`;
}

function textOf(value: Value): string {
  switch (value.kind) {
    case 'scalar':
      return value.text;
    case 'list':
      return `( ${value.items.map(({ text }) => text).join(', ')} )`;
  }
}

function changedPlaces(before: readonly Place[], after: readonly Place[]): readonly string[] {
  const [old, fresh] = [before.map(placeName), after.map(placeName)];
  return [
    ...after
      .filter((place) => !old.includes(placeName(place)))
      .map((place) => `opened ${describePlace(place)}`),
    ...before
      .filter((place) => !fresh.includes(placeName(place)))
      .map((place) => `closed ${describePlace(place)}`),
  ];
}

function changedFiles(before: readonly Place[], after: readonly Place[]): readonly string[] {
  const old = new Map(before.flatMap(({ files }) => [...files.digests]));
  const fresh = new Map(after.flatMap(({ files }) => [...files.digests]));
  return [...fresh]
    .filter(([path, digest]) => old.has(path) && old.get(path) !== digest)
    .map(([path]) => `${path} has other content`);
}
