// The sockets of the sidecar: opened for the places of a generation, and taken over by the next one. A place that
// stays keeps its socket and its sessions; what is new opens first, what is gone closes once its sessions ended.
// A take-over that cannot bind an address leaves everything as it was.

import type { Generation, Runtime } from './generation.ts';
import { listenHttp } from './http/listener.ts';
import { listenMetrics } from './http/metrics-listener.ts';
import { healthOf } from './http/request.ts';
import type { HttpSettings } from './http/settings.ts';
import type { RefusalReason } from './intake/refusals.ts';
import type { Log } from './log.ts';
import type { MetricsSource } from './metrics.ts';
import { describePlace, type Place, type PlaceKind, placeName } from './places.ts';
import { listenSmtp } from './smtp/listener.ts';
import type { ListenerSettings } from './smtp/settings.ts';

/** What every kind of listener gives. */
export interface OpenListener {
  readonly address: string;
  readonly port: number;
  /** Open ones of clients, where they are counted. */
  readonly connections?: number;
  /** Accepts nothing more at once; resolves when every session has ended. Those that take longer are cut. */
  close(graceMs: number): Promise<void>;
}

/** What a listener asks for whenever it needs it: the newest generation, and what its place says there. */
export interface Standing {
  readonly generation: Generation;
  readonly place: Place;
}

export interface ListeningAddress {
  readonly kind: PlaceKind;
  readonly address: string;
  readonly port: number;
}

interface Entry {
  standing: Standing;
  readonly listener: OpenListener;
}

export class Listeners {
  readonly #runtime: Runtime;
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new Set<Promise<void>>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  get addresses(): readonly ListeningAddress[] {
    return [...this.#entries.values()].map(({ standing, listener }) => ({
      kind: standing.place.kind,
      address: listener.address,
      port: listener.port,
    }));
  }

  /** Opens what the generation wants and is not open, and closes the rest. Rejects with the place and the reason. */
  async takeOver(generation: Generation): Promise<void> {
    const wanted = new Map(generation.places.map((place) => [placeName(place), place]));
    const gone = [...this.#entries].filter(([name]) => !wanted.has(name));
    const gonePorts = new Set(gone.map(([, { standing }]) => standing.place.port));
    const fresh = [...wanted].filter(([name]) => !this.#entries.has(name));
    // An address may overlap one that goes, as [::]:25 does 127.0.0.1:25; such a one opens after the other closed.
    const overlapping = fresh.filter(([, { port }]) => port !== 0 && gonePorts.has(port));
    const apart = fresh.filter((entry) => !overlapping.includes(entry));
    const opened = new Map<string, Entry>();
    try {
      for (const [name, place] of apart) opened.set(name, await this.#open({ generation, place }));
      for (const [name, place] of overlapping) {
        this.#closeOnPort(gone, place.port);
        opened.set(name, await this.#open({ generation, place }));
      }
    } catch (error) {
      await Promise.all([...opened.values()].map(({ listener }) => listener.close(0)));
      const lost = await this.#reopen(gone);
      if (lost.length === 0) throw error;
      throw new Error([error, ...lost].map(messageOf).join('; '), { cause: error });
    }
    for (const [name] of gone) this.#close(name);
    for (const [name, entry] of this.#entries) {
      const place = wanted.get(name);
      if (place !== undefined) entry.standing = { generation, place };
    }
    for (const [name, entry] of opened) {
      this.#entries.set(name, entry);
      announce(this.#runtime.log, entry);
    }
  }

  /** Accepts nothing more; resolves when every session has ended. */
  async close(): Promise<void> {
    for (const name of [...this.#entries.keys()]) this.#close(name);
    await Promise.all(this.#closing);
  }

  async #open(standing: Standing): Promise<Entry> {
    const entry: { standing: Standing; listener?: OpenListener } = { standing };
    const listener = await openListener(
      this.#runtime,
      standing.place,
      () => entry.standing,
      () => this.#connections(),
      (reason) => this.#runtime.metrics.refused(nameOf(entry), reason),
    ).catch((error: unknown) => {
      throw new Error(`${describePlace(standing.place)}: ${reasonOf(error)}`, { cause: error });
    });
    return Object.assign(entry, { listener });
  }

  #connections(): readonly { readonly listener: string; readonly open: number }[] {
    return [...this.#entries.values()].flatMap((entry) => {
      const { connections } = entry.listener;
      return connections === undefined ? [] : [{ listener: nameOf(entry), open: connections }];
    });
  }

  #close(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    const closed = entry.listener.close(entry.standing.generation.graceMs);
    this.#closing.add(closed);
    void closed.finally(() => this.#closing.delete(closed));
  }

  #closeOnPort(gone: readonly (readonly [string, Entry])[], port: number): void {
    for (const [name, { standing }] of gone) if (standing.place.port === port) this.#close(name);
  }

  // Answers what could not be bound again: another program was quicker.
  async #reopen(gone: readonly (readonly [string, Entry])[]): Promise<readonly unknown[]> {
    const lost: unknown[] = [];
    for (const [name, { standing }] of gone) {
      if (this.#entries.has(name)) continue;
      try {
        this.#entries.set(name, await this.#open(standing));
      } catch (error) {
        lost.push(error);
      }
    }
    return lost;
  }
}

/** With the port that the system chose. */
function nameOf({ standing: { place }, listener }: Pick<Entry, 'standing'> & Partial<Entry>): string {
  return describePlace({ ...place, port: listener?.port ?? place.port });
}

// To add a kind of listener, open it here; `standing` is asked for whenever something is needed, so that a reload holds.
async function openListener(
  runtime: Runtime,
  place: Place,
  standing: () => Standing,
  connections: MetricsSource['connections'],
  refused: (reason: RefusalReason) => void,
): Promise<OpenListener> {
  const { address, port } = place;
  switch (place.kind) {
    case 'smtp':
    case 'lmtp':
      return await listenSmtp({
        address,
        port,
        memory: runtime.memory,
        settings: () => ({
          ...smtpSettings(runtime, place.kind === 'lmtp' ? 'lmtp' : 'smtp', standing()),
          refused,
        }),
      });
    case 'http':
      return await listenHttp({
        address,
        port,
        memory: runtime.memory,
        clock: runtime.clock,
        settings: () => ({ ...httpSettings(runtime, standing()), refused }),
      });
    case 'metrics':
      return await listenMetrics({
        address,
        port,
        hostName: place.hostName,
        contentType: runtime.metrics.contentType,
        metrics: () => runtime.metrics.text(metricsSource(runtime, standing().generation, connections)),
        health: () => healthOf(standing().generation.ways),
      });
  }
}

function smtpSettings(
  runtime: Runtime,
  protocol: 'smtp' | 'lmtp',
  { generation, place }: Standing,
): ListenerSettings {
  return {
    hostName: place.hostName,
    relayHosts: place.relayHosts,
    maxConnections: place.maxConnections,
    idleTimeoutMs: runtime.tuning.idleTimeoutMs,
    terms: { protocol, attemptFirst: place.attemptFirst },
    reception: generation.reception,
    tls: place.files.tls,
    users: place.files.users,
    notice: runtime.log.notice,
    trace: runtime.trace?.smtp,
  };
}

function metricsSource(
  { memory }: Runtime,
  { health, targets, outboxes }: Generation,
  connections: MetricsSource['connections'],
): MetricsSource {
  return {
    heldBytes: () => memory.heldBytes,
    maxHeldBytes: () => memory.limitBytes,
    routes: () => health.routes(targets.all),
    queues: () =>
      [...outboxes].map(([{ domain }, { active, waiting }]) => ({ queue: domain, active, waiting })),
    connections,
  };
}

function httpSettings(runtime: Runtime, { generation, place }: Standing): HttpSettings {
  return {
    hostName: place.hostName,
    relayHosts: place.relayHosts,
    maxConnections: place.maxConnections,
    ways: generation.ways,
    trace: runtime.trace?.http,
  };
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') return 'another program listens there already';
  if (code === 'EACCES') return 'this port needs CAP_NET_BIND_SERVICE';
  if (code === 'EADDRNOTAVAIL') return 'this machine has no such address';
  return messageOf(error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function announce(log: Log, { standing, listener }: Entry): void {
  const { address, port } = listener;
  const message = describePlace({ kind: standing.place.kind, address, port });
  log.notice({ level: 'info', code: 'listening', message });
}
