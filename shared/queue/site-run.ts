// One site's share of a batch: a few sessions, each taking one delivery after another. When no host of the site
// can be spoken to, that is the outcome of every delivery that waits for it: nobody knocks again and again.

import type { Hop } from '../routing/router.ts';
import type {
  OpenOutcome,
  RecipientOutcome,
  SmtpClient,
  SmtpSession,
  SmtpTimeouts,
  Stage,
  TlsDemand,
} from '../smtp/client.ts';
import { ownReply, type Reply } from '../smtp/reply.ts';
import { attemptDelivery, type Dialogue, expireDelivery, postpone, type Run } from './attempt.ts';
import type { Peer } from './outcomes.ts';
import type { AttemptDeps, Task, TimerFate } from './timer-fate.ts';

export interface Egress {
  readonly smtp: SmtpClient;
  readonly ehloName: string;
  readonly timeouts: SmtpTimeouts;
  readonly sessionsPerSite: number;
  readonly deliveriesPerSession: number;
}

export interface SiteRun extends Run {
  /** Aborted shortly before the deadline: sockets are destroyed, what is under way is settled. */
  readonly signal: AbortSignal;
}

/** No new transaction starts after this much of an invocation. */
export const START_WINDOW_MS = 60_000;
/** From the last octet of content to the reply to the final dot, RFC 5321 §4.5.3.2.6, and a little. */
const FINAL_REPLY_MS = 630_000;
/** After this long no further host is tried for a session; the one being tried has `openingMs` at most. */
const OPENING_BUDGET_MS = 90_000;
/** A peer that takes content more slowly than this may be cut off by the invocation's end. */
const SLOWEST_BODY_BYTES_PER_SECOND = 512 * 1_024;

/** Where some of a batch's deliveries go, and what a session there must have. */
export interface Site {
  readonly name: string;
  readonly hops: readonly Hop[];
  readonly tls: TlsDemand;
  readonly tasks: readonly Task[];
}

export type Fates = (task: Task, fate: TimerFate) => void;

export async function runSite(
  deps: AttemptDeps & Egress,
  run: SiteRun,
  site: Site,
  settle: Fates,
): Promise<void> {
  const waiting = [...site.tasks];
  const late: Task[] = [];
  let unreachable: SiteFailure | undefined;
  let startedCount = 0;
  /** Workers that have a session or are opening one. */
  let connected = 0;
  /** The host that answered first is asked first from then on: dead ones cost their time once. */
  let { hops } = site;

  const worker = async () => {
    let session: SmtpSession | undefined;
    let carried = 0;
    const leave = async () => {
      if (session === undefined) return;
      connected -= 1;
      await session.quit();
      session = undefined;
    };
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      if (!mayStart(deps, run, task)) {
        late.push(task);
        continue;
      }
      if (session === undefined || !session.usable || carried >= deps.deliveriesPerSession) {
        await leave();
        carried = 0;
        if (unreachable === undefined) {
          connected += 1;
          const opened = await openAny(deps, { hops, tls: site.tls }, run.signal);
          if (opened.kind === 'opened') {
            session = opened.session;
            hops = hopsFrom(hops, session);
          }
          if (opened.kind === 'failed') connected -= 1;
          // A site that takes no further session is not out of reach: those that it took carry the rest.
          if (opened.kind === 'failed' && connected > 0) {
            waiting.unshift(task);
            return;
          }
          if (opened.kind === 'failed') unreachable = opened;
        }
        // Opening may have taken minutes, and a reply to the final dot must still find us here.
        const inTime = session === undefined ? !run.signal.aborted : mayFinish(deps, run, task);
        if (!inTime) {
          late.push(task);
          continue;
        }
      }
      startedCount += 1;
      carried += 1;
      const dialogue =
        session === undefined
          ? failedDialogue(deps, site.name, unreachable)
          : sessionDialogue(deps, run, site.name, session);
      settle(task, await attemptDelivery(deps, run, task, dialogue));
    }
    await leave();
  };

  await Promise.all(Array.from({ length: Math.min(deps.sessionsPerSite, site.tasks.length) }, worker));
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

interface SiteFailure {
  readonly kind: 'failed';
  readonly stage: Stage;
  readonly reply: Reply;
  readonly hop: Hop | undefined;
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

function sessionDialogue(deps: AttemptDeps, run: SiteRun, site: string, session: SmtpSession): Dialogue {
  const speak: Dialogue['speak'] = async (envelope, content, positions) => {
    if (run.signal.aborted) return 'unattempted';
    const onAbort = () => session.destroy();
    run.signal.addEventListener('abort', onAbort, { once: true });
    try {
      const result = await session.transact(envelope, content);
      if (result.kind === 'unattempted') return 'unattempted';
      const { outcomes } = result;
      const { host, address } = session.target;
      return {
        atMs: deps.clock.nowMs(),
        outcomes: new Map(
          positions.flatMap((position, index) => {
            const outcome = outcomes[index];
            return outcome === undefined ? [] : [[position, outcome] as const];
          }),
        ),
        peer: { host, address, ...(session.tls === undefined ? {} : { tls: session.tls }) },
        site,
      };
    } finally {
      run.signal.removeEventListener('abort', onAbort);
    }
  };
  return { needsContent: true, speak };
}

function hopsFrom(hops: readonly Hop[], { target }: SmtpSession): readonly Hop[] {
  const answered = (hop: Hop) => hop.host === target.host && hop.address === target.address;
  return [...hops.filter(answered), ...hops.filter((hop) => !answered(hop))];
}

type Opened = Extract<OpenOutcome, { kind: 'opened' }>;

// In the router's order; a host that fails at connect, greeting or EHLO leaves the word to the next.
async function openAny(
  deps: AttemptDeps & Egress,
  { hops, tls }: Pick<Site, 'hops' | 'tls'>,
  signal: AbortSignal,
): Promise<Opened | SiteFailure> {
  const startedAtMs = deps.clock.nowMs();
  let failure: SiteFailure = {
    kind: 'failed',
    stage: 'connect',
    reply: ownReply(421, '4.4.1', 'no host of the site could be reached'),
    hop: undefined,
  };
  for (const hop of hops) {
    if (signal.aborted || deps.clock.nowMs() - startedAtMs > OPENING_BUDGET_MS) break;
    const opened = await deps.smtp.open({
      ...hop,
      ehloName: deps.ehloName,
      tls,
      timeouts: deps.timeouts,
    });
    if (opened.kind === 'opened') return opened;
    failure = { ...opened, hop };
  }
  return failure;
}

function mayStart(deps: AttemptDeps, run: SiteRun, task: Task): boolean {
  return deps.clock.nowMs() < run.startedAtMs + START_WINDOW_MS && mayFinish(deps, run, task);
}

function mayFinish(deps: AttemptDeps, run: SiteRun, task: Task): boolean {
  const bodyMs = (task.timer.sizeBytes / SLOWEST_BODY_BYTES_PER_SECOND) * 1_000;
  return !run.signal.aborted && deps.clock.nowMs() + bodyMs + FINAL_REPLY_MS < run.deadlineMs;
}
