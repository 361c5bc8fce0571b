// What a row of the option table says. Names are Momentum's where Momentum has the option; `momentum` says what it
// means there, `deviation` where we differ on purpose.

import type { ValueType } from './value-types.ts';

/** Where an assignment may stand. `listener` is a listener's stanza or a Listen stanza within one. */
export type Scope = 'global' | 'domain' | 'binding' | 'binding-domain' | 'listener' | 'scriptlet' | 'script';

export interface Option<T> {
  readonly name: string;
  readonly type: ValueType<T>;
  readonly unit?: 'seconds' | 'milliseconds' | 'connections' | 'messages' | 'bytes';
  /** What holds when nothing is written; undefined where there is nothing to assume. */
  readonly default: T;
  readonly scopes: readonly Scope[];
  readonly side: 'sending' | 'receiving' | 'both';
  /** What it means there, with Momentum's default; undefined when the option is ours alone. */
  readonly momentum?: string;
  /** Where we differ. */
  readonly deviation?: string;
  /** Why it is read and then has no effect; undefined when it has its effect. */
  readonly withoutEffect?: string;
  /** The value is never shown. */
  readonly secret?: true;
  /** The value is the path of a file, which a relative path seeks beside the file that names it. */
  readonly file?: 'certificates' | 'key' | 'rules' | 'users';
}

export function option<T>(row: Option<T>): Option<T> {
  return row;
}

export const DELIVERY_SCOPES: readonly Scope[] = ['global', 'domain', 'binding', 'binding-domain'];
export const DOMAIN_SCOPES: readonly Scope[] = ['global', 'domain'];
