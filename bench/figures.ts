// Several rounds of one measurement as one line: the median, and the lowest and highest beside it, so that a
// reader sees how quiet the machine was.

export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly rounds: readonly number[];
  readonly digits: number;
  /** Shown, never enforced. */
  readonly target?: { readonly bound: 'at most' | 'at least'; readonly value: number };
}

/** Of an even count, the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1] ?? Number.NaN, sorted[Math.floor(middle)] ?? Number.NaN];
  return (low + high) / 2;
}

export function formatFigures(figures: readonly Figure[]): string {
  const rows = figures.map(({ what, unit, rounds, digits, target }) => {
    const show = (value: number) => format(value, digits);
    const middle = median(rounds);
    return [
      what,
      `${show(middle)} ${unit}`.trim(),
      rounds.length > 1 ? `${show(Math.min(...rounds))} to ${show(Math.max(...rounds))}` : '',
      target === undefined ? '' : `${target.bound} ${show(target.value)}: ${verdict(middle, target)}`,
    ];
  });
  return formatTable(['', 'median', 'rounds', 'target'], rows);
}

/** Columns as wide as their widest cell; all but the first aligned to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      widths
        .map((width, column) => {
          const cell = row[column] ?? '';
          return column === 0 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function format(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function verdict(value: number, target: NonNullable<Figure['target']>): string {
  const met = target.bound === 'at most' ? value <= target.value : value >= target.value;
  return met ? 'met' : 'MISSED';
}
