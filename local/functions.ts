// The three functions of the stack, built for this machine from the same parts as their entry points on AWS.

import { createEgress, type EgressSettings, SMTP_TIMEOUTS } from '../functions/deliver/egress.ts';
import { createDeliverHandler, type DeliverHandler } from '../functions/deliver/handler.ts';
import {
  type Authentication,
  createReceiveHandler,
  type ReceiveHandler,
} from '../functions/receive/handler.ts';
import { createReleaseHandler, type ReleaseHandler } from '../functions/release/handler.ts';
import { LEASE_MARGIN_SECONDS, RESEND_RECEIVE_COUNT } from '../shared/aws/limits.ts';
import { QUEUE_LIMITS } from '../shared/aws/queue-limits.ts';
import { type Clients, createStores, type Stores } from '../shared/aws/stores.ts';
import { systemClock, systemRandom } from '../shared/aws/system.ts';
import type { DeliverySettings } from '../shared/config/delivery-settings.ts';
import { DEFAULT_TEMPO, scaleTempo, type Tempo, withRetrySettings } from '../shared/queue/tempo.ts';
import type { Log } from '../shared/records/records.ts';
import { DEFAULT_LIMITS } from '../shared/xfer/limits.ts';
import type { ApiRoute } from './api-front.ts';
import type { EmulatorEndpoints } from './emulators.ts';

export const API_ROUTES: readonly ApiRoute[] = [
  { key: 'POST /delay_message', authorizer: 'none' },
  { key: 'POST /delay_message/uploads', authorizer: 'none' },
  { key: 'DELETE /delay_message/{id}', authorizer: 'none' },
  { key: 'POST /api/xfer/inject/v1', authorizer: 'none' },
  { key: 'GET /health', authorizer: 'none' },
  { key: '$default', authorizer: 'none' },
];

/** Where mail leaves to. */
export interface Destinations {
  /** `address:port`; the machine's own servers when absent. */
  readonly dnsServers?: readonly string[];
  readonly smtpPort: number;
  /** CIDR blocks that mail may go to although they are not public. */
  readonly allowedNetworks: readonly string[];
}

export interface FunctionsOptions {
  readonly clients: Clients;
  readonly endpoints: EmulatorEndpoints;
  readonly authentication: Authentication;
  readonly destinations: Destinations;
  /** What the configuration says for all domains. */
  readonly settings: DeliverySettings;
  readonly hostName: string;
  /** Batches of deliveries that run at once, each with sessions of its own. */
  readonly concurrentBatches: number;
  readonly tempo: Tempo;
  readonly log: Log;
}

export interface Functions {
  readonly receive: ReceiveHandler;
  readonly deliver: DeliverHandler;
  readonly release: ReleaseHandler;
  readonly stores: Stores;
}

/** A first run of release looks this many buckets back; later ones go on from where they were. */
const LOOKBACK_BUCKETS = 2;

export function createFunctions(options: FunctionsOptions): Functions {
  const { endpoints, settings, tempo, log } = options;
  const names = { table: endpoints.table, bucket: endpoints.bucket, queueUrl: endpoints.timersQueueUrl };
  const stores = createStores(options.clients, names, { clock: systemClock, tempo });
  const hostName = settings.ehloHostname ?? options.hostName;
  const shared = { ...stores, clock: systemClock, random: systemRandom, limits: QUEUE_LIMITS, tempo, log };
  return {
    stores,
    receive: createReceiveHandler({
      ...shared,
      authentication: options.authentication,
      bareNewlines: settings.bareNewlines,
      traceHost: hostName,
      transferLimits: DEFAULT_LIMITS,
    }),
    deliver: createDeliverHandler({
      ...shared,
      ...createEgress(
        {
          ...options.destinations,
          ...egressSettings(settings, options.concurrentBatches),
          ehloName: hostName,
        },
        shared,
      ),
      leaseMarginMs: LEASE_MARGIN_SECONDS * 1_000,
      resendReceiveCount: RESEND_RECEIVE_COUNT,
    }),
    release: createReleaseHandler({ ...shared, lookbackMs: LOOKBACK_BUCKETS * tempo.bucketMs }),
  };
}

/** What the configuration says of connections; `concurrentBatches` share what a site may have of them. */
export function egressSettings(
  settings: DeliverySettings,
  concurrentBatches: number,
): Pick<EgressSettings, 'tls' | 'sessionsPerSite' | 'deliveriesPerSession' | 'timeouts'> {
  const { tls, maxOutboundConnections, maxDeliveriesPerConnection, connectTimeoutSeconds } = settings;
  return {
    tls,
    sessionsPerSite: Math.max(1, Math.floor(maxOutboundConnections / concurrentBatches)),
    deliveriesPerSession: maxDeliveriesPerConnection === 0 ? Infinity : maxDeliveriesPerConnection,
    timeouts: { ...SMTP_TIMEOUTS, connectMs: connectTimeoutSeconds * 1_000 },
  };
}

/** The queue's times as the configuration has them, `speed` times as fast. */
export function tempoOf(settings: DeliverySettings, speed: number): Tempo {
  return scaleTempo(withRetrySettings(DEFAULT_TEMPO, settings), speed);
}
