// Decides over what comes in by SMTP: which receiver a recipient belongs to, that one transaction goes to one
// receiver, and what the MTA hears. While no route is up it refuses before the content is sent.

import { isHostName } from '../../shared/message/trace.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import type { XferHeader } from '../../shared/xfer/message.ts';
import type { Clock } from '../clock.ts';
import { type Log, responseFields } from '../log.ts';
import type { HandOverResult } from '../push/held-message.ts';
import type { Outbox } from '../push/outbox.ts';
import type { RouteHealth } from '../push/route-health.ts';
import type { Mode, Target, Targets } from '../routing/targets.ts';
import { deriveId } from './derived-id.ts';
import { replyFor } from './replies.ts';
import type { Client, Reception, Submission, Transaction } from './submission.ts';

export interface ReceptionOptions {
  readonly targets: Targets;
  readonly outboxes: ReadonlyMap<Target, Pick<Outbox, 'add'>>;
  readonly health: RouteHealth;
  /** Part of derived ids. */
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Log;
}

export function createReception(options: ReceptionOptions): Reception {
  return {
    begin() {
      const nowMs = options.clock.nowMs();
      const up = options.targets.all.some((target) => options.health.firstUp(target, nowMs) !== undefined);
      return up ? beginTransaction(options) : NO_ROUTE_AT_ALL;
    },
  };
}

const NO_ROUTE_AT_ALL = ownReply(451, '4.4.1', 'no route to any receiver is up');

function beginTransaction(options: ReceptionOptions): Transaction {
  let chosen: { readonly mode: Mode; readonly target: Target } | undefined;
  const downReply = (target: Target): Reply | undefined =>
    options.health.firstUp(target, options.clock.nowMs()) === undefined
      ? ownReply(451, '4.4.1', `no route to ${target.domain} is up`)
      : undefined;
  return {
    recipient({ address }) {
      const choice = options.targets.choose(address);
      if (choice.kind === 'none') return choice.reply;
      if (chosen !== undefined && (choice.target !== chosen.target || choice.mode !== chosen.mode)) {
        return ownReply(
          452,
          '4.5.3',
          'this recipient takes another way; send it in a transaction of its own',
        );
      }
      const refusal = downReply(choice.target);
      if (refusal === undefined) chosen = choice;
      return refusal;
    },
    data: () => (chosen === undefined ? undefined : downReply(chosen.target)),
    async submit(submission, gone) {
      if (chosen === undefined) throw new Error('content came without an accepted recipient');
      const reply = await submit(options, chosen, submission, gone);
      return new Map(submission.envelope.recipients.map(({ address }) => [address, reply]));
    },
  };
}

async function submit(
  options: ReceptionOptions,
  chosen: { readonly mode: Mode; readonly target: Target },
  submission: Submission,
  gone: AbortSignal,
): Promise<Reply> {
  const { mode, target } = chosen;
  const startMs = options.clock.nowMs();
  const header = headerOf(options.instance, submission, mode, startMs);
  const outbox = options.outboxes.get(target);
  if (outbox === undefined) throw new Error(`the target ${target.domain} has no outbox`);
  const result = await new Promise<HandOverResult>((settle) => {
    const deadlineAtMs = startMs + target.handoffDeadlineMs;
    outbox.add({ mode, header, content: submission.content, deadlineAtMs, gone, settle });
  });
  const reply = replyFor(result, mode, header.id);
  options.log.record({
    id: header.id,
    sender: submission.envelope.sender,
    recipients: submission.envelope.recipients.map(({ address }) => address),
    size: submission.content.sizeBytes,
    queue: target.domain,
    mode,
    route: result.route,
    verdict: result.ending,
    withdrawal: result.withdrawal,
    client_gone: gone.aborted,
    response: responseFields(reply),
    latency_ms: options.clock.nowMs() - startMs,
    tries: result.tries,
    batch: result.batch,
  });
  return reply;
}

function headerOf(instance: string, submission: Submission, mode: Mode, nowMs: number): XferHeader {
  const { client, envelope, content } = submission;
  const { sizeBytes, sha256 } = content;
  const id = deriveId({
    instance,
    sender: envelope.sender,
    recipients: envelope.recipients.map(({ address }) => address),
    contentSha256: sha256,
    forwarded: client.forwarded,
  });
  const receivedFrom = hostOf(client);
  return {
    id,
    envelope,
    sizeBytes,
    sha256: sha256.toString('hex'),
    receivedAtMs: nowMs,
    ...(receivedFrom !== undefined && { receivedFrom }),
    attempts: mode === 'delayed' ? 1 : 0,
    upload: sizeBytes > MAX_INLINE_BYTES,
    meta: {},
  };
}

// What the client calls itself; an address in brackets when that is no name.
function hostOf(client: Client): string | undefined {
  const literal = client.address.includes(':') ? `[IPv6:${client.address}]` : `[${client.address}]`;
  return [client.name, literal].find(isHostName);
}
