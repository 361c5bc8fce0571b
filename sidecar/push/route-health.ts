// What is known of the hosts that routes name, shared by all targets that name them. A host at which nothing answers
// is left alone for Host_Failure_Retry. One that answers, but takes nothing (5xx, 429, cut connections, timeouts), is
// closed for new mail after BREAKER_TRIES such tries in a row over at least BREAKER_SPAN_MS, unless one message was in
// all of them: the receiver may die of that one. Its waits double up to MAX_BREAK_MS. When a wait is over, one transfer tries first, and the others keep going elsewhere until it ended.
// Mail in doubt asks its own receiver all the time, and its success opens the route again.

import { formatXferRoute, type XferRoute } from '../../shared/config/routes.ts';
import type { Log } from '../log.ts';
import { chainOf, type Target } from '../routing/targets.ts';
import { homeName, Whereabouts } from './whereabouts.ts';

export const BREAKER_TRIES = 5;
/** One incident that cuts all connections of a moment is not yet a receiver that takes nothing. */
export const BREAKER_SPAN_MS = 3_000;
export const MAX_BREAK_MS = 30_000;

export interface RouteState {
  readonly route: string;
  /** Whether new mail goes there without a test. */
  readonly up: boolean;
}

/** A route as one target uses it; another may mean another receiver by the same host and port. */
export interface Place {
  readonly target: Target;
  readonly route: XferRoute;
}

/** A transfer's leave to use a route; what it tells here is what all others know. */
export interface Passage extends Place {
  /** The receiver said something sensible. */
  answered(): void;
  /** The receiver is there, and whether it takes mail comes out later: others need not wait for that. */
  reached(): void;
  /** Nothing answers at the host. */
  unreachable(nowMs: number, reason: string): void;
  /** The receiver may have the mail, or has no time for it, and gave no verdict. */
  failed(nowMs: number, failure: Failure): void;
  /** After the last use, whatever was told before. */
  release(): void;
}

export interface Failure {
  readonly startedAtMs: number;
  /** The messages of the try. */
  readonly ids: readonly string[];
  readonly reason: string;
  readonly retryAfterMs?: number;
}

export class RouteHealth {
  /** Shared, like all that is known of receivers, by everything that hands mail over. */
  readonly whereabouts = new Whereabouts();
  readonly #log: Log;
  /** By host and port: does anything answer there? */
  readonly #hosts = new Map<string, Gate>();
  /** By host, port and Host header: does it take mail? */
  readonly #services = new Map<string, Gate>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Where new mail for the target, or for the next ones of its chain, would go; undefined when nowhere. */
  firstUp(target: Target, nowMs: number): XferRoute | undefined {
    return this.#choose(target, nowMs, new Set())?.route;
  }

  /**
   * The leave to use what `firstUp` names, or that of `only`; another transfer may get another answer while this
   * one tests the route.
   */
  claim(target: Target, nowMs: number, except: ReadonlySet<XferRoute>, only?: Place): Passage | undefined {
    const choice = this.#choose(target, nowMs, except, only);
    if (choice === undefined) return undefined;
    return this.#passage(
      choice.target,
      choice.route,
      this.#gates(choice).map((gate) => gate.enter()),
    );
  }

  /** For mail that must go to this route and no other. */
  pinned(target: Target, route: XferRoute): Passage {
    return this.#passage(target, route, [false, false]);
  }

  /** What closed the routes of the target, for whoever is refused because of it. */
  whyDown(target: Target): string | undefined {
    const reasons = chainOf(target).flatMap((each) =>
      each.routes.flatMap((route) => this.#gates({ target: each, route }).map((gate) => gate.reason)),
    );
    return reasons.find((reason) => reason !== undefined);
  }

  /** Every route of the targets and of their chains, each once. */
  routes(targets: readonly Target[]): readonly RouteState[] {
    const states = new Map<string, boolean>();
    for (const target of targets.flatMap(chainOf)) {
      for (const route of target.routes) {
        const name = formatXferRoute(route);
        const up = this.#gates({ target, route }).every((gate) => !gate.closed);
        states.set(name, up && (states.get(name) ?? true));
      }
    }
    return [...states].map(([route, up]) => ({ route, up }));
  }

  /** Of the target or of its chain: what `homeName` calls so, or the first route that `formatXferRoute` writes so. */
  placeNamed(target: Target, name: string | undefined): Place | undefined {
    if (name === undefined) return undefined;
    return chainOf(target)
      .flatMap((each) => each.routes.map((route) => ({ target: each, route })))
      .find((place) => homeName(place.target, place.route) === name || formatXferRoute(place.route) === name);
  }

  #choose(target: Target, nowMs: number, except: ReadonlySet<XferRoute>, only?: Place): Place | undefined {
    for (const each of chainOf(target)) {
      for (const route of each.routes) {
        if (except.has(route)) continue;
        if (only !== undefined && (route !== only.route || each !== only.target)) continue;
        if (this.#gates({ target: each, route }).every((gate) => gate.admits(nowMs)))
          return { target: each, route };
      }
    }
    return undefined;
  }

  #gates({ target, route }: Place): readonly [Gate, Gate] {
    const host = `${route.host.toLowerCase()} ${route.port}`;
    return [gateOf(this.#hosts, host), gateOf(this.#services, `${host} ${target.host ?? ''}`)];
  }

  #passage(target: Target, route: XferRoute, testing: readonly boolean[]): Passage {
    const [host, service] = this.#gates({ target, route });
    const name = formatXferRoute(route);
    let [testsHost = false, testsService = false] = testing;
    const release = (): void => {
      if (testsHost) host.leave();
      if (testsService) service.leave();
      testsHost = false;
      testsService = false;
    };
    const open = (gates: readonly Gate[]): void => {
      // Each in turn: `open` tells whether it was closed.
      const wereClosed = gates.map((gate) => gate.open());
      if (!wereClosed.includes(true) || host.closed || service.closed) return;
      this.#log.notice({ level: 'info', code: 'route-up', message: `${name} answers again` });
    };
    const down = (message: string): void => this.#log.notice({ level: 'warn', code: 'route-down', message });
    return {
      target,
      route,
      answered: () => {
        open([host, service]);
        release();
      },
      reached: () => {
        open([host]);
        release();
      },
      unreachable: (nowMs, reason) => {
        const waitMs = target.hostFailureRetryMs;
        if (host.close(nowMs, waitMs, reason)) down(`nothing answers at ${name}: ${reason}`);
        release();
      },
      failed: (nowMs, { startedAtMs, ids, reason, retryAfterMs = 0 }) => {
        open([host]);
        const leastMs = target.hostFailureRetryMs;
        const mostMs = Math.max(MAX_BREAK_MS, leastMs);
        const waitMs = (lastMs: number): number =>
          leastMs === 0 ? 0 : Math.min(Math.max(leastMs, lastMs * 2, retryAfterMs), mostMs);
        if (testsService) service.close(nowMs, waitMs(service.waitMs), reason);
        else if (!service.closed && service.count(startedAtMs, nowMs, ids)) {
          service.close(nowMs, waitMs(0), reason);
          down(`${name} takes no mail, ${BREAKER_TRIES} tries in a row: ${reason}`);
        }
        release();
      },
      release,
    };
  }
}

function gateOf(gates: Map<string, Gate>, key: string): Gate {
  const gate = gates.get(key) ?? new Gate();
  gates.set(key, gate);
  return gate;
}

/** Open, closed until some time, or tested by one transfer after it. */
class Gate {
  #untilMs: number | undefined;
  #testing = false;
  /** `suspects`: the messages that were in each of the tries. */
  #row: { tries: number; sinceMs: number; suspects: readonly string[] } | undefined;
  waitMs = 0;
  reason: string | undefined;

  get closed(): boolean {
    return this.#untilMs !== undefined;
  }

  admits(nowMs: number): boolean {
    if (this.#untilMs === undefined) return true;
    return this.waitMs === 0 || (nowMs >= this.#untilMs && !this.#testing);
  }

  /** Whether the one who enters tests it. */
  enter(): boolean {
    if (this.#untilMs === undefined || this.#testing) return false;
    this.#testing = true;
    return true;
  }

  leave(): void {
    this.#testing = false;
  }

  /** Whether it was open before. */
  close(nowMs: number, waitMs: number, reason: string): boolean {
    const wasOpen = !this.closed;
    this.#untilMs = nowMs + waitMs;
    this.waitMs = waitMs;
    this.reason = reason;
    this.#row = undefined;
    return wasOpen;
  }

  /** Whether it was closed before. */
  open(): boolean {
    const wasClosed = this.closed;
    this.#untilMs = undefined;
    this.waitMs = 0;
    this.reason = undefined;
    this.#row = undefined;
    return wasClosed;
  }

  /** One more failed try, begun at `startedAtMs`: whether there are too many by now. */
  count(startedAtMs: number, nowMs: number, ids: readonly string[]): boolean {
    const row = this.#row ?? { tries: 0, sinceMs: startedAtMs, suspects: ids };
    row.suspects = row.suspects.filter((id) => ids.includes(id));
    row.tries += 1;
    row.sinceMs = Math.min(row.sinceMs, startedAtMs);
    this.#row = row;
    const isLong = row.tries >= BREAKER_TRIES && nowMs - row.sinceMs >= BREAKER_SPAN_MS;
    return isLong && row.suspects.length === 0;
  }
}
