// Starts a sidecar from a configuration: checks where mail may go and where it may be taken, then listens.
// Rejects with `SidecarStartError`: `code` is `configuration` when the configuration forbids it, and then nothing
// was opened, or `listen` when an address could not be bound.

import { hostname, networkInterfaces } from 'node:os';
import type { Configuration, ListenerScope, ListenScope } from '../shared/config/configuration.ts';
import { evaluate, evaluateListen } from '../shared/config/evaluate.ts';
import { formatFault } from '../shared/config/fault.ts';
import { formatListen, type ListenAddress, listenAddresses, narrowedText } from '../shared/config/listen.ts';
import type { Network } from '../shared/config/networks.ts';
import { OPTIONS } from '../shared/config/options.ts';
import { type Clock, systemClock } from './clock.ts';
import { MemoryBudget } from './intake/memory-budget.ts';
import { createReception } from './intake/reception.ts';
import { type Log, logTo, type SidecarRecord } from './log.ts';
import { Outbox } from './push/outbox.ts';
import { createReceiverClient } from './push/receiver-client.ts';
import { RouteHealth } from './push/route-health.ts';
import { type AwsCredentials, createSigner, regionOf } from './push/signature.ts';
import { readTargets, type Targets } from './routing/targets.ts';
import { listenSmtp, type SmtpListener } from './smtp/listener.ts';

export interface SidecarLimits {
  /** Content held at once; past it the listener answers 452. */
  readonly maxHeldBytes: number;
  /** Past it the listener answers 421. */
  readonly maxConnections: number;
  /** Transfers under way to one target. */
  readonly maxTransfers: number;
  /** How long the first message of a transfer waits for company. */
  readonly windowMs: number;
  /** Silence after which a session is ended. */
  readonly idleTimeoutMs: number;
}

export const DEFAULT_LIMITS: SidecarLimits = {
  maxHeldBytes: 256 * 1024 * 1024,
  maxConnections: 500,
  maxTransfers: 16,
  windowMs: 4,
  idleTimeoutMs: 300_000,
};

export interface SidecarOptions {
  readonly configuration: Configuration;
  /** Takes every record, in order. */
  readonly log: (record: SidecarRecord) => void;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly limits?: Partial<SidecarLimits>;
  /** Instead of the configuration's ESMTP_Listener stanzas. */
  readonly listen?: readonly ListenAddress[];
  /** For routes with sigv4=1. */
  readonly awsCredentials?: () => Promise<AwsCredentials>;
}

export interface Sidecar {
  readonly addresses: readonly { readonly address: string; readonly port: number }[];
  /** Takes no new mail, finishes what is under way, and closes. */
  close(): Promise<void>;
}

export class SidecarStartError extends Error {
  readonly code: 'configuration' | 'listen';

  constructor(code: 'configuration' | 'listen', message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SidecarStartError';
    this.code = code;
  }
}

/** Where the sidecar listens when nothing says otherwise. */
export const DEFAULT_LISTEN: ListenAddress = { host: '127.0.0.1', port: 2525 };

export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const { configuration } = options;
  const clock = options.clock ?? systemClock;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const log = logTo(options.log, () => clock.nowMs());
  const { targets, places } = checkSidecar(options);
  const client = createReceiverClient(
    clock,
    createSigner(options.awsCredentials ?? noCredentials, clock.nowMs),
  );
  const health = new RouteHealth(log);
  const tools = { client, health, clock, log, random: options.random ?? Math.random };
  const outboxes = new Map(targets.all.map((target) => [target, new Outbox(target, tools, limits)]));
  const instance = evaluate(configuration, OPTIONS.Instance) ?? hostname();
  const reception = createReception({ targets, outboxes, health, instance, clock, log });
  const memory = new MemoryBudget(limits.maxHeldBytes);

  warnOfHttpListeners(configuration, log);
  for (const { listen, relayHosts } of wantedListens(options)) {
    if (listen.host !== undefined || relayHosts.length > 0) continue;
    const message = narrowedText(listen, 'Relay_Hosts');
    log.notice({ level: 'warn', code: 'configuration', message });
  }
  const listeners: SmtpListener[] = [];
  const graceMs = closingGraceMs(targets);
  const closeAll = async (): Promise<void> => {
    await Promise.all(listeners.map((listener) => listener.close(graceMs)));
    // A client that left may have a withdrawal under way, which nobody waits for but us.
    await Promise.all([...outboxes.values()].map((outbox) => outbox.idle()));
    client.close();
  };
  try {
    for (const place of places) {
      const listener = await listenSmtp({
        address: place.address,
        port: place.port,
        memory,
        settings: () => ({
          hostName: place.hostName,
          relayHosts: place.relayHosts,
          maxConnections: limits.maxConnections,
          idleTimeoutMs: limits.idleTimeoutMs,
          terms: { protocol: 'smtp', attemptFirst: false },
          reception,
        }),
      });
      listeners.push(listener);
      announce(log, listener);
    }
  } catch (error) {
    await closeAll();
    const reason = error instanceof Error ? error.message : String(error);
    throw new SidecarStartError('listen', `the sidecar cannot listen: ${reason}`, error);
  }
  return {
    addresses: listeners.map(({ address, port }) => ({ address, port })),
    async close() {
      log.notice({
        level: 'info',
        code: 'stopping',
        message: 'taking no new mail; finishing what is under way',
      });
      await closeAll();
      log.notice({ level: 'info', code: 'stopped', message: 'stopped' });
    },
  };
}

export interface Place {
  readonly address: string;
  readonly port: number;
  readonly hostName: string;
  readonly relayHosts: readonly Network[];
}

/** What the sidecar would do, without doing it. Throws `SidecarStartError` of code `configuration`. */
export function checkSidecar(options: SidecarOptions): {
  readonly targets: Targets;
  readonly places: readonly Place[];
} {
  return { targets: checkedTargets(options), places: checkedPlaces(options) };
}

function checkedTargets({ configuration, awsCredentials }: SidecarOptions): Targets {
  const result = readTargets(configuration);
  if (!result.ok) {
    const texts = [
      ...result.faults.map(formatFault),
      ...(result.message === undefined ? [] : [result.message]),
    ];
    throw new SidecarStartError('configuration', texts.join('\n'));
  }
  const signed = result.targets.all.flatMap((target) => target.routes).filter((route) => route.sigv4);
  for (const route of signed) {
    try {
      regionOf(route);
    } catch (error) {
      throw new SidecarStartError('configuration', error instanceof Error ? error.message : String(error));
    }
  }
  if (signed.length > 0 && awsCredentials === undefined) {
    throw new SidecarStartError(
      'configuration',
      'a route asks for sigv4=1, but no AWS credentials are at hand',
    );
  }
  return result.targets;
}

// Every address to bind, or the reasons why some may not be, all together.
function checkedPlaces(options: SidecarOptions): readonly Place[] {
  const refusals: string[] = [];
  const places: Place[] = [];
  for (const { listen, ...settings } of wantedListens(options)) {
    const guarded = settings.relayHosts.length > 0;
    const decision = listenAddresses(listen, {
      interfaces: networkInterfaces(),
      guarded,
      guard: 'Relay_Hosts',
    });
    if (!decision.ok) refusals.push(decision.text);
    else places.push(...decision.addresses.map((address) => ({ address, port: listen.port, ...settings })));
  }
  for (const listener of options.configuration.listeners) {
    if (listener.kind === 'LMTP_Listener') {
      const message = 'LMTP_Listener is not supported yet';
      refusals.push(formatFault({ place: listener.place, message, mend: 'use ESMTP_Listener' }));
    }
  }
  if (refusals.length > 0) throw new SidecarStartError('configuration', refusals.join('\n'));
  return places;
}

interface WantedListen {
  readonly listen: ListenAddress;
  readonly hostName: string;
  readonly relayHosts: readonly Network[];
}

function wantedListens({ configuration, listen }: SidecarOptions): readonly WantedListen[] {
  const scopes = configuration.listeners
    .filter((listener) => listener.kind === 'ESMTP_Listener')
    .flatMap((listener) => listener.listens.map((scope): [ListenerScope, ListenScope] => [listener, scope]));
  if (listen !== undefined || scopes.length === 0) {
    const relayHosts = evaluate(configuration, OPTIONS.Relay_Hosts);
    const hostName = evaluate(configuration, OPTIONS.EHLO_Hostname) ?? hostname();
    return (listen ?? [DEFAULT_LISTEN]).map((address) => ({ listen: address, relayHosts, hostName }));
  }
  return scopes.map(([listener, scope]) => ({
    listen: scope.listen,
    relayHosts: evaluateListen(configuration, OPTIONS.Relay_Hosts, listener, scope),
    hostName: evaluateListen(configuration, OPTIONS.EHLO_Hostname, listener, scope) ?? hostname(),
  }));
}

// The longest that a hand-over and the withdrawal after it may take, and some time to say so.
function closingGraceMs(targets: Targets): number {
  return Math.max(...targets.all.map((target) => target.handoffDeadlineMs)) + 60_000;
}

function announce(log: Log, listener: SmtpListener): void {
  const at = formatListen({ host: listener.address, port: listener.port });
  log.notice({ level: 'info', code: 'listening', message: `SMTP on ${at}` });
}

// One file may serve both sides, so that this is no fault.
function warnOfHttpListeners(configuration: Configuration, log: Log): void {
  for (const { kind, place } of configuration.listeners) {
    if (kind !== 'HTTP_Listener') continue;
    const message = `${place.file}:${place.line}: the sidecar does not serve HTTP_Listener yet`;
    log.notice({ level: 'warn', code: 'configuration', message });
  }
}

async function noCredentials(): Promise<AwsCredentials> {
  throw new Error('no AWS credentials are at hand');
}
