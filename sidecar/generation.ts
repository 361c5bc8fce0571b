// Everything that one configuration makes: targets, route health, outboxes, reception, and what each place to
// listen at says. A reload makes a new one; a transaction that has begun keeps the one it began with. Making one
// opens nothing.

import { hostname } from 'node:os';
import type { Configuration } from '../shared/config/configuration.ts';
import { evaluate } from '../shared/config/evaluate.ts';
import { formatFault } from '../shared/config/fault.ts';
import { OPTIONS } from '../shared/config/options.ts';
import { sendingFindings } from '../shared/files/configuration-files.ts';
import { ATTEMPT_MS } from './attempt/attempt-first.ts';
import type { AttemptMemory } from './attempt/memory.ts';
import { type Attempts, createAttempts, type DestinationTuning } from './attempt/wiring.ts';
import type { Clock } from './clock.ts';
import { createWays, type Ways } from './http/ways.ts';
import type { MemoryBudget } from './intake/memory-budget.ts';
import { createReception } from './intake/reception.ts';
import type { Reception } from './intake/submission.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { type Place, type PlaceOptions, wantedPlaces } from './places.ts';
import { Outbox } from './push/outbox.ts';
import type { ReceiverClient } from './push/receiver-client.ts';
import type { RouteHealth } from './push/route-health.ts';
import { regionOf } from './push/signature.ts';
import { readTargets, type Target, type Targets } from './routing/targets.ts';
import type { Trace } from './trace.ts';

/** What outlives a configuration. */
export interface Runtime {
  readonly client: ReceiverClient;
  /** What is known of receivers, and where messages are: a reload must not forget either. */
  readonly health: RouteHealth;
  readonly memory: MemoryBudget;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly trace: Trace | undefined;
  /** In [0, 1). */
  readonly random: () => number;
  readonly tuning: Tuning;
  /** What is known of attempts by SMTP. */
  readonly attempts: AttemptMemory;
  readonly destinations?: DestinationTuning;
}

/** What no option says. */
export interface Tuning {
  /** Transfers under way to one target. */
  readonly maxTransfers: number;
  /** How long the first message of a transfer waits for company. */
  readonly windowMs: number;
  /** Silence after which a session is ended. */
  readonly idleTimeoutMs: number;
}

/** What a configuration asks for, checked. */
export interface Plan {
  readonly configuration: Configuration;
  readonly targets: Targets;
  readonly places: readonly Place[];
  /** Content held at once; past it the listeners answer 452. */
  readonly maxHeldBytes: number;
  /** Content over 4 MiB held in files at once; past it the listeners answer 452. */
  readonly maxScratchBytes: number;
  readonly warnings: readonly string[];
}

export type PlanResult =
  | { readonly ok: true; readonly plan: Plan }
  /** All of them, as they are printed. */
  | { readonly ok: false; readonly faults: readonly string[] };

export interface PlanningOptions extends PlaceOptions {
  /** Whether routes with sigv4=1 can be signed. */
  readonly canSign: boolean;
  /** Refuse as well what checkSending tells. Left out by who sets times that no operator would. */
  readonly checkCombinations?: boolean;
}

export interface Generation extends Plan {
  readonly reception: Reception;
  /** For HTTP listeners. */
  readonly ways: Ways;
  readonly health: RouteHealth;
  readonly outboxes: ReadonlyMap<Target, Outbox>;
  /** Part of derived ids. */
  readonly instance: string;
  /** The longest that a message under way may take when the sidecar stops. */
  readonly graceMs: number;
  /** Resolves when nothing waits and nothing is under way, withdrawals included. */
  idle(): Promise<void>;
}

/** Reads what the configuration asks for, and tells every fault that the sidecar alone can see. */
export function planFor(configuration: Configuration, options: PlanningOptions, nowMs: number): PlanResult {
  const targets = readTargets(configuration);
  const wanted = wantedPlaces(configuration, options, nowMs);
  const combined = options.checkCombinations ? sendingFindings(configuration).faults : [];
  const faults = [
    ...combined,
    ...(targets.ok ? signingFaults(targets.targets, options.canSign) : targets.faults.map(formatFault)),
    ...(targets.ok || targets.message === undefined ? [] : [targets.message]),
    ...wanted.faults.filter(
      (fault) => !combined.some((said) => said.startsWith(fault.split('\n')[0] ?? fault)),
    ),
    ...secrecyOfHttp(wanted.places),
  ];
  if (!targets.ok || faults.length > 0) return { ok: false, faults };
  return {
    ok: true,
    plan: {
      configuration,
      targets: targets.targets,
      places: wanted.places,
      maxHeldBytes: evaluate(configuration, OPTIONS.Max_Held_Bytes),
      maxScratchBytes: evaluate(configuration, OPTIONS.Max_Scratch_Bytes),
      warnings: wanted.warnings,
    },
  };
}

export function createGeneration(plan: Plan, runtime: Runtime): Generation {
  const { configuration, targets } = plan;
  const { client, clock, health, log, metrics, random, tuning } = runtime;
  const tools = { client, health, clock, log, random, pushed: metrics.pushed };
  const outboxes = new Map(targets.all.map((target) => [target, new Outbox(target, tools, tuning)]));
  const instance = evaluate(configuration, OPTIONS.Instance) ?? hostname();
  const hostName = evaluate(configuration, OPTIONS.EHLO_Hostname) ?? hostname();
  const attempts = plan.places.some(({ attemptFirst }) => attemptFirst)
    ? createAttempts(configuration, hostName, runtime)
    : undefined;
  return {
    ...plan,
    ways: createWays({ targets, outboxes, health, client, clock, log }),
    reception: createReception({
      targets,
      outboxes,
      health,
      instance,
      bareNewlines: evaluate(configuration, OPTIONS.Bare_Newlines),
      clock,
      log,
      ...(attempts !== undefined && { attemptFirst: attempts }),
    }),
    health,
    outboxes,
    instance,
    graceMs: graceMs(targets, attempts),
    async idle() {
      await Promise.all([...outboxes.values()].map((outbox) => outbox.idle()));
      await attempts?.close();
    },
  };
}

function graceMs(targets: Targets, attempts: Attempts | undefined): number {
  const handOverMs = Math.max(...targets.all.map((target) => target.handoffDeadlineMs));
  return handOverMs + (attempts === undefined ? 0 : ATTEMPT_MS) + WITHDRAWAL_MS;
}

/** A withdrawal after the deadline, and some time to say so. */
const WITHDRAWAL_MS = 60_000;

function signingFaults(targets: Targets, canSign: boolean): readonly string[] {
  const signed = targets.all.flatMap((target) => target.routes).filter((route) => route.sigv4);
  const faults = signed.flatMap((route) => {
    try {
      regionOf(route);
      return [];
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  });
  if (faults.length === 0 && signed.length > 0 && !canSign)
    faults.push('a route asks for sigv4=1, but no AWS credentials are at hand');
  return faults;
}

// What a listener would ignore, its operator would rely on.
function secrecyOfHttp(places: readonly Place[]): readonly string[] {
  return places.flatMap((place) => {
    const { kind, files, written } = place;
    const open = files.tls === undefined && files.users === undefined;
    if (kind !== 'http' || written === undefined || open) return [];
    const message = 'an HTTP_Listener has neither TLS nor users';
    const mend = 'let programs of other machines in by Relay_Hosts, behind a proxy that speaks TLS';
    return [formatFault({ place: written, message, mend })];
  });
}
