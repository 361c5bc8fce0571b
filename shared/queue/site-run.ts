// One site's share of a batch: a few sessions, each taking one delivery after another. When no host of the site
// can be spoken to, that is the outcome of every delivery that waits for it: nobody knocks again and again.

import type { TlsResults } from '../records/tls-results.ts';
import type { Hop, PolicyFindings } from '../routing/router.ts';
import type { SessionTerms } from '../routing/session-terms.ts';
import { sessionObservations } from '../routing/tls-observations.ts';
import type { RecipientOutcome, SmtpSession, TlsDemand, TlsResult } from '../smtp/client.ts';
import { ownReply } from '../smtp/reply.ts';
import { attemptDelivery, type Dialogue, expireDelivery, postpone, type Run } from './attempt.ts';
import type { Gate } from './gate.ts';
import { handOver, type Order, type SessionLoad, type Work } from './hand-over.ts';
import { hopsFrom, type Opener, openAny, type SiteFailure } from './open-site.ts';
import type { Peer } from './outcomes.ts';
import type { AttemptDeps, Task } from './timer-fate.ts';

export interface Egress extends Opener {
  /** How sessions are led that carry mail of a domain. */
  readonly sessionTermsFor: (domain: string) => SessionTerms;
  /** Sessions that a site of these hosts may have at once, as far as this domain of it goes. */
  readonly sessionsFor: (domain: string, hosts: readonly string[]) => number;
  readonly tlsResults: TlsResults;
}

export interface SiteRun extends Run {
  /** Aborted shortly before the deadline: sockets are destroyed, what is under way is settled. */
  readonly signal: AbortSignal;
}

/** No new transaction starts after this much of an invocation. */
export const START_WINDOW_MS = 60_000;
/** From the last octet of content to the reply to the final dot, RFC 5321 §4.5.3.2.6, and a little. */
const FINAL_REPLY_MS = 630_000;
/** Deliveries that were handed to one session and are not settled: what a dead ledger could make us repeat. */
const MAX_UNSETTLED_PER_SESSION = 8;
/** A peer that takes content more slowly than this may be cut off by the invocation's end. */
const SLOWEST_BODY_BYTES_PER_SECOND = 512 * 1_024;

/** Where some of a batch's deliveries go, and what a session there must have. */
export interface Site {
  readonly name: string;
  readonly hops: readonly Hop[];
  readonly tls: TlsDemand;
  readonly mxAuthenticated: boolean;
  readonly terms: SessionTerms;
  /** At once; the least that its domains allow, less what other sites of the same hosts take. */
  readonly sessions: number;
  readonly tasks: readonly Task[];
  /** What is known of the policies of the domains that come here. */
  readonly findings: ReadonlyMap<string, PolicyFindings>;
}

/** What a run of a site needs. */
export type SiteDeps = AttemptDeps & Pick<Egress, 'smtp' | 'tlsResults'>;

export async function runSite(
  deps: SiteDeps,
  run: SiteRun,
  site: Site,
  settle: Order['settle'],
  /** Lets as many sessions through as the hosts may have, of all sites that they are. */
  admitted: Gate = (work) => work(),
): Promise<void> {
  const { opening, deliveriesPerSession, recipientsPerSession } = site.terms;
  const waiting: Work[] = site.tasks.map((task) => ({ task }));
  const late: Task[] = [];
  /** Given back without a word, and being put off. */
  const stranded: Promise<void>[] = [];
  const putOff = ({ task, resume }: Work) => {
    if (resume === undefined) late.push(task);
    else stranded.push(resume(undefined).ended);
  };
  let unreachable: SiteFailure | undefined;
  let startedCount = 0;
  /** Workers that have a session or are opening one. */
  let connected = 0;
  /** The host that answered first is asked first from then on: dead ones cost their time once. */
  let { hops } = site;
  /** A domain counts a session when its first message goes over it, or when none could be opened for it. */
  const count = (domain: string, hop: Hop, result: TlsResult | undefined) => {
    for (const seen of sessionObservations(domain, site.findings.get(domain) ?? {}, hop, result)) {
      deps.tlsResults.note(seen);
    }
  };

  const order = (task: Task): Order => ({
    run,
    task,
    site: site.name,
    terms: site.terms,
    settle,
    mayFinish: () => mayFinish(deps, run, task),
    putBack: (work) => waiting.unshift(work),
  });

  const worker = async () => {
    let session: SmtpSession | undefined;
    let handedOver = 0;
    let load: SessionLoad = { recipients: 0 };
    let reached: { readonly hop: Hop; readonly result: TlsResult | undefined } | undefined;
    const counted = new Set<string>();
    const unsettled = new Set<Promise<void>>();
    const leave = async () => {
      if (session === undefined) return;
      await Promise.all(unsettled);
      connected -= 1;
      await session.quit();
      session = undefined;
    };
    for (;;) {
      const work = waiting.shift();
      if (work === undefined) {
        if (unsettled.size === 0) break;
        // A session that ends puts back what it did not speak of.
        await Promise.race(unsettled);
        continue;
      }
      const { task, resume } = work;
      if (!mayStart(deps, run, task)) {
        putOff(work);
        continue;
      }
      const isFull = handedOver >= deliveriesPerSession || load.recipients >= recipientsPerSession;
      if (session === undefined || !session.usable || isFull) {
        await leave();
        handedOver = 0;
        load = { recipients: 0 };
        if (unreachable === undefined) {
          connected += 1;
          const { domain } = task.timer;
          counted.clear();
          const opened = await openAny(deps, { ...site, opening, hops }, run.signal, (hop, outcome) => {
            if (outcome.kind === 'failed') count(domain, hop, outcome.tlsResult);
            else reached = { hop, result: outcome.tlsResult };
          });
          if (opened.kind === 'opened') {
            const fresh = opened.session;
            run.signal.addEventListener('abort', () => fresh.destroy(), { once: true });
            session = fresh;
            hops = hopsFrom(hops, session);
          }
          if (opened.kind === 'failed') connected -= 1;
          // A site that takes no further session is not out of reach: those that it took carry the rest.
          if (opened.kind === 'failed' && connected > 0) {
            waiting.unshift(work);
            return;
          }
          if (opened.kind === 'failed') unreachable = opened;
        }
        // Opening may have taken minutes, and a reply to the final dot must still find us here.
        const inTime = session === undefined ? !run.signal.aborted : mayFinish(deps, run, task);
        if (!inTime) {
          putOff(work);
          continue;
        }
      }
      if (session === undefined && resume !== undefined) {
        putOff(work);
        continue;
      }
      startedCount += 1;
      if (session === undefined) {
        settle(task, await attemptDelivery(deps, run, task, failedDialogue(deps, site.name, unreachable)));
        continue;
      }
      handedOver += 1;
      const { domain } = task.timer;
      if (reached !== undefined && !counted.has(domain)) count(domain, reached.hop, reached.result);
      counted.add(domain);
      const carrier = { session, load };
      const { begun, ended } = resume?.(carrier) ?? handOver(deps, order(task), carrier);
      const settled = ended.finally(() => unsettled.delete(settled));
      unsettled.add(settled);
      await begun;
      await session.ready();
      while (unsettled.size >= MAX_UNSETTLED_PER_SESSION) await Promise.race(unsettled);
    }
    await leave();
  };

  const workers = Math.min(site.sessions, site.tasks.length);
  await Promise.all(Array.from({ length: workers }, () => admitted(worker)));
  // Given back by a worker that got no session, when no other was left to take it.
  waiting.splice(0).forEach(putOff);
  await Promise.all(stranded);
  // What did not start comes back at the rate at which the others went.
  const elapsedMs = Math.max(deps.clock.nowMs() - run.startedAtMs, 1_000);
  const spreadMs = startedCount === 0 ? deps.tempo.postponeMs : (late.length / startedCount) * elapsedMs;
  await Promise.all(
    late.map(async (task) => {
      const expired = deps.clock.nowMs() >= task.timer.expiresAtMs;
      const waitMs = deps.tempo.postponeMs + deps.random.fraction() * spreadMs;
      settle(
        task,
        expired ? await expireDelivery(deps, run, task, NO_TIME) : await postpone(deps, task, waitMs),
      );
    }),
  );
}

const NO_TIME = ownReply(450, '4.4.7', 'delivery time expired while the site left no time for an attempt');

/** The same outcome for every recipient, without a dialogue: the site or the domain cannot be reached. */
export function fixedDialogue(
  deps: AttemptDeps,
  outcome: RecipientOutcome,
  about: { readonly site?: string; readonly peer?: Peer } = {},
): Dialogue {
  return {
    needsContent: false,
    speak: async (_envelope, _content, positions) => ({
      atMs: deps.clock.nowMs(),
      outcomes: new Map(positions.map((position) => [position, outcome])),
      ...about,
    }),
  };
}

function failedDialogue(deps: AttemptDeps, site: string, failure: SiteFailure | undefined): Dialogue {
  const reply = failure?.reply ?? ownReply(421, '4.4.1', 'no host of the site could be reached');
  const outcome: RecipientOutcome = { kind: 'transient', stage: failure?.stage ?? 'connect', reply };
  const hop = failure?.hop;
  return fixedDialogue(deps, outcome, {
    site,
    ...(hop === undefined ? {} : { peer: { host: hop.host, address: hop.address } }),
  });
}

function mayStart(deps: AttemptDeps, run: SiteRun, task: Task): boolean {
  return deps.clock.nowMs() < run.startedAtMs + START_WINDOW_MS && mayFinish(deps, run, task);
}

function mayFinish(deps: AttemptDeps, run: SiteRun, task: Task): boolean {
  const bodyMs = (task.timer.sizeBytes / SLOWEST_BODY_BYTES_PER_SECOND) * 1_000;
  return !run.signal.aborted && deps.clock.nowMs() + bodyMs + FINAL_REPLY_MS < run.deadlineMs;
}
