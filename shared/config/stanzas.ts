// The stanzas of the language, and what may stand in which: other stanzas, and options by their scopes.

import type { ListenerKind } from './configuration.ts';
import type { Option, Scope } from './option.ts';

export const LISTENER_KINDS: readonly ListenerKind[] = ['ESMTP_Listener', 'LMTP_Listener', 'HTTP_Listener'];

const STANZA_KINDS = [
  'Domain',
  'Binding',
  'Binding_Group',
  'Host',
  'Scriptlet',
  'Script',
  'ESMTP_Listener',
  'LMTP_Listener',
  'HTTP_Listener',
  'Listen',
] as const;
export type StanzaKind = (typeof STANZA_KINDS)[number];

/** A place that statements stand in. */
export interface Where {
  /** "in a Domain stanza". */
  readonly told: string;
  /** The options that it takes; undefined: none. */
  readonly scope: Scope | undefined;
  readonly stanzas: readonly StanzaKind[];
}

const HOLDERS = {
  Domain: { told: 'in a Domain stanza', scope: 'domain', stanzas: [] },
  Binding: { told: 'in a Binding stanza', scope: 'binding', stanzas: ['Domain', 'Host'] },
  Binding_Group: {
    told: 'in a Binding_Group stanza',
    scope: 'binding',
    stanzas: ['Binding', 'Domain', 'Host'],
  },
  Host: { told: 'in a Host stanza', scope: 'host', stanzas: [] },
  Scriptlet: { told: 'in a Scriptlet stanza', scope: undefined, stanzas: ['Script'] },
  Script: { told: 'in a Script stanza', scope: 'script', stanzas: [] },
  ESMTP_Listener: { told: 'in an ESMTP_Listener', scope: 'listener', stanzas: ['Listen'] },
  LMTP_Listener: { told: 'in an LMTP_Listener', scope: 'listener', stanzas: ['Listen'] },
  HTTP_Listener: { told: 'in an HTTP_Listener', scope: 'listener', stanzas: ['Listen'] },
  Listen: { told: 'in a Listen stanza', scope: 'listener', stanzas: [] },
} as const satisfies Record<StanzaKind, Where>;

export const TOP: Where = {
  told: 'at the top of a file',
  scope: 'global',
  stanzas: ['Domain', 'Binding', 'Binding_Group', 'Host', 'Scriptlet', ...LISTENER_KINDS],
};

export function within(kind: StanzaKind): Where {
  return HOLDERS[kind];
}

/** In any letter case. */
export function stanzaKind(keyword: string): StanzaKind | undefined {
  return STANZA_KINDS.find((kind) => kind.toLowerCase() === keyword.toLowerCase());
}

export function knownStanzas(): readonly string[] {
  return STANZA_KINDS;
}

/** "at the top of a file, in a Domain": where a stanza of this kind belongs. */
export function placesOfStanza(kind: StanzaKind): string {
  const holders = [TOP, ...Object.values<Where>(HOLDERS)].filter(({ stanzas }) => stanzas.includes(kind));
  return [...new Set(holders.map(({ told, scope }) => (scope === 'listener' ? 'in a listener' : told)))].join(
    ', ',
  );
}

const SCOPE_TOLD: Record<Scope, string> = {
  global: 'at the top of a file',
  domain: 'in a Domain',
  binding: 'in a Binding',
  host: 'in a Host',
  listener: 'in a listener',
  script: 'in a Script',
};

/** Likewise of an option. */
export function placesOfOption(option: Option<unknown>): string {
  return option.scopes.map((scope) => SCOPE_TOLD[scope]).join(', ');
}
