// The commands of `delay-xfer`: finds the one that is named and runs it with the rest of the line.

import { CHECK } from './check.ts';
import { advice, type Command, EX_OK, EX_USAGE, runCommand, table } from './command.ts';
import { CREDENTIAL } from './credential.ts';
import { EVAL } from './eval.ts';
import { OPTIONS_COMMAND } from './options.ts';
import { SIDECAR } from './sidecar.ts';
import type { Terminal } from './terminal.ts';
import { version } from './version.ts';

const PROGRAM = 'delay-xfer';

const COMMANDS: readonly Command[] = [CHECK, EVAL, OPTIONS_COMMAND, SIDECAR, CREDENTIAL];

/** Answers the exit status. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<number> {
  const [word, ...rest] = args;
  if (word === undefined) {
    terminal.err(overview());
    return EX_USAGE;
  }
  if (word === '--version' || word === '-V') {
    terminal.out(`${version()}\n`);
    return EX_OK;
  }
  if (word === '--help' || word === '-h' || (word === 'help' && rest.length === 0)) {
    terminal.out(overview());
    return EX_OK;
  }
  const [name, given] = word === 'help' ? [rest[0] ?? '', ['--help']] : [word, rest];
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command !== undefined) return await runCommand(command, `${PROGRAM} ${name}`, given, terminal);
  const what = name.startsWith('-') ? 'option' : 'command';
  const known = what === 'option' ? ['--help', '--version'] : COMMANDS.map((candidate) => candidate.name);
  terminal.err(`${PROGRAM}: unknown ${what} ${name}${advice(name, known)}\nTry '${PROGRAM} --help'.\n`);
  return EX_USAGE;
}

function overview(): string {
  const rows = COMMANDS.map(({ name, summary }) => [name, summary] as const);
  return `Usage: ${PROGRAM} COMMAND …

${table(rows)}
  ${PROGRAM} COMMAND --help   what a command takes
  ${PROGRAM} --version        the version
`;
}
