// Every order of the calls of runs that race each other. A conductor lets one call through at a time; which one
// is a choice, and a run of the race is the list of its choices. All lists are tried, depth first, up to a limit;
// beyond it a seeded sample is drawn. The same list gives the same race again.

import type { PortCall } from './port-tap.ts';
import type { Turn } from './port-trial.ts';

/** Answers an option of `count`, from 0. */
export type Choose = (count: number) => number;

export interface Conductor {
  /** The turn of a racer: its calls, and its pauses between tries, wait here. */
  turnOf(racer: string): Turn;
  /** Runs the racers to their ends. Answers the order in which calls were made. */
  run(racers: readonly (() => Promise<void>)[]): Promise<readonly string[]>;
}

/** What these answer and do changes nothing for anybody else: their order does not matter. */
const WITHOUT_CONSEQUENCE = new Set([
  'timers.depth',
  'smtp.open',
  'smtp.quit',
  'spool.presignPut',
  // Only one release runs at a time, and it reads each item again that the index names.
  'due.readCursor',
  'due.entries',
  'due.occupied',
  'due.writeCursor',
]);

/** A race that makes more calls than this goes round in circles. */
const MOST_CALLS = 2_000;

export function createConductor(choose: Choose): Conductor {
  const waiting: { readonly racer: string; readonly name: string; readonly go: () => void }[] = [];
  const wait = (racer: string, name: string) =>
    new Promise<void>((go) => waiting.push({ racer, name: `${racer} ${name}`, go }));
  return {
    turnOf: (racer) => async (call: PortCall) => {
      if (!WITHOUT_CONSEQUENCE.has(call.name)) await wait(racer, call.name);
    },
    async run(racers) {
      const order: string[] = [];
      let running = racers.length;
      const quiet = () => untilQuiet(() => new Set(waiting.map(({ racer }) => racer)).size >= running);
      const ended = racers.map((race) =>
        race().finally(() => {
          running -= 1;
        }),
      );
      await quiet();
      while (running > 0 || waiting.length > 0) {
        if (waiting.length === 0) throw new Error(`nobody can go on after ${order.join(', ')}`);
        if (order.length > MOST_CALLS) throw new Error(`no end after ${order.slice(-20).join(', ')}`);
        // Arrival within a turn of the event loop says nothing: names make the order of options firm.
        waiting.sort((a, b) => (a.name < b.name ? -1 : 1));
        const [next] = waiting.splice(choose(waiting.length), 1);
        if (next === undefined) throw new Error('no such choice');
        order.push(next.name);
        next.go();
        await quiet();
      }
      await Promise.all(ended);
      return order;
    },
  };
}

/**
 * Everything that can happen without a further call has happened: in memory nothing waits for longer, but what
 * composes a report, which takes some turns more.
 */
async function untilQuiet(allWait: () => boolean): Promise<void> {
  for (let turns = 0; turns < 3 || (turns < 200 && !allWait()); turns += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

export interface Tried {
  /** Races that were run. */
  readonly count: number;
  /** Every order there is was among them. */
  readonly all: boolean;
}

/**
 * Runs a race again and again: every list of choices up to `limit` races, and where these are not all, `limit` more
 * drawn by the seed.
 */
export async function everyOrder(
  race: (choose: Choose) => Promise<void>,
  options: { readonly limit: number; readonly seed: number },
): Promise<Tried> {
  let path: { chosen: number; count: number }[] = [];
  let count = 0;
  while (count < options.limit) {
    const taken: { chosen: number; count: number }[] = [];
    await race((options) => {
      const chosen = path[taken.length]?.chosen ?? 0;
      taken.push({ chosen, count: options });
      return chosen;
    });
    count += 1;
    const turn = taken.findLastIndex((step) => step.chosen + 1 < step.count);
    if (turn < 0) return { count, all: true };
    path = taken
      .slice(0, turn + 1)
      .map((step, index) => (index < turn ? step : { ...step, chosen: step.chosen + 1 }));
  }
  const random = seeded(options.seed);
  for (let drawn = 0; drawn < options.limit; drawn += 1) {
    await race((options) => Math.floor(random() * options));
    count += 1;
  }
  return { count, all: false };
}

/** mulberry32; in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
