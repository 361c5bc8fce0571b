// SMTP sessions to destinations: one is kept for Idle_Timeout after its message, for the next one to the same site;
// as many are open as Max_Outbound_Connections and Server_Max_Outbound_Connections allow. A site that nobody could
// speak to is left alone for a while, so that a dead destination costs its time once and not for each message.

import type { SiteFailure } from '../../shared/queue/open-site.ts';
import type { SmtpSession } from '../../shared/smtp/client.ts';
import type { Clock } from '../clock.ts';

export type PooledSession = Pick<SmtpSession, 'usable' | 'quit'>;

export interface SessionPool<S extends PooledSession = SmtpSession> {
  /** A session that waits, or leave to open one; undefined while as many are open as may be. */
  take(site: string, limits: SiteLimits): Lease<S> | undefined;
  /** Why nobody is asked there for now. */
  failureOf(site: string): SiteFailure | undefined;
  failed(site: string, failure: SiteFailure): void;
  /** Ends the sessions that wait; those in use end when they are given back. */
  close(): Promise<void>;
}

export interface SiteLimits {
  /** Of all sites together. */
  readonly sessionsInAll: number;
  readonly sessions: number;
  /** Infinity: as many as there are. */
  readonly deliveriesPerSession: number;
  /** RCPT commands; infinity as well. */
  readonly recipientsPerSession: number;
  /** 0: not at all. */
  readonly idleMs: number;
}

/** The right to one of a site's sessions; given back exactly once. */
export interface Lease<S extends PooledSession = SmtpSession> {
  /** Undefined: open one. */
  readonly session: S | undefined;
  /** `session` carried a message for so many, or is undefined when none could be opened. */
  giveBack(session: S | undefined, recipients: number): void;
}

interface Waiting<S> {
  readonly session: S;
  readonly deliveries: number;
  readonly recipients: number;
  readonly cancel: () => void;
}

/** RFC 5321 §4.5.4.1 would have a destination left alone for 30 minutes; the receiver behind us is no less patient. */
const LEFT_ALONE_MS = 60_000;
const MAX_FAILURES = 10_000;

export function createSessionPool<S extends PooledSession>(clock: Clock): SessionPool<S> {
  const open = new Map<string, number>();
  const waiting = new Map<string, readonly Waiting<S>[]>();
  const failures = new Map<string, { readonly failure: SiteFailure; readonly untilMs: number }>();
  let openInAll = 0;
  let isClosed = false;

  function count(site: string, change: 1 | -1): void {
    const sessions = (open.get(site) ?? 0) + change;
    if (sessions === 0) open.delete(site);
    else open.set(site, sessions);
    openInAll += change;
  }

  /** It waits no longer. A site for which none waits has no entry. */
  function leave(site: string, one: Waiting<S>): void {
    one.cancel();
    const left = (waiting.get(site) ?? []).filter((other) => other !== one);
    if (left.length === 0) waiting.delete(site);
    else waiting.set(site, left);
  }

  function end(site: string, one: Waiting<S>): Promise<void> {
    leave(site, one);
    count(site, -1);
    return one.session.quit();
  }

  function takeWaiting(site: string, limits: SiteLimits): Waiting<S> | undefined {
    for (const one of [...(waiting.get(site) ?? [])].reverse()) {
      if (one.session.usable && hasRoom(one, limits)) {
        leave(site, one);
        return one;
      }
      void end(site, one);
    }
    return undefined;
  }

  /** Room for a new session is worth more than one that waits for another site. */
  function makeRoom({ sessionsInAll }: SiteLimits): void {
    for (const [site, some] of waiting) {
      for (const one of some) {
        if (openInAll < sessionsInAll) return;
        void end(site, one);
      }
    }
  }

  return {
    take(site, limits) {
      const kept = takeWaiting(site, limits);
      if (kept === undefined) {
        if ((open.get(site) ?? 0) >= limits.sessions) return undefined;
        makeRoom(limits);
        if (openInAll >= limits.sessionsInAll) return undefined;
        count(site, 1);
      }
      return {
        session: kept?.session,
        giveBack(session, more) {
          const carried = {
            deliveries: (kept?.deliveries ?? 0) + 1,
            recipients: (kept?.recipients ?? 0) + more,
          };
          const isKept = session?.usable === true && limits.idleMs > 0 && hasRoom(carried, limits);
          if (session === undefined || !isKept || isClosed) {
            count(site, -1);
            void session?.quit();
            return;
          }
          const one: Waiting<S> = {
            session,
            ...carried,
            cancel: clock.after(limits.idleMs, () => void end(site, one)),
          };
          waiting.set(site, [...(waiting.get(site) ?? []), one]);
        },
      };
    },
    failureOf(site) {
      const known = failures.get(site);
      return known !== undefined && known.untilMs > clock.nowMs() ? known.failure : undefined;
    },
    failed(site, failure) {
      failures.delete(site);
      failures.set(site, { failure, untilMs: clock.nowMs() + LEFT_ALONE_MS });
      for (const oldest of failures.keys()) {
        if (failures.size <= MAX_FAILURES) break;
        failures.delete(oldest);
      }
    },
    async close() {
      isClosed = true;
      await Promise.all([...waiting].flatMap(([site, some]) => some.map((one) => end(site, one))));
    },
  };
}

function hasRoom(carried: Pick<Waiting<unknown>, 'deliveries' | 'recipients'>, limits: SiteLimits): boolean {
  return carried.deliveries < limits.deliveriesPerSession && carried.recipients < limits.recipientsPerSession;
}
