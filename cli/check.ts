// `delay-xfer check`: everything that can be said of configuration files without starting anything: faults, what
// would delay or lose mail, and what a side does not use.

import type { Configuration } from '../shared/config/configuration.ts';
import type { Side } from '../shared/config/option.ts';
import { sidesOf } from '../shared/config/without-effect.ts';
import {
  type Input,
  readConfigurationFiles,
  readReceivingFiles,
  readSendingFiles,
  sendingFindings,
  withoutEffect,
} from '../shared/files/configuration-files.ts';
import { planFor } from '../sidecar/generation.ts';
import { type Command, EX_OK, type Given } from './command.ts';
import { type Finding, fieldsOf, printed, type Severity } from './finding.ts';
import { inputsOf } from './inputs.ts';
import type { Terminal } from './terminal.ts';

const EX_FAULTS = 1;
const EX_WARNINGS = 2;

export const CHECK: Command = {
  name: 'check',
  operands: 'FILE… [--side sending|receiving] [--strict] [--json]',
  summary: 'checks configuration files',
  text: `
Reads the files in this order, later ones winning, as both sides would read them, and tells every fault with its place
and the mend; then what would delay or lose mail, and what a side does not use. A file - is standard input. Without
--side it checks each side that the files speak to: those that hand nothing over are for the receiving side.

Exit status: 0 without faults, 1 with faults, 2 with warnings and --strict, 64 for a wrong command line.`,
  options: [
    {
      name: 'side',
      value: 'SIDE',
      multiple: true,
      choices: ['sending', 'receiving'],
      says: 'check as the sidecar reads them (sending), or the receiver (receiving)',
    },
    { name: 'strict', says: 'warnings too make the exit status other than 0' },
    { name: 'json', says: 'one JSON object instead of lines' },
  ],
  async run(given, terminal) {
    const inputs = await inputsOf(given.operands, terminal);
    const checks = sidesToCheck(given, inputs).map((side) => checkSide(side, inputs));
    if (given.flag('json')) terminal.out(`${JSON.stringify(asJson(checks), null, 2)}\n`);
    else print(checks, terminal);
    const findings = checks.flatMap((check) => check.findings);
    if (count(findings, 'fault') > 0) return EX_FAULTS;
    return given.flag('strict') && count(findings, 'warning') > 0 ? EX_WARNINGS : EX_OK;
  },
};

interface Check {
  readonly side: Side;
  readonly findings: readonly Finding[];
}

function sidesToCheck(given: Given, inputs: readonly Input[]): readonly Side[] {
  const asked = (['sending', 'receiving'] as const).filter((side) => given.values('side').includes(side));
  if (asked.length > 0) return asked;
  const read = readConfigurationFiles(inputs);
  return read.ok ? sidesOf(read.configuration) : ['sending', 'receiving'];
}

function checkSide(side: Side, inputs: readonly Input[]): Check {
  const read = side === 'sending' ? readConfigurationFiles(inputs) : readReceivingFiles(inputs);
  if (!read.ok && side === 'sending') {
    const whole = readSendingFiles(inputs);
    return { side, findings: as('fault', whole.ok ? read.faults : whole.faults) };
  }
  if (!read.ok) return { side, findings: as('fault', read.faults) };
  const own = side === 'sending' ? ofSidecar(read.configuration) : { faults: [], warnings: [] };
  return {
    side,
    findings: [
      ...as('fault', own.faults),
      ...as('warning', [...new Set([...read.warnings, ...own.warnings])]),
      ...as('note', withoutEffect(read.configuration, side)),
    ],
  };
}

// Combinations, reroutes, listeners and the files that they name: what the sidecar looks at before it starts.
function ofSidecar(configuration: Configuration): {
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
} {
  const planned = planFor(configuration, { canSign: true, checkCombinations: true }, Date.now());
  const { warnings } = sendingFindings(configuration);
  if (!planned.ok) return { faults: planned.faults, warnings };
  return { faults: [], warnings: [...warnings, ...planned.plan.warnings] };
}

function as(severity: Severity, texts: readonly string[]): readonly Finding[] {
  return texts.map((text) => ({ severity, text }));
}

function count(findings: readonly Finding[], severity: Severity): number {
  return findings.filter((finding) => finding.severity === severity).length;
}

function print(checks: readonly Check[], terminal: Terminal): void {
  // What the language itself finds, both sides find.
  const lines = new Set(checks.flatMap(({ findings }) => findings.map(printed)));
  for (const line of lines) terminal.out(line);
  for (const { side, findings } of checks) {
    const told = (['fault', 'warning', 'note'] as const).map((severity) => {
      const number = count(findings, severity);
      return `${number} ${severity}${number === 1 ? '' : 's'}`;
    });
    terminal.out(`${side} side: ${told.join(', ')}\n`);
  }
}

function asJson(checks: readonly Check[]): unknown {
  return {
    ok: checks.every(({ findings }) => count(findings, 'fault') === 0),
    sides: checks.map(({ side, findings }) => ({ side, findings: findings.map(fieldsOf) })),
  };
}
