// One attempt by SMTP for one message, within a budget of time: the recipients of each domain in transactions of
// their own, domains beside each other. What leaves is the content as it came, octet for octet, behind a trace of
// ours (RFC 5321 §4.4). Never rejects: whatever happens is an outcome, and what is not known is not delivered.

import { isAscii } from 'node:buffer';
import { domainOf } from '../../shared/message/address.ts';
import type { Envelope, Recipient } from '../../shared/message/envelope.ts';
import { traceHeader } from '../../shared/message/trace.ts';
import { inParallel } from '../../shared/queue/in-parallel.ts';
import { openAny } from '../../shared/queue/open-site.ts';
import { handlingOf } from '../../shared/queue/terms.ts';
import type { Destinations } from '../../shared/routing/destinations.ts';
import type { RouteOutcome } from '../../shared/routing/router.ts';
import { type SessionTerms, sessionTerms } from '../../shared/routing/session-terms.ts';
import type {
  RecipientOutcome,
  SmtpContent,
  SmtpSession,
  TlsFacts,
  TransactionResult,
} from '../../shared/smtp/client.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import type { Clock } from '../clock.ts';
import type { Content } from '../intake/content.ts';
import { hostOf } from '../intake/hand-in.ts';
import type { Submission } from '../intake/submission.ts';
import type { SessionPool, SiteLimits } from './session-pool.ts';

export interface AttemptMessage {
  readonly id: string;
  readonly submission: Submission;
  readonly protocol: 'smtp' | 'lmtp';
  /** With their domains. */
  readonly recipients: readonly Recipient[];
  /** For everything; what is under way then ends, uncertain when its content had left whole. */
  readonly budgetMs: number;
}

/** What came of it for one recipient. */
export interface Attempted {
  readonly outcome: RecipientOutcome | Postponed;
  readonly peer?: {
    readonly host: string;
    readonly address: string;
    readonly protocol: 'ESMTP' | 'LMTP';
    readonly tls?: TlsFacts;
  };
  readonly site?: string;
}

/** No host was asked: DNS did not answer, a limit of ours, or no time. */
export interface Postponed {
  readonly kind: 'postponed';
  readonly reply: Reply;
}

export interface Attempter {
  /** By address, one for every recipient. */
  attempt(message: AttemptMessage): Promise<ReadonlyMap<string, Attempted>>;
  /** Ends the sessions that wait for mail. */
  close(): Promise<void>;
}

export interface AttempterOptions {
  readonly destinations: Destinations;
  readonly pool: SessionPool;
  /** Server_Max_Outbound_Connections. */
  readonly maxSessions: number;
  /** Said in EHLO where the configuration names nothing nearer, and in traces. */
  readonly hostName: string;
  readonly clock: Clock;
}

/** Domains of one message at once. */
const DOMAINS_AT_ONCE = 20;
/** RFC 5321 §4.5.3.1.8: what every host takes in one transaction. */
const MAX_RECIPIENTS = 100;
/** Shares of the budget: for one host to answer, for all hosts, and until content may still be sent. */
const SHARES = { opening: 0.25, openings: 0.375, content: 0.625 } as const;

type Hops = Extract<RouteOutcome, { kind: 'hops' }>;

export function createAttempter(options: AttempterOptions): Attempter {
  const { destinations, pool, hostName, clock } = options;

  async function toDomain(task: Task, domain: string, recipients: readonly Recipient[]): Promise<Told> {
    const settings = destinations.settingsFor(domain);
    if (handlingOf(settings).handling !== 'attempt') return alike(recipients, postponed(NOT_NOW));
    const route = await untilAborted(task.signal, destinations.router.route(domain));
    if (route === undefined) return alike(recipients, postponed(NO_TIME));
    switch (route.kind) {
      case 'permanent':
      case 'transient':
        return alike(recipients, { outcome: { kind: route.kind, stage: 'connect', reply: route.reply } });
      case 'postpone':
        return alike(recipients, postponed(route.reply));
      case 'hops': {
        const terms = sessionTerms(settings, hostName);
        const limits = {
          sessionsInAll: options.maxSessions,
          sessions: settings.maxOutboundConnections,
          deliveriesPerSession: terms.deliveriesPerSession,
          recipientsPerSession: terms.recipientsPerSession,
          idleMs: settings.idleTimeoutSeconds * 1_000,
        };
        const told: (readonly [string, Attempted])[] = [];
        const most = Math.min(terms.recipientsPerTransaction, MAX_RECIPIENTS);
        for (let from = 0; from < recipients.length; from += most) {
          const some = recipients.slice(from, from + most);
          told.push(...(await inTransaction(task, { route, terms, limits }, some)));
        }
        return told;
      }
    }
  }

  async function inTransaction(task: Task, site: Site, recipients: readonly Recipient[]): Promise<Told> {
    const { route, terms, limits } = site;
    const name = siteKey(site);
    for (;;) {
      const lease = pool.take(name, limits);
      if (lease === undefined) return alike(recipients, { ...postponed(NO_SESSION), site: route.site });
      // A site that takes no further session is not out of reach: one that waits is used all the same.
      const known = lease.session === undefined ? pool.failureOf(name) : undefined;
      if (known !== undefined) {
        lease.giveBack(undefined, 0);
        const { reply, hop } = known;
        return alike(recipients, { ...postponed(leftAlone(reply)), site: route.site, ...peerOf(hop, terms) });
      }
      let { session } = lease;
      if (session === undefined) {
        const { tls, mxAuthenticated = false, hops } = route;
        const opening = {
          ...terms.opening,
          timeouts: { ...terms.opening.timeouts, openingMs: task.openingMs },
        };
        const deps = { clock: { nowMs: clock.nowMs, pause: noPause }, smtp: destinations.smtp };
        const asked = { hops, tls, mxAuthenticated, opening };
        const opened = await openAny(deps, asked, task.openings, () => {});
        if (opened.kind === 'failed') {
          lease.giveBack(undefined, 0);
          if (opened.hop === undefined) return alike(recipients, postponed(opened.reply));
          pool.failed(name, opened);
          const outcome: RecipientOutcome = { kind: 'transient', stage: opened.stage, reply: opened.reply };
          return alike(recipients, { outcome, site: route.site, ...peerOf(opened.hop, terms) });
        }
        session = opened.session;
      }
      const result = await overSession(task, session, recipients);
      lease.giveBack(session, recipients.length);
      if (result.kind === 'settled') return toldOf(result, recipients, session, route.site);
      // A session that waited may have ended without a word: the message was not looked at.
      if (lease.session === undefined || task.signal.aborted) {
        const reply = ownReply(451, '4.4.2', `not attempted: ${result.because}`);
        return alike(recipients, { ...postponed(reply), site: route.site });
      }
    }
  }

  async function overSession(
    { envelope, content, signal, mayStartContent }: Task,
    session: SmtpSession,
    recipients: readonly Recipient[],
  ): Promise<TransactionResult> {
    const stop = () => session.destroy();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      await session.ready();
      if (!session.usable) return { kind: 'unattempted', because: 'the session had ended' };
      return await session.transact(
        { ...envelope, recipients },
        {
          sizeBytes: content.sizeBytes,
          async open() {
            if (!mayStartContent()) throw new Error('no time is left for a reply to it');
            return content.open();
          },
        },
      );
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  return {
    async attempt({ id, submission, protocol, recipients, budgetMs }) {
      if (recipients.length === 0) return new Map();
      const startMs = clock.nowMs();
      const over = new AbortController();
      const openingsOver = new AbortController();
      const cancels = [
        clock.after(budgetMs, () => over.abort()),
        clock.after(budgetMs * SHARES.openings, () => openingsOver.abort()),
      ];
      const { envelope, content, client } = submission;
      const receivedFrom = hostOf(client);
      const trace = traceHeader({
        id,
        acceptedAtMs: startMs,
        traceHost: hostName,
        protocol: protocol === 'smtp' ? 'ESMTP' : 'LMTP',
        ...(receivedFrom !== undefined && { receivedFrom }),
      });
      try {
        const eightBit = await has8bit(content);
        if (eightBit === undefined) return new Map(alike(recipients, postponed(UNREADABLE)));
        const task: Task = {
          envelope: { ...envelope, body: eightBit ? '8BITMIME' : envelope.body },
          content: behind(trace, content),
          signal: over.signal,
          openings: openingsOver.signal,
          openingMs: budgetMs * SHARES.opening,
          mayStartContent: () => clock.nowMs() < startMs + budgetMs * SHARES.content,
        };
        const byDomain = [...Map.groupBy(recipients, ({ address }) => domainOf(address))];
        const told = await inParallel(byDomain, DOMAINS_AT_ONCE, ([domain, some]) =>
          toDomain(task, domain, some),
        );
        return new Map(told.flat());
      } finally {
        for (const cancel of cancels) cancel();
      }
    },
    close: () => pool.close(),
  };
}

interface Task {
  readonly envelope: Omit<Envelope, 'recipients'>;
  readonly content: SmtpContent;
  /** The budget is over. */
  readonly signal: AbortSignal;
  /** No further host is tried. */
  readonly openings: AbortSignal;
  readonly openingMs: number;
  readonly mayStartContent: () => boolean;
}

interface Site {
  readonly route: Hops;
  readonly terms: SessionTerms;
  readonly limits: SiteLimits;
}

type Told = readonly (readonly [string, Attempted])[];

/** Sessions are shared by domains for which everything is the same. */
function siteKey({ route, terms }: Site): string {
  const { site, tls, mxAuthenticated = false, hops } = route;
  const order = hops.some(({ source }) => source === 'routes')
    ? hops.map(({ host, port }) => [host, port])
    : [];
  return JSON.stringify([site, tls, mxAuthenticated, order, terms.opening]);
}

function toldOf(
  { outcomes }: Extract<TransactionResult, { kind: 'settled' }>,
  recipients: readonly Recipient[],
  { target, tls }: SmtpSession,
  site: string,
): Told {
  const { host, address, protocol } = target;
  const peer = { host, address, protocol: spoken(protocol), ...(tls !== undefined && { tls }) };
  return recipients.map(({ address }, at) => {
    const outcome = outcomes[at];
    return [address, outcome === undefined ? postponed(NO_TIME) : { outcome, peer, site }];
  });
}

function alike(recipients: readonly Recipient[], attempted: Attempted): Told {
  return recipients.map(({ address }) => [address, attempted]);
}

function peerOf(
  hop: { readonly host: string; readonly address: string } | undefined,
  { opening }: SessionTerms,
): Pick<Attempted, 'peer'> {
  if (hop === undefined) return {};
  return { peer: { host: hop.host, address: hop.address, protocol: spoken(opening.protocol) } };
}

function spoken(protocol: 'lmtp' | undefined): 'ESMTP' | 'LMTP' {
  return protocol === 'lmtp' ? 'LMTP' : 'ESMTP';
}

function postponed(reply: Reply): { readonly outcome: Postponed } {
  return { outcome: { kind: 'postponed', reply } };
}

function leftAlone({ text }: Reply): Reply {
  return ownReply(451, '4.4.1', `the destination is left alone for a while: ${text}`);
}

const NO_TIME = ownReply(451, '4.4.7', 'not attempted: no time was left');
const NO_SESSION = ownReply(451, '4.4.5', 'not attempted: as many sessions are open as may be');
const UNREADABLE = ownReply(451, '4.3.0', 'not attempted: the content cannot be read from its file');
const NOT_NOW = ownReply(451, '4.3.2', 'not attempted: the configuration suspends this domain');

async function noPause(): Promise<void> {}

/** Undefined when the signal came first. `work` never rejects. */
function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const stop = () => resolve(undefined);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    void work.then((value) => {
      signal.removeEventListener('abort', stop);
      resolve(value);
    });
  });
}

/** RFC 6152: what MAIL must say, whatever the client declared. Undefined when the content cannot be read. */
async function has8bit(content: Content): Promise<boolean | undefined> {
  try {
    for await (const piece of content.read()) if (!isAscii(piece)) return true;
    return false;
  } catch {
    return undefined;
  }
}

function behind(trace: Buffer, content: Content): SmtpContent {
  return {
    sizeBytes: trace.length + content.sizeBytes,
    async open() {
      return (async function* () {
        yield trace;
        yield* content.read();
      })();
    },
  };
}
