// Configuration files on this machine: read once, every fault told together with its file and line. The
// configuration language itself is shared/config; this is where its files are opened.

import { dirname, resolve } from 'node:path';
import type { Configuration } from '../config/configuration.ts';
import { type Fault, formatFault, visible } from '../config/fault.ts';
import type { SourceFile } from '../config/lexer.ts';
import { apart, type IncludeResult, type LoadResult, loadConfiguration } from '../config/load.ts';
import { certificatesFault, type NamedFile, namedFiles } from '../config/named-files.ts';
import type { Side } from '../config/option.ts';
import { checkReceiving } from '../config/receiving.ts';
import { type Checked, checkSending } from '../config/sending.ts';
import { settingsWithoutEffect } from '../config/without-effect.ts';
import { formatReplyClassFault, readReplyClasses } from '../report/class-file.ts';
import { cipherFaults } from './ciphers.ts';
import { readFolder, readText } from './read-text.ts';

export interface ReadConfiguration {
  readonly ok: true;
  readonly configuration: Configuration;
  /** The files that were asked for. */
  readonly files: readonly SourceFile[];
  /** Those and what they include. */
  readonly sources: readonly SourceFile[];
  /** One line each: what has no effect, and what delays or loses mail. */
  readonly warnings: readonly string[];
}

export interface ReceivingConfiguration extends ReadConfiguration {
  /** The text of every file that an option names, by its path as `pathWritten` gives it. */
  readonly named: ReadonlyMap<string, string>;
}

export interface Faults {
  readonly ok: false;
  /** All of them, in the order of the files: each with its line and carets below what is wrong. */
  readonly faults: readonly string[];
}

/** The path of a file, or what has been read of one already: pipes can be read once. */
export type Input = string | SourceFile | UnreadFile;

export interface UnreadFile {
  readonly path: string;
  /** Why not, as it follows its name: "is not there". */
  readonly refused: string;
}

export function readInput(path: string): SourceFile | UnreadFile {
  const read = readText(path);
  return read.ok ? { path, text: read.text } : { path, refused: read.refused };
}

/** As either side reads them: what the language itself knows of faults. */
export function readConfigurationFiles(inputs: readonly Input[]): ReadConfiguration | Faults {
  return readAll(inputs, (result) => result);
}

/** As the sidecar reads them: with what cannot work there, and what would delay or lose mail. */
export function readSendingFiles(inputs: readonly Input[]): ReadConfiguration | Faults {
  return readAll(inputs, (loaded) => joined(loaded, checkedSending));
}

/** As the receiving side reads them: with what it cannot do, and with the files that options name. */
export function readReceivingFiles(inputs: readonly Input[]): ReceivingConfiguration | Faults {
  const named = new Map<string, string>();
  const result = readAll(inputs, (loaded) =>
    joined(loaded, (configuration) => {
      const { faults, warnings } = checkReceiving(configuration);
      const ofFiles = [...readNamed(configuration, named), ...cipherFaults(configuration)];
      return { faults: [...faults, ...ofFiles], warnings };
    }),
  );
  return result.ok ? { ...result, named } : result;
}

/** What the sending side says of a configuration that was read without it, as it is printed. */
export function sendingFindings(configuration: Configuration): {
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
} {
  const { faults, warnings } = checkedSending(configuration);
  return { faults: faults.map(formatFault), warnings: warnings.map(formatWarning) };
}

function checkedSending(configuration: Configuration): Checked {
  const { faults, warnings } = checkSending(configuration);
  return { faults: [...faults, ...cipherFaults(configuration)], warnings };
}

/** What stands in a configuration for nothing on a side, as it is printed. */
export function withoutEffect(configuration: Configuration, side: Side): readonly string[] {
  return settingsWithoutEffect(configuration, side).map(formatWarning);
}

/** The file that an `include` names, or those of a folder, seen from the file that includes it. */
export function readInclude(path: string, includedFrom: string): IncludeResult {
  const found = resolve(dirname(includedFrom), path);
  const folder = readFolder(found);
  if ('refused' in folder) return folder;
  if (folder.files === undefined) {
    const file = readText(found);
    return file.ok ? { path: found, text: file.text } : file;
  }
  if (folder.files.length === 0) return { refused: 'is a folder without a file that ends in .conf' };
  const texts = folder.files.map((name) => ({ path: name, ...readText(name) }));
  const broken = texts.find((file) => !file.ok);
  if (broken !== undefined && !broken.ok)
    return { refused: `is a folder, and ${broken.path} ${broken.refused}` };
  return texts.flatMap((file) => (file.ok ? [{ path: file.path, text: file.text }] : []));
}

function joined(loaded: LoadResult, check: (configuration: Configuration) => Checked): LoadResult {
  if (!loaded.ok) {
    const { rest, faults } = loaded;
    return rest === undefined
      ? loaded
      : { ...loaded, faults: [...faults, ...apart(rest, check(rest.configuration).faults)] };
  }
  const checked = check(loaded.configuration);
  if (checked.faults.length > 0) return { ok: false, faults: checked.faults };
  return { ...loaded, warnings: [...loaded.warnings, ...checked.warnings] };
}

function readAll(
  inputs: readonly Input[],
  check: (result: LoadResult) => LoadResult,
): ReadConfiguration | Faults {
  const files: SourceFile[] = [];
  const unreadable: string[] = [];
  for (const input of inputs) {
    const read = typeof input === 'string' ? readInput(input) : input;
    if ('text' in read) files.push(read);
    else unreadable.push(`${visible(read.path)} ${read.refused}`);
  }
  const included: SourceFile[] = [];
  // A file that was asked for keeps the name that it was asked for by: so it is known when it is included as well.
  const asked = new Map(files.map(({ path }) => [resolve(path), path]));
  const named = (file: SourceFile): SourceFile => ({ ...file, path: asked.get(file.path) ?? file.path });
  const result = check(
    loadConfiguration(files, (path, from) => {
      const found = readInclude(path, from);
      if (found === undefined || 'refused' in found) return found;
      const opened = ('path' in found ? [found] : found).map(named);
      included.push(...opened);
      return opened;
    }),
  );
  const faults = result.ok ? [] : result.faults.map(formatFault);
  if (!result.ok || unreadable.length > 0) return { ok: false, faults: [...unreadable, ...faults] };
  return {
    ok: true,
    configuration: result.configuration,
    files,
    sources: [...files, ...included],
    warnings: result.warnings.map(formatWarning),
  };
}

function formatWarning({ place, message, mend }: Fault): string {
  return visible(`${place.file}:${place.line}: ${message}${mend === undefined ? '' : `; ${mend}`}`);
}

function readNamed(configuration: Configuration, named: Map<string, string>): readonly Fault[] {
  return namedFiles(configuration).flatMap((file) => {
    const read = readText(file.path);
    if (!read.ok) {
      return [{ place: file.place, message: `${file.option.name}: ${file.path} ${read.refused}` }];
    }
    named.set(file.path, read.text);
    return faultsOf(file, read.text);
  });
}

function faultsOf(file: NamedFile, text: string): readonly Fault[] {
  if (file.option.file === 'certificates') {
    const fault = certificatesFault(file, text);
    return fault === undefined ? [] : [fault];
  }
  const read = readReplyClasses(text, file.path);
  if (read.kind === 'rules') return [];
  return read.faults.map((fault) => ({
    place: file.place,
    message: `${file.option.name}: ${formatReplyClassFault(fault)}`,
  }));
}
