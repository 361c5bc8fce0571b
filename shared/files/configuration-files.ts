// Configuration files on this machine: read once, every fault told together with its file and line. The
// configuration language itself is shared/config; this is where its files are opened.

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Configuration } from '../config/configuration.ts';
import { type Fault, formatFault } from '../config/fault.ts';
import type { SourceFile } from '../config/lexer.ts';
import { type LoadResult, loadConfiguration } from '../config/load.ts';
import {
  certificatesFault,
  deliverySettingsWritten,
  type NamedFile,
  namedFiles,
} from '../config/named-files.ts';
import { OPTIONS } from '../config/options.ts';
import { checkReceiving } from '../config/receiving.ts';
import { formatReplyClassFault, readReplyClasses } from '../report/class-file.ts';

export interface ReadConfiguration {
  readonly ok: true;
  readonly configuration: Configuration;
  /** The files that were asked for. */
  readonly files: readonly SourceFile[];
  /** Those and what they include. */
  readonly sources: readonly SourceFile[];
  /** One line each: what has no effect. */
  readonly warnings: readonly string[];
}

export interface ReceivingConfiguration extends ReadConfiguration {
  /** The text of every file that an option names, by its path as `pathWritten` gives it. */
  readonly named: ReadonlyMap<string, string>;
}

export interface Faults {
  readonly ok: false;
  /** One line each, all of them. */
  readonly faults: readonly string[];
}

/** As either side reads them: what the language itself knows of faults. */
export function readConfigurationFiles(paths: readonly string[]): ReadConfiguration | Faults {
  return readAll(paths, (result) => result);
}

/** As the receiving side reads them: with what it cannot do, and with the files that options name. */
export function readReceivingFiles(paths: readonly string[]): ReceivingConfiguration | Faults {
  const named = new Map<string, string>();
  const result = readAll(paths, (loaded) => {
    if (!loaded.ok) return loaded;
    const { faults, warnings } = checkReceiving(loaded.configuration);
    const all = [...faults, ...cipherFaults(loaded.configuration), ...readNamed(loaded.configuration, named)];
    return all.length > 0
      ? { ok: false, faults: all }
      : { ...loaded, warnings: [...loaded.warnings, ...warnings] };
  });
  return result.ok ? { ...result, named } : result;
}

/** The file that an `include` names, seen from the file that includes it; undefined when it cannot be read. */
export function readInclude(path: string, includedFrom: string): SourceFile | undefined {
  const found = resolve(dirname(includedFrom), path);
  const text = readText(found);
  return typeof text === 'string' ? { path: found, text } : undefined;
}

function readAll(
  paths: readonly string[],
  check: (result: LoadResult) => LoadResult,
): ReadConfiguration | Faults {
  const files: SourceFile[] = [];
  const unreadable: string[] = [];
  for (const path of paths) {
    const text = readText(path);
    if (typeof text === 'string') files.push({ path, text });
    else unreadable.push(text.message);
  }
  const included: SourceFile[] = [];
  const result = check(
    loadConfiguration(files, (path, from) => {
      const file = readInclude(path, from);
      if (file !== undefined) included.push(file);
      return file;
    }),
  );
  const faults = result.ok ? [] : result.faults.map(formatFault);
  if (!result.ok || unreadable.length > 0) return { ok: false, faults: [...unreadable, ...faults] };
  const warnings = result.warnings.map(({ place, message }) => `${place.file}:${place.line}: ${message}`);
  return {
    ok: true,
    configuration: result.configuration,
    files,
    sources: [...files, ...included],
    warnings,
  };
}

/** Whether OpenSSL knows the ciphers is its own to say. */
function cipherFaults(configuration: Configuration): readonly Fault[] {
  return deliverySettingsWritten(configuration).flatMap((settings): Fault[] => {
    const setting = settings.get(OPTIONS.TLS_Ciphers.name);
    if (setting?.value.kind !== 'scalar') return [];
    try {
      createSecureContext({ ciphers: setting.value.text });
      return [];
    } catch {
      const message = `${setting.option.name}: OpenSSL knows no cipher of "${setting.value.text}"`;
      return [{ place: setting.place, message, mend: '`openssl ciphers LIST` says what it knows' }];
    }
  });
}

function readNamed(configuration: Configuration, named: Map<string, string>) {
  return namedFiles(configuration).flatMap((file) => {
    const text = readText(file.path);
    if (typeof text !== 'string') {
      return [{ place: file.place, message: `${file.option.name}: ${text.message}` }];
    }
    named.set(file.path, text);
    return faultsOf(file, text);
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

function readText(path: string): string | Error {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
