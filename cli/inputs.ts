// The files that a command is given: paths, and `-` for standard input, which is read once.

import type { Input } from '../shared/files/configuration-files.ts';
import { UsageError } from './command.ts';
import type { Terminal } from './terminal.ts';

export async function inputsOf(files: readonly string[], terminal: Terminal): Promise<readonly Input[]> {
  if (files.length === 0) throw new UsageError('a FILE is needed');
  if (files.filter((file) => file === '-').length > 1) throw new UsageError('standard input is given twice');
  return await Promise.all(
    files.map(async (file) =>
      file === '-' ? { path: '(standard input)', text: await terminal.input() } : file,
    ),
  );
}
