// The command, called as its process calls it, over files in a folder of its own.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { runProgram } from '../../cli/program.ts';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Its files by name. */
export function folderOf(context: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'cli-'));
  context.after(() => rmSync(directory, { recursive: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  return directory;
}

/** As if it ran in that folder: `.conf` files are sought there, and told without it. */
export async function delayXfer(args: readonly string[], directory = '', input = ''): Promise<Outcome> {
  const written = { out: '', err: '' };
  const terminal = {
    out(text: string) {
      written.out += text;
    },
    err(text: string) {
      written.err += text;
    },
    input: async () => Buffer.from(input),
  };
  const sought = args.map((arg) => (arg.endsWith('.conf') ? join(directory, arg) : arg));
  const status = await runProgram(sought, terminal);
  const told = (text: string): string => (directory === '' ? text : text.replaceAll(`${directory}/`, ''));
  return { status, out: told(written.out), err: told(written.err) };
}
