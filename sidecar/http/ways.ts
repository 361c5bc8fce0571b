// What the HTTP listener needs of the sidecar behind it: where recipients go, a hand-over, and taking a message back.
// Made of a generation's parts, so that a reload gives the listener new ones.

import type { Reply } from '../../shared/smtp/reply.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { HandOverResult, HeldMessage } from '../push/held-message.ts';
import { afterAll, type JointAnswer, takenBack } from '../push/joint-answer.ts';
import type { Outbox } from '../push/outbox.ts';
import type { ReceiverClient } from '../push/receiver-client.ts';
import type { RouteHealth } from '../push/route-health.ts';
import type { Choice, Target, Targets } from '../routing/targets.ts';
import { xferOut } from '../xfer-out.ts';
import { type RecallOutcome, recallEverywhere } from './recall.ts';

/** One message for one target. */
export type Part = Omit<HeldMessage, 'settle'> & { readonly target: Target };

export interface Ways {
  /** For an address with its domain. */
  choose(address: string): Choice;
  anyUp(): boolean;
  isUp(target: Target): boolean;
  /** Never rejects. The part's id stays under way until the joint answer ends. */
  handOver(part: Part, joint: Pick<JointAnswer, 'decided'>): Promise<HandOverResult>;
  /** Takes back what was taken, where that may be: the client keeps the whole message. */
  takenBack(part: Part, result: HandOverResult): Promise<HandOverResult>;
  /** The same when the client left. */
  afterAll(part: Part, result: HandOverResult): Promise<HandOverResult>;
  /** Asks every receiver that may have the message. */
  recall(id: string, untilMs: number): Promise<RecallOutcome>;
  record(
    part: Part,
    result: HandOverResult,
    reply: Reply,
    from: { readonly peer: string; readonly startedAtMs: number },
  ): void;
}

export interface WaysOptions {
  readonly targets: Targets;
  readonly outboxes: ReadonlyMap<Target, Pick<Outbox, 'add' | 'takeBack'>>;
  readonly health: RouteHealth;
  readonly client: ReceiverClient;
  readonly clock: Clock;
  readonly log: Log;
}

export function createWays(options: WaysOptions): Ways {
  const { targets, outboxes, health, clock, log } = options;
  const outboxOf = ({ target }: Part) => {
    const outbox = outboxes.get(target);
    if (outbox === undefined) throw new Error(`the target ${target.domain} has no outbox`);
    return outbox;
  };
  const isUp = (target: Target): boolean => health.firstUp(target, clock.nowMs()) !== undefined;
  return {
    choose: (address) => targets.choose(address),
    anyUp: () => targets.all.some(isUp),
    isUp,
    handOver(part, joint) {
      const outbox = outboxOf(part);
      return new Promise((resolve) =>
        outbox.add({
          ...part,
          settle(result) {
            resolve(result);
            return joint.decided;
          },
        }),
      );
    },
    takenBack: (part, result) => takenBack(outboxOf(part), part, result),
    afterAll: (part, result) => afterAll(outboxOf(part), part, result),
    recall: (id, untilMs) => recallEverywhere(options, id, untilMs),
    record(part, result, reply, { peer, startedAtMs }) {
      const { header, mode, target, gone } = part;
      log.record(
        xferOut({
          header,
          mode,
          queue: target.domain,
          result,
          reply,
          clientGone: gone.aborted,
          latencyMs: clock.nowMs() - startedAtMs,
          by: { protocol: 'HTTP', name: null, address: peer },
        }),
      );
    },
  };
}
