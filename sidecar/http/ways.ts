// What the HTTP listener needs of the sidecar behind it: where recipients go, a hand-over, and taking a message back.
// Made of a generation's parts, so that a reload gives the listener new ones.

import { formatXferRoute, type XferRoute } from '../../shared/config/routes.ts';
import type { Reply } from '../../shared/smtp/reply.ts';
import type { Clock } from '../clock.ts';
import type { Log, XferOut } from '../log.ts';
import type { HandOverResult, HeldMessage } from '../push/held-message.ts';
import type { Outbox } from '../push/outbox.ts';
import type { ReceiverClient } from '../push/receiver-client.ts';
import type { RouteHealth } from '../push/route-health.ts';
import { withdraw } from '../push/withdraw.ts';
import { type Choice, chainOf, type Target, type Targets } from '../routing/targets.ts';
import { xferOut } from '../xfer-out.ts';
import { type RecallOutcome, recallEverywhere } from './recall.ts';

/** One message for one target. */
export type Part = Omit<HeldMessage, 'settle'> & { readonly target: Target };

export interface Ways {
  /** For an address with its domain. */
  choose(address: string): Choice;
  anyUp(): boolean;
  isUp(target: Target): boolean;
  /** Never rejects. */
  handOver(part: Part): Promise<HandOverResult>;
  /** Takes back what the route named in a result has accepted. */
  takeBack(target: Target, routeName: string | null, id: string): Promise<XferOut['withdrawal']>;
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
  readonly outboxes: ReadonlyMap<Target, Pick<Outbox, 'add'>>;
  readonly health: RouteHealth;
  readonly client: ReceiverClient;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
}

export function createWays(options: WaysOptions): Ways {
  const { targets, outboxes, health, clock, log } = options;
  const isUp = (target: Target): boolean => health.firstUp(target, clock.nowMs()) !== undefined;
  return {
    choose: (address) => targets.choose(address),
    anyUp: () => targets.all.some(isUp),
    isUp,
    handOver(part) {
      const outbox = outboxes.get(part.target);
      if (outbox === undefined) throw new Error(`the target ${part.target.domain} has no outbox`);
      return new Promise((resolve) =>
        outbox.add({
          ...part,
          settle(result) {
            resolve(result);
            return undefined;
          },
        }),
      );
    },
    async takeBack(target, routeName, id) {
      const found = chainOf(target)
        .flatMap((one) => one.routes.map((route): [Target, XferRoute] => [one, route]))
        .find(([, route]) => formatXferRoute(route) === routeName);
      return found === undefined ? 'unconfirmed' : (await withdraw(options, ...found, id)).kind;
    },
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
