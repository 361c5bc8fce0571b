// Plays cases of a seed over all cores until a time or a number is reached. What failed is given with its case, the
// shortest story first; a broken worker is a failure as well.

import { Worker } from 'node:worker_threads';
import type { WorkerWord } from './worker.ts';

export interface FuzzFailure {
  readonly index: number;
  readonly what: string;
  readonly faults: readonly string[];
  readonly story: string;
}

export interface FuzzReport {
  readonly cases: number;
  readonly seconds: number;
  readonly ends: Readonly<Record<string, number>>;
  readonly failures: readonly FuzzFailure[];
}

export interface FuzzRun {
  readonly seed: number;
  readonly cases?: number;
  readonly seconds?: number;
  readonly jobs: number;
  readonly onProgress?: (cases: number) => void;
}

export async function fuzz({ seed, cases, seconds, jobs, onProgress }: FuzzRun): Promise<FuzzReport> {
  const startedAt = performance.now();
  const untilMs = seconds === undefined ? Number.MAX_SAFE_INTEGER : Date.now() + seconds * 1_000;
  const before = cases ?? Number.MAX_SAFE_INTEGER;
  const failures: FuzzFailure[] = [];
  const ends: Record<string, number> = {};
  let played = 0;

  function heard(word: WorkerWord, worker: Worker): void {
    if (word.kind === 'done') void worker.terminate();
    if (word.kind === 'failed') failures.push(word);
    if (word.kind !== 'played') return;
    played += word.count;
    for (const [key, count] of Object.entries(word.ends)) ends[key] = (ends[key] ?? 0) + count;
    onProgress?.(played);
  }

  await Promise.all(
    Array.from({ length: jobs }, (_, first) => {
      const share = { seed, first, step: jobs, before, untilMs };
      const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: share });
      worker.on('message', (word: WorkerWord) => heard(word, worker));
      return new Promise<void>((resolve) => {
        worker.once('error', (error) => {
          const story = error instanceof Error ? (error.stack ?? '') : String(error);
          failures.push({
            index: first,
            what: 'process',
            faults: ['the worker broke'],
            story,
          });
        });
        worker.once('exit', () => resolve());
      });
    }),
  );
  failures.sort((a, b) => a.story.length - b.story.length);
  return { cases: played, seconds: (performance.now() - startedAt) / 1_000, ends, failures };
}

/** Kinds of faults with their counts, then the shortest failure as it can be played again. */
export function failuresTold(seed: number, failures: readonly FuzzFailure[]): string {
  const [shortest] = failures;
  if (shortest === undefined) return '';
  /** The cases of each kind. */
  const kinds = new Map<string, number[]>();
  for (const { index, what, faults } of failures) {
    const kind = `${what}: ${kindOf(faults[0] ?? '')}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), index]);
  }
  return [
    `BROKEN ${failures.length} cases:`,
    ...[...kinds]
      .sort(([, a], [, b]) => b.length - a.length)
      .slice(0, 12)
      .map(([kind, cases]) => `  ${cases.length} × ${kind}, as in case ${cases.slice(0, 3).join(', ')}`),
    `The shortest, case ${shortest.index} (npm run fuzz -- --seed ${seed} --case ${shortest.index}):`,
    ...shortest.faults.map((fault) => `  ${fault}`),
    shortest.story,
  ].join('\n');
}

/** Without what differs from case to case. */
function kindOf(fault: string): string {
  return fault
    .replace(/\(.*\)/s, '(…)')
    .replace(/".*"/s, '"…"')
    .replaceAll(/\b[mr]\d+\b/g, '#')
    .slice(0, 120);
}
