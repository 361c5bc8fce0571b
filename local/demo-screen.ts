// Shows the demo's progress. On a terminal: what has ended stays above, and below it one line per open message is
// drawn again as things change, as many as fit. Elsewhere: one line per event; of many recipients the last tells.

import type { Standing } from './demo-board.ts';

/** What the screen needs of a stream. */
export interface Output {
  readonly isTTY?: boolean;
  readonly rows?: number;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Screen {
  /** `changed` has new news. */
  update(changed: Standing): void;
  /** Draws the last state; nothing is drawn after. */
  close(): void;
}

const REDRAW_MS = 100;
const CLEAR_TO_END = '\x1b[0J';
/** A terminal of fewer rows gets plain lines. */
const LEAST_ROWS = 10;

export function openScreen(
  output: Output,
  standings: () => readonly Standing[],
  nowMs: () => number,
  environment: { readonly CI?: string | undefined; readonly TERM?: string | undefined },
): Screen {
  const isLive =
    output.isTTY === true &&
    (environment.CI ?? '') === '' &&
    environment.TERM !== 'dumb' &&
    (output.rows ?? 0) >= LEAST_ROWS;
  return isLive ? liveScreen(output, standings) : plainScreen(output, nowMs(), nowMs);
}

function plainScreen(output: Output, startedAtMs: number, nowMs: () => number): Screen {
  const told = new Map<number, string>();
  return {
    update(changed) {
      const { message, latest, ends, endedAtMs } = changed;
      const isPartial = endedAtMs === undefined && ends.size > 0 && latest.startsWith('delivered');
      if (isPartial || told.get(message.number) === latest) return;
      told.set(message.number, latest);
      const seconds = ((nowMs() - startedAtMs) / 1_000).toFixed(1).padStart(6);
      output.write(`${seconds} s  ${standingLine(changed)}\n`);
    },
    close() {},
  };
}

function liveScreen(output: Output, standings: () => readonly Standing[]): Screen {
  const settled = new Set<number>();
  let drawnLines = 0;
  let timer: NodeJS.Timeout | undefined;
  const draw = () => {
    timer = undefined;
    const width = (output.columns ?? 80) - 1;
    const room = (output.rows ?? LEAST_ROWS) - 3;
    const line = (standing: Standing) => standingLine(standing).slice(0, width);
    const all = standings();
    const ended = all.filter(
      ({ message, endedAtMs }) => endedAtMs !== undefined && !settled.has(message.number),
    );
    for (const { message } of ended) settled.add(message.number);
    const open = all.filter(({ endedAtMs }) => endedAtMs === undefined);
    const count = `${settled.size} of ${all.length} ended`;
    const live = [...open.slice(0, room).map(line), open.length > room ? `${count}, more are open` : count];
    const up = drawnLines === 0 ? '' : `\x1b[${drawnLines}A`;
    output.write(`${up}${CLEAR_TO_END}${[...ended.map(line), ...live].join('\n')}\n`);
    drawnLines = live.length;
  };
  draw();
  return {
    update() {
      timer ??= setTimeout(draw, REDRAW_MS);
    },
    close() {
      clearTimeout(timer);
      draw();
    },
  };
}

function standingLine({ message, latest, endedAtMs }: Standing): string {
  const mark = endedAtMs === undefined ? ' ' : '*';
  return `${String(message.number).padStart(2)} ${mark} ${message.kind.padEnd(28)}  ${latest.replaceAll(/\s+/g, ' ')}`;
}
