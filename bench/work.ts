// How much work a message is: messages per second through receive, and CPU time in the handlers, round after
// round, of this project alone or of two checkouts in turns. Every message is delivered before the next round.

import { DELIVER_BATCH_SIZE } from '../shared/aws/limits.ts';
import { type Figure, median } from './figures.ts';
import type { Functions } from './functions.ts';
import { type MailSource, transfersOf } from './mail.ts';
import { NEAR_DOMAINS, type Surroundings } from './surroundings.ts';

/** One checkout's running functions. */
export interface Subject {
  readonly name: string;
  readonly functions: Functions;
}

export interface WorkPlan {
  readonly rounds: number;
  /** Messages of each measurement with batches of 25; with batches of 1 it is a quarter of them. */
  readonly messages: number;
  readonly atOnce: number;
}

const SIZE_BYTES = 10 * 1_024;
const BATCHES = [25, 1] as const;

interface Line extends Omit<Figure, 'rounds'> {
  /** By subject's name, a value for each round. */
  readonly values: Map<string, number[]>;
}

export interface WorkFigures {
  /** By subject's name. */
  readonly figures: ReadonlyMap<string, readonly Figure[]>;
  /** Of two subjects, the first over the second: the median of the rounds' ratios. */
  readonly ratios: readonly Figure[];
}

/** A round before the first warms the code up and is not counted. */
export async function measureWork(
  surroundings: Surroundings,
  subjects: readonly Subject[],
  mail: MailSource,
  plan: WorkPlan,
): Promise<WorkFigures> {
  const lines = LINES.map((line): Line => ({ ...line, values: new Map() }));
  for (let round = 0; round <= plan.rounds; round += 1) {
    // In turns: neither always goes first.
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
      const values = await measureRound(surroundings, subject.functions, mail, plan);
      if (round === 0) continue;
      for (const [index, line] of lines.entries()) {
        line.values.set(subject.name, [
          ...(line.values.get(subject.name) ?? []),
          values[index] ?? Number.NaN,
        ]);
      }
    }
  }
  return {
    figures: new Map(
      subjects.map(({ name }) => [
        name,
        lines.map(({ values, ...line }): Figure => ({ ...line, rounds: values.get(name) ?? [] })),
      ]),
    ),
    ratios: ratiosOf(lines, subjects),
  };
}

const LINES: readonly Omit<Line, 'values'>[] = [
  { what: 'receive, batches of 25', unit: 'messages/s', digits: 0 },
  { what: 'receive, batches of 1', unit: 'messages/s', digits: 0 },
  {
    what: 'receive, batches of 25',
    unit: 'ms CPU/message',
    digits: 2,
    target: { bound: 'at most', value: 1 },
  },
  { what: 'receive, batches of 1', unit: 'ms CPU/message', digits: 2 },
  {
    what: `deliver, batches of ${DELIVER_BATCH_SIZE}`,
    unit: 'ms CPU/message',
    digits: 2,
    target: { bound: 'at most', value: 2 },
  },
];

// In the order of LINES.
async function measureRound(
  surroundings: Surroundings,
  functions: Functions,
  mail: MailSource,
  plan: WorkPlan,
): Promise<readonly number[]> {
  const options = { sizeBytes: SIZE_BYTES, domains: NEAR_DOMAINS, deferEvery: 0 };
  const before = surroundings.delivered();
  let posted = 0;
  const post = async (batch: number, atOnce: number) => {
    const messages = mail.make(batch === 1 ? plan.messages / 4 : plan.messages, options);
    const transfers = transfersOf(messages, batch);
    posted += messages.length;
    await functions.measure();
    const startedMs = performance.now();
    await surroundings.post(functions, transfers, atOnce);
    const elapsedMs = performance.now() - startedMs;
    const { cpuMs, faults } = await functions.measure();
    refuse(faults);
    return { perSecond: (messages.length / elapsedMs) * 1_000, cpuMs: cpuMs / messages.length };
  };
  const throughput: number[] = [];
  const cpu: number[] = [];
  for (const batch of BATCHES) throughput.push((await post(batch, plan.atOnce)).perSecond);
  // One at a time, as a Lambda container has them.
  for (const batch of BATCHES) cpu.push((await post(batch, 1)).cpuMs);

  while (surroundings.delivered() < before + posted) {
    if ((await surroundings.deliverBatch(functions)) === 0) throw new Error('timers are missing');
  }
  const { cpuMs, faults } = await functions.measure();
  refuse(faults);
  return [...throughput, ...cpu, cpuMs / posted];
}

function refuse(faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(`the functions met faults: ${[...new Set(faults)].join('; ')}`);
}

function ratiosOf(lines: readonly Line[], subjects: readonly Subject[]): readonly Figure[] {
  const [first, second] = subjects;
  if (first === undefined || second === undefined) return [];
  return lines.map(({ what, unit, values }) => {
    const others = values.get(second.name) ?? [];
    const rounds = (values.get(first.name) ?? []).map(
      (value, round) => value / (others[round] ?? Number.NaN),
    );
    return { what: `${what}, ${unit}`, unit: '', digits: 2, rounds };
  });
}

/** Receive's CPU per message in batches of 1 over that in batches of 25. */
export function batchingGain(figures: readonly Figure[]): number {
  const [, , of25, of1] = figures;
  return median(of1?.rounds ?? []) / median(of25?.rounds ?? []);
}
