// Where trials are played: stores, destinations and time. In memory each trial has a stage of its own, with a
// clock that only moves when the trial says so. `port-fleet.ts` has the same over the emulators and sockets.

import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import type { QueueLimits } from '../../shared/queue/parking.ts';
import { DEFAULT_TEMPO, type Tempo } from '../../shared/queue/tempo.ts';
import type { Router } from '../../shared/routing/router.ts';
import { type ArrivedMail, createDestinations } from './port-destinations.ts';
import { createMemoryStores, type MemoryStores, type ReceivedTimer } from './port-memory.ts';
import type { Ports } from './port-tap.ts';

export interface Leftovers {
  readonly objects: readonly string[];
  /** Objects whose users the ledger still counts. */
  readonly counted: readonly string[];
}

export interface Stage {
  readonly ports: Ports;
  readonly router: Router;
  readonly tempo: Tempo;
  readonly limits: QueueLimits;
  /** Where a release begins that has no cursor. */
  readonly lookbackMs: number;
  nowMs(): number;
  /** Waiting between tries of a store. */
  pause(ms: number): Promise<void>;
  /** Time passes for everybody. */
  sleep(ms: number): Promise<void>;
  /** The trial's timers that are visible now; hidden for the queue's visibility from here on. */
  receiveTimers(): Promise<readonly ReceivedTimer[]>;
  deleteTimers(receipts: readonly string[]): Promise<void>;
  /** What the client does with an upload's ticket. */
  upload(url: string, headers: Readonly<Record<string, string>>, content: Buffer): Promise<void>;
  arrived(): readonly ArrivedMail[];
  leftovers(): Promise<Leftovers>;
}

export interface MemoryStage extends Stage {
  readonly stores: MemoryStores;
}

export interface StageOptions {
  readonly tempo?: Tempo;
  readonly limits?: QueueLimits;
  readonly lookbackMs?: number;
}

/** Longer pauses only wait for company, and nobody is harmed when it does not come. */
const LONGEST_RETRY_PAUSE_MS = 800;

/** 2026-11-22T10:00:00Z. */
const MORNING_MS = 1_795_341_600_000;

export function createMemoryStage(options: StageOptions = {}): MemoryStage {
  let atMs = MORNING_MS;
  const nowMs = () => atMs;
  const tempo = options.tempo ?? DEFAULT_TEMPO;
  const limits = options.limits ?? QUEUE_LIMITS;
  const stores = createMemoryStores({ clock: { nowMs }, tempo });
  const destinations = createDestinations(nowMs);
  return {
    stores,
    ports: { ...stores, smtp: destinations.smtp },
    router: destinations.router,
    tempo,
    limits,
    lookbackMs: options.lookbackMs ?? 10 * tempo.bucketMs,
    nowMs,
    async pause(ms) {
      const untilMs = atMs + ms;
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (ms <= LONGEST_RETRY_PAUSE_MS) atMs = Math.max(atMs, Math.ceil(untilMs));
    },
    async sleep(ms) {
      atMs += ms;
    },
    receiveTimers: async () => stores.receive(limits.queueVisibilityMs),
    deleteTimers: async (receipts) => {
      for (const receipt of receipts) await stores.timers.delete(receipt);
    },
    upload: async (url, _headers, content) => stores.putObject(url.slice('memory:'.length), content),
    arrived: () => destinations.arrived,
    leftovers: async () => ({ objects: stores.objectKeys(), counted: stores.countedKeys() }),
  };
}
