// The command `delay-xfer` as a process.

import { runProgram } from './program.ts';
import { terminalOn } from './terminal.ts';

const terminal = terminalOn(process.stdin, process.stdout, process.stderr);
process.exit(await runProgram(process.argv.slice(2), terminal));
