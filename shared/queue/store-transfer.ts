// What a transfer brings goes into the spool, and becomes what the ledger is to hold.

import { DEFAULT_BINDING } from '../config/delivery-settings.ts';
import { traceHeader } from '../message/trace.ts';
import type { XferHeader } from '../xfer/message.ts';
import type { Incoming } from './accept.ts';
import type { FitMessage } from './check-message.ts';
import { contentUser, splitIntoChunks } from './chunks.ts';
import { type CommitDeps, usersTtlMs } from './commit-message.ts';
import { type Patience, pauseBeforeRetry } from './patience.ts';
import { type Spool, StoreError } from './ports.ts';
import { firstTimes, type Times } from './schedule.ts';
import { composeSpoolObject } from './spool-object.ts';
import { termsOf } from './terms.ts';

/** The users of one spool object are one ledger item, at most 400 KB: some 12 octets each, far below. */
export const MAX_DELIVERIES_PER_TRANSFER = 2_000;

export interface StoreDeps extends CommitDeps {
  readonly spool: Spool;
  readonly traceHost: string;
}

export interface Stored {
  readonly fit: FitMessage;
  readonly incoming: Incoming;
  /** What the object's count names: the users of all inline messages, and those of this one. */
  readonly registered: ReadonlySet<string>;
  readonly users: readonly string[];
}

/**
 * One object for all inline messages. Frames of uploads go into an object of their own, which nothing takes away
 * but the bucket's lifecycle: their content has its own object, and the frame must outlive the inline neighbours
 * (I5). Undefined: it could not be stored in time, and nothing points at it.
 */
export async function storeTransfer(
  deps: StoreDeps,
  transfer: { readonly credential: string; readonly patience: Patience },
  messages: readonly FitMessage[],
): Promise<readonly Stored[] | undefined> {
  const nowMs = deps.clock.nowMs();
  const { credential } = transfer;
  const about = { credential, acceptedAtMs: nowMs, traceHost: deps.traceHost };
  const inline = messages.flatMap((message) => ('inline' in message.content ? [message] : []));
  const uploaded = messages.filter((message) => !inline.includes(message));
  const object = composeSpoolObject(
    inline.map(({ header, content }) =>
      'inline' in content ? { header, content: content.inline } : { header },
    ),
    about,
  );
  const offsets = new Map(inline.map((message, index) => [message, object.offsets[index] ?? 0]));
  const freshName = () => `${deps.random.name()}${deps.random.name()}`;
  const objectKey = `${freshName()}/transfer`;
  // As for an id never seen: where the ledger holds something already, the users come to be others.
  const usersOf = (message: FitMessage) =>
    splitIntoChunks(message.header.envelope.recipients).map(({ recipients }, index, chunks) => {
      const chunk = chunks.length === 1 ? 0 : index + 1;
      return contentUser({ credential, id: message.header.id, chunk }, 1, recipients);
    });
  const inlineUsers = new Set(inline.flatMap(usersOf));
  const shared = inlineUsers.size > 1;

  const stored = messages.map((fit): Stored => {
    const { header } = fit;
    const times = timesByDomain(deps, header, nowMs);
    const content =
      'uploaded' in fit.content
        ? { key: fit.content.uploaded, offset: 0, shared: true }
        : { key: objectKey, offset: offsets.get(fit) ?? 0, shared };
    const incoming: Incoming = {
      key: { credential, id: header.id },
      envelope: header.envelope,
      sha256: fit.sha256,
      sizeBytes: fit.sizeBytes,
      content,
      trace: traceHeader({
        id: header.id,
        acceptedAtMs: nowMs,
        traceHost: deps.traceHost,
        ...(header.receivedFrom === undefined ? {} : { receivedFrom: header.receivedFrom }),
      }).toString('latin1'),
      ...times,
      binding: DEFAULT_BINDING,
      priorAttempts: header.attempts,
      ...(header.lastReply === undefined ? {} : { lastReply: header.lastReply }),
      meta: header.meta,
    };
    return offsets.has(fit)
      ? { fit, incoming, registered: inlineUsers, users: usersOf(fit) }
      : { fit, incoming, registered: new Set(), users: [] };
  });

  const longestMs = Math.max(...stored.map(({ incoming }) => incoming.times.expiresAtMs));
  const puts = [
    ...(inline.length === 0 ? [] : [{ key: objectKey, bytes: object.bytes }]),
    ...(uploaded.length === 0
      ? []
      : [
          {
            key: `${freshName()}/frames`,
            bytes: composeSpoolObject(
              uploaded.map(({ header }) => ({ header })),
              about,
            ).bytes,
          },
        ]),
  ];
  const done = await Promise.all(
    puts.map(({ key, bytes }) => untilDone(deps, transfer.patience, () => deps.spool.put(key, bytes))),
  );
  if (done.includes(false)) return undefined;
  if (!shared) return stored;
  const counted = await untilDone(deps, transfer.patience, () =>
    deps.users.add(objectKey, [...inlineUsers], usersTtlMs(longestMs)),
  );
  return counted ? stored : undefined;
}

/** The clock of each domain's deliveries. */
function timesByDomain(
  deps: StoreDeps,
  header: XferHeader,
  nowMs: number,
): { readonly times: Times; readonly timesOf: ReadonlyMap<string, Times> } {
  const random = deps.random.fraction();
  const domains = splitIntoChunks(header.envelope.recipients).map(({ domain }) => domain);
  const timesOf = new Map(
    domains.map((domain) => [domain, firstTimes(header, nowMs, random, termsOf(deps, domain).tempo)]),
  );
  const [times = firstTimes(header, nowMs, random, deps.tempo)] = [...timesOf.values()].toSorted(
    (a, b) => b.expiresAtMs - a.expiresAtMs,
  );
  return { times, timesOf };
}

async function untilDone(
  deps: StoreDeps,
  patience: Patience,
  call: () => Promise<unknown>,
): Promise<boolean> {
  for (let attempt = 0; patience.mayWrite(); attempt += 1) {
    try {
      await call();
      return true;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      await pauseBeforeRetry(attempt, deps.clock, deps.random.fraction());
    }
  }
  return false;
}
