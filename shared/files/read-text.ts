// Texts on this machine, and folders of them, read for configurations: what cannot be read is a sentence, not an
// exception.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A configuration that is larger was not written by a person. */
const MAX_BYTES = 1024 * 1024;

export type TextReading =
  | { readonly ok: true; readonly text: string }
  /** As it follows the name of the file: "is not there". */
  | { readonly ok: false; readonly refused: string };

export function readText(path: string): TextReading {
  try {
    const { size } = statSync(path);
    if (size > MAX_BYTES) return { ok: false, refused: `is larger than ${MAX_BYTES / 1024 / 1024} MiB` };
    return { ok: true, text: readFileSync(path, 'utf8') };
  } catch (error) {
    return { ok: false, refused: reasonOf(error) };
  }
}

export type FolderReading =
  /** Undefined: it is no folder. */
  { readonly files: readonly string[] | undefined } | { readonly refused: string };

/** The paths of its files that end in .conf, in the order of their names; hidden ones are left out. */
export function readFolder(path: string): FolderReading {
  try {
    if (!statSync(path).isDirectory()) return { files: undefined };
    const names = readdirSync(path, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory() && /^[^.].*\.conf$/.test(entry.name))
      .map(({ name }) => name)
      .sort();
    return { files: names.map((name) => join(path, name)) };
  } catch (error) {
    return { refused: reasonOf(error) };
  }
}

const REASONS: ReadonlyMap<unknown, string> = new Map([
  ['ENOENT', 'is not there'],
  ['EISDIR', 'is a folder'],
  ['ENOTDIR', 'has a file where a folder should be'],
  ['EACCES', 'may not be read by this user'],
  ['EPERM', 'may not be read by this user'],
  ['ELOOP', 'is a link that leads to itself'],
]);

function reasonOf(error: unknown): string {
  const known = REASONS.get(error instanceof Error && 'code' in error ? error.code : undefined);
  return known ?? `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}
