// The files that a command is given: paths, and `-` for standard input. Each is read once, since pipes can be read
// once alone, and a file may change between two readings.

import { type Input, readInput } from '../shared/files/configuration-files.ts';
import { MAX_TEXT_BYTES, textOf } from '../shared/files/read-text.ts';
import { UsageError } from './command.ts';
import type { Terminal } from './terminal.ts';

export async function inputsOf(files: readonly string[], terminal: Terminal): Promise<readonly Input[]> {
  if (files.length === 0) throw new UsageError('a FILE is needed');
  if (files.filter((file) => file === '-').length > 1) throw new UsageError('standard input is given twice');
  const inputs: Input[] = [];
  for (const file of files) inputs.push(file === '-' ? await standardInput(terminal) : readInput(file));
  return inputs;
}

async function standardInput(terminal: Terminal): Promise<Input> {
  const path = '(standard input)';
  const read = textOf(await terminal.input(MAX_TEXT_BYTES + 1));
  return read.ok ? { path, text: read.text } : { path, refused: read.refused };
}
