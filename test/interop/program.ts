// Other programs: one run to its end, or one that stays until the test stops it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  /** What it said in both streams, for people. */
  readonly output: string;
}

/** Rejects when the program cannot be started. */
export async function run(
  program: string,
  args: readonly string[],
  options: { readonly input?: string | Buffer; readonly cwd?: string } = {},
): Promise<Ended> {
  const child = spawn(program, args, { stdio: 'pipe', cwd: options.cwd });
  let stdout = '';
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  // A program that does not read its input to the end is no fault.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const [status] = await once(child, 'close');
  return { status: typeof status === 'number' ? status : null, stdout, output };
}

/** The same; rejects with its output when it does not end well. */
export async function runWell(...[program, args, options]: Parameters<typeof run>): Promise<Ended> {
  const ended = await run(program, args, options);
  if (ended.status !== 0) {
    throw new Error(`${program} ${args.join(' ')}: status ${ended.status}\n${ended.output}`);
  }
  return ended;
}

export interface Running {
  /** Lines of standard output so far. */
  readonly lines: readonly string[];
  /** Everything it said. */
  readonly output: () => string;
  readonly hasEnded: () => boolean;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when it has ended. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/** It has started, but need not be ready. `environment` comes on top of ours. */
export async function start(
  program: string,
  args: readonly string[],
  onLine?: (line: string) => void,
  environment: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const env = { ...process.env, ...environment };
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const lines: string[] = [];
  const said: string[] = [];
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    said.push(line);
    onLine?.(line);
  });
  createInterface(child.stderr).on('line', (line) => void said.push(line));
  await once(child, 'spawn');
  return {
    lines,
    output: () => said.join('\n'),
    hasEnded: () => hasEnded(child),
    signal: (signal) => void child.kill(signal),
    async kill(signal = 'SIGTERM') {
      if (hasEnded(child)) return;
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
