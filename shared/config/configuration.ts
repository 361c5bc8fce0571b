// A configuration as it was read: checked, and asked for values by `evaluate`. It holds written values with their
// places; types come from the option table.

import type { Place } from './fault.ts';
import type { ListenAddress } from './listen.ts';
import type { Option } from './options.ts';
import type { Value } from './syntax.ts';

export interface Setting {
  readonly option: Option<unknown>;
  readonly value: Value;
  readonly place: Place;
}

/** By the option's name, as the table spells it. */
export type Settings = ReadonlyMap<string, Setting>;

export interface DomainScope {
  /** A domain in lower case and A-labels, or the text of a regular expression between slashes. */
  readonly name: string;
  readonly pattern?: RegExp;
  readonly settings: Settings;
}

export interface BindingScope {
  readonly name: string;
  readonly settings: Settings;
  readonly domains: readonly DomainScope[];
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
  readonly listeners: readonly ListenerScope[];
  readonly scripts: readonly Script[];
}

export const EMPTY_CONFIGURATION: Configuration = {
  global: new Map(),
  domains: [],
  bindings: [],
  listeners: [],
  scripts: [],
};
