// Starts a sidecar from a configuration, and gives it another one while it runs: checks where mail may go and where
// it may be taken, then listens. Rejects with `SidecarStartError`: `code` is `configuration` when the configuration
// forbids it, and then nothing was opened, or `listen` when an address could not be bound.

import type { Configuration } from '../shared/config/configuration.ts';
import { createAttemptMemory } from './attempt/memory.ts';
import type { DestinationTuning } from './attempt/wiring.ts';
import { changesBetween } from './changes.ts';
import { type Clock, systemClock } from './clock.ts';
import {
  createGeneration,
  type Generation,
  type Plan,
  type PlanningOptions,
  planFor,
  type Runtime,
  type Tuning,
} from './generation.ts';
import { MemoryBudget } from './intake/memory-budget.ts';
import { ScratchSpace } from './intake/scratch-space.ts';
import { Listeners, type ListeningAddress } from './listeners.ts';
import { type Log, logTo, type SidecarRecord } from './log.ts';
import { createMetrics } from './metrics.ts';
import type { PlaceOptions } from './places.ts';
import { createReceiverClient } from './push/receiver-client.ts';
import { RouteHealth } from './push/route-health.ts';
import { type AwsCredentials, createSigner } from './push/signature.ts';
import { type TraceRecord, traceTo } from './trace.ts';

/** What tests set otherwise; the first two stand for Max_Held_Bytes and Max_Inbound_Connections. */
export interface SidecarLimits extends Tuning {
  readonly maxHeldBytes?: number;
  readonly maxConnections?: number;
}

export const DEFAULT_TUNING: Tuning = { maxTransfers: 16, windowMs: 4, idleTimeoutMs: 300_000 };

export interface SidecarOptions extends PlaceOptions, Pick<PlanningOptions, 'checkCombinations'> {
  readonly configuration: Configuration;
  /** Takes every record, in order. */
  readonly log: (record: SidecarRecord) => void;
  /** Takes the dialogue with clients and receivers, line by line; nothing is traced without it. */
  readonly trace?: (record: TraceRecord) => void;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly limits?: Partial<SidecarLimits>;
  /** How attempts by SMTP find destinations, where no option says it. */
  readonly destinations?: DestinationTuning;
  /** For routes with sigv4=1. */
  readonly awsCredentials?: () => Promise<AwsCredentials>;
}

export interface Sidecar {
  /** What is listened at now. */
  readonly addresses: readonly ListeningAddress[];
  /**
   * Goes over to another configuration. What has begun ends under the old one; places that stay keep their
   * sockets. With faults everything stays as it was. Logs which of both happened.
   */
  reload(read: Reread): Promise<ReloadResult>;
  /** Takes no new mail, finishes what is under way, and closes. */
  close(): Promise<void>;
}

/** The files read anew: what is in them, or every fault that their reader found. */
export type Reread =
  | { readonly ok: true; readonly configuration: Configuration }
  | { readonly ok: false; readonly faults: readonly string[] };

export type ReloadResult = { readonly ok: true } | { readonly ok: false; readonly faults: readonly string[] };

export class SidecarStartError extends Error {
  readonly code: 'configuration' | 'listen';

  constructor(code: 'configuration' | 'listen', message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SidecarStartError';
    this.code = code;
  }
}

export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const clock = options.clock ?? systemClock;
  const metrics = createMetrics();
  const take = (record: SidecarRecord): void => {
    metrics.record(record);
    options.log(record);
  };
  const log = logTo(take, () => clock.nowMs());
  const trace = options.trace === undefined ? undefined : traceTo(options.trace, clock.nowMs);
  const plan = checkSidecar(options);
  const client = createReceiverClient(
    clock,
    createSigner(options.awsCredentials ?? noCredentials, clock.nowMs),
    { ...(trace !== undefined && { trace: trace.push }) },
  );
  const runtime: Runtime = {
    client,
    health: new RouteHealth(log),
    memory: new MemoryBudget(plan.maxHeldBytes, new ScratchSpace(plan.maxScratchBytes)),
    clock,
    log,
    metrics,
    trace,
    random: options.random ?? Math.random,
    tuning: { ...DEFAULT_TUNING, ...options.limits },
    attempts: createAttemptMemory(clock),
    ...(options.destinations !== undefined && { destinations: options.destinations }),
  };
  const running = new RunningSidecar(options, runtime, createGeneration(plan, runtime));
  await running.listen();
  return running;
}

/** What the sidecar would do, without doing it. Throws `SidecarStartError` of code `configuration`. */
export function checkSidecar(options: SidecarOptions): Plan {
  const nowMs = (options.clock ?? systemClock).nowMs();
  const result = planFor(options.configuration, planningOptions(options), nowMs);
  if (!result.ok) throw new SidecarStartError('configuration', result.faults.join('\n'));
  return limited(result.plan, options.limits);
}

class RunningSidecar implements Sidecar {
  readonly #options: SidecarOptions;
  readonly #runtime: Runtime;
  readonly #listeners: Listeners;
  #generation: Generation;
  /** Those before it, under which something may still be under way. */
  #former: readonly { readonly generation: Generation; readonly untilMs: number }[] = [];
  /** Reloads follow one another. */
  #reloading: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(options: SidecarOptions, runtime: Runtime, generation: Generation) {
    this.#options = options;
    this.#runtime = runtime;
    this.#generation = generation;
    this.#listeners = new Listeners(runtime);
  }

  get addresses(): readonly ListeningAddress[] {
    return this.#listeners.addresses;
  }

  async listen(): Promise<void> {
    warn(this.#runtime.log, this.#generation);
    try {
      await this.#listeners.takeOver(this.#generation);
    } catch (error) {
      this.#runtime.client.close();
      throw new SidecarStartError('listen', `the sidecar cannot listen: ${messageOf(error)}`, error);
    }
  }

  reload(read: Reread): Promise<ReloadResult> {
    const done = this.#reloading.then(() => this.#reload(read));
    this.#reloading = done.catch(() => undefined);
    return done;
  }

  async #reload(read: Reread): Promise<ReloadResult> {
    if (this.#closing !== undefined) return this.#refuse(['the sidecar is stopping']);
    if (!read.ok) return this.#refuse(read.faults);
    const { clock, log, memory } = this.#runtime;
    const planned = planFor(read.configuration, planningOptions(this.#options), clock.nowMs());
    if (!planned.ok) return this.#refuse(planned.faults);
    const plan = limited(planned.plan, this.#options.limits);
    const generation = createGeneration(plan, this.#runtime);
    try {
      await this.#listeners.takeOver(generation);
    } catch (error) {
      return this.#refuse([`the sidecar cannot listen: ${messageOf(error)}`]);
    }
    const changes = changesBetween(this.#generation, generation);
    this.#former = [
      ...this.#former.filter(({ untilMs }) => untilMs > clock.nowMs() - KEEP_FORMER_MS),
      { generation: this.#generation, untilMs: clock.nowMs() },
    ];
    this.#generation = generation;
    memory.resize(generation.maxHeldBytes);
    memory.scratch.resize(generation.maxScratchBytes);
    warn(log, generation);
    const message = changes.length === 0 ? 'nothing changed' : changes.join('; ');
    log.notice({ level: 'info', code: 'reloaded', message });
    return { ok: true };
  }

  #refuse(faults: readonly string[]): ReloadResult {
    const message = `the old configuration stays: ${faults.join('\n')}`;
    this.#runtime.log.notice({ level: 'error', code: 'reload-refused', message });
    return { ok: false, faults };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { log, client } = this.#runtime;
    log.notice({
      level: 'info',
      code: 'stopping',
      message: 'taking no new mail; finishing what is under way',
    });
    await this.#reloading;
    await this.#listeners.close();
    // A client that left may have a withdrawal under way, which nobody waits for but us.
    const former = this.#former.map(({ generation }) => generation);
    await Promise.all([this.#generation, ...former].map((generation) => generation.idle()));
    client.close();
    log.notice({ level: 'info', code: 'stopped', message: 'stopped' });
  }
}

/** Far longer than any hand-over with its withdrawal. */
const KEEP_FORMER_MS = 3_600_000;

function planningOptions(options: SidecarOptions): PlanningOptions {
  return { ...options, canSign: options.awsCredentials !== undefined };
}

function limited(plan: Plan, limits: Partial<SidecarLimits> = {}): Plan {
  const { maxHeldBytes = plan.maxHeldBytes, maxConnections } = limits;
  if (maxConnections === undefined) return { ...plan, maxHeldBytes };
  return { ...plan, maxHeldBytes, places: plan.places.map((place) => ({ ...place, maxConnections })) };
}

function warn(log: Log, { warnings }: Generation): void {
  for (const message of warnings) log.notice({ level: 'warn', code: 'configuration', message });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function noCredentials(): Promise<AwsCredentials> {
  throw new Error('no AWS credentials are at hand');
}
