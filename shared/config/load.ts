// Reads configuration files into a `Configuration`, or into the list of all their faults. Later files and later
// statements win; a stanza may be opened again, also in another file. `include "file"` is resolved by the reader
// that the caller passes in. Warnings name what is accepted and has no effect.

import type {
  BindingScope,
  Configuration,
  DomainScope,
  ListenerKind,
  ListenerScope,
  ListenScope,
  Script,
  Setting,
} from './configuration.ts';
import { comparableDomain } from './evaluate.ts';
import type { Fault, Place } from './fault.ts';
import type { SourceFile } from './lexer.ts';
import { parseListen } from './listen.ts';
import { nearestName } from './nearest.ts';
import { OPTIONS, OPTIONS_BY_NAME, type Option, type Scope } from './options.ts';
import { type Assignment, type Entry, parseSyntax, type Stanza, type Value } from './syntax.ts';
import type { Reading } from './value-types.ts';

/** The file that an `include` names, as seen from the file that includes it; undefined when it cannot be read. */
export type IncludeReader = (path: string, includedFrom: string) => SourceFile | undefined;

export type LoadResult =
  | { readonly ok: true; readonly configuration: Configuration; readonly warnings: readonly Fault[] }
  | { readonly ok: false; readonly faults: readonly Fault[] };

export function loadConfiguration(files: readonly SourceFile[], readInclude?: IncludeReader): LoadResult {
  const reader = new Reader(readInclude);
  for (const file of files) reader.readFile(file);
  if (reader.faults.length > 0) return { ok: false, faults: reader.faults };
  return { ok: true, configuration: reader.configuration, warnings: reader.warnings };
}

const MAX_INCLUDE_DEPTH = 16;

const LISTENERS: readonly ListenerKind[] = ['ESMTP_Listener', 'LMTP_Listener', 'HTTP_Listener'];
const TOP_STANZAS = ['Domain', 'Binding', 'Host', 'Scriptlet', ...LISTENERS] as const;
const KNOWN_STANZAS = [...TOP_STANZAS, 'Listen', 'Script'] as const;
type StanzaKind = (typeof KNOWN_STANZAS)[number];

/** The scripts of the XFER pages; what they load is part of the product here. */
const KNOWN_SOURCES = ['msys.xfer.server', 'msys.xfer.client'];

type Place_ = Scope | 'binding-domain' | 'scriptlet';

interface Domains {
  readonly scope: Place_;
  readonly domains: DraftDomain[];
}
interface DraftDomain extends DomainScope {
  readonly settings: Map<string, Setting>;
}
interface DraftBinding extends BindingScope, Domains {
  readonly settings: Map<string, Setting>;
  readonly domains: DraftDomain[];
}

/** Collects one configuration; lives as long as the reading of its files. */
class Reader {
  readonly faults: Fault[] = [];
  readonly warnings: Fault[] = [];
  readonly #readInclude: IncludeReader | undefined;
  readonly #including: string[] = [];
  readonly #global = new Map<string, Setting>();
  readonly #domains: DraftDomain[] = [];
  readonly #bindings: DraftBinding[] = [];
  readonly #listeners: ListenerScope[] = [];
  readonly #scripts: Script[] = [];

  constructor(readInclude: IncludeReader | undefined) {
    this.#readInclude = readInclude;
  }

  get configuration(): Configuration {
    return {
      global: this.#global,
      domains: this.#domains,
      bindings: this.#bindings,
      listeners: this.#listeners,
      scripts: this.#scripts,
    };
  }

  readFile(file: SourceFile): void {
    this.#walk(this.#parse(file), 'global', this.#global, 'the top of a file', (stanza, kind) =>
      this.#topStanza(stanza, kind),
    );
    this.#including.pop();
  }

  #parse(file: SourceFile): readonly Entry[] {
    this.#including.push(file.path);
    const { entries, faults } = parseSyntax(file);
    this.faults.push(...faults);
    return entries;
  }

  // Assignments go into `settings`; `onStanza` takes the stanzas that may stand here and answers false for others.
  #walk(
    entries: readonly Entry[],
    scope: Place_,
    settings: Map<string, Setting>,
    where: string,
    onStanza: (stanza: Stanza, kind: StanzaKind) => boolean,
  ): void {
    for (const entry of entries) {
      switch (entry.kind) {
        case 'assignment':
          this.#assign(entry, scope, settings, where);
          break;
        case 'stanza': {
          const kind = KNOWN_STANZAS.find((known) => known.toLowerCase() === entry.keyword.toLowerCase());
          if (kind === undefined) this.#unknown(entry.place, 'stanza', entry.keyword, KNOWN_STANZAS);
          else if (!onStanza(entry, kind)) this.#fault(entry.place, `${kind} cannot stand in ${where}`);
          break;
        }
        case 'include':
          this.#walk(this.#include(entry.path.text, entry.path.place), scope, settings, where, onStanza);
          this.#including.pop();
          break;
      }
    }
  }

  #include(path: string, place: Place): readonly Entry[] {
    const file = this.#readInclude?.(path, place.file);
    if (file === undefined) {
      this.#fault(place, `the included file "${path}" cannot be read`);
    } else if (this.#including.includes(file.path)) {
      this.#fault(place, `"${path}" includes itself`);
    } else if (this.#including.length >= MAX_INCLUDE_DEPTH) {
      this.#fault(place, `files include each other more than ${MAX_INCLUDE_DEPTH} deep`);
    } else {
      return this.#parse(file);
    }
    this.#including.push(path);
    return [];
  }

  #topStanza(stanza: Stanza, kind: StanzaKind): boolean {
    switch (kind) {
      case 'Domain':
        this.#domain(stanza, { scope: 'domain', domains: this.#domains });
        return true;
      case 'Binding':
        this.#binding(stanza);
        return true;
      case 'Scriptlet':
        this.#scriptlet(stanza);
        return true;
      case 'Host':
        this.#warn(
          stanza.place,
          'Host stanzas have no effect yet; a limit at the top of a file holds for every host',
        );
        return true;
      case 'ESMTP_Listener':
      case 'LMTP_Listener':
      case 'HTTP_Listener':
        this.#listener(stanza, kind);
        return true;
      case 'Listen':
      case 'Script':
        return false;
    }
  }

  #domain(stanza: Stanza, into: Domains): void {
    const named = this.#domainName(stanza);
    if (named === undefined) return;
    let domain = into.domains.find((scope) => scope.name === named.name);
    if (domain === undefined) {
      domain = { ...named, settings: new Map() };
      into.domains.push(domain);
    }
    this.#walk(stanza.entries, into.scope, domain.settings, 'a Domain stanza', () => false);
  }

  #domainName(stanza: Stanza): { readonly name: string; readonly pattern?: RegExp } | undefined {
    const name = this.#nameOf(stanza, 'Domain example.com { … }');
    if (name === undefined) return undefined;
    if (!name.startsWith('/')) return { name: comparableDomain(name) };
    try {
      if (name.length < 3 || !name.endsWith('/')) throw new Error('it ends with a slash');
      return { name, pattern: new RegExp(name.slice(1, -1), 'i') };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#fault(stanza.name?.place ?? stanza.place, `"${name}" is no regular expression: ${reason}`);
      return undefined;
    }
  }

  #binding(stanza: Stanza): void {
    const name = this.#nameOf(stanza, 'Binding a { … }');
    if (name === undefined) return;
    let binding = this.#bindings.find((scope) => scope.name === name);
    if (binding === undefined) {
      binding = { name, settings: new Map(), domains: [], scope: 'binding-domain' };
      this.#bindings.push(binding);
    }
    const found = binding;
    this.#walk(stanza.entries, 'binding', found.settings, 'a Binding stanza', (inner, kind) => {
      if (kind === 'Domain') this.#domain(inner, found);
      return kind === 'Domain';
    });
  }

  #listener(stanza: Stanza, kind: ListenerKind): void {
    const settings = new Map<string, Setting>();
    const listens: ListenScope[] = [];
    this.#walk(stanza.entries, 'listener', settings, `an ${kind}`, (inner, innerKind) => {
      if (innerKind !== 'Listen') return false;
      const name = this.#nameOf(inner, 'Listen ":8080" {}');
      if (name === undefined) return true;
      const listen = parseListen(name);
      const place = inner.name?.place ?? inner.place;
      if (listen === undefined) {
        this.#fault(
          place,
          `"${name}" is no address and port`,
          'write ":8080", "127.0.0.1:2525" or "[::1]:2525"',
        );
        return true;
      }
      const listenSettings = new Map<string, Setting>();
      this.#walk(inner.entries, 'listener', listenSettings, 'a Listen stanza', () => false);
      listens.push({ listen, place, settings: listenSettings });
      return true;
    });
    if (listens.length === 0)
      this.#fault(stanza.place, `this ${kind} listens nowhere`, 'add Listen ":8080" {}');
    this.#listeners.push({ kind, place: stanza.place, settings, listens });
  }

  #scriptlet(stanza: Stanza): void {
    this.#walk(stanza.entries, 'scriptlet', new Map(), 'a Scriptlet stanza', (inner, kind) => {
      if (kind !== 'Script') return false;
      const name = this.#nameOf(inner, 'script name { source = "…" }');
      if (name === undefined) return true;
      const settings = new Map<string, Setting>();
      this.#walk(inner.entries, 'script', settings, 'a Script stanza', () => false);
      const value = settings.get(OPTIONS.source.name)?.value;
      const source = value?.kind === 'scalar' ? value.text : undefined;
      if (source === undefined || !KNOWN_SOURCES.includes(source)) {
        this.#warn(
          inner.place,
          `the script "${name}" has no effect; known sources are ${KNOWN_SOURCES.join(', ')}`,
        );
      }
      this.#scripts.push({ name, source });
      return true;
    });
  }

  #assign(assignment: Assignment, scope: Place_, settings: Map<string, Setting>, where: string): void {
    const option = OPTIONS_BY_NAME.get(assignment.name.toLowerCase());
    if (option === undefined) {
      const names = [...OPTIONS_BY_NAME.values()].map((row) => row.name);
      this.#unknown(assignment.place, 'option', assignment.name, names);
      return;
    }
    if (!allows(option, scope)) {
      this.#fault(
        assignment.place,
        `${option.name} cannot stand in ${where}`,
        `it belongs in: ${option.scopes.join(', ')}`,
      );
      return;
    }
    const reading = option.type.read(assignment.value);
    if (!reading.ok) {
      if (option.secret) this.#fault(withoutValue(assignment), `${option.name} takes ${option.type.takes}`);
      else this.#fault(reading.culprit.place, describeWrongValue(option, reading), reading.mend);
      return;
    }
    if (typeof option.withoutEffect === 'string') {
      this.#warn(assignment.place, `${option.name} has no effect: ${option.withoutEffect}`);
    }
    const earlier = settings.get(option.name);
    if (earlier !== undefined && textOf(earlier.value) !== textOf(assignment.value)) {
      const before = `${earlier.place.file}:${earlier.place.line}`;
      this.#warn(assignment.place, `${option.name} was set to another value at ${before}; this one counts`);
    }
    settings.set(option.name, { option, value: assignment.value, place: assignment.place });
  }

  #nameOf(stanza: Stanza, example: string): string | undefined {
    if (stanza.name !== undefined && stanza.name.text !== '') return stanza.name.text;
    this.#fault(stanza.place, `${stanza.keyword} needs a name`, `write ${example}`);
    return undefined;
  }

  #unknown(place: Place, what: string, name: string, known: readonly string[]): void {
    const nearest = nearestName(name, known);
    this.#fault(
      place,
      `unknown ${what} "${name}"`,
      nearest === undefined ? undefined : `did you mean ${nearest}?`,
    );
  }

  #fault(place: Place, message: string, mend?: string): void {
    this.faults.push({ place, message, ...(mend === undefined ? {} : { mend }) });
  }

  #warn(place: Place, message: string): void {
    this.warnings.push({ place, message });
  }
}

function allows(option: Option<unknown>, scope: Place_): boolean {
  if (scope !== 'binding-domain') return scope !== 'scriptlet' && option.scopes.includes(scope);
  return option.scopes.includes('domain') && option.scopes.includes('binding');
}

function describeWrongValue(
  option: Option<unknown>,
  { reason, culprit }: Reading<unknown> & { ok: false },
): string {
  if (reason !== undefined) return `${option.name}: ${reason}`;
  const unit = option.unit === undefined ? '' : ` (${option.unit})`;
  const written = culprit.kind === 'list' ? 'a list' : `"${culprit.text}"`;
  return `${option.name} takes ${option.type.takes}, not ${written}${unit}`;
}

// Faults reach terminals and logs, where a password does not belong.
function withoutValue({ place, name }: Assignment): Place {
  return { ...place, column: 1, lengthChars: name.length, excerpt: `${name} = …` };
}

function textOf(value: Value): string {
  return value.kind === 'scalar' ? value.text : value.items.map((item) => item.text).join(' ');
}
