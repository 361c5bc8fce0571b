// What holds for a domain, and where it is written: each option's value, the place that it comes from, and the
// places that say something else and do not count. Secrets are never shown.

import type { Configuration, ListenerScope, ListenScope, Setting } from './configuration.ts';
import { type At, hostScopesAt, type ScopeAt, scopesAt, scopesOfListen } from './evaluate.ts';
import { formatPlace, type Place, visible } from './fault.ts';
import type { Option } from './option.ts';
import { OPTIONS_BY_NAME } from './options.ts';
import type { Value } from './syntax.ts';

export interface TracedSetting {
  /** As it is written; "(hidden)" for secrets. */
  readonly text: string;
  /** For programs: a number or truth value where it means one, else as it is written. */
  readonly plain: Plain;
  readonly place: Place;
  /** "Domain gmail.com in Binding a". */
  readonly scope: string;
}

export type Plain = null | string | number | boolean | readonly string[];

export interface TracedOption {
  readonly option: Option<unknown>;
  /** Undefined: the default holds. */
  readonly setting: TracedSetting | undefined;
  /** Those that would hold without it, the next one first. */
  readonly overridden: readonly TracedSetting[];
}

export interface TraceAt extends At {
  /** A mail host: what Host stanzas say of it, apart from its domains. */
  readonly host?: string;
  /** One address of a listener. */
  readonly listen?: { readonly listener: ListenerScope; readonly listen: ListenScope };
}

/** Every option that can be set there, in the order of the table; `names` in any letter case choose some. */
export function traceOptions(
  configuration: Configuration,
  at: TraceAt,
  names?: readonly string[],
): readonly TracedOption[] {
  const scopes = scopesFor(configuration, at);
  const asked = names?.map((name) => name.toLowerCase());
  return [...OPTIONS_BY_NAME]
    .filter(([name, option]) => (asked === undefined ? fits(option, at) : asked.includes(name)))
    .map(([, option]) => {
      const [setting, ...overridden] = scopes.flatMap(({ settings, told }) => {
        const found = settings.get(option.name);
        return found === undefined ? [] : [traced(found, told)];
      });
      return { option, setting, overridden };
    });
}

/** `Routes = ( "xfer://a" )`, tab, `x.conf:3 (Domain a.test)`, and a line for each that does not count. */
export function formatTraced({ option, setting, overridden }: TracedOption): readonly string[] {
  const { name } = option;
  const first =
    setting === undefined
      ? `${name} = ${defaultText(option)}\tdefault`
      : `${name} = ${setting.text}\t${whereOf(setting)}`;
  return [first, ...overridden.map((other) => `  not ${other.text}\t${whereOf(other)}`)].map(visible);
}

/** The default as it could be written, or in words. */
export function defaultText(option: Option<unknown>): string {
  const value = option.default;
  if (option.defaultText !== undefined) return `(${option.defaultText})`;
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return '(none)';
  return typeof value === 'string' ? `"${value}"` : String(value);
}

/** Likewise for programs; null where there is none. */
export function plainDefault(option: Option<unknown>): Plain {
  const value = option.default;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(String);
  return null;
}

function plainOf(option: Option<unknown>, written: Value): Plain {
  const reading = option.type.read(written);
  const value = reading.ok ? reading.value : undefined;
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (written.kind === 'list') return written.items.map(({ text }) => text);
  return Array.isArray(value) ? [written.text] : written.text;
}

function scopesFor(configuration: Configuration, at: TraceAt): readonly ScopeAt[] {
  if (at.listen !== undefined) return scopesOfListen(configuration, at.listen.listener, at.listen.listen);
  if (at.host !== undefined) {
    const { host, binding } = at;
    return hostScopesAt(configuration, { host, ...(binding !== undefined && { binding }) });
  }
  return scopesAt(configuration, at);
}

function fits(option: Option<unknown>, at: TraceAt): boolean {
  const { scopes } = option;
  if (at.listen !== undefined) return scopes.includes('listener');
  if (at.host !== undefined) return scopes.includes('host');
  if (scopes.includes('global') || (at.domain !== undefined && scopes.includes('domain'))) return true;
  return at.binding !== undefined && scopes.includes('binding');
}

function traced({ option, value, place }: Setting, scope: string): TracedSetting {
  if (option.secret) return { text: '(hidden)', plain: '(hidden)', place, scope };
  const text =
    value.kind === 'scalar'
      ? written(value.text)
      : `( ${value.items.map((item) => written(item.text)).join(' ')} )`;
  return { text, plain: plainOf(option, value), place, scope };
}

function written(text: string): string {
  return /^\d+$/.test(text) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

function whereOf({ place, scope }: TracedSetting): string {
  return `${formatPlace(place)} (${scope})`;
}
