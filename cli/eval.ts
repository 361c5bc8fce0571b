// `delay-xfer eval`: what holds for a domain, and the file and line that it comes from.

import { existsSync } from 'node:fs';
import type { Configuration } from '../shared/config/configuration.ts';
import { DEFAULT_BINDING } from '../shared/config/delivery-settings.ts';
import { shown } from '../shared/config/fault.ts';
import { formatListen, parseListen } from '../shared/config/listen.ts';
import { OPTIONS_BY_NAME } from '../shared/config/options.ts';
import { readScopeName } from '../shared/config/scope-names.ts';
import {
  formatTraced,
  plainDefault,
  type TraceAt,
  type TracedOption,
  traceOptions,
} from '../shared/config/trace.ts';
import { readConfigurationFiles } from '../shared/files/configuration-files.ts';
import { advice, type Command, EX_OK, type Given, UsageError } from './command.ts';
import { inputsOf } from './inputs.ts';

const EX_FAULTS = 1;

export const EVAL: Command = {
  name: 'eval',
  operands: 'FILE… DOMAIN [OPTION…] [--binding NAME] [--all] [--json]',
  summary: 'shows what holds for a domain, and the line that it comes from',
  text: `
Shows each value that is written for DOMAIN, with its file and line, and the values that it overrides. An operand that
is the name of an option asks for that one, and the default is shown then. A file - is standard input; an operand that
names a file is one, and ./ in front of it, or .conf behind, makes that certain. Passwords are not shown.

Exit status: 0, 1 when the files have faults, 64 for a wrong command line.`,
  options: [
    { name: 'binding', value: 'NAME', says: 'over this Binding' },
    { name: 'host', value: 'NAME', says: 'what Host stanzas say of this mail host, instead of DOMAIN' },
    { name: 'listener', value: 'ADDRESS:PORT', says: 'what holds at this Listen, instead of DOMAIN' },
    { name: 'all', says: 'every option that could be set there, with its default' },
    { name: 'json', says: 'one JSON object instead of lines' },
  ],
  async run(given, terminal) {
    const { files, domain, names } = sorted(given);
    const read = readConfigurationFiles(await inputsOf(files, terminal));
    if (!read.ok) {
      terminal.err(`${read.faults.join('\n')}\n`);
      return EX_FAULTS;
    }
    const at = placeOf(given, read.configuration, domain);
    const traced = traceOptions(read.configuration, at, names.length > 0 ? names : undefined);
    const wanted = given.flag('all') || names.length > 0 ? traced : traced.filter(({ setting }) => setting);
    if (given.flag('json')) terminal.out(`${JSON.stringify(wanted.map(asJson), null, 2)}\n`);
    else terminal.out(aligned(wanted.flatMap(formatTraced)));
    return EX_OK;
  },
};

interface Sorted {
  readonly files: readonly string[];
  readonly domain: string | undefined;
  readonly names: readonly string[];
}

// Options stand last, before them the domain, before it the files.
function sorted(given: Given): Sorted {
  const operands = [...given.operands];
  const names: string[] = [];
  while (isOption(operands.at(-1))) names.unshift(operands.pop() ?? '');
  const last = operands.at(-1);
  const before = operands.at(-2);
  if (last !== undefined && before !== undefined && !isFile(last)) {
    // A misspelt option would else pass for the domain, and the domain for a file.
    if (isOption(before) || (!last.includes('.') && operands.length > 2 && !isFile(before))) {
      const known = [...OPTIONS_BY_NAME.values()].map(({ name }) => name);
      throw new UsageError(`no option is called ${last}${advice(last, known)}`);
    }
  }
  const instead = ['host', 'listener'].filter((name) => given.values(name).length > 0);
  if (instead.length > 1) throw new UsageError('--host and --listener ask for different things: give one');
  const [asked] = instead;
  if (asked !== undefined) {
    if (last !== undefined && operands.length > 1 && !isFile(last))
      throw new UsageError(`--${asked} stands instead of DOMAIN: take ${last} out`);
    if (asked === 'listener' && given.values('binding').length > 0)
      throw new UsageError('--binding has no say at a listener: take it out');
    return { files: operands, domain: undefined, names };
  }
  const domain = operands.pop();
  if (domain === undefined || operands.length === 0) throw new UsageError('FILE and DOMAIN are needed');
  if (domain.endsWith('.conf') || domain.includes('/')) {
    throw new UsageError(`DOMAIN is needed after the files, and ${domain} is none`);
  }
  return { files: operands, domain: nameOf(domain, 'domain'), names };
}

function isFile(word: string): boolean {
  return word === '-' || word.endsWith('.conf') || word.includes('/') || existsSync(word);
}

/** As stanzas name it. */
function nameOf(text: string, what: 'domain' | 'host'): string {
  const read = readScopeName(text, what);
  if (read.ok && read.pattern === undefined) return read.name;
  if (read.ok) throw new UsageError(`${shown(text)} is no ${what}, but a regular expression`);
  throw new UsageError(read.mend === undefined ? read.message : `${read.message}; ${read.mend}`);
}

function isOption(word: string | undefined): boolean {
  return word !== undefined && OPTIONS_BY_NAME.has(word.toLowerCase());
}

function placeOf(given: Given, configuration: Configuration, domain: string | undefined): TraceAt {
  const [host] = given.values('host');
  const [listener] = given.values('listener');
  const [binding] = given.values('binding');
  const isNamed = binding === DEFAULT_BINDING || binding === undefined;
  if (!isNamed && !configuration.bindings.some(({ name }) => name === binding)) {
    const known = configuration.bindings.map(({ name }) => name);
    throw new UsageError(`no Binding is called ${binding}${advice(binding, known)}`);
  }
  return {
    ...(domain !== undefined && { domain }),
    ...(binding !== undefined && { binding }),
    ...(host !== undefined && { host: nameOf(host, 'host') }),
    ...(listener !== undefined && { listen: listenOf(configuration, listener) }),
  };
}

function listenOf(configuration: Configuration, text: string) {
  const address = parseListen(text);
  if (address === undefined) throw new UsageError(`--listener ${text} is no address and port`);
  const written = formatListen(address);
  const all = configuration.listeners.flatMap((listener) =>
    listener.listens.map((listen) => ({ listener, listen })),
  );
  const found = all.find(({ listen }) => formatListen(listen.listen) === written);
  if (found !== undefined) return found;
  const known = all.map(({ listen }) => formatListen(listen.listen));
  const those = known.length === 0 ? 'there is none' : `there are ${known.join(', ')}`;
  throw new UsageError(`no Listen is written "${written}"; ${those}`);
}

/** What stands before the tab of each line, all as wide as the widest of reasonable width. */
function aligned(lines: readonly string[]): string {
  const rows = lines.map((line) => line.split('\t'));
  const fitting = rows.map(([value = '']) => value.length).filter((length) => length <= MOST_WIDTH);
  const width = Math.max(0, ...fitting);
  return rows.map(([value = '', place = '']) => `${value.padEnd(width)}  ${place}\n`).join('');
}

const MOST_WIDTH = 60;

function asJson({ option, setting, overridden }: TracedOption): unknown {
  const plain = (found: NonNullable<typeof setting>) => ({
    value: found.plain,
    file: found.place.file,
    line: found.place.line,
    scope: found.scope,
  });
  return {
    option: option.name,
    ...(setting === undefined ? { value: plainDefault(option), default: true } : plain(setting)),
    overridden: overridden.map(plain),
  };
}
