// What a row of the option table says. Names are Momentum's where Momentum has the option; `deviation` says where we
// differ on purpose, and why. The page docs/configuration.md is made from these rows.

import type { ValueType } from './value-types.ts';

/**
 * Where an assignment may stand: at the top of a file, in a Domain, in a Binding or Binding_Group, in a Host, in a
 * listener or a Listen within one, in a Script. A Domain within a Binding takes what a Domain takes.
 */
export type Scope = 'global' | 'domain' | 'binding' | 'host' | 'listener' | 'script';

/** The sidecar sends, the stack receives. */
export type Side = 'sending' | 'receiving';

export interface Option<T> {
  readonly name: string;
  readonly type: ValueType<T>;
  readonly unit?: 'seconds' | 'milliseconds' | 'connections' | 'messages' | 'recipients' | 'bytes';
  /** What holds when nothing is written; undefined where there is nothing to assume. */
  readonly default: T;
  /** In words, where `default` does not tell: "the host name". */
  readonly defaultText?: string;
  readonly scopes: readonly Scope[];
  readonly side: Side | 'both';
  /** Of a delivery option: it counts on the sending side as well, for listeners with Attempt_First. */
  readonly attempt?: true;
  /** What it does, in a sentence or two. */
  readonly meaning: string;
  /** The default there, as Momentum's reference has it; undefined when the option is ours alone. */
  readonly momentum?: string;
  /** Where we differ from Momentum, and why. */
  readonly deviation?: string;
  /** Why it is read and then has no effect, on either side or on one; undefined when it has its effect. */
  readonly withoutEffect?: string | { readonly [On in Side]?: string };
  /** The value is never shown. */
  readonly secret?: true;
  /** The value is the path of a file, which a relative path seeks beside the file that names it. */
  readonly file?: 'certificates' | 'key' | 'rules' | 'users';
}

export function option<T>(row: Option<T>): Option<T> {
  return row;
}

/** What mail of a domain, over a binding, is subject to. */
export const DELIVERY_SCOPES: readonly Scope[] = ['global', 'domain', 'binding'];
export const DOMAIN_SCOPES: readonly Scope[] = ['global', 'domain'];
