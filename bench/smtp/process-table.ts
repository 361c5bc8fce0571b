// A process table of its own for programs that leave their parents, as mail servers do: a shell runs commands in
// it, one at a time, and whatever they started ends with it, also when the bench is killed: the shell then reads
// the end of its input. As root.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface ProcessTable {
  /** Resolves with what the command wrote when it ended; rejects when it ended badly. */
  run(program: string, args: readonly string[]): Promise<string>;
  /** User and system time of everything that ever ran in it, in steps of 10 ms a process. */
  cpuMs(): number;
  close(): Promise<void>;
}

/** sysconf(_SC_CLK_TCK), the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const END = 'command-ended-with';

export async function openProcessTable(): Promise<ProcessTable> {
  // --kill-child: when unshare ends, so does the shell, and with the first process of a table the table.
  const child = spawn('unshare', ['--pid', '--fork', '--kill-child', '--mount-proc', 'bash'], {
    stdio: 'pipe',
    detached: true,
  });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  child.stdin.on('error', () => {});
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ended = once(child, 'exit');
  return {
    async run(program, args) {
      const command = [program, ...args].map(quoted).join(' ');
      child.stdin.write(`${command} < /dev/null 2>&1; echo; echo ${END} $?\n`);
      const said: string[] = [];
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error(`the process table ended during ${command}: ${complaints}`);
        if (value.startsWith(END)) {
          if (value !== `${END} 0`) throw new Error(`${command}: ${value}\n${said.join('\n')}`);
          return said.join('\n').trim();
        }
        said.push(value);
      }
    },
    cpuMs: () => cpuMsUnder(pid),
    async close() {
      // The shell is the first of its table: with it goes everything else, before unshare hears of its end.
      for (const [shell, { parent }] of processes()) if (parent === pid) process.kill(shell, 'SIGKILL');
      await ended;
    },
  };
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** User and system time of a process and those under it, in steps of 10 ms. */
export function cpuMsUnder(pid: number): number {
  return cpuTicksUnder(pid) * (1_000 / TICKS_PER_SECOND);
}

/** proc(5): a process's own ticks, and those of its children that ended and were waited for. */
function cpuTicksUnder(root: number): number {
  const all = processes();
  const isUnder = (pid: number): boolean => {
    const parent = all.get(pid)?.parent ?? 0;
    return pid === root || (parent !== 0 && isUnder(parent));
  };
  return [...all].reduce((sum, [pid, { spent }]) => sum + (isUnder(pid) ? spent : 0), 0);
}

interface Stat {
  readonly parent: number;
  readonly spent: number;
}

function processes(): ReadonlyMap<number, Stat> {
  const all = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = statOf(name);
    if (stat !== undefined) all.set(Number(name), stat);
  }
  return all;
}

function statOf(pid: string): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
  // The name, in parentheses, may hold anything; after it come state, parent and so on, counted from 3.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  return { parent: field(4), spent: field(14) + field(15) + field(16) + field(17) };
}
