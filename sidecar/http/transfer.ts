// Hands the messages of one request over and makes their verdicts. A message whose recipients go different ways is
// split by target, under its own id: it is accepted when every part was. When only some were, or when the client left
// before its answer, delayed mail is taken back from those who accepted it, since its sender keeps the whole message
// and tries it itself; rerouted mail comes back under the same id, and each part is recognised.

import type { Recipient } from '../../shared/message/envelope.ts';
import { ownReply, type Reply, replyClass } from '../../shared/smtp/reply.ts';
import type { Verdict, XferHeader, XferMessage } from '../../shared/xfer/message.ts';
import type { Content } from '../intake/content.ts';
import { mayLeaveInClear, withUpload } from '../intake/hand-in.ts';
import { replyFor, requireTlsReply } from '../intake/replies.ts';
import type { HandOverResult } from '../push/held-message.ts';
import { createJointAnswer, isTaken, type JointAnswer } from '../push/joint-answer.ts';
import type { Mode, Target } from '../routing/targets.ts';
import type { Part, Ways } from './ways.ts';

export interface TransferTerms {
  /** The client's address. */
  readonly peer: string;
  /** When the request's header came: patience counts from here. */
  readonly arrivedAtMs: number;
  /** When the whole body was there. */
  readonly startedAtMs: number;
  /** When the client stops waiting. */
  readonly patienceEndMs: number;
  /** Aborts when the client left before its answer. */
  readonly gone: AbortSignal;
}

/** What became of one message: its verdict, or why there is none. */
export type Outcome =
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  /** Nothing of it was taken, and not for its own sake. */
  | { readonly kind: 'unavailable'; readonly id: string; readonly reason: string }
  | { readonly kind: 'in-doubt'; readonly id: string; readonly reason: string };

/** In the order of the request. Never rejects. */
export async function handOverAll(
  ways: Ways,
  messages: readonly XferMessage<Content>[],
  terms: TransferTerms,
): Promise<readonly Outcome[]> {
  const joint = createJointAnswer();
  try {
    const seen = new Set<string>();
    return await Promise.all(
      messages.map((message) => {
        const id = message.kind === 'refused' ? message.id : message.header.id;
        // The second would wait for the end of the first, and both have one answer.
        if (seen.has(id)) return refused(id, ID_TWICE);
        seen.add(id);
        return handOverOne(ways, message, terms, joint);
      }),
    );
  } finally {
    await joint.end();
  }
}

async function handOverOne(
  ways: Ways,
  message: XferMessage<Content>,
  terms: TransferTerms,
  joint: JointAnswer,
): Promise<Outcome> {
  switch (message.kind) {
    case 'refused':
      return refused(message.id, message.reply);
    case 'upload':
      return refused(message.header.id, UPLOAD_INLINE);
    case 'message':
      return handOverMessage(ways, message.header, message.content, terms, joint);
  }
}

const ID_TWICE = ownReply(451, '4.3.0', 'this id stands before in the same request; send it in another');

const UPLOAD_INLINE = ownReply(
  451,
  '4.3.0',
  'upload: send the content in the frame, up to 50 MiB; the sidecar uploads it',
);

async function handOverMessage(
  ways: Ways,
  header: XferHeader,
  content: Content,
  terms: TransferTerms,
  joint: JointAnswer,
): Promise<Outcome> {
  const { id } = header;
  if (header.sha256 !== undefined && header.sha256 !== content.sha256.toString('hex')) {
    return refused(id, ownReply(451, '4.6.0', 'content does not have the announced sha256; send it again'));
  }
  const split = partsOf(ways, header, content, terms);
  if ('code' in split) return refused(id, split);
  const inClear = header.envelope.requireTls
    ? split.find(({ target }) => mayLeaveInClear(target))
    : undefined;
  if (inClear !== undefined) return refused(id, requireTlsReply(inClear.mode, inClear.target.domain));
  // Nothing leaves while a part of it could not.
  const down = split.find(({ target }) => !ways.isUp(target));
  if (down !== undefined) {
    return { kind: 'unavailable', id, reason: `no route to ${down.target.domain} is up` };
  }
  let settled: readonly { readonly part: Part; readonly result: HandOverResult }[] = [];
  joint.atEnd(async () => {
    for (const { part, result } of settled) {
      const last = await ways.afterAll(part, result);
      ways.record(part, last, replyFor(last, 'rerouted', id), terms);
    }
  });
  const ends = await Promise.all(
    split.map(async (part) => ({ part, result: await ways.handOver(part, joint) })),
  );
  const whole = ends.every(({ result }) => isTaken(result));
  settled = await Promise.all(
    ends.map(async ({ part, result }) => ({
      part,
      result: whole ? result : await ways.takenBack(part, result),
    })),
  );
  return worst(
    id,
    settled.map(({ result }) => result),
  );
}

/** A share of the patience is left for the withdrawal of what is in doubt. */
const MAX_RESERVE_MS = 5_000;

function partsOf(
  ways: Ways,
  header: XferHeader,
  content: Content,
  { arrivedAtMs, patienceEndMs, gone }: TransferTerms,
): readonly Part[] | Reply {
  const byTarget = new Map<Target, { mode: Mode; readonly recipients: Recipient[] }>();
  for (const recipient of header.envelope.recipients) {
    const choice = ways.choose(recipient.address);
    if (choice.kind === 'none') return choice.reply;
    // Mail that was attempted is tried again by whoever attempted it, also when its domain is rerouted.
    const mode = header.attempts > 0 ? 'delayed' : choice.mode;
    const part = byTarget.get(choice.target) ?? { mode, recipients: [] };
    byTarget.set(choice.target, part);
    part.recipients.push(recipient);
    // One id at one receiver is one message: whoever withdraws it does so for all of its recipients.
    if (mode === 'delayed') part.mode = mode;
  }
  const reserveMs = Math.min((patienceEndMs - arrivedAtMs) / 4, MAX_RESERVE_MS);
  const { sizeBytes, sha256 } = content;
  return [...byTarget].map(([target, { mode, recipients }]) => ({
    target,
    mode,
    header: withUpload({
      ...header,
      envelope: { ...header.envelope, recipients },
      sizeBytes,
      sha256: sha256.toString('hex'),
    }),
    content,
    deadlineAtMs: Math.min(patienceEndMs - reserveMs, arrivedAtMs + target.handoffDeadlineMs),
    gone,
  }));
}

/** The outcome of a message by those of its parts. */
function worst(id: string, results: readonly HandOverResult[]): Outcome {
  const open = results.filter((result) => !isTaken(result));
  if (open.length === 0) {
    const known = results.every(({ ending }) => ending === 'duplicate');
    return { kind: 'verdict', verdict: { id, status: known ? 'duplicate' : 'accepted' } };
  }
  const doubt = open.find(({ ending, withdrawal }) => ending === 'in-doubt' && withdrawal !== 'withdrawn');
  if (doubt !== undefined) return { kind: 'in-doubt', id, reason: doubt.reason };
  const unjudged = ({ ending }: HandOverResult): boolean => ending === 'no-route' || ending === 'untaken';
  const [first] = open;
  if (first !== undefined && results.every(unjudged)) {
    return { kind: 'unavailable', id, reason: first.reason };
  }
  const replies = open.map((result) => replyFor(result, 'rerouted', id));
  // What one part may still become, a permanent refusal of another must not end.
  const reply = replies.find((one) => replyClass(one) === 'transient') ?? replies[0];
  if (reply === undefined) throw new Error('a message that was not taken has a reason');
  return refused(id, reply);
}

function refused(id: string, reply: Reply): Outcome {
  return { kind: 'verdict', verdict: { id, status: 'refused', reply } };
}
