// Texts on this machine, and folders of them, read for configurations: what cannot be read is a sentence, not an
// exception.

import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Of one file. What comes out of pipes and devices is read no further than the first octet past it. */
export const MAX_TEXT_BYTES = 1024 * 1024;

export type TextReading =
  | { readonly ok: true; readonly text: string }
  /** As it follows the name of the file: "is not there". */
  | { readonly ok: false; readonly refused: string };

export function readText(path: string): TextReading {
  try {
    return textOf(firstOctets(path));
  } catch (error) {
    return { ok: false, refused: reasonOf(error) };
  }
}

/** Of octets that were read up to the first one past the limit. */
export function textOf(octets: Uint8Array): TextReading {
  return octets.length > MAX_TEXT_BYTES
    ? { ok: false, refused: `is larger than ${MAX_TEXT_BYTES / 1024 / 1024} MiB` }
    : { ok: true, text: Buffer.from(octets).toString('utf8') };
}

// A size that is asked for tells nothing of pipes and devices.
function firstOctets(path: string): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const pieces: Uint8Array[] = [];
    for (let left = MAX_TEXT_BYTES + 1; left > 0; ) {
      const piece = Buffer.allocUnsafe(Math.min(left, 65_536));
      const length = readSync(file, piece, 0, piece.length, null);
      if (length === 0) break;
      pieces.push(piece.subarray(0, length));
      left -= length;
    }
    return Buffer.concat(pieces);
  } finally {
    closeSync(file);
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
