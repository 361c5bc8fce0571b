// Which file may include which: a file that is being read is not read again within itself, and neither the depth
// nor the number of files is without end.

import { type Fault, formatPlace, type Place, shown } from './fault.ts';
import type { SourceFile } from './lexer.ts';
import type { Scalar } from './syntax.ts';

/** What an `include` names, as seen from the file that includes it: a file, or those of a folder in their order. */
export type IncludeReader = (path: string, includedFrom: string) => IncludeResult;

export type IncludeResult =
  | SourceFile
  | readonly SourceFile[]
  /** Why not, as it follows "the included file … ". */
  | { readonly refused: string }
  /** It is not there. */
  | undefined;

const MAX_DEPTH = 16;
/** Of files read in all: two files that include a third one twice each, and so on, would have no end. */
const MAX_FILES = 1_000;

export interface Includes {
  /** The files to read now, or why not. */
  open(path: Scalar): readonly SourceFile[] | Omit<Fault, 'place'>;
  /** Runs `read` while the file counts as being read. `from`: where it is included. */
  within(file: SourceFile, from: Place | undefined, read: () => void): void;
}

export function createIncludes(reader: IncludeReader | undefined): Includes {
  const chain: { readonly path: string; readonly from: Place | undefined }[] = [];
  let files = 0;

  function told(path: Scalar, again: string): string {
    const first = chain.findIndex((link) => link.path === again);
    const links = [...chain.slice(first + 1).map(({ from }) => from), path.place];
    return [...links.map((from) => (from === undefined ? '' : formatPlace(from))), again].join(' → ');
  }

  return {
    open(path) {
      const found = reader?.(path.text, path.place.file);
      const name = shown(path.text);
      if (found === undefined) return { message: `the included file ${name} cannot be read` };
      if ('refused' in found) return { message: `the included file ${name} ${found.refused}` };
      const opened = 'path' in found ? [found] : found;
      const again = opened.find((file) => chain.some((link) => link.path === file.path));
      if (again !== undefined) {
        const message =
          again.path === path.place.file ? 'this file includes itself' : 'these files include each other';
        return {
          message: `${message}: ${told(path, again.path)}`,
          mend: 'take one of the includes out',
        };
      }
      if (chain.length >= MAX_DEPTH)
        return { message: `files include each other more than ${MAX_DEPTH} deep` };
      if (files + opened.length > MAX_FILES) return { message: `more than ${MAX_FILES} files are included` };
      files += opened.length;
      return opened;
    },
    within(file, from, read) {
      chain.push({ path: file.path, from });
      read();
      chain.pop();
    },
  };
}
