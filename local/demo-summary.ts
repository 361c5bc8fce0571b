// The demo's last word: one row per message, then what differs from the story.

import { inWords, type Verdict } from './demo-verdict.ts';

const COLUMNS = ['', 'message', 'sent as', 'expected', 'ended', 'attempts', 'seconds', 'octets'] as const;

export function demoSummary(verdicts: readonly Verdict[]): string {
  const rows: (readonly string[])[] = [COLUMNS, ...verdicts.map(rowOf)];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => [...(row[column] ?? '')].length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const faulty = verdicts.filter(({ faults }) => faults.length > 0);
  const differences = faulty.flatMap(({ standing, faults }) =>
    faults.map((fault) => `${standing.message.number} ${standing.message.kind}: ${fault}`),
  );
  const close =
    faulty.length === 0
      ? [`All ${verdicts.length} messages ended as the story says.`]
      : [`${faulty.length} of ${verdicts.length} messages ended otherwise:`, ...differences];
  return `${[...lines, '', ...close].join('\n')}\n`;
}

function rowOf({ standing, ended, octets }: Verdict): readonly string[] {
  const { message, attempts, startedAtMs, endedAtMs } = standing;
  const seconds =
    startedAtMs === undefined || endedAtMs === undefined
      ? '-'
      : ((endedAtMs - startedAtMs) / 1_000).toFixed(1);
  return [
    String(message.number),
    message.kind,
    message.way,
    inWords([...message.expected.values()]),
    ended,
    String(attempts),
    seconds,
    octets === 'none' ? '-' : octets,
  ];
}
