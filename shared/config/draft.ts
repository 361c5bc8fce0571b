// A configuration that is being read: stanzas may be opened again, also in another file, and what stands in them
// then joins what stood there before.

import type {
  BindingGroupScope,
  BindingScope,
  Configuration,
  ListenerScope,
  NamedScope,
  Script,
  Setting,
} from './configuration.ts';
import type { Place } from './fault.ts';

export type DraftSettings = Map<string, Setting>;

export interface DraftNamed extends NamedScope {
  readonly settings: DraftSettings;
}

/** What holds Domains and Hosts: the top, a Binding, a Binding_Group. */
export interface DraftHolder {
  readonly domains: DraftNamed[];
  readonly hosts: DraftNamed[];
}

export interface DraftGroup extends BindingGroupScope, DraftHolder {
  readonly settings: DraftSettings;
  readonly domains: DraftNamed[];
  readonly hosts: DraftNamed[];
}

export interface DraftBinding extends DraftGroup {
  /** Where it was opened, and in which group. */
  readonly opened: Place;
  group: string | undefined;
}

export interface Draft extends DraftHolder {
  readonly global: DraftSettings;
  readonly bindings: DraftBinding[];
  readonly groups: DraftGroup[];
  readonly listeners: ListenerScope[];
  readonly scripts: Script[];
}

export function emptyDraft(): Draft {
  return {
    global: new Map(),
    domains: [],
    hosts: [],
    bindings: [],
    groups: [],
    listeners: [],
    scripts: [],
  };
}

export function finished({ bindings, ...draft }: Draft): Configuration {
  return {
    ...draft,
    bindings: bindings.map(({ opened: _, group, ...binding }): BindingScope => {
      return group === undefined ? binding : { ...binding, group };
    }),
  };
}

export function openNamed(
  scopes: DraftNamed[],
  named: { readonly name: string; readonly pattern?: RegExp },
): DraftNamed {
  const { name, pattern } = named;
  return opened(scopes, name, () => ({
    name,
    settings: new Map(),
    ...(pattern !== undefined && { pattern }),
  }));
}

export function openGroup(groups: DraftGroup[], name: string): DraftGroup {
  return opened(groups, name, () => ({ name, settings: new Map(), domains: [], hosts: [] }));
}

export function openBinding(bindings: DraftBinding[], name: string, place: Place): DraftBinding {
  return opened(bindings, name, () => ({
    name,
    opened: place,
    group: undefined,
    settings: new Map(),
    domains: [],
    hosts: [],
  }));
}

/** Where each name stands in a list of stanzas: lists are long, and each stanza looks for an earlier one. */
const INDEXES = new WeakMap<readonly unknown[], Map<string, number>>();

/** The one of that name, or a new one. */
function opened<S extends { readonly name: string }>(scopes: S[], name: string, make: () => S): S {
  const index = INDEXES.get(scopes) ?? new Map<string, number>();
  INDEXES.set(scopes, index);
  const before = scopes[index.get(name) ?? -1];
  if (before !== undefined) return before;
  const scope = make();
  index.set(name, scopes.push(scope) - 1);
  return scope;
}
