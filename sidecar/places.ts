// Which addresses a configuration wants the sidecar to listen at, by kind, with what each place's stanza says. Binds
// nothing, but reads the files that listeners' options name. An address outside the loopback interface is a fault
// while neither Relay_Hosts nor Auth_Users guards it.

import { hostname, networkInterfaces } from 'node:os';
import type { Configuration, ListenerKind, Settings } from '../shared/config/configuration.ts';
import { evaluate, evaluateListen, findSetting } from '../shared/config/evaluate.ts';
import { formatFault, formatPlace, type Place as Written } from '../shared/config/fault.ts';
import {
  formatListen,
  type Interfaces,
  type ListenAddress,
  listenAddresses,
  narrowedText,
} from '../shared/config/listen.ts';
import type { Network } from '../shared/config/networks.ts';
import type { Option } from '../shared/config/option.ts';
import { OPTIONS } from '../shared/config/options.ts';
import { type FileSettings, type ListenerFiles, readListenerFiles } from './listener-files.ts';

export type PlaceKind = 'smtp' | 'lmtp' | 'http' | 'metrics';

/** One address to bind, and what its Listen stanza, its listener's stanza and the global scope say of it. */
export interface Place {
  readonly kind: PlaceKind;
  readonly address: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly hostName: string;
  readonly relayHosts: readonly Network[];
  readonly attemptFirst: boolean;
  readonly maxConnections: number;
  readonly files: ListenerFiles;
  /** The Listen stanza; undefined for the command line and for defaults. */
  readonly written: Written | undefined;
}

export interface PlaceOptions {
  /** Instead of the configuration's ESMTP_Listener stanzas. */
  readonly listen?: readonly ListenAddress[];
  /** `leave`: HTTP_Listener stanzas belong to a receiver in the same process. `serve` by default. */
  readonly httpListeners?: 'serve' | 'leave';
}

export interface WantedPlaces {
  readonly places: readonly Place[];
  /** As they are printed, all of them. */
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
}

/** Where the sidecar listens when nothing says otherwise. */
export const DEFAULT_LISTEN: ListenAddress = { host: '127.0.0.1', port: 2525 };

/** Two places of one name are the same socket, whatever else is said of them. */
export function placeName({ kind, address, port }: Pick<Place, 'kind' | 'address' | 'port'>): string {
  return `${kind} ${address} ${port}`;
}

/** `SMTP on 127.0.0.1:2525`. */
export function describePlace({ kind, address, port }: Pick<Place, 'kind' | 'address' | 'port'>): string {
  return `${kind.toUpperCase()} on ${formatListen({ host: address, port })}`;
}

export function wantedPlaces(
  configuration: Configuration,
  options: PlaceOptions,
  nowMs: number,
): WantedPlaces {
  // One listener's files are named once for all its Listen stanzas.
  const faults = new Set<string>();
  const warnings = new Set<string>();
  const places: Place[] = [];
  const interfaces = networkInterfaces();
  for (const { listen, fileSettings, ...wanted } of wantedListens(configuration, options)) {
    const reading = readListenerFiles(fileSettings, nowMs);
    for (const fault of reading.faults) faults.add(fault);
    for (const warning of reading.warnings) warnings.add(warning);
    const guarded = wanted.relayHosts.length > 0 || fileSettings.users !== undefined;
    const decision = listenAddresses(listen, { interfaces, guarded, guard: 'Relay_Hosts' });
    if (!decision.ok) faults.add(told(decision.text, wanted.written));
    else {
      const { files } = reading;
      places.push(...decision.addresses.map((address) => ({ ...wanted, address, port: listen.port, files })));
    }
    if (listen.host === undefined && !guarded) warnings.add(narrowedText(listen, 'Relay_Hosts'));
  }
  const metrics = metricsPlaces(configuration, interfaces);
  if (typeof metrics === 'string') faults.add(metrics);
  else places.push(...metrics);
  const seen = new Map<string, Place>();
  // A Listen may stand for several addresses, and clash at each of them: it is told of once.
  const clashing = new Set<Written | undefined>();
  for (const place of places) {
    const name = `${place.address} ${place.port}`;
    const before = seen.get(name);
    if (place.port !== 0 && before !== undefined && !clashing.has(place.written)) {
      clashing.add(place.written);
      faults.add(takenTwice(place, before));
    }
    seen.set(name, place);
  }
  return { places, faults: [...faults], warnings: [...warnings] };
}

/** Metrics_Listen, or why it may not be. What stands there tells of routes and amounts, to this machine alone. */
function metricsPlaces(configuration: Configuration, interfaces: Interfaces): readonly Place[] | string {
  const listen = evaluate(configuration, OPTIONS.Metrics_Listen);
  if (listen === undefined) return [];
  const decision = listenAddresses(listen, { interfaces, guarded: false, guard: '' });
  const written = findSetting(configuration, OPTIONS.Metrics_Listen, {})?.place;
  if (!decision.ok) {
    const message = `Metrics_Listen "${formatListen(listen)}" would be reachable from other machines`;
    const mend = 'listen on 127.0.0.1';
    return written === undefined ? `${message}; ${mend}` : formatFault({ place: written, message, mend });
  }
  const value = <T>(option: Option<T>): T => evaluate(configuration, option);
  return decision.addresses.map((address) => ({
    ...settingsFrom('metrics', value),
    address,
    port: listen.port,
    files: { tls: undefined, users: undefined, digests: new Map<string, string>() },
    written,
  }));
}

interface WantedListen extends Omit<Place, 'address' | 'port' | 'files'> {
  readonly listen: ListenAddress;
  readonly fileSettings: FileSettings;
}

function wantedListens(configuration: Configuration, options: PlaceOptions): readonly WantedListen[] {
  const stanzas = configuration.listeners.flatMap((listener) => {
    const kind = kindOf(listener.kind);
    if (kind === 'smtp' && options.listen !== undefined) return [];
    if (kind === 'http' && options.httpListeners === 'leave') return [];
    return listener.listens.map((scope) => {
      const value = <T>(option: Option<T>): T => evaluateListen(configuration, option, listener, scope);
      const fileSettings = fileSettingsIn([scope.settings, listener.settings, configuration.global], value);
      return { listen: scope.listen, written: scope.place, fileSettings, ...settingsFrom(kind, value) };
    });
  });
  const asDefault = stanzas.some(({ kind }) => kind === 'smtp' || kind === 'lmtp') ? [] : [DEFAULT_LISTEN];
  const bare = options.listen ?? asDefault;
  const value = <T>(option: Option<T>): T => evaluate(configuration, option);
  const fileSettings = fileSettingsIn([configuration.global], value);
  return [
    ...bare.map((listen) => ({
      listen,
      written: undefined,
      fileSettings,
      ...settingsFrom('smtp', value),
    })),
    ...stanzas,
  ];
}

type Value = <T>(option: Option<T>) => T;

function settingsFrom(
  kind: PlaceKind,
  value: Value,
): Omit<WantedListen, 'listen' | 'written' | 'fileSettings'> {
  return {
    kind,
    hostName: value(OPTIONS.EHLO_Hostname) ?? hostname(),
    relayHosts: value(OPTIONS.Relay_Hosts),
    attemptFirst: value(OPTIONS.Attempt_First),
    maxConnections: value(OPTIONS.Max_Inbound_Connections),
  };
}

function fileSettingsIn(scopes: readonly Settings[], value: Value): FileSettings {
  const find = ({ name }: Option<unknown>) =>
    scopes.map((settings) => settings.get(name)).find((setting) => setting !== undefined);
  return {
    certificate: find(OPTIONS.TLS_Certificate),
    key: find(OPTIONS.TLS_Key),
    users: find(OPTIONS.Auth_Users),
    required: value(OPTIONS.TLS_Required) ? find(OPTIONS.TLS_Required) : undefined,
  };
}

function kindOf(kind: ListenerKind): PlaceKind {
  switch (kind) {
    case 'ESMTP_Listener':
      return 'smtp';
    case 'LMTP_Listener':
      return 'lmtp';
    case 'HTTP_Listener':
      return 'http';
  }
}

function takenTwice({ address, port, written }: Place, before: Place): string {
  const by = before.written === undefined ? '' : ` (${formatPlace(before.written)})`;
  return told(`${formatListen({ host: address, port })} is listened at already${by}`, written);
}

function told(message: string, place: Written | undefined): string {
  return place === undefined ? message : formatFault({ place, message });
}
