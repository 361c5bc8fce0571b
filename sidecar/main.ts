// The sidecar as a program of its own: what `delay-xfer sidecar` does, without the other commands.

import { runCommand } from '../cli/command.ts';
import { SIDECAR } from '../cli/sidecar.ts';
import { terminalOn } from '../cli/terminal.ts';

const terminal = terminalOn(process.stdin, process.stdout, process.stderr);
const called = process.argv[1]?.endsWith('.ts') ? 'node sidecar/main.ts' : 'delay-xfer-sidecar';
process.exit(await runCommand(SIDECAR, called, process.argv.slice(2), terminal));
