// The bundles as they are deployed: their size, and how long a fresh process takes to load each.
// Loads are taken in turns, with an empty module among them, so that a busy moment falls on all alike.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleFunction, FUNCTIONS, type FunctionName } from '../infra/bundle.ts';
import type { Figure } from './figures.ts';

const MAX_BUNDLE_KB = 700;
const MAX_LOAD_MS = 120;

export function measureBundles(rounds: number): readonly Figure[] {
  const folder = mkdtempSync(join(tmpdir(), 'delay-xfer-bench-'));
  try {
    const sizesKb = new Map<FunctionName, number>();
    const modules: { name: string; path: string; loadsMs: number[] }[] = [];
    for (const name of FUNCTIONS) {
      mkdirSync(join(folder, name));
      const { path, sizeBytes } = bundleFunction(name, join(folder, name));
      sizesKb.set(name, sizeBytes / 1_024);
      modules.push({ name, path, loadsMs: [] });
    }
    const empty = join(folder, 'empty.mjs');
    writeFileSync(empty, 'export const handler = () => {};\n');
    modules.push({ name: 'an empty module', path: empty, loadsMs: [] });
    for (let round = 0; round < rounds; round += 1) {
      for (const each of modules) each.loadsMs.push(loadMs(each.path));
    }
    return modules.flatMap(({ name, loadsMs }): Figure[] => {
      const sizeKb = [...sizesKb].find(([of]) => of === name)?.[1];
      const load = { what: `${name}, load`, unit: 'ms', rounds: loadsMs, digits: 0 };
      if (sizeKb === undefined) return [load];
      const size = { what: `${name}, size`, unit: 'KB', rounds: [sizeKb], digits: 0 };
      return [
        { ...size, target: { bound: 'at most', value: MAX_BUNDLE_KB } },
        { ...load, target: { bound: 'at most', value: MAX_LOAD_MS } },
      ];
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function loadMs(path: string): number {
  const program = `
    const start = performance.now();
    await import(${JSON.stringify(path)});
    console.log(performance.now() - start);`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    env: ENVIRONMENT,
  });
  return Number(output);
}

/** What the functions want to know before they load; nothing is called. */
const ENVIRONMENT = {
  AWS_REGION: 'us-east-1',
  AUTHENTICATION: 'iam',
  TABLE_NAME: 'ledger',
  SPOOL_BUCKET: 'spool',
  TIMERS_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/111122223333/timers',
  TRACE_HOST: 'xfer.example.com',
  EHLO_HOSTNAME: 'out.example.com',
};
