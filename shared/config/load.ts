// Reads configuration files into a `Configuration`, or into the list of all their faults. Later files and later
// statements win; a stanza may be opened again, also in another file. What an `include` names is read by the reader
// that the caller passes in. Warnings name what is accepted and has no effect.

import { changeOf, readAssignment, unknown } from './assignment.ts';
import type { Configuration, ListenerKind, ListenScope } from './configuration.ts';
import {
  type Draft,
  type DraftBinding,
  type DraftGroup,
  type DraftHolder,
  type DraftNamed,
  type DraftSettings,
  emptyDraft,
  finished,
  openBinding,
  openGroup,
  openNamed,
} from './draft.ts';
import { type Fault, formatPlace, MAX_FAULTS_KEPT, type Place, shown } from './fault.ts';
import { createIncludes, type IncludeReader, type Includes } from './include.ts';
import type { SourceFile } from './lexer.ts';
import { parseListen } from './listen.ts';
import { IGNORED_STANZA_NAMES, isIgnoredStanza } from './momentum-names.ts';
import { nearestName } from './nearest.ts';
import { OPTIONS, OPTIONS_BY_NAME } from './options.ts';
import { readScopeName } from './scope-names.ts';
import {
  knownStanzas,
  placesOfStanza,
  type StanzaKind,
  stanzaKind,
  TOP,
  type Where,
  within,
} from './stanzas.ts';
import { type Assignment, type Entry, type Include, parseSyntax, type Stanza } from './syntax.ts';

export type { IncludeReader, IncludeResult } from './include.ts';

export type LoadResult =
  | { readonly ok: true; readonly configuration: Configuration; readonly warnings: readonly Fault[] }
  /** In the order of the files, and of the lines within each. */
  | { readonly ok: false; readonly faults: readonly Fault[]; readonly rest?: Rest };

/** What could be read beside faulty assignments: enough to look for faults of other kinds. */
export interface Rest {
  readonly configuration: Configuration;
  /** The options of the assignments that could not be read, and what misspelt ones were likely meant for. */
  readonly dropped: ReadonlySet<string>;
}

/** Of one file: what has more is not meant to be a configuration. */
const MAX_FAULTS_PER_FILE = 100;

export function loadConfiguration(files: readonly SourceFile[], readInclude?: IncludeReader): LoadResult {
  const reader = new Reader(readInclude);
  for (const file of files) reader.readFile(file);
  if (reader.faults.length > 0) {
    const faults = inOrder(reader.faults, reader.paths, placeOf);
    if (reader.faults.length > reader.faultyValues) return { ok: false, faults };
    return { ok: false, faults, rest: { configuration: finished(reader.draft), dropped: reader.dropped } };
  }
  return {
    ok: true,
    configuration: finished(reader.draft),
    warnings: inOrder(reader.warnings, reader.paths, (fault) => `${placeOf(fault)}:${fault.message}`),
  };
}

/** Takes a stanza that may stand where it stands. */
type OnStanza = (stanza: Stanza, kind: StanzaKind) => void;

/** Collects one configuration; lives as long as the reading of its files. */
class Reader {
  readonly draft: Draft = emptyDraft();
  readonly faults: Fault[] = [];
  readonly warnings: Fault[] = [];
  /** How many of the faults are those of single assignments. */
  faultyValues = 0;
  readonly dropped = new Set<string>();
  /** In the order of reading. */
  readonly paths: string[] = [];
  readonly #includes: Includes;
  /** Within a stanza that stands where it may not: others in it are not followed. */
  #isAstray = false;

  constructor(readInclude: IncludeReader | undefined) {
    this.#includes = createIncludes(readInclude);
  }

  readFile(file: SourceFile): void {
    this.#read(file, undefined, TOP, this.draft.global, (stanza, kind) => this.#topStanza(stanza, kind));
  }

  #read(
    file: SourceFile,
    from: Place | undefined,
    where: Where,
    settings: DraftSettings,
    onStanza: OnStanza,
  ): void {
    this.#includes.within(file, from, () => {
      this.paths.push(file.path);
      const { entries, faults } = parseSyntax(file);
      this.#tell(faults);
      this.#walk(entries, where, settings, onStanza);
    });
  }

  #walk(entries: readonly Entry[], where: Where, settings: DraftSettings, onStanza: OnStanza): void {
    for (const entry of entries) {
      switch (entry.kind) {
        case 'assignment':
          this.#assign(entry, where, settings);
          break;
        case 'stanza':
          this.#stanza(entry, where, onStanza);
          break;
        case 'include':
          this.#include(entry, where, settings, onStanza);
          break;
      }
    }
  }

  #include({ path }: Include, where: Where, settings: DraftSettings, onStanza: OnStanza): void {
    const opened = this.#includes.open(path);
    if ('message' in opened) this.faults.push({ place: path.place, ...opened });
    else for (const file of opened) this.#read(file, path.place, where, settings, onStanza);
  }

  #stanza(stanza: Stanza, where: Where, onStanza: OnStanza): void {
    const { keyword, place } = stanza;
    const kind = stanzaKind(keyword);
    if (kind !== undefined && where.stanzas.includes(kind)) onStanza(stanza, kind);
    else if (kind !== undefined) {
      // At the left margin, among entries of another stanza: most likely that one was not closed.
      const unclosed = place.column === 1 && where !== TOP && TOP.stanzas.includes(kind);
      const mend = unclosed
        ? `is a } missing above ${formatPlace(place)}?`
        : `it belongs ${placesOfStanza(kind)}`;
      this.#fault(place, `${kind} cannot stand ${where.told}`, mend);
      // What is wrong within it is told as well.
      if (TOP.stanzas.includes(kind) && !this.#isAstray) {
        this.#isAstray = true;
        this.#topStanza(stanza, kind);
        this.#isAstray = false;
      }
    } else if (isIgnoredStanza(keyword)) this.#warn(place, `Momentum's ${keyword} has no part here`);
    else if (stanza.name !== undefined && nearestName(keyword, NAMES_OF_STANZAS) === undefined) {
      this.#warn(place, `${keyword} ${shown(stanza.name.text)} is taken for a module, and has no part here`);
    } else {
      this.faults.push(unknown(place, 'stanza', keyword, knownStanzas()));
      const meant = stanzaKind(nearestName(keyword, knownStanzas()) ?? '');
      if (meant !== undefined && where.stanzas.includes(meant)) onStanza(stanza, meant);
    }
  }

  #topStanza(stanza: Stanza, kind: StanzaKind): void {
    switch (kind) {
      case 'Domain':
      case 'Host':
        this.#named(stanza, kind, this.draft);
        break;
      case 'Binding':
        this.#binding(stanza, undefined);
        break;
      case 'Binding_Group':
        this.#group(stanza);
        break;
      case 'Scriptlet':
        this.#walk(stanza.entries, within(kind), new Map(), (inner) => this.#script(inner));
        break;
      case 'ESMTP_Listener':
      case 'LMTP_Listener':
      case 'HTTP_Listener':
        this.#listener(stanza, kind);
        break;
      case 'Listen':
      case 'Script':
        throw new Error(`${kind} does not stand at the top`);
    }
  }

  #named(stanza: Stanza, kind: 'Domain' | 'Host', into: DraftHolder): void {
    const text = this.#nameOf(stanza, `${kind} ${kind === 'Host' ? 'mx.' : ''}example.com { … }`);
    if (text === undefined) return;
    const read = readScopeName(text, kind.toLowerCase());
    let scope: DraftNamed;
    if (read.ok) scope = openNamed(kind === 'Domain' ? into.domains : into.hosts, read);
    else {
      this.#fault(stanza.name?.place ?? stanza.place, read.message, read.mend);
      scope = { name: text, settings: new Map() };
    }
    this.#walk(stanza.entries, within(kind), scope.settings, nothingStandsHere);
  }

  #group(stanza: Stanza): void {
    const name = this.#nameOf(stanza, 'Binding_Group g { … }');
    if (name === undefined) return;
    const group = openGroup(this.draft.groups, name);
    this.#walk(stanza.entries, within('Binding_Group'), group.settings, (inner, kind) => {
      if (kind === 'Binding') this.#binding(inner, group);
      else if (kind === 'Domain' || kind === 'Host') this.#named(inner, kind, group);
    });
  }

  #binding(stanza: Stanza, group: DraftGroup | undefined): void {
    const name = this.#nameOf(stanza, 'Binding a { … }');
    if (name === undefined) return;
    const binding = openBinding(this.draft.bindings, name, stanza.place);
    if (group !== undefined) this.#join(binding, group, stanza);
    this.#walk(stanza.entries, within('Binding'), binding.settings, (inner, kind) => {
      if (kind === 'Domain' || kind === 'Host') this.#named(inner, kind, binding);
    });
  }

  #join(binding: DraftBinding, group: DraftGroup, stanza: Stanza): void {
    if (binding.group !== undefined && binding.group !== group.name) {
      const message = `Binding ${shown(binding.name)} stands in Binding_Group ${shown(binding.group)} already`;
      this.#fault(stanza.place, `${message} (${formatPlace(binding.opened)})`, 'a binding has one group');
    } else binding.group = group.name;
  }

  #listener(stanza: Stanza, kind: ListenerKind): void {
    const settings: DraftSettings = new Map();
    const listens: ListenScope[] = [];
    let stanzas = 0;
    this.#walk(stanza.entries, within(kind), settings, (inner) => {
      stanzas += 1;
      const name = this.#nameOf(inner, 'Listen ":8080" {}');
      const listenSettings: DraftSettings = new Map();
      this.#walk(inner.entries, within('Listen'), listenSettings, nothingStandsHere);
      if (name === undefined) return;
      const listen = parseListen(name);
      const place = inner.name?.place ?? inner.place;
      if (listen === undefined) {
        const mend = 'write ":8080", "127.0.0.1:2525" or "[::1]:2525"';
        this.#fault(place, `${shown(name)} is no address and port`, mend);
      } else if (isEnabled(listenSettings)) listens.push({ listen, place, settings: listenSettings });
    });
    if (stanzas === 0)
      this.#fault(stanza.place, `this ${kind} listens nowhere`, `add Listen "${EXAMPLE_LISTEN[kind]}" {}`);
    if (isEnabled(settings) && listens.length > 0)
      this.draft.listeners.push({ kind, place: stanza.place, settings, listens });
  }

  #script(stanza: Stanza): void {
    const settings: DraftSettings = new Map();
    this.#walk(stanza.entries, within('Script'), settings, nothingStandsHere);
    const name = this.#nameOf(stanza, 'script name { source = "…" }');
    if (name === undefined) return;
    const value = settings.get(OPTIONS.source.name)?.value;
    const source = value?.kind === 'scalar' ? value.text : undefined;
    if (source === undefined || !KNOWN_SOURCES.includes(source)) {
      const known = KNOWN_SOURCES.join(', ');
      this.#warn(stanza.place, `the script ${shown(name)} has no effect; known sources are ${known}`);
    }
    this.draft.scripts.push({ name, source });
  }

  #assign(assignment: Assignment, where: Where, settings: DraftSettings): void {
    const reading = readAssignment(assignment, where);
    switch (reading.kind) {
      case 'faults': {
        const before = this.faults.length;
        this.#tell(reading.faults);
        this.faultyValues += this.faults.length - before;
        const known = [...OPTIONS_BY_NAME.values()].map((option) => option.name);
        const meant = nearestName(assignment.name, known);
        this.dropped.add(meant ?? assignment.name);
        return;
      }
      case 'ignored':
        this.#warn(assignment.place, reading.warning);
        return;
      case 'setting': {
        const { setting, warning } = reading;
        if (warning !== undefined) this.#warn(assignment.place, warning);
        const change = changeOf(settings.get(setting.option.name), setting);
        if (change !== undefined) this.#warn(assignment.place, change);
        settings.set(setting.option.name, setting);
      }
    }
  }

  #nameOf(stanza: Stanza, example: string): string | undefined {
    if (stanza.name !== undefined && stanza.name.text !== '') return stanza.name.text;
    this.#fault(stanza.name?.place ?? stanza.place, `${stanza.keyword} needs a name`, `write ${example}`);
    return undefined;
  }

  // Not spread: there may be more of them than a call has arguments.
  #tell(faults: readonly Fault[]): void {
    for (const fault of faults.slice(0, MAX_FAULTS_KEPT)) this.faults.push(fault);
  }

  #fault(place: Place, message: string, mend?: string): void {
    this.faults.push({ place, message, ...(mend === undefined ? {} : { mend }) });
  }

  #warn(place: Place, message: string): void {
    this.warnings.push({ place, message });
  }
}

const NAMES_OF_STANZAS = [...knownStanzas(), ...IGNORED_STANZA_NAMES];

/** As the page on the sidecar has them. */
const EXAMPLE_LISTEN: Readonly<Record<ListenerKind, string>> = {
  ESMTP_Listener: '127.0.0.1:2525',
  LMTP_Listener: '127.0.0.1:2424',
  HTTP_Listener: ':8080',
};

/** The scripts of the XFER pages; what they load is part of the product here. */
const KNOWN_SOURCES = ['msys.xfer.server', 'msys.xfer.client'];

const nothingStandsHere: OnStanza = ({ keyword }) => {
  throw new Error(`${keyword} was let in where nothing may stand`);
};

function isEnabled(settings: DraftSettings): boolean {
  const setting = settings.get(OPTIONS.Enable.name);
  const reading = setting === undefined ? undefined : OPTIONS.Enable.type.read(setting.value);
  return reading?.ok !== true || reading.value;
}

/** Of those with one key the first, since a file may be included twice; a file with very many is cut short. */
function inOrder(
  faults: readonly Fault[],
  paths: readonly string[],
  keyOf: (fault: Fault) => string,
): readonly Fault[] {
  return [...new Set(paths)].flatMap((path) => {
    const distinct = new Map<string, Fault>();
    for (const fault of faults) {
      if (fault.place.file === path && !distinct.has(keyOf(fault))) distinct.set(keyOf(fault), fault);
    }
    const own = [...distinct.values()].sort(
      (a, b) => a.place.line - b.place.line || a.place.column - b.place.column,
    );
    const next = own[MAX_FAULTS_PER_FILE];
    if (next === undefined) return own;
    const message = 'what is wrong from here on is not told: there is too much of it';
    return [...own.slice(0, MAX_FAULTS_PER_FILE), { place: next.place, message }];
  });
}

/** What is wrong with a token hides what is wrong with the value that it makes. */
function placeOf({ place }: Fault): string {
  return `${place.line}:${place.column}:${place.lengthChars}`;
}

/** Of the faults that were found in the rest, those that do not speak of an option that could not be read. */
export function apart({ dropped }: Rest, faults: readonly Fault[]): readonly Fault[] {
  return faults.filter(({ message, mend = '' }) =>
    (`${message} ${mend}`.match(/\w+/g) ?? []).every((word) => !dropped.has(word)),
  );
}
