// Reads every tracked file and fails on what belongs to one machine alone: addresses that a lockfile got from
// somebody's package registry, and paths of somebody's home or work folder. Warns of TypeScript files that
// have grown past 400 lines. Prints one line for each finding; exit status 1 with any but warnings.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

interface Finding {
  readonly severity: 'fault' | 'warning';
  /** `path:line`. */
  readonly place: string;
  readonly text: string;
}

const MAX_LINES = 400;

const FOREIGN = [
  {
    pattern: /"resolved":\s*"https?:/,
    text: 'a registry address; install with omit-lockfile-registry-resolved',
  },
  { pattern: /\bregistry\.[a-z0-9-]+\.[a-z]{2,}\b/i, text: 'the host name of a package registry' },
  { pattern: /(?<![\w.~-])\/(?:home|root|Users|work)\/[\w.-]/, text: "a path of somebody's machine" },
] as const;

const findings = trackedFiles().flatMap(findingsIn);
for (const { severity, place, text } of findings) console.log(`${severity}: ${place}: ${text}`);
const faults = findings.filter(({ severity }) => severity === 'fault').length;
console.log(`check-tree: ${faults} faults, ${findings.length - faults} warnings`);
process.exitCode = faults === 0 ? 0 : 1;

/** The clone may belong to another user than root, which git would refuse to read. */
function trackedFiles(): readonly string[] {
  const output = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z'], { encoding: 'utf8' });
  return output.split('\0').filter((path) => path !== '');
}

function findingsIn(path: string): readonly Finding[] {
  const content = readFileSync(path);
  // Messages kept for tests may be binary.
  if (content.includes(0)) return [];
  const lines = content.toString('utf8').split('\n');
  const foreign = lines.flatMap((line, index) =>
    FOREIGN.filter(({ pattern }) => pattern.test(line)).map(
      ({ text }): Finding => ({ severity: 'fault', place: `${path}:${index + 1}`, text }),
    ),
  );
  const tooLong = path.endsWith('.ts') && lines.length > MAX_LINES;
  if (!tooLong) return foreign;
  const text = `over ${MAX_LINES} lines; split it by concept`;
  return [...foreign, { severity: 'warning', place: `${path}:${lines.length}`, text }];
}
