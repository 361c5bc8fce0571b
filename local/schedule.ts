// EventBridge's schedule for the release function, on this machine: one run after another, a period apart.
// A run that fails is reported and the next one comes at its time; runs never overlap.

import { setTimeout as delay } from 'node:timers/promises';
import { type Handler, invoke } from './lambda.ts';

export interface ScheduleOptions {
  readonly functionName: string;
  readonly handler: Handler<unknown, unknown>;
  readonly functionTimeoutMs: number;
  readonly periodMs: number;
  readonly onFault: (error: unknown) => void;
}

export interface Schedule {
  /** Waits for a run under way. */
  stop(): Promise<void>;
}

/** The first run is at once: what came due while nothing ran is sent without a further wait. */
export function startSchedule(options: ScheduleOptions): Schedule {
  const stopping = new AbortController();
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      const startedAt = performance.now();
      const { functionName, handler, functionTimeoutMs } = options;
      await invoke(functionName, handler, scheduledEvent(), functionTimeoutMs).catch(options.onFault);
      const waitMs = Math.max(0, options.periodMs - (performance.now() - startedAt));
      await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}

function scheduledEvent() {
  return {
    version: '0',
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    time: new Date().toISOString(),
    detail: {},
  };
}
