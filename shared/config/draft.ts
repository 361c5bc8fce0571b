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
  const before = scopes.find((scope) => scope.name === named.name);
  if (before !== undefined) return before;
  const { name, pattern } = named;
  const scope = { name, settings: new Map(), ...(pattern !== undefined && { pattern }) };
  scopes.push(scope);
  return scope;
}

export function openGroup(groups: DraftGroup[], name: string): DraftGroup {
  const before = groups.find((group) => group.name === name);
  if (before !== undefined) return before;
  const group = { name, settings: new Map(), domains: [], hosts: [] };
  groups.push(group);
  return group;
}

export function openBinding(bindings: DraftBinding[], name: string, opened: Place): DraftBinding {
  const before = bindings.find((binding) => binding.name === name);
  if (before !== undefined) return before;
  const binding = { name, opened, group: undefined, settings: new Map(), domains: [], hosts: [] };
  bindings.push(binding);
  return binding;
}
