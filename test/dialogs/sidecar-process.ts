// The sidecar as a process of its own, run from a folder that holds its configuration; killed with the test.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../sidecar/main.ts', import.meta.url));

export type LogRecord = Readonly<Record<string, unknown>>;

export interface SidecarProcess {
  readonly child: ChildProcess;
  readonly directory: string;
  /** Replaces a file of its folder. */
  write(name: string, text: string): void;
  /** The next record of this code or type; those before it are passed over. */
  record(codeOrType: string): Promise<LogRecord>;
  /** The port of the next listener that is logged. */
  listening(): Promise<number>;
  /** Signals it, and resolves with the record of this code or type that comes next. */
  signal(name: NodeJS.Signals, codeOrType: string): Promise<LogRecord>;
  /** Its exit status, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

export function folderFor(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'sidecar-'));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** Starts it with `--config a.conf`. */
export function startProcess(
  context: TestContext,
  configuration: string,
  options: { readonly directory?: string; readonly environment?: Readonly<Record<string, string>> } = {},
): SidecarProcess {
  const directory = options.directory ?? folderFor(context);
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);
  write('a.conf', configuration);
  const child = spawn(process.execPath, [MAIN, '--config', 'a.conf'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...options.environment },
  });
  context.after(() => child.kill('SIGKILL'));
  if (child.stdout === null) throw new Error('its output is a pipe');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const record = async (wanted: string): Promise<LogRecord> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`it ended without a record of ${wanted}`);
      const found: LogRecord = JSON.parse(value);
      if (found['code'] === wanted || found['type'] === wanted) return found;
    }
  };
  return {
    child,
    directory,
    write,
    record,
    async listening() {
      return Number(/:(\d+)$/.exec(String((await record('listening'))['message']))?.[1]);
    },
    async signal(name, wanted) {
      child.kill(name);
      return await record(wanted);
    },
    ended: once(child, 'exit').then(([status, signal]) => status ?? signal),
  };
}
