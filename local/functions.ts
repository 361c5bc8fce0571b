// The three functions of the stack, built for this machine from the same parts as their entry points on AWS.

import { createEgress, sharingFailed } from '../functions/deliver/egress.ts';
import { createDeliverHandler, type DeliverHandler } from '../functions/deliver/handler.ts';
import {
  type Authentication,
  createReceiveHandler,
  type ReceiveHandler,
} from '../functions/receive/handler.ts';
import { createReleaseHandler, type ReleaseHandler } from '../functions/release/handler.ts';
import { LEASE_MARGIN_SECONDS, RESEND_RECEIVE_COUNT } from '../shared/aws/limits.ts';
import { QUEUE_LIMITS } from '../shared/aws/queue-limits.ts';
import { type Clients, createDestinationStores, createStores, type Stores } from '../shared/aws/stores.ts';
import { systemClock, systemRandom } from '../shared/aws/system.ts';
import type { DeliverySettings } from '../shared/config/delivery-settings.ts';
import type { Tempo } from '../shared/queue/tempo.ts';
import { termsByDomain } from '../shared/queue/terms.ts';
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
  /** Instead of the port that the configuration names. */
  readonly smtpPort?: number;
  /** CIDR blocks that mail may go to although they are not public. */
  readonly allowedNetworks: readonly string[];
}

export interface FunctionsOptions {
  /** Of receive. */
  readonly clients: Clients;
  /** Of deliver and release, with more patience for the ledger; receive's when absent. */
  readonly settlingClients?: Clients;
  readonly endpoints: EmulatorEndpoints;
  readonly authentication: Authentication;
  readonly destinations: Destinations;
  /** What the configuration says of a domain; without one, of all. */
  readonly settingsFor: (domain?: string) => DeliverySettings;
  /** Connections that one mail host may have, where the configuration says so. */
  readonly connectionsTo?: (host: string) => number | undefined;
  /** The text of every file that settings name, by path. */
  readonly named: ReadonlyMap<string, string>;
  readonly hostName: string;
  /** Batches of deliveries that run at once, each with sessions of its own. */
  readonly concurrentBatches: number;
  readonly tempo: Tempo;
  /** By which the tempo was scaled. */
  readonly speed: number;
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
  const { endpoints, tempo, log } = options;
  const settings = options.settingsFor();
  const names = { table: endpoints.table, bucket: endpoints.bucket, queueUrl: endpoints.timersQueueUrl };
  const stores = createStores(options.clients, names, { clock: systemClock, tempo });
  const settlingClients = options.settlingClients ?? options.clients;
  const settlingStores = createStores(settlingClients, names, { clock: systemClock, tempo });
  const hostName = settings.ehloHostname ?? options.hostName;
  const termsFor = termsByDomain({
    settingsFor: options.settingsFor,
    reportingMta: hostName,
    speed: options.speed,
  });
  const shared = {
    clock: systemClock,
    random: systemRandom,
    limits: QUEUE_LIMITS,
    tempo,
    termsFor,
    log,
  };
  return {
    stores,
    receive: createReceiveHandler({
      ...stores,
      ...shared,
      authentication: options.authentication,
      bareNewlines: settings.bareNewlines,
      traceHost: hostName,
      transferLimits: DEFAULT_LIMITS,
    }),
    deliver: createDeliverHandler({
      ...settlingStores,
      ...shared,
      ...createEgress(
        {
          ...options.destinations,
          ehloName: hostName,
          settingsFor: options.settingsFor,
          ...(options.connectionsTo === undefined ? {} : { connectionsTo: options.connectionsTo }),
          named: options.named,
          sessionsOf: (most) => sessionsPerSite(most, options.concurrentBatches),
        },
        {
          ...shared,
          ...createDestinationStores(settlingClients, names, {
            clock: systemClock,
            onFailure: (error) => log.notice(sharingFailed(error)),
          }),
        },
      ),
      leaseMarginMs: LEASE_MARGIN_SECONDS * 1_000,
      resendReceiveCount: RESEND_RECEIVE_COUNT,
    }),
    release: createReleaseHandler({
      ...settlingStores,
      ...shared,
      lookbackMs: LOOKBACK_BUCKETS * tempo.bucketMs,
    }),
  };
}

/** Batches that run at once share the connections that a site may have. */
export function sessionsPerSite(maxOutboundConnections: number, concurrentBatches: number): number {
  return Math.max(1, Math.floor(maxOutboundConnections / concurrentBatches));
}
