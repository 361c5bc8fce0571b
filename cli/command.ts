// What a command is: its words, its options and what it does. Parsing, help and the advice after a slip come from
// this one description. A command answers an exit status (sysexits.h where it has one) and throws only for bugs.

import { parseArgs } from 'node:util';
import { nearestName } from '../shared/config/nearest.ts';
import type { Terminal } from './terminal.ts';

export interface CommandOption {
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** What stands after it, as help shows it; none for a flag. */
  readonly value?: string;
  readonly multiple?: true;
  /** One of these, when only these will do. */
  readonly choices?: readonly string[];
  /** A line or two, without a full stop. */
  readonly says: string;
}

export interface Command {
  readonly name: string;
  /** What follows the name in the usage. */
  readonly operands: string;
  /** One line for the list of commands, without a full stop. */
  readonly summary: string;
  readonly text: string;
  readonly options: readonly CommandOption[];
  run(given: Given, terminal: Terminal): Promise<number>;
}

/** A command line, parsed. */
export interface Given {
  readonly operands: readonly string[];
  flag(name: string): boolean;
  /** Of an option with a value; empty when it is not given. */
  values(name: string): readonly string[];
}

/** A wrong command line: answered with what is wrong and where help is. */
export class UsageError extends Error {
  readonly code = 'usage';
}

export const EX_OK = 0;
export const EX_USAGE = 64;
export const EX_CONFIG = 78;

const HELP: CommandOption = { name: 'help', short: 'h', says: 'this text' };

/** Runs one command with what follows its name. `called` is how the user called it, for help and advice. */
export async function runCommand(
  command: Command,
  called: string,
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  try {
    const given = parse(command, args);
    if (given.flag('help')) {
      terminal.out(helpOf(command, called));
      return EX_OK;
    }
    return await command.run(given, terminal);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    terminal.err(`${called}: ${error.message}\nTry '${called} --help'.\n`);
    return EX_USAGE;
  }
}

export function helpOf(command: Command, called: string): string {
  const rows = [...command.options, HELP].map((option) => [head(option), option.says] as const);
  return `Usage: ${called} ${command.operands}\n\n${command.text.trim()}\n\n${table(rows)}`;
}

/** Two columns, the second one wrapped by its own line breaks. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([first]) => first.length)) + 2;
  const indent = ' '.repeat(width + 2);
  return rows
    .map(([first, second]) => `  ${first.padEnd(width)}${second.replaceAll('\n', `\n${indent}`)}\n`)
    .join('');
}

/** `; did you mean X?`, or nothing. */
export function advice(word: string, known: Iterable<string>): string {
  const near = nearestName(word, [...known]);
  return near === undefined ? '' : `; did you mean ${near}?`;
}

function parse(command: Command, args: readonly string[]): Given {
  const options = [...command.options, HELP];
  checkNames(args, options);
  const { values, positionals } = parseArgsOrExplain(args, options);
  const given: Given = {
    operands: positionals,
    flag: (name) => values[name] === true,
    values: (name) => [values[name] ?? []].flat().filter((value) => typeof value === 'string'),
  };
  for (const { name, choices } of options) {
    for (const value of given.values(name)) {
      if (choices === undefined || choices.includes(value)) continue;
      throw new UsageError(`--${name} takes ${choices.join(' or ')}, not ${value}`);
    }
  }
  return given;
}

// parseArgs has no advice on a misspelt name.
function checkNames(args: readonly string[], options: readonly CommandOption[]): void {
  const names = options.map(({ name }) => `--${name}`);
  const end = args.indexOf('--');
  for (const arg of end < 0 ? args : args.slice(0, end)) {
    const name = arg.split('=')[0] ?? arg;
    if (!name.startsWith('--') || name === '--' || names.includes(name)) continue;
    throw new UsageError(`unknown option ${name}${advice(name, names)}`);
  }
}

function parseArgsOrExplain(args: readonly string[], options: readonly CommandOption[]) {
  const described = Object.fromEntries(
    options.map(({ name, short, value, multiple }) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short !== undefined && { short }),
        ...(multiple !== undefined && { multiple }),
      },
    ]),
  );
  try {
    return parseArgs({ args: [...args], options: described, allowPositionals: true, strict: true });
  } catch (error) {
    const [first = ''] = error instanceof Error ? error.message.split('. ') : [String(error)];
    throw new UsageError(first.replace(/^Option/, 'option').replace(/^Unknown/, 'unknown'));
  }
}

function head({ name, short, value }: CommandOption): string {
  const words = `--${name}${value === undefined ? '' : ` ${value}`}`;
  return short === undefined ? words : `${words}, -${short}`;
}
