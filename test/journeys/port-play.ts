// Plays a scenario to its end: the story, then time until nothing is left to do, then the judgement.

import { isDeliveryItem } from '../../shared/queue/delivery.ts';
import { createClient, type Manner } from './port-client.ts';
import { judge } from './port-judge.ts';
import type { Scenario } from './port-scenarios.ts';
import type { Stage } from './port-stage.ts';
import type { Strike, Traced } from './port-strikes.ts';
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

export async function play(
  scenario: Scenario,
  stage: Stage,
  options: {
    readonly name: string;
    readonly manner: Manner;
    readonly strikes: readonly Strike[];
    readonly seed?: number;
    /** After everything: what the stage can show of itself. */
    readonly inspect?: (trial: Trial) => Promise<readonly string[]>;
  },
): Promise<Played> {
  const { name, manner, seed } = options;
  const trial = createTrial(name, stage, {
    strikes: options.strikes,
    timersToLose: scenario.timersLost ?? 0,
    ...(seed === undefined ? {} : { seed }),
  });
  const client = createClient(trial, manner);
  const faults: string[] = [];
  let trace: readonly Traced[] = [];
  try {
    await scenario.play(trial, client);
    await trial.deliverAll();
    await untilRest(trial, [...client.letters.keys()]);
    trace = [...trial.book.trace];
    faults.push(...(await judge(trial, client, forTrial(scenario, name))));
    faults.push(...((await options.inspect?.(trial)) ?? []));
  } catch (error) {
    faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return { name, faults, trace };
}

/** Until nothing is open, and then until every guard, lease and hidden timer has run out. */
export async function untilRest(trial: Trial, ids: readonly string[]): Promise<void> {
  let passedMs = 0;
  do {
    await trial.pass(10 * MINUTE);
    passedMs += 10 * MINUTE;
  } while (passedMs < LONGEST_MS && !(await atRest(trial, ids)));
  await trial.pass(40 * MINUTE);
}

async function atRest(trial: Trial, ids: readonly string[]): Promise<boolean> {
  for (const id of ids) {
    const items = await trial.items(id);
    if (items.some((item) => isDeliveryItem(item) && item.delivery.state === 'open')) return false;
  }
  return true;
}

/** Addresses in an expectation carry the trial's name as those in the story do. */
function forTrial(scenario: Scenario, name: string) {
  const { endings = {}, ...rest } = scenario.expected ?? {};
  const named = Object.entries(endings).map(([address, kind]) => [address.replace('*', name), kind] as const);
  return { ...rest, endings: Object.fromEntries(named) };
}
