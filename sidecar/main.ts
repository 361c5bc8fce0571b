// The sidecar as a program of its own: what `delay-xfer sidecar` does, without the other commands.

import { EX_OK, runCommand } from '../cli/command.ts';
import { SIDECAR } from '../cli/sidecar.ts';
import { terminalOn } from '../cli/terminal.ts';
import { version } from '../cli/version.ts';

const terminal = terminalOn(process.stdin, process.stdout, process.stderr);
const called = process.argv[1]?.endsWith('.ts') ? 'node sidecar/main.ts' : 'delay-xfer-sidecar';
const args = process.argv.slice(2);
if (args[0] === '--version' || args[0] === '-V') {
  terminal.out(`${version()}\n`);
  process.exit(EX_OK);
}
process.exit(await runCommand(SIDECAR, called, args, terminal));
