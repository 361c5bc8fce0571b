// Shows the demo's progress: on a terminal one line per message, drawn again as things change; elsewhere, or when
// the story is longer than the terminal, one line per event; of many recipients the last one tells.

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

export function openScreen(
  output: Output,
  standings: () => readonly Standing[],
  nowMs: () => number,
  environment: { readonly CI?: string | undefined; readonly TERM?: string | undefined },
): Screen {
  const startedAtMs = nowMs();
  const lineCount = standings().length;
  const isLive =
    output.isTTY === true &&
    (environment.CI ?? '') === '' &&
    environment.TERM !== 'dumb' &&
    (output.rows ?? 0) > lineCount + 1;
  return isLive ? liveScreen(output, standings) : plainScreen(output, startedAtMs, nowMs);
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
  let drawnLines = 0;
  let timer: NodeJS.Timeout | undefined;
  const draw = () => {
    timer = undefined;
    const width = (output.columns ?? 80) - 1;
    const lines = standings().map((standing) => standingLine(standing).slice(0, width));
    const up = drawnLines === 0 ? '' : `\x1b[${drawnLines}A`;
    output.write(`${up}${CLEAR_TO_END}${lines.join('\n')}\n`);
    drawnLines = lines.length;
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
