// Hands the messages of one request over and makes their verdicts. A message whose recipients go different ways is
// split by target, under its own id: it is accepted when every part was. When only some were, delayed mail is taken
// back from those who accepted it, since its sender keeps the whole message and tries it itself; rerouted mail comes
// back under the same id, and each part is recognised.

import type { Recipient } from '../../shared/message/envelope.ts';
import { ownReply, type Reply, replyClass } from '../../shared/smtp/reply.ts';
import { MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import type { Verdict, XferHeader, XferMessage } from '../../shared/xfer/message.ts';
import type { Content } from '../intake/content.ts';
import { mayLeaveInClear } from '../intake/hand-in.ts';
import { replyFor, requireTlsReply } from '../intake/replies.ts';
import type { HandOverResult } from '../push/held-message.ts';
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
export function handOverAll(
  ways: Ways,
  messages: readonly XferMessage<Content>[],
  terms: TransferTerms,
): Promise<readonly Outcome[]> {
  return Promise.all(messages.map((message) => handOverOne(ways, message, terms)));
}

async function handOverOne(
  ways: Ways,
  message: XferMessage<Content>,
  terms: TransferTerms,
): Promise<Outcome> {
  switch (message.kind) {
    case 'refused':
      return refused(message.id, message.reply);
    case 'upload':
      return refused(message.header.id, UPLOAD_INLINE);
    case 'message':
      return handOverMessage(ways, message.header, message.content, terms);
  }
}

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
  const ends = await Promise.all(split.map(async (part) => ({ part, result: await ways.handOver(part) })));
  const whole = ends.every(({ result }) => isTaken(result));
  const settled = await Promise.all(
    ends.map(async ({ part, result }) => ({
      part,
      result: whole || !isTaken(result) ? result : await takenBack(ways, part, result),
    })),
  );
  for (const { part, result } of settled) {
    ways.record(part, result, replyFor(result, 'rerouted', id), terms);
  }
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
  const byWay = new Map<Target, Map<Mode, Recipient[]>>();
  for (const recipient of header.envelope.recipients) {
    const choice = ways.choose(recipient.address);
    if (choice.kind === 'none') return choice.reply;
    const modes = byWay.get(choice.target) ?? new Map<Mode, Recipient[]>();
    byWay.set(choice.target, modes);
    // Mail that was attempted is tried again by whoever attempted it, also when its domain is rerouted.
    const mode = header.attempts > 0 ? 'delayed' : choice.mode;
    modes.set(mode, [...(modes.get(mode) ?? []), recipient]);
  }
  const reserveMs = Math.min((patienceEndMs - arrivedAtMs) / 4, MAX_RESERVE_MS);
  const { sizeBytes, sha256 } = content;
  const upload = sizeBytes > MAX_INLINE_BYTES;
  return [...byWay].flatMap(([target, modes]) =>
    [...modes].map(([mode, recipients]) => ({
      target,
      mode,
      header: {
        ...header,
        envelope: { ...header.envelope, recipients },
        sizeBytes,
        sha256: sha256.toString('hex'),
        upload,
      },
      content,
      deadlineAtMs: Math.min(patienceEndMs - reserveMs, arrivedAtMs + target.handoffDeadlineMs),
      gone,
    })),
  );
}

function isTaken({ ending }: HandOverResult): boolean {
  return ending === 'accepted' || ending === 'duplicate';
}

async function takenBack(ways: Ways, part: Part, result: HandOverResult): Promise<HandOverResult> {
  if (part.mode === 'rerouted') return result;
  const withdrawal = await ways.takeBack(part.target, result.route, part.header.id);
  return { ...result, withdrawal };
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
