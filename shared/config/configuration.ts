// A configuration as it was read: checked, and asked for values by `evaluate`. It holds written values with their
// places; types come from the option table.

import type { Place } from './fault.ts';
import type { ListenAddress } from './listen.ts';
import type { Option } from './options.ts';
import type { Value } from './syntax.ts';

export interface Setting {
  readonly option: Option<unknown>;
  readonly value: Value;
  /** Of the option's name. */
  readonly place: Place;
}

/** By the option's name, as the table spells it. */
export type Settings = ReadonlyMap<string, Setting>;

/** A Domain or a Host. */
export interface NamedScope {
  /** A name in lower case and A-labels, or the text of a regular expression between slashes. */
  readonly name: string;
  readonly pattern?: RegExp;
  readonly settings: Settings;
}

export type DomainScope = NamedScope;
export type HostScope = NamedScope;

export interface BindingGroupScope {
  readonly name: string;
  readonly settings: Settings;
  readonly domains: readonly DomainScope[];
  readonly hosts: readonly HostScope[];
}

export interface BindingScope extends BindingGroupScope {
  /** The name of the Binding_Group that it stands in. */
  readonly group?: string;
}

export type ListenerKind = 'ESMTP_Listener' | 'LMTP_Listener' | 'HTTP_Listener';

export interface ListenScope {
  readonly listen: ListenAddress;
  readonly place: Place;
  readonly settings: Settings;
}

export interface ListenerScope {
  readonly kind: ListenerKind;
  readonly place: Place;
  readonly settings: Settings;
  readonly listens: readonly ListenScope[];
}

export interface Script {
  readonly name: string;
  /** The module that it loads, as `msys.xfer.server`. */
  readonly source: string | undefined;
}

export interface Configuration {
  readonly global: Settings;
  /** In the order of the files. */
  readonly domains: readonly DomainScope[];
  readonly bindings: readonly BindingScope[];
  readonly groups: readonly BindingGroupScope[];
  /** Limits of single mail hosts: a chain of their own, beside those of domains and bindings. */
  readonly hosts: readonly HostScope[];
  readonly listeners: readonly ListenerScope[];
  readonly scripts: readonly Script[];
}

export const EMPTY_CONFIGURATION: Configuration = {
  global: new Map(),
  domains: [],
  bindings: [],
  groups: [],
  hosts: [],
  listeners: [],
  scripts: [],
};
