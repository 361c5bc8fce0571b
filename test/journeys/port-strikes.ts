// What can go wrong at one call of a port, and a role's run that meets it. A crash ends the run as the end of a
// process does: whatever the run asks for afterwards fails, and what it would have said or logged is not heard.
// A call that was under way when the process died may still land, at once or later.

import { StoreError } from '../../shared/queue/ports.ts';
import type { SmtpSession } from '../../shared/smtp/client.ts';
import { type Interceptor, type PortCall, type Ports, TimersLost, tapPorts } from './port-tap.ts';

export type Role = 'receive' | 'deliver' | 'release';

export const CRASHES = ['crash before', 'crash after', 'crash, lands later'] as const;
export const FAULTS = [
  /** Refused or throttled: nothing was applied. */
  'refused',
  /** No answer, and never applied. */
  'lost',
  /** Applied, and no answer. */
  'unanswered',
  /** No answer; it lands when the run is over. */
  'lands later',
  /** Applied and answered, 40 s later: past every client's patience. */
  'slow',
] as const;
export type Harm = (typeof CRASHES)[number] | (typeof FAULTS)[number];

export interface Strike {
  readonly role: Role;
  /** Counts the calls of the role, over all of its runs, from 0. */
  readonly at: number;
  readonly harm: Harm;
}

export const SLOW_MS = 40_000;

/** Never seen by the domain as a store's failure: nothing may catch it and go on. */
export class Crash extends Error {}

/** One call that was made, for the judgement of what the crash left. */
export interface Traced {
  readonly role: Role;
  readonly run: number;
  readonly name: string;
  /** Of the envelope, or of the item, that the call is about. */
  readonly recipients: readonly string[];
  /** It was done; a conditional write that was refused did nothing. */
  readonly applied: boolean;
  readonly struck?: Harm;
}

/** What a trial's runs share. */
export interface StrikeBook {
  readonly strikes: Strike[];
  readonly trace: Traced[];
  /** Runs so far. */
  runs: number;
  /** Calls so far, by role. */
  readonly counts: Record<Role, number>;
  /** Calls that land later. */
  readonly pending: (() => Promise<unknown>)[];
  /** Moves the trial's own clock until the run ends. */
  readonly stall: (ms: number) => void;
  /** Recipients that a dialogue is about right now; a second one at the same time breaks I3. */
  readonly overlaps: string[];
  readonly talking: Set<string>;
  /** Of the first so many batches of timers the queue says that it has them, and loses them. */
  timersToLose: number;
  /** How a call of this name fails now; undefined: it does not. */
  readonly outage: Outage;
}

export type Outage = (name: string) => StoreError['code'] | undefined;

export function createStrikeBook(options: {
  readonly strikes: Strike[];
  readonly timersToLose: number;
  readonly stall: (ms: number) => void;
  readonly outage: Outage;
}): StrikeBook {
  return {
    ...options,
    trace: [],
    runs: 0,
    counts: { receive: 0, deliver: 0, release: 0 },
    pending: [],
    overlaps: [],
    talking: new Set(),
  };
}

/** The turn of a run that dies before its n-th call of this name. */
export function dyingBefore(book: StrikeBook, role: Role, name: string, nth: number) {
  let seen = 0;
  return async (call: PortCall): Promise<void> => {
    if (call.name === name) seen += 1;
    if (call.name === name && seen === nth) {
      book.strikes.push({ role, at: book.counts[role], harm: 'crash before' });
    }
  };
}

/** Lets what was under way land. */
export async function landPending(book: StrikeBook): Promise<void> {
  for (const land of book.pending.splice(0)) await land().catch(() => {});
}

/** One run of a role: an invocation. */
export interface RoleRun {
  readonly ports: Ports;
  readonly dead: () => boolean;
}

/** `turn` lets a conductor decide when each call is made. */
export function startRun(
  book: StrikeBook,
  role: Role,
  ports: Ports,
  turn: (call: PortCall) => Promise<void> = async () => {},
): RoleRun {
  let dead = false;
  const run = book.runs;
  book.runs += 1;
  const sessions: SmtpSession[] = [];
  const attempts = new Set<() => void>();
  const die = (): never => {
    dead = true;
    for (const session of sessions) session.destroy();
    for (const ended of attempts) ended();
    throw new Crash();
  };
  const note = (call: PortCall, applied: boolean, struck?: Harm) => {
    const { name, recipients } = call;
    book.trace.push({ role, run, name, recipients, applied, ...(struck === undefined ? {} : { struck }) });
  };

  const interceptor: Interceptor = {
    async step(call, apply) {
      if (dead) throw new Crash();
      await turn(call);
      if (dead) throw new Crash();
      const at = book.counts[role];
      book.counts[role] += 1;
      const harm = book.strikes.find((strike) => strike.role === role && strike.at === at)?.harm;
      const applied = async (struck?: Harm) => {
        const result = await apply();
        note(call, result !== false, struck);
        return result;
      };
      if (call.name === 'timers.send' && book.timersToLose > 0) {
        book.timersToLose -= 1;
        throw new TimersLost();
      }
      const down = book.outage(call.name);
      if (down !== undefined) {
        note(call, false, down === 'not-applied' ? 'refused' : 'lost');
        throw new StoreError(down, `${call.name} is out of order`);
      }
      switch (harm) {
        case undefined: {
          const result = await applied();
          if (dead) throw new Crash();
          return result;
        }
        case 'crash before':
          note(call, false, harm);
          return die();
        case 'crash after':
          await applied(harm);
          return die();
        case 'crash, lands later':
          note(call, false, harm);
          book.pending.push(applied);
          return die();
        case 'refused':
          note(call, false, harm);
          throw new StoreError('not-applied', `${call.name} was refused`);
        case 'lost':
          note(call, false, harm);
          throw new StoreError('in-doubt', `${call.name} was lost`);
        case 'unanswered':
          await applied(harm);
          throw new StoreError('in-doubt', `${call.name} was not answered`);
        case 'lands later':
          note(call, false, harm);
          book.pending.push(applied);
          throw new StoreError('in-doubt', `${call.name} was not answered in time`);
        case 'slow':
          book.stall(SLOW_MS);
          return applied(harm);
      }
    },
    attempt(envelope) {
      // Reports are told apart by their content alone: two for one sender may well be under way at once.
      const names = envelope.sender === '' ? [] : envelope.recipients.map(({ address }) => address);
      for (const name of names) {
        if (book.talking.has(name)) book.overlaps.push(name);
        book.talking.add(name);
      }
      const ended = () => {
        if (attempts.delete(ended)) for (const name of names) book.talking.delete(name);
      };
      attempts.add(ended);
      return ended;
    },
    opened: (session) => void sessions.push(session),
  };
  return { ports: tapPorts(ports, interceptor), dead: () => dead };
}
