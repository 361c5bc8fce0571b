// The points at which a scenario can be struck: it is played once unharmed, its calls are counted, and every call
// is a point. Of release, which mostly looks and finds nothing, only the runs that did something have points.

import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import type { Manner } from './port-client.ts';
import type { Fleet } from './port-fleet.ts';
import { type Played, play } from './port-play.ts';
import type { Scenario } from './port-scenarios.ts';
import { createMemoryStage } from './port-stage.ts';
import type { Harm, Outage, Role, Strike, Traced } from './port-strikes.ts';
import { witnessed } from './port-witness.ts';

export interface Point extends Strike {
  /** `ledger.write`. */
  readonly name: string;
}

export interface Outcome {
  /** `receive 3 ledger.write: crash before; the client repeats`. */
  readonly title: string;
  readonly faults: readonly string[];
}

export function pointsOf(trace: readonly Traced[], harms: readonly Harm[]): readonly Point[] {
  const counts: Record<Role, number> = { receive: 0, deliver: 0, release: 0 };
  const looked = new Set<string>();
  return trace.flatMap(({ role, run, name }) => {
    const at = counts[role];
    counts[role] += 1;
    const looks = LOOKS.includes(name);
    const again = looked.has(`${run} ${name}`);
    looked.add(`${run} ${name}`);
    if (role === 'release' && (!releaseActs(trace, run) || (looks && again))) return [];
    return harms.map((harm) => ({ role, at, harm, name }));
  });
}

/** Release asks these of every shard: the first of each kind stands for all in its run. */
const LOOKS = ['due.readCursor', 'due.entries', 'due.writeCursor'];

function releaseActs(trace: readonly Traced[], run: number): boolean {
  return trace.some((call) => call.run === run && !LOOKS.includes(call.name) && call.name !== 'timers.depth');
}

/** The two that differ most: who only ever repeats, and who takes back and comes again when all bars are over. */
const FEW_MANNERS: readonly Manner[] = ['repeats', 'returns'];

/** The scenario in memory, struck at one point, with a look at the queue and the destinations afterwards. */
export async function playInMemory(
  scenario: Scenario,
  manner: Manner,
  strikes: readonly Strike[],
  more: {
    readonly seed?: number;
    readonly outage?: (nowMs: number) => Outage;
    readonly lookbackMs?: number;
  } = {},
): Promise<Played> {
  const { seed = 1, outage, lookbackMs } = more;
  const stage = createMemoryStage({
    limits: limitsOf(scenario),
    ...(lookbackMs === undefined ? {} : { lookbackMs }),
    ...(scenario.tempo === undefined ? {} : { tempo: scenario.tempo }),
  });
  const seen = witnessed(stage, { timersAreLost: scenario.timersLost !== undefined });
  return play(scenario, seen.stage, {
    name: 'trial',
    manner,
    strikes,
    seed,
    witness: seen.witness,
    ...(outage === undefined ? {} : { outage: (name) => outage(stage.nowMs())(name) }),
  });
}

export async function playAllInMemory(
  scenario: Scenario,
  harms: readonly Harm[],
  manners: readonly Manner[] = FEW_MANNERS,
): Promise<readonly Outcome[]> {
  const unharmed = await playInMemory(scenario, 'repeats', []);
  const outcomes: Outcome[] = [{ title: 'unharmed', faults: unharmed.faults }];
  for (const point of pointsOf(unharmed.trace, harms)) {
    for (const manner of point.role === 'receive' ? manners : FEW_MANNERS.slice(0, 1)) {
      const { faults } = await playInMemory(scenario, manner, [point]);
      outcomes.push({ title: titleOf(point, manner), faults });
    }
  }
  return outcomes;
}

/** The same over the emulators, all trials of the scenario at once; the client repeats. `prefix` names them. */
export async function playAllOverEmulators(
  fleet: Fleet,
  prefix: string,
  scenario: Scenario,
  harms: readonly Harm[],
): Promise<readonly Outcome[]> {
  const sail = async (points: readonly (Point | undefined)[], first: number) => {
    const names = points.map((_, index) => `${prefix}${String(first + index).padStart(4, '0')}`);
    const limits = limitsOf(scenario);
    const { tempo } = scenario;
    const crew = names.map((name) => ({ name, limits, ...(tempo === undefined ? {} : { tempo }) }));
    return fleet.sail(crew, (stage, index) =>
      play(scenario, stage, {
        name: names[index] ?? '',
        manner: 'repeats',
        strikes: [points[index] ?? []].flat(),
      }),
    );
  };
  const [unharmed] = await sail([undefined], 0);
  if (unharmed === undefined) throw new Error('nothing was played');
  const points = pointsOf(unharmed.trace, harms);
  const played = await sail(points, 1);
  const left = await fleet.leftTimers();
  return [
    { title: 'unharmed', faults: unharmed.faults },
    ...points.map((point, index) => ({
      title: titleOf(point, 'repeats'),
      faults: played[index]?.faults ?? ['was not played'],
    })),
    { title: 'afterwards', faults: left.map(({ body }) => `a timer is left: ${body}`) },
  ];
}

/** Sentences about what went wrong, for an assertion that there are none. */
export function complaints(outcomes: readonly Outcome[]): readonly string[] {
  return outcomes.flatMap(({ title, faults }) => faults.map((fault) => `${title}: ${fault}`));
}

function titleOf({ role, at, name, harm }: Point, manner: Manner): string {
  return `${role} ${at} ${name}: ${harm}; the client ${manner}`;
}

export function limitsOf({ inFlightMark = QUEUE_LIMITS.inFlightMark }: Scenario) {
  return { ...QUEUE_LIMITS, inFlightMark };
}
