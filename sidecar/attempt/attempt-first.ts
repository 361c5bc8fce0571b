// Attempt_First: the sidecar tries SMTP itself, as a Momentum sender does, and hands over what that does not settle.
// Invariant (nobody is forgotten): the MTA hears 250 for a recipient only when the destination took the mail or the
// receiver has it. Invariant (few doubles): who was delivered, and whose MTA did not hear so, is skipped when the
// message comes again; who is being delivered, or is with a receiver, is not tried beside that. Enforced here;
// test/dialogs/sidecar-attempt.test.ts and sidecar-attempt-repeats.test.ts fail without them.

import { isIP } from 'node:net';
import type { Recipient } from '../../shared/message/envelope.ts';
import { isHostName } from '../../shared/message/trace.ts';
import { type HostReply, ownReply, type Reply, replyClass } from '../../shared/smtp/reply.ts';
import type { Clock } from '../clock.ts';
import type { Submission } from '../intake/submission.ts';
import type { Log } from '../log.ts';
import type { Attempted, Attempter } from './attempter.ts';
import type { AttemptMemory } from './memory.ts';
import { attemptRecord } from './records.ts';

export interface AttemptFirst {
  /** Never rejects. */
  settle(work: Work): Promise<Settlement>;
}

export interface Settlement {
  /** By address, one for every recipient. */
  readonly replies: ReadonlyMap<string, Reply>;
  /**
   * Called once, when the replies to all recipients of the MTA's transaction are known, those of others among them:
   * `isHeard` when it is there to hear them. Until then a repeat is told that the attempt is under way.
   */
  conclude(isHeard: boolean): void;
}

export interface Work {
  /** Of the message with all its recipients. */
  readonly id: string;
  /** The id that it would have with this recipient alone, however its MTA groups them. */
  readonly idFor: (address: string) => string;
  readonly submission: Submission;
  /** With their domains. */
  readonly recipients: readonly Recipient[];
  readonly protocol: 'smtp' | 'lmtp';
  readonly receivedAtMs: number;
  /** Absent where no receiver stands behind the recipients. */
  readonly handOver?: {
    /** Handoff_Deadline. */
    readonly deadlineMs: number;
    /** A receiver has the message already, or may have it: an attempt here would be beside its own. */
    readonly mayBeThere: boolean;
    run(rest: readonly Recipient[], lastReply: HostReply, deadlineAtMs: number): Promise<Reply>;
  };
}

export interface AttemptFirstOptions {
  readonly attempter: Attempter;
  readonly memory: Pick<AttemptMemory, 'delivered' | 'underWay'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** An attempt, the hand-over and a withdrawal together stay below the 300 s that the most impatient MTA waits. */
const ALL_MS = 250_000;
/** The most of it for the attempt. */
export const ATTEMPT_MS = 120_000;
const LEAST_ATTEMPT_MS = 5_000;

export function createAttemptFirst(options: AttemptFirstOptions): AttemptFirst {
  const { attempter, clock, log } = options;
  const { delivered, underWay } = options.memory;

  async function settle(work: Work): Promise<Settlement> {
    const { id, idFor, submission, recipients, handOver } = work;
    const startMs = clock.nowMs();
    const before = new Set(recipients.filter(({ address }) => delivered.has(idFor(address))));
    const waiting = recipients.filter((recipient) => !before.has(recipient));
    const attempted = await attempter.attempt({
      id,
      submission,
      recipients: waiting.filter((recipient) => mayAttempt(work, recipient)),
      protocol: work.protocol,
      budgetMs: Math.max(LEAST_ATTEMPT_MS, Math.min(ATTEMPT_MS, ALL_MS - (handOver?.deadlineMs ?? 0))),
    });
    const outcomes = waiting.map((recipient) => ({
      recipient,
      attempted: attempted.get(recipient.address) ?? (handOver?.mayBeThere === true ? THERE : NOT_OURS),
    }));
    const rest = outcomes.filter((one) => one.attempted.outcome.kind !== 'delivered');
    const refused = rest.filter((one) => one.attempted.outcome.kind === 'permanent');
    // One SMTP reply cannot say who was refused: those who were go along, and the receiver reports to the sender.
    const mayRefuse = work.protocol === 'lmtp' || refused.length === recipients.length;
    const told = mayRefuse ? refused : [];
    const left = rest.filter((one) => !told.includes(one));
    for (const one of outcomes) {
      log.attempt(
        attemptRecord(work, one.recipient, one.attempted, told.includes(one), startMs, clock.nowMs()),
      );
    }

    const replies = new Map<string, Reply>();
    for (const { address } of before) replies.set(address, ownReply(250, '2.0.0', `${id} delivered before`));
    for (const { recipient, attempted: one } of told) replies.set(recipient.address, readingOf(one));
    const failed = left.map((one) => ({ ...one, reply: transient(readingOf(one.attempted)) }));
    if (failed.length > 0 && handOver !== undefined) {
      const lastReply = lastReplyOf(left.map((one) => one.attempted));
      const deadlineAtMs = startMs + ALL_MS;
      const handed = await handOver.run(
        left.map(({ recipient }) => recipient),
        lastReply,
        deadlineAtMs,
      );
      for (const { recipient } of failed) replies.set(recipient.address, handed);
    } else {
      for (const { recipient, reply } of failed) replies.set(recipient.address, reply);
    }
    const open = failed.map(({ recipient }) => replies.get(recipient.address)).find(isNotTaken);
    // SMTP has one reply: while anybody is left with the MTA, nobody is delivered for it.
    const forDelivered =
      work.protocol === 'smtp' && open !== undefined ? open : ownReply(250, '2.0.0', `${id} delivered`);
    for (const { recipient, attempted: one } of outcomes) {
      if (one.outcome.kind === 'delivered') replies.set(recipient.address, forDelivered);
    }
    const ended = outcomes.flatMap(({ recipient, attempted: one }) =>
      one.outcome.kind === 'delivered' ? [recipient] : [],
    );
    return {
      replies:
        work.protocol === 'smtp' && open !== undefined
          ? new Map(recipients.map(({ address }) => [address, open]))
          : replies,
      conclude(isHeard) {
        const isDone = isHeard && !isNotTaken(forDelivered);
        for (const recipient of [...ended, ...before]) {
          if (isDone) delivered.forget(idFor(recipient.address));
          else delivered.remember(idFor(recipient.address));
        }
        const again = ended.length + before.size;
        if (isDone || again === 0) return;
        const message = `${id} was delivered to ${again} of ${recipients.length}, and its MTA keeps it: they are left out when it comes again`;
        log.notice({ level: 'warn', code: 'delivered-unheard', message });
      },
    };
  }

  return {
    async settle(work) {
      const keys = work.recipients.map(({ address }) => work.idFor(address));
      if (keys.some((key) => underWay.has(key))) {
        const replies = new Map(work.recipients.map(({ address }) => [address, UNDER_WAY]));
        return { replies, conclude() {} };
      }
      for (const key of keys) underWay.add(key);
      const end = (): void => {
        for (const key of keys) underWay.delete(key);
      };
      try {
        const { replies, conclude } = await settle(work);
        return {
          replies,
          conclude(isHeard) {
            end();
            conclude(isHeard);
          },
        };
      } catch (error) {
        end();
        throw error;
      }
    },
  };
}

const UNDER_WAY = ownReply(451, '4.3.2', 'an attempt to deliver this very message is under way');

/**
 * What a receiver may have, content that must be converted, and, where a receiver can write it, a report of success,
 * are not for us.
 */
function mayAttempt({ handOver, submission }: Work, { notify }: Recipient): boolean {
  if (submission.content.bareNewlines || handOver?.mayBeThere === true) return false;
  return handOver === undefined || notify?.includes('SUCCESS') !== true;
}

const NOT_OURS: Attempted = {
  outcome: {
    kind: 'postponed',
    reply: ownReply(
      451,
      '4.3.0',
      'not attempted here: it takes a receiver to convert it, or to report success',
    ),
  },
};

const THERE: Attempted = {
  outcome: {
    kind: 'postponed',
    reply: ownReply(451, '4.3.0', 'not attempted here: the receiver may have the message already'),
  },
};

/** The reply that decided: what the operator reads in place of it, when it is told so. */
function readingOf({ outcome }: Attempted): Reply {
  return ('readAs' in outcome ? outcome.readAs : undefined) ?? outcome.reply;
}

/** What the MTA hears of a recipient whom nobody took: never a permanent reply, never the end of its session. */
function transient(reply: Reply): Reply {
  if (replyClass(reply) === 'transient' && reply.code !== 421) return reply;
  const status = reply.enhanced === undefined ? '4.0.0' : `4${reply.enhanced.slice(1)}`;
  return ownReply(451, status, reply.text);
}

/** The first that a host said, rather than one of ours. */
function lastReplyOf(attempts: readonly Attempted[]): HostReply {
  const told = attempts.find(({ outcome, peer }) => peer !== undefined && outcome.kind !== 'postponed');
  const { outcome, peer } = told ?? attempts[0] ?? NOT_OURS;
  return {
    ...outcome.reply,
    ...(peer !== undefined && isHostName(hostOf(peer.host)) && { host: hostOf(peer.host) }),
  };
}

/** An address stands in brackets where a host name may stand. */
function hostOf(host: string): string {
  const version = isIP(host);
  if (version === 0) return host;
  return version === 6 ? `[IPv6:${host}]` : `[${host}]`;
}

function isNotTaken(reply: Reply | undefined): reply is Reply {
  return reply !== undefined && replyClass(reply) !== 'positive';
}
