// Decides over what comes in by SMTP and LMTP: which way each recipient's mail goes, and what the MTA hears. SMTP has
// one verdict for a transaction, so one transaction goes one way; LMTP has one for each recipient, so the recipients
// of a message may go different ways, each way with a hand-over and an id of its own, and what one way took is taken
// back when the MTA leaves before the answer to all. While no route is up, mail that
// nobody attempts is refused before its content is sent.

import type { Recipient } from '../../shared/message/envelope.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import type { AttemptFirst, Settlement } from '../attempt/attempt-first.ts';
import { createJointAnswer, type JointAnswer } from '../push/joint-answer.ts';
import type { RouteHealth } from '../push/route-health.ts';
import type { Mode, Target, Targets } from '../routing/targets.ts';
import { deriveId } from './derived-id.ts';
import { type HandInOptions, handIn, headerOf, refuse } from './hand-in.ts';
import { receivedAtMs } from './received-at.ts';
import { bareNewlinesReply } from './replies.ts';
import type { Reception, Submission, Terms, Transaction } from './submission.ts';

export interface ReceptionOptions extends HandInOptions {
  readonly targets: Targets;
  readonly health: Pick<RouteHealth, 'firstUp'>;
  /** Part of derived ids. */
  readonly instance: string;
  /** Bare_Newlines: such content is refused here, or the receiver decides. */
  readonly bareNewlines: 'refuse' | 'convert';
  /** Needed where a listener has Attempt_First. */
  readonly attemptFirst?: AttemptFirst;
}

export function createReception(options: ReceptionOptions): Reception {
  const isUp = (target: Target): boolean =>
    options.health.firstUp(target, options.clock.nowMs()) !== undefined;
  return {
    begin(terms) {
      const isHopeless = !terms.attemptFirst && !options.targets.all.some(isUp);
      return isHopeless ? NO_ROUTE_AT_ALL : beginTransaction(options, terms, isUp);
    },
  };
}

const NO_ROUTE_AT_ALL = ownReply(451, '4.4.1', 'no route to any receiver is up');
const OTHER_WAY = ownReply(
  452,
  '4.5.3',
  'this recipient takes another way; send it in a transaction of its own',
);
/** With one reply for several of them nobody could tell who was refused and who may be tried again. */
const ONE_BY_ONE = ownReply(
  452,
  '4.5.3',
  'no receiver stands behind this recipient; send it in a transaction of its own',
);

const TOO_MUCH_WAITS = ownReply(452, '4.3.1', 'too much mail waits for this receiver');

/** What becomes of a recipient's mail. */
type Way =
  | { readonly kind: 'hand-over'; readonly mode: Mode; readonly target: Target }
  /** Tried by SMTP first; what that does not settle goes to the target, or back to the MTA when there is none. */
  | { readonly kind: 'attempt'; readonly target: Target | undefined };

function beginTransaction(
  options: ReceptionOptions,
  terms: Terms,
  isUp: (target: Target) => boolean,
): Transaction {
  const ways = new Map<string, Way>();
  const refusalOf = (way: Way): Reply | undefined => {
    if (way.kind === 'attempt') return undefined;
    if (!isUp(way.target)) return ownReply(451, '4.4.1', `no route to ${way.target.domain} is up`);
    return options.outboxes.get(way.target)?.full ? TOO_MUCH_WAITS : undefined;
  };
  return {
    recipient({ address }) {
      const way = wayOf(options, terms, address);
      if ('code' in way) return way;
      const [first] = ways.values();
      if (terms.protocol === 'smtp' && first !== undefined) {
        if (!isSameWay(first, way)) return OTHER_WAY;
        if (way.target === undefined) return ONE_BY_ONE;
      }
      const refusal = refusalOf(way);
      if (refusal === undefined) ways.set(address, way);
      return refusal;
    },
    data() {
      const refusals = [...ways.values()].map(refusalOf);
      return refusals.every((refusal) => refusal !== undefined) ? refusals[0] : undefined;
    },
    async submit(submission, gone) {
      const groups: { readonly way: Way; readonly recipients: Recipient[] }[] = [];
      for (const recipient of submission.envelope.recipients) {
        const way = ways.get(recipient.address);
        if (way === undefined) throw new Error('content came for a recipient who was not accepted');
        const group = groups.find((one) => isSameWay(one.way, way));
        if (group === undefined) groups.push({ way, recipients: [recipient] });
        else group.recipients.push(recipient);
      }
      const joint = createJointAnswer();
      const settled = await Promise.allSettled(
        groups.map(({ way, recipients }) => settle(options, terms, way, submission, recipients, gone, joint)),
      );
      await joint.end();
      const settlements = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      const isHeard = !gone.aborted && settlements.length === groups.length;
      for (const { conclude } of settlements) conclude?.(isHeard);
      for (const one of settled) if (one.status === 'rejected') throw one.reason;
      return new Map(settlements.flatMap(({ replies }) => [...replies]));
    },
  };
}

function wayOf(options: ReceptionOptions, terms: Terms, address: string): Way | Reply {
  const choice = options.targets.choose(address);
  const isAttempted = terms.attemptFirst && options.attemptFirst !== undefined;
  if (choice.kind === 'none') return isAttempted ? { kind: 'attempt', target: undefined } : choice.reply;
  return isAttempted && choice.mode === 'delayed'
    ? { kind: 'attempt', target: choice.target }
    : { kind: 'hand-over', mode: choice.mode, target: choice.target };
}

function isSameWay(one: Way, other: Way): boolean {
  if (one.kind === 'attempt' || other.kind === 'attempt')
    return one.kind === other.kind && one.target === other.target;
  return one.target === other.target && one.mode === other.mode;
}

async function settle(
  options: ReceptionOptions,
  terms: Terms,
  way: Way,
  submission: Submission,
  recipients: readonly Recipient[],
  gone: AbortSignal,
  joint: JointAnswer,
): Promise<Pick<Settlement, 'replies'> & Partial<Settlement>> {
  const { clock, instance } = options;
  const { client, content, envelope } = submission;
  const alike = (reply: Reply) => ({
    replies: new Map(recipients.map(({ address }) => [address, reply])),
  });
  const idFor = (addresses: readonly string[]): string =>
    deriveId({
      instance,
      sender: envelope.sender,
      recipients: addresses,
      contentSha256: content.sha256,
      forwarded: client.forwarded,
    });
  const id = idFor(recipients.map(({ address }) => address));
  const receivedAt = receivedAtMs(content.head, clock.nowMs());
  const mode = way.kind === 'attempt' ? 'delayed' : way.mode;
  const facts = { id, recipients, receivedAtMs: receivedAt, attempts: mode === 'delayed' ? 1 : 0 };
  if (content.bareNewlines && options.bareNewlines === 'refuse') {
    const reply = bareNewlinesReply(mode);
    refuse(options, { mode, target: way.target }, headerOf(submission, facts), submission, gone, reply);
    return alike(reply);
  }
  if (way.kind === 'hand-over') {
    return alike((await handIn(options, way, headerOf(submission, facts), submission, gone, joint)).reply);
  }
  const { target } = way;
  return attempting(options).settle({
    id,
    idFor: (address) => idFor([address]),
    submission,
    recipients,
    protocol: terms.protocol,
    receivedAtMs: receivedAt,
    ...(target !== undefined && {
      handOver: {
        deadlineMs: target.handoffDeadlineMs,
        mayBeThere: options.outboxes.get(target)?.mayBeThere?.(id) === true,
        async run(rest, lastReply, deadlineAtMs) {
          const header = headerOf(submission, { ...facts, recipients: rest, lastReply });
          const handed = await handIn(
            options,
            { mode: 'delayed', target },
            header,
            submission,
            gone,
            joint,
            deadlineAtMs,
          );
          return handed.reply;
        },
      },
    }),
  });
}

function attempting({ attemptFirst }: ReceptionOptions): AttemptFirst {
  if (attemptFirst === undefined) throw new Error('nothing was made to attempt with');
  return attemptFirst;
}
