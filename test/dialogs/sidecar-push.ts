// The pushing side of a sidecar without its listeners, for what only the network shows.

import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';
import { parseRoute, type XferRoute } from '../../shared/config/routes.ts';
import { MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import { type Clock, systemClock } from '../../sidecar/clock.ts';
import type { Content } from '../../sidecar/intake/content.ts';
import { logTo, type Notice } from '../../sidecar/log.ts';
import type { HandOverResult, PushSample } from '../../sidecar/push/held-message.ts';
import { Outbox, type OutboxOptions } from '../../sidecar/push/outbox.ts';
import {
  createReceiverClient,
  type Exchange,
  type ReceiverClientOptions,
} from '../../sidecar/push/receiver-client.ts';
import { RouteHealth } from '../../sidecar/push/route-health.ts';
import type { SignRequest } from '../../sidecar/push/signature.ts';
import type { Mode, Target } from '../../sidecar/routing/targets.ts';

export interface Pusher {
  readonly target: Target;
  readonly outbox: Outbox;
  readonly health: RouteHealth;
  readonly notices: readonly Notice[];
  readonly samples: readonly PushSample[];
  readonly exchanges: readonly Exchange[];
  push(content: string | Buffer | Content, options?: PushOptions): Promise<HandOverResult>;
}

export interface PushOptions {
  readonly mode?: Mode;
  readonly gone?: AbortSignal;
  /** Instead of the target's Handoff_Deadline. */
  readonly withinMs?: number;
}

export interface PusherOptions extends Omit<ReceiverClientOptions, 'trace'> {
  readonly target?: Partial<Target>;
  readonly clock?: Clock;
  readonly outbox?: Partial<OutboxOptions>;
  readonly sign?: SignRequest;
}

export function xferRoute(text: string): XferRoute {
  const reading = parseRoute(text);
  if (!reading.ok || reading.route.scheme !== 'xfer') throw new Error(`${text} is no route`);
  return reading.route;
}

export function targetOf(routes: readonly string[], more: Partial<Target> = {}): Target {
  return {
    domain: 'xfer.test',
    routes: routes.map(xferRoute),
    uri: '/delay_message',
    host: undefined,
    credentials: undefined,
    responseTimeoutMs: 10_000,
    hostFailureRetryMs: 5_000,
    handoffDeadlineMs: 120_000,
    ...more,
  };
}

export function pusherFor(
  context: Pick<TestContext, 'after'>,
  routes: readonly string[],
  options: PusherOptions = {},
): Pusher {
  const { clock = systemClock, lookup, ca, sign = unsigned } = options;
  const notices: Notice[] = [];
  const samples: PushSample[] = [];
  const exchanges: Exchange[] = [];
  const log = logTo((record) => {
    if (record.type === 'Notice') notices.push(record);
  }, clock.nowMs);
  const target = targetOf(routes, options.target);
  const client = createReceiverClient(clock, sign, {
    trace: (exchange) => exchanges.push(exchange),
    ...(lookup !== undefined && { lookup }),
    ...(ca !== undefined && { ca }),
  });
  context.after(() => client.close());
  const health = new RouteHealth(log);
  const tools = { client, health, clock, log, random: () => 0.5, pushed: (s: PushSample) => samples.push(s) };
  const outbox = new Outbox(target, tools, { windowMs: 1, maxTransfers: 16, ...options.outbox });
  return {
    target,
    outbox,
    health,
    notices,
    samples,
    exchanges,
    push(given, { mode = 'delayed', gone = new AbortController().signal, withinMs } = {}) {
      const content = typeof given === 'string' || Buffer.isBuffer(given) ? contentOf(given) : given;
      const header = {
        id: content.sha256.toString('base64url'),
        envelope: {
          sender: 'b@example.com',
          recipients: [{ address: 'a@example.net' }],
          body: '8BITMIME' as const,
          smtputf8: false,
          requireTls: false,
        },
        sizeBytes: content.sizeBytes,
        sha256: content.sha256.toString('hex'),
        attempts: 1,
        upload: content.sizeBytes > MAX_INLINE_BYTES,
        meta: {},
      };
      const deadlineAtMs = clock.nowMs() + (withinMs ?? target.handoffDeadlineMs);
      return new Promise((resolve) => {
        const settle = (result: HandOverResult): undefined => void resolve(result);
        outbox.add({ mode, header, content, deadlineAtMs, gone, settle });
      });
    },
  };
}

export function contentOf(text: string | Buffer): Content {
  const whole = Buffer.from(text);
  return {
    sizeBytes: whole.length,
    sha256: createHash('sha256').update(whole).digest(),
    head: whole.subarray(0, 65_536),
    bareNewlines: false,
    pieces: [whole],
    async *read() {
      yield whole;
    },
  };
}

/** Time that runs `factor` times as fast. */
export function fastClock(factor: number): Clock {
  const startMs = Date.now();
  return {
    nowMs: () => Math.floor(startMs + (performance.timeOrigin + performance.now() - startMs) * factor),
    after: (delayMs, wake) => systemClock.after(delayMs / factor, wake),
  };
}

const unsigned: SignRequest = async () => {
  throw new Error('no AWS credentials are at hand');
};
