// A batch of timers: group them by site, run the sites at once, answer for every record. One destination that
// is slow or sick holds up nobody else.

import type { Router } from '../routing/router.ts';
import { leftOutObservations } from '../routing/tls-observations.ts';
import type { RecipientOutcome } from '../smtp/client.ts';
import { ownReply, type Reply } from '../smtp/reply.ts';
import { attemptDelivery, expireDelivery, postpone } from './attempt.ts';
import { createGate, type Gate } from './gate.ts';
import { StoreError } from './ports.ts';
import { type Egress, fixedDialogue, runSite, type Site, type SiteRun } from './site-run.ts';
import { termsOf } from './terms.ts';
import { parseTimer } from './timer.ts';
import { type AttemptDeps, hideEarly, payOwed, type Task, type TimerFate } from './timer-fate.ts';

export interface DeliverDeps extends AttemptDeps, Egress {
  readonly router: Router;
}

export interface TimerRecord {
  readonly messageId: string;
  readonly receipt: string;
  readonly body: string;
  readonly receiveCount: number;
}

/** By message id, one fate for every record. Never rejects. */
export async function deliverBatch(
  deps: DeliverDeps,
  records: readonly TimerRecord[],
  invocation: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<ReadonlyMap<string, TimerFate>> {
  const fates = new Map<string, TimerFate>(records.map((record) => [record.messageId, 'waiting']));
  const run: SiteRun = {
    ...invocation,
    startedAtMs: deps.clock.nowMs(),
    inFlight: await inFlight(deps),
  };
  const messageIds = new Map<Task, string>();
  const settle = (task: Task, fate: TimerFate) => {
    const messageId = messageIds.get(task);
    if (messageId !== undefined) fates.set(messageId, fate);
  };

  const tasks: Task[] = [];
  for (const record of records) {
    const timer = parseTimer(record.body);
    if (timer === undefined) {
      deps.log.notice({
        level: 'error',
        code: 'timer-malformed',
        message:
          'the timers queue holds a message that is no timer; it is deleted, the ledger has every delivery',
        detail: { messageId: record.messageId },
      });
      fates.set(record.messageId, 'finished');
      continue;
    }
    const { receipt, receiveCount } = record;
    const task = { timer, receipt, receiveCount };
    messageIds.set(task, record.messageId);
    tasks.push(task);
  }

  const owing = tasks.filter((task) => task.timer.owing === true);
  const attempts = tasks.filter((task) => task.timer.owing !== true);
  const early = attempts.filter((task) => task.timer.notBeforeMs > run.startedAtMs);
  const due = attempts.filter((task) => task.timer.notBeforeMs <= run.startedAtMs);
  await Promise.all([
    eachOf(early, settle, (task) => hideEarly(deps, task)),
    eachOf(owing, settle, (task) => payOwed(deps, task)),
    deliverDue(deps, run, due, settle),
  ]);
  deps.tlsResults.flush(deps.log);
  return fates;
}

/** Domains whose route is known within this share sessions by site; a slower one runs alone when it comes. */
const GROUPING_MS = 2_000;

async function deliverDue(
  deps: DeliverDeps,
  run: SiteRun,
  tasks: readonly Task[],
  settle: Settle,
): Promise<void> {
  const sites = new Map<string, Site>();
  const gates = new Map<string, Gate>();
  let grouping = true;
  const routed = [...Map.groupBy(tasks, (task) => task.timer.domain)].map(async ([domain, all]) => {
    const { group, others, end } = sortOut(deps, run, domain, all);
    if (others.length > 0) await eachOf(others, settle, end);
    if (group.length === 0) return;
    const route = await deps.router.route(domain);
    if ('leftOut' in route) leftOutObservations(domain, route).forEach(deps.tlsResults.note);
    switch (route.kind) {
      case 'hops': {
        // Domains of one site share its sessions, unless they ask for others.
        const { hops, tls, mxAuthenticated = false } = route;
        const terms = deps.sessionTermsFor(domain);
        const sessions = deps.sessionsFor(
          domain,
          hops.map(({ host }) => host),
        );
        // An operator's order of hosts is the domain's own, and no other domain's.
        const order = hops.some(({ source }) => source === 'routes')
          ? hops.map(({ host, port }) => [host, port])
          : [];
        const name = JSON.stringify([route.site, tls, mxAuthenticated, order, terms]);
        const site = { name: route.site, hops, tls, mxAuthenticated, terms };
        const findings = new Map([[domain, route]]);
        if (!grouping) {
          const late = { ...site, sessions, findings, tasks: group };
          return runSite(deps, run, late, settle, gateOf(gates, late.name, sessions));
        }
        const known = sites.get(name);
        sites.set(name, {
          ...(known ?? site),
          sessions: Math.min(known?.sessions ?? sessions, sessions),
          findings: new Map([...(known?.findings ?? []), ...findings]),
          tasks: [...(known?.tasks ?? []), ...group],
        });
        return;
      }
      case 'permanent':
      case 'transient': {
        const outcome: RecipientOutcome = { kind: route.kind, stage: 'connect', reply: route.reply };
        return eachOf(group, settle, (task) =>
          attemptDelivery(deps, run, task, fixedDialogue(deps, outcome)),
        );
      }
      case 'postpone':
        return eachOf(group, settle, (task) => putOff(deps, run, task, route.reply));
    }
  });
  const all = Promise.all(routed);
  await Promise.race([all, deps.clock.pause(GROUPING_MS)]);
  grouping = false;
  const runs = [...Map.groupBy(sites.values(), ({ name }) => name)].flatMap(([name, group]) => {
    // The same hosts, by sessions that are led differently: together they have what the strictest allows.
    const most = Math.min(...group.map((site) => site.sessions));
    const sessions = Math.max(1, Math.floor(most / group.length));
    const gate = gateOf(gates, name, most);
    return group.map((site) => runSite(deps, run, { ...site, sessions }, settle, gate));
  });
  await Promise.all([all, ...runs]);
}

function gateOf(gates: Map<string, Gate>, site: string, width: number): Gate {
  const gate = gates.get(site) ?? createGate(width);
  gates.set(site, gate);
  return gate;
}

/** What the operator says of a domain: which of its mail is attempted, and what becomes of the other. */
function sortOut(deps: DeliverDeps, run: SiteRun, domain: string, tasks: readonly Task[]): Sorted {
  const { handling, attemptsExpired, tempo } = termsOf(deps, domain);
  switch (handling) {
    case 'fail': {
      const text = `mail for ${domain} fails without an attempt (Blackhole)`;
      const outcome: RecipientOutcome = {
        kind: 'permanent',
        stage: 'connect',
        reply: ownReply(554, '5.7.1', text),
      };
      const fail = (task: Task) => attemptDelivery(deps, run, task, fixedDialogue(deps, outcome));
      return { group: [], others: tasks, end: fail };
    }
    case 'wait': {
      const reply = ownReply(451, '4.3.2', `mail for ${domain} is held back (Suspend_Delivery)`);
      return {
        group: [],
        others: tasks,
        // A suspended domain must not fill the queue with hidden timers, which other mail needs.
        end: (task) =>
          putOff(deps, run, task, reply, { waitMs: tempo.retryIntervalMs, inFlight: run.inFlight }),
      };
    }
    case 'attempt': {
      const isOver = (task: Task) => !attemptsExpired && deps.clock.nowMs() >= task.timer.expiresAtMs;
      const [group, others] = [tasks.filter((task) => !isOver(task)), tasks.filter(isOver)];
      const reply = ownReply(450, '4.4.7', 'delivery time expired; no last attempt was made');
      return { group, others, end: (task) => expireDelivery(deps, run, task, reply) };
    }
  }
}

interface Sorted {
  readonly group: readonly Task[];
  readonly others: readonly Task[];
  readonly end: (task: Task) => Promise<TimerFate>;
}

type Settle = (task: Task, fate: TimerFate) => void;

async function eachOf(
  tasks: readonly Task[],
  settle: Settle,
  call: (task: Task) => Promise<TimerFate>,
): Promise<void> {
  await Promise.all(tasks.map(async (task) => settle(task, await call(task))));
}

// DNS that does not answer, or a suspension, says nothing about the destination: no attempt is counted, but expiry still fires.
function putOff(
  deps: DeliverDeps,
  run: SiteRun,
  task: Task,
  reply: Reply,
  { waitMs, inFlight } = { waitMs: deps.tempo.postponeMs, inFlight: 0 },
): Promise<TimerFate> {
  if (deps.clock.nowMs() >= task.timer.expiresAtMs) {
    const text = `delivery time expired; the last obstacle was: ${reply.text}`;
    return expireDelivery(deps, run, task, ownReply(450, '4.4.7', text));
  }
  return postpone(deps, task, waitMs * (1 + deps.random.fraction()), reply, inFlight);
}

async function inFlight(deps: DeliverDeps): Promise<number> {
  try {
    return (await deps.timers.depth()).inFlight;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return 0;
  }
}
