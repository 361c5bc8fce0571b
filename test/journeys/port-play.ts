// Plays a scenario to its end: the story, then time until nothing is left to do, then the judgement.

import { createClient, type Letter, type Manner } from './port-client.ts';
import { judge } from './port-judge.ts';
import type { Scenario } from './port-scenarios.ts';
import type { Stage } from './port-stage.ts';
import type { Outage, Strike, Traced } from './port-strikes.ts';
import { createTrial, type Trial } from './port-trial.ts';

export interface Played {
  readonly name: string;
  /** None: every guarantee held. */
  readonly faults: readonly string[];
  /** Calls until the judgement. */
  readonly trace: readonly Traced[];
}

const MINUTE = 60_000;
/** Retries, leases, guards and the sweep of chunks without a commit all fit in. */
const LONGEST_MS = 12 * 60 * MINUTE;
/** A timer that still surfaces then is judged as left. */
const MOST_ROUNDS = 20;

/** What a stage can show of itself beyond what the judge sees in the end. */
export interface Witness {
  meet(trial: Trial): void;
  onYes(letter: Letter): Promise<void>;
  /** Asked last; answers what went wrong. */
  testify(): Promise<readonly string[]>;
}

export async function play(
  scenario: Scenario,
  stage: Stage,
  options: {
    readonly name: string;
    readonly manner: Manner;
    readonly strikes: readonly Strike[];
    readonly outage?: Outage;
    readonly seed?: number;
    readonly witness?: Witness;
  },
): Promise<Played> {
  const { name, manner, outage, seed } = options;
  const trial = createTrial(name, stage, {
    strikes: options.strikes,
    timersToLose: scenario.timersLost ?? 0,
    ...(outage === undefined ? {} : { outage }),
    ...(seed === undefined ? {} : { seed }),
    ...(scenario.reports === undefined ? {} : { reports: scenario.reports }),
  });
  const { witness } = options;
  witness?.meet(trial);
  const client = createClient(trial, manner, witness?.onYes);
  const faults: string[] = [];
  let trace: readonly Traced[] = [];
  try {
    await scenario.play(trial, client);
    await trial.deliverAll();
    await untilRest(trial);
    trace = [...trial.book.trace];
    faults.push(...(await judge(trial, client, forTrial(scenario, name))));
    faults.push(...((await witness?.testify()) ?? []));
  } catch (error) {
    faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return { name, faults, trace };
}

/** Until nothing is open, and then until every guard, lease and hidden timer has run out. */
export async function untilRest(trial: Trial): Promise<void> {
  let passedMs = 0;
  do {
    await trial.pass(10 * MINUTE);
    passedMs += 10 * MINUTE;
  } while (passedMs < LONGEST_MS && !(await trial.atRest()));
  // What has ended needs no release, and the last timers are deleted whenever they surface, or when a crash is over.
  await trial.stage.sleep(90 * MINUTE);
  for (let rounds = 0; rounds < MOST_ROUNDS && (await trial.deliverAll()) > 0; rounds += 1) {
    await trial.stage.sleep(20 * MINUTE);
  }
}

/** Addresses in an expectation carry the trial's name as those in the story do. */
function forTrial(scenario: Scenario, name: string) {
  const { endings = {}, ...rest } = scenario.expected ?? {};
  const named = Object.entries(endings).map(([address, kind]) => [address.replace('*', name), kind] as const);
  return { ...rest, endings: Object.fromEntries(named) };
}
