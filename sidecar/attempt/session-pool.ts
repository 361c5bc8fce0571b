// SMTP sessions to destinations: one is kept for Idle_Timeout after its message, for the next one to the same site;
// as many are open as Max_Outbound_Connections and Server_Max_Outbound_Connections allow. A site that nobody could
// speak to is left alone for a while, so that a dead destination costs its time once and not for each message.

import type { SiteFailure } from '../../shared/queue/open-site.ts';
import type { SmtpSession } from '../../shared/smtp/client.ts';
import type { Clock } from '../clock.ts';

export interface SessionPool {
  /** A session that waits, or leave to open one; undefined while as many are open as may be. */
  take(site: string, limits: SiteLimits): Lease | undefined;
  /** Why nobody is asked there for now. */
  failureOf(site: string): SiteFailure | undefined;
  failed(site: string, failure: SiteFailure): void;
  /** Ends the sessions that wait; those in use end when they are given back. */
  close(): Promise<void>;
}

export interface SiteLimits {
  readonly sessions: number;
  /** Infinity: as many as there are. */
  readonly deliveriesPerSession: number;
  /** RCPT commands; infinity as well. */
  readonly recipientsPerSession: number;
  /** 0: not at all. */
  readonly idleMs: number;
}

/** The right to one of a site's sessions; given back exactly once. */
export interface Lease {
  /** Undefined: open one. */
  readonly session: SmtpSession | undefined;
  /** `session` carried a message for so many, or is undefined when none could be opened. */
  giveBack(session: SmtpSession | undefined, recipients: number): void;
}

interface Waiting {
  readonly session: SmtpSession;
  readonly deliveries: number;
  readonly recipients: number;
  readonly cancel: () => void;
}

/** RFC 5321 §4.5.4.1 would have a destination left alone for 30 minutes; the receiver behind us is no less patient. */
const LEFT_ALONE_MS = 60_000;
const MAX_FAILURES = 10_000;

export function createSessionPool(clock: Clock, maxSessions: number): SessionPool {
  const open = new Map<string, number>();
  const waiting = new Map<string, Waiting[]>();
  const failures = new Map<string, { readonly failure: SiteFailure; readonly untilMs: number }>();
  let openInAll = 0;
  let isClosed = false;

  function count(site: string, change: 1 | -1): void {
    const sessions = (open.get(site) ?? 0) + change;
    if (sessions === 0) open.delete(site);
    else open.set(site, sessions);
    openInAll += change;
  }

  function end(site: string, { session, cancel }: Waiting): Promise<void> {
    cancel();
    const left = (waiting.get(site) ?? []).filter((other) => other.session !== session);
    if (left.length === 0) waiting.delete(site);
    else waiting.set(site, left);
    count(site, -1);
    return session.quit();
  }

  function takeWaiting(site: string, limits: SiteLimits): Waiting | undefined {
    for (const one of [...(waiting.get(site) ?? [])].reverse()) {
      if (one.session.usable && hasRoom(one, limits)) {
        one.cancel();
        waiting.set(
          site,
          (waiting.get(site) ?? []).filter((other) => other !== one),
        );
        return one;
      }
      void end(site, one);
    }
    return undefined;
  }

  /** Room for a new session is worth more than one that waits for another site. */
  function makeRoom(): void {
    const [oldest] = waiting;
    const [site, [first] = []] = oldest ?? [];
    if (openInAll >= maxSessions && site !== undefined && first !== undefined) void end(site, first);
  }

  return {
    take(site, limits) {
      const kept = takeWaiting(site, limits);
      if (kept === undefined) {
        makeRoom();
        if ((open.get(site) ?? 0) >= limits.sessions || openInAll >= maxSessions) return undefined;
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
          const one: Waiting = {
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

function hasRoom(carried: Pick<Waiting, 'deliveries' | 'recipients'>, limits: SiteLimits): boolean {
  return carried.deliveries < limits.deliveriesPerSession && carried.recipients < limits.recipientsPerSession;
}
