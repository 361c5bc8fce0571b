// The whole system in one process: emulators, API, event source mapping, schedule, sidecar, and destinations with
// their DNS. Promises: the handlers are those that run on AWS, over the real SDK clients; when a part cannot
// start, what had started is closed and the error says which; `close` finishes what is under way first.
// Limits: an invocation that outlives the stop's patience is abandoned, its deliveries wait out their leases.

import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Authentication } from '../functions/receive/handler.ts';
import {
  DELIVER_BATCH_SIZE,
  DELIVER_BATCH_WINDOW_SECONDS,
  DELIVER_TIMEOUT_SECONDS,
  RECEIVE_TIMEOUT_SECONDS,
  RELEASE_TIMEOUT_SECONDS,
} from '../shared/aws/limits.ts';
import { SETTLE_LEDGER_TIMEOUT_MS, type Stores } from '../shared/aws/stores.ts';
import { type Configuration, EMPTY_CONFIGURATION } from '../shared/config/configuration.ts';
import { connectionsByHost, settingsByDomain } from '../shared/config/delivery-settings.ts';
import { formatListen, type ListenAddress } from '../shared/config/listen.ts';
import { isLoopback } from '../shared/config/networks.ts';
import { DEFAULT_TEMPO, scaleTempo } from '../shared/queue/tempo.ts';
import type { Log } from '../shared/records/records.ts';
import type { SidecarRecord } from '../sidecar/log.ts';
import { type Sidecar, startSidecar } from '../sidecar/start.ts';
import { startApiFront } from './api-front.ts';
import { emulatorClients } from './clients.ts';
import { keepSpeed } from './data-directory.ts';
import { type DnsServer, startDnsServer } from './dns.ts';
import { type EmulatorEndpoints, startEmulators } from './emulators.ts';
import { startEventSource } from './event-source.ts';
import { API_ROUTES, createFunctions, type Destinations } from './functions.ts';
import { ANY_PORT, onPort, type PortWish } from './ports.ts';
import { startSchedule } from './schedule.ts';
import { type Sink, type SinkEvent, startSink } from './sink.ts';
import { SINK_ZONE } from './sink-zone.ts';

export interface StackOptions {
  /** Absent: everything is in memory. */
  readonly dataDirectory?: string;
  /** At least 1; see `scaleTempo`. */
  readonly speed?: number;
  /** What the receiving side's configuration says, and the text of the files that it names. */
  readonly configuration?: Configuration;
  readonly named?: ReadonlyMap<string, string>;
  /** Open, under the credential `local`, by default: the API then belongs on the loopback interface. */
  readonly authentication?: Authentication;
  readonly api?: ApiPlaces;
  /** Where mail goes; absent: a sink with its own DNS is started. */
  readonly destinations?: Destinations;
  readonly sinkPort?: PortWish;
  readonly dnsPort?: PortWish;
  /** Absent: no sidecar. */
  readonly sidecar?: SidecarPlan;
  readonly hostName?: string;
  readonly log: Log;
  readonly onSidecarRecord?: (record: SidecarRecord) => void;
  readonly onSinkEvent?: (event: SinkEvent) => void;
  /** What the machinery around the functions met; the functions log their own. */
  readonly onFault: (error: unknown) => void;
}

export interface ApiPlaces {
  readonly hosts: readonly string[];
  readonly port: PortWish;
  readonly admits?: (address: string) => boolean;
}

export interface SidecarPlan {
  /** Made when the API's address is known. */
  readonly configuration: (apiUrl: URL) => Configuration;
  /** Instead of the configuration's listeners. */
  readonly listen?: { readonly host: string; readonly port: PortWish };
}

export interface Stack {
  /** As it is reached from this machine. */
  readonly apiUrl: URL;
  readonly apiAddresses: readonly { readonly host: string; readonly port: number }[];
  readonly sidecar: Sidecar | undefined;
  readonly sink: Sink | undefined;
  readonly dns: DnsServer | undefined;
  readonly emulators: EmulatorEndpoints;
  readonly stores: Stores;
  close(): Promise<void>;
}

/** Batches that are delivered at once, at most; each runs dozens of dialogues. */
const DELIVER_CONCURRENCY = 10;
/** How long `close` waits for batches under way. */
const DRAIN_MS = 10_000;

export async function startStack(options: StackOptions): Promise<Stack> {
  await using started = new AsyncDisposableStack();
  const speed = options.speed ?? 1;
  const emulators = await startEmulators(
    options.dataDirectory === undefined ? {} : { dataDirectory: options.dataDirectory },
  );
  started.defer(() => emulators.close());
  if (options.dataDirectory !== undefined) keepSpeed(options.dataDirectory, speed);
  const clients = emulatorClients(emulators);
  started.defer(() => clients.destroy());
  const settlingClients = emulatorClients(emulators, SETTLE_LEDGER_TIMEOUT_MS);
  started.defer(() => settlingClients.destroy());

  const { sink, dns, destinations } = await startDestinations(options, speed, started);
  const configuration = options.configuration ?? EMPTY_CONFIGURATION;
  const settingsFor = settingsByDomain(configuration);
  const settings = settingsFor();
  const tempo = scaleTempo(DEFAULT_TEMPO, speed);
  // Batches do not know of each other's sessions: that many of one session each keep to the limit.
  const concurrentBatches = Math.min(DELIVER_CONCURRENCY, settings.maxOutboundConnections);
  const functions = createFunctions({
    clients,
    settlingClients,
    endpoints: emulators,
    authentication: options.authentication ?? { kind: 'open', credential: 'local' },
    destinations,
    settingsFor,
    connectionsTo: connectionsByHost(configuration),
    named: options.named ?? new Map(),
    hostName: options.hostName ?? hostname(),
    concurrentBatches,
    tempo,
    speed,
    log: options.log,
  });
  const { onFault } = options;

  const api = options.api ?? { hosts: ['127.0.0.1'], port: ANY_PORT };
  const front = await onPort(api.port, 'the API', (port) =>
    startApiFront({
      functionName: 'receive',
      handler: functions.receive,
      functionTimeoutMs: RECEIVE_TIMEOUT_SECONDS * 1_000,
      routes: API_ROUTES,
      addresses: api.hosts.map((host) => ({ host, port })),
      onFault,
      ...(api.admits === undefined ? {} : { admits: api.admits }),
    }),
  );
  started.defer(() => front.close());
  const apiUrl = localUrl(front.addresses);

  const sidecar = await startOwnSidecar(options, apiUrl);
  if (sidecar !== undefined) started.defer(() => sidecar.close());

  const eventSource = startEventSource({
    sqs: clients.sqs,
    queueUrl: emulators.timersQueueUrl,
    queueArn: emulators.timersQueueArn,
    functionName: 'deliver',
    handler: functions.deliver,
    functionTimeoutMs: DELIVER_TIMEOUT_SECONDS * 1_000,
    batchSize: DELIVER_BATCH_SIZE,
    windowMs: DELIVER_BATCH_WINDOW_SECONDS * 1_000,
    maximumConcurrency: concurrentBatches,
    onFault,
  });
  started.defer(async () => {
    await eventSource.stop(DRAIN_MS);
  });
  const schedule = startSchedule({
    functionName: 'release',
    handler: functions.release,
    functionTimeoutMs: RELEASE_TIMEOUT_SECONDS * 1_000,
    periodMs: tempo.releasePeriodMs,
    onFault,
  });
  started.defer(() => schedule.stop());
  const running = started.move();
  return {
    apiUrl,
    apiAddresses: front.addresses,
    sidecar,
    sink,
    dns,
    emulators,
    stores: functions.stores,
    close: () => running.disposeAsync(),
  };
}

async function startDestinations(options: StackOptions, speed: number, started: AsyncDisposableStack) {
  if (options.destinations !== undefined) {
    return { sink: undefined, dns: undefined, destinations: options.destinations };
  }
  const dns = await onPort(options.dnsPort ?? ANY_PORT, 'DNS', (port) =>
    startDnsServer(SINK_ZONE, { host: '127.0.0.1', port }),
  );
  started.defer(() => dns.close());
  const sink = await onPort(options.sinkPort ?? ANY_PORT, 'the destinations', (port) =>
    startSink({
      port,
      speed,
      ...(options.dataDirectory === undefined ? {} : { directory: join(options.dataDirectory, 'delivered') }),
      ...(options.onSinkEvent === undefined ? {} : { onEvent: options.onSinkEvent }),
    }),
  );
  started.defer(() => sink.close());
  const destinations: Destinations = {
    dnsServers: [`127.0.0.1:${dns.port}`],
    smtpPort: sink.port,
    allowedNetworks: ['127.0.0.0/8'],
  };
  return { sink, dns, destinations };
}

async function startOwnSidecar(options: StackOptions, apiUrl: URL): Promise<Sidecar | undefined> {
  const plan = options.sidecar;
  if (plan === undefined) return undefined;
  const start = (listen?: ListenAddress) =>
    startSidecar({
      configuration: plan.configuration(apiUrl),
      log: options.onSidecarRecord ?? (() => {}),
      // They are the API's.
      httpListeners: 'leave',
      ...(listen === undefined ? {} : { listen: [listen] }),
    });
  const { listen } = plan;
  if (listen === undefined) return await start();
  return await onPort(listen.port, 'SMTP', (port) => start({ host: listen.host, port }));
}

/** A URL that reaches the API from this machine: a loopback address when it listens on one, or everywhere. */
function localUrl(addresses: readonly { readonly host: string; readonly port: number }[]): URL {
  const address = addresses.find(({ host }) => isLoopback(host)) ?? addresses[0];
  if (address === undefined) throw new Error('the API needs an address');
  const host = ['::', '0.0.0.0'].includes(address.host) ? '127.0.0.1' : address.host;
  return new URL(`http://${formatListen({ host, port: address.port })}`);
}
