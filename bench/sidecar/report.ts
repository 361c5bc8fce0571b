// The sidecar part's figures as tables, and beside the targets.

import { type Figure, format, formatFigures, formatTable, median } from '../figures.ts';
import { CLIENTS, type Latency, type Row, type SidecarResults, type Stream } from './measure.ts';

/** Of what the sidecar is to reach. */
const TARGETS = { overPostfix: 1, p99OverReceiver: 3, memoryGrowth: 1.1 };

export function formatSidecar(results: SidecarResults): string {
  const { postfix, stack, disk, direct, memory } = results;
  return [
    formatTable(
      ['', 'kept, a second', 'ms CPU', 'fresh, a second', 'ms CPU', 'p50 ms', 'p99 ms'],
      [postfix, stack, disk].map(rowOf),
    ),
    `Receivers alone: ${CLIENTS} clients that post a message each`,
    formatTable(
      ['', 'a second', 'p50 ms', 'p99 ms'],
      [
        ['emulated stores', ...latencyCells(direct.stack)],
        ['disk alone', ...latencyCells(direct.disk)],
      ],
    ),
    'Resident memory of the sidecar before the disk alone',
    formatTable(
      ['messages', 'MB'],
      memory.map(({ messages, residentBytes }) => [format(messages, 0), format(residentBytes / 2 ** 20, 0)]),
    ),
    'Targets; ratios are those of the same round',
    formatFigures([
      ...[disk, stack].flatMap((row) => [
        overPostfix(`${row.name}, kept, over Postfix`, row.kept, postfix.kept),
        overPostfix(`${row.name}, fresh, over Postfix`, row.fresh, postfix.fresh),
      ]),
      p99Figure(disk, direct.disk),
      p99Figure(stack, direct.stack),
      memoryFigure(memory),
    ]),
  ].join('\n\n');
}

function rowOf({ name, kept, fresh, latency }: Row): readonly string[] {
  return [
    name,
    ...[kept, fresh].flatMap((streams) => [
      format(median(streams.map(({ perSecond }) => perSecond)), 0),
      format(median(streams.map(({ cpuMs }) => cpuMs)), 2),
    ]),
    ...latencyCells(latency).slice(1),
  ];
}

function latencyCells(latencies: readonly Latency[]): readonly string[] {
  return [
    format(median(latencies.map(({ perSecond }) => perSecond)), 0),
    format(median(latencies.map(({ p50 }) => p50)), 1),
    format(median(latencies.map(({ p99 }) => p99)), 1),
  ];
}

function overPostfix(what: string, ours: readonly Stream[], postfix: readonly Stream[]): Figure {
  return {
    what,
    unit: 'times',
    digits: 2,
    rounds: ours.map(({ perSecond }, round) => perSecond / (postfix[round]?.perSecond ?? Number.NaN)),
    target: { bound: 'at least', value: TARGETS.overPostfix },
  };
}

function p99Figure({ name, latency }: Row, direct: readonly Latency[]): Figure {
  return {
    what: `p99, ${name}, over its receiver alone`,
    unit: 'times',
    digits: 2,
    rounds: latency.map(({ p99 }, round) => p99 / (direct[round]?.p99 ?? Number.NaN)),
    target: { bound: 'at most', value: TARGETS.p99OverReceiver },
  };
}

function memoryFigure(memory: SidecarResults['memory']): Figure {
  const [first, ...more] = memory;
  const last = more.at(-1);
  return {
    what: `memory after ${format(last?.messages ?? 0, 0)} over ${format(first?.messages ?? 0, 0)} messages`,
    unit: 'times',
    digits: 2,
    rounds: [(last?.residentBytes ?? Number.NaN) / (first?.residentBytes ?? Number.NaN)],
    target: { bound: 'at most', value: TARGETS.memoryGrowth },
  };
}
