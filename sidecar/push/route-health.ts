// Which routes are left alone for a while because nothing answered there (Host_Failure_Retry).

import { formatXferRoute, type XferRoute } from '../../shared/config/routes.ts';
import type { Log } from '../log.ts';
import type { Target } from '../routing/targets.ts';

export class RouteHealth {
  readonly #log: Log;
  readonly #downUntilMs = new Map<XferRoute, number>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** The first route that is not left alone, in the order to try; undefined when there is none. */
  firstUp(target: Target, nowMs: number, except: ReadonlySet<XferRoute> = new Set()): XferRoute | undefined {
    return target.routes.find((route) => !except.has(route) && (this.#downUntilMs.get(route) ?? 0) <= nowMs);
  }

  failed(route: XferRoute, target: Target, nowMs: number, reason: string): void {
    const wasUp = !this.#downUntilMs.has(route);
    this.#downUntilMs.set(route, nowMs + target.hostFailureRetryMs);
    if (wasUp) {
      const message = `nothing answers at ${formatXferRoute(route)}: ${reason}`;
      this.#log.notice({ level: 'warn', code: 'route-down', message });
    }
  }

  answered(route: XferRoute): void {
    if (!this.#downUntilMs.delete(route)) return;
    this.#log.notice({ level: 'info', code: 'route-up', message: `${formatXferRoute(route)} answers again` });
  }
}
