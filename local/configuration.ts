// The configuration files of `npm start`: read once, all faults together, and what each side of the stack takes
// from them. Where the files name no receiver for the sending side, mail goes to this stack's own API.
// Throws `ConfigurationFaults`.

import { networkInterfaces } from 'node:os';
import { SMTP_TIMEOUTS } from '../functions/deliver/egress.ts';
import type { Configuration, Setting } from '../shared/config/configuration.ts';
import { httpListens } from '../shared/config/delivery-settings.ts';
import { evaluate, findSetting } from '../shared/config/evaluate.ts';
import { formatFault } from '../shared/config/fault.ts';
import type { SourceFile } from '../shared/config/lexer.ts';
import { formatListen, listenAddresses, narrowedText } from '../shared/config/listen.ts';
import { loadConfiguration } from '../shared/config/load.ts';
import { isLoopback, type Network } from '../shared/config/networks.ts';
import { OPTIONS } from '../shared/config/options.ts';
import { readInclude, readReceivingFiles } from '../shared/files/configuration-files.ts';
import type { ApiPlaces } from './stack.ts';

export class ConfigurationFaults extends Error {
  readonly code = 'configuration';
}

export interface LoadedConfiguration {
  readonly files: readonly SourceFile[];
  readonly configuration: Configuration;
  /** The text of every file that an option names, by path. */
  readonly named: ReadonlyMap<string, string>;
  /** What has no effect, one line each. */
  readonly warnings: readonly string[];
}

export function readConfiguration(paths: readonly string[]): LoadedConfiguration {
  const result = readReceivingFiles(paths);
  if (!result.ok) throw new ConfigurationFaults(result.faults.join('\n'));
  const { files, configuration, named } = result;
  const warnings = [...result.warnings, ...shortenedTimeouts(configuration)];
  return { files, configuration, named, warnings };
}

/**
 * The destinations' SMTP port when mail leaves the machine. Throws when the command line and the configuration
 * both name one.
 */
export function outsidePort(configuration: Configuration, asked: number | undefined): number {
  const [setting] = portsWritten(configuration);
  if (asked !== undefined && setting !== undefined) {
    const { place, option } = setting;
    throw new ConfigurationFaults(
      `--deliver-port and ${option.name} (${place.file}:${place.line}) both name the port of the destinations`,
    );
  }
  return asked ?? evaluate(configuration, OPTIONS.Remote_SMTP_Port);
}

/** What has no effect while mail goes to this machine's own destinations. */
export function sinkWarnings(configuration: Configuration): readonly string[] {
  return portsWritten(configuration).map(
    ({ place, option }) =>
      `${place.file}:${place.line}: ${option.name} has an effect only with --dns: mail goes to the sink`,
  );
}

/** At the top of a file and for single domains. */
function portsWritten({ global, domains }: Configuration): readonly Setting[] {
  return [global, ...domains.map(({ settings }) => settings)].flatMap(
    (settings) => settings.get(OPTIONS.Remote_SMTP_Port.name) ?? [],
  );
}

/** Whether the files say where the sending side hands mail over. */
export function namesReceiver(configuration: Configuration): boolean {
  const scopes = [configuration.global, ...configuration.domains.map((domain) => domain.settings)];
  const names = [OPTIONS.Reroute_Domain.name, OPTIONS.Delayed_Reroute_Domain.name];
  return scopes.some((settings) => names.some((name) => settings.has(name)));
}

/** The same files with everything handed over to the API at this URL. */
export function withOwnReceiver(
  files: readonly SourceFile[],
  apiUrl: URL,
  credential: { readonly user: string; readonly password: string } | undefined,
): Configuration {
  const basic =
    credential === undefined ? '' : `HTTP_Basic_Auth = "${credential.user}:${credential.password}"`;
  const text = `
    Delayed_Reroute_Domain = "this-stack.local"
    Domain this-stack.local {
      Reroute_Domain = "disabled"
      Delayed_Reroute_Domain = "disabled"
      Delivery_Method = "delay_xfer"
      Routes = ( "xfer://${apiUrl.hostname}?port=${apiUrl.port}" )
      ${basic}
    }`;
  const result = loadConfiguration([...files, { path: '(built in)', text }], readInclude);
  if (!result.ok) throw new ConfigurationFaults(result.faults.map(formatFault).join('\n'));
  return result.configuration;
}

/** Where the API listens: undefined when the files have no HTTP_Listener. */
export function apiPlaces(configuration: Configuration, hasCredentials: boolean): ApiPlaces | undefined {
  const [first, second] = httpListens(configuration);
  if (first === undefined) return undefined;
  if (second !== undefined) {
    const both = `${formatListen(first.listen)} and ${formatListen(second.listen)}`;
    throw new ConfigurationFaults(`this stack listens for HTTP in one place, not in two: ${both}`);
  }
  const { listen, relayHosts } = first;
  const decision = listenAddresses(listen, {
    interfaces: networkInterfaces(),
    guarded: hasCredentials || relayHosts.length > 0,
    guard: API_GUARD,
  });
  if (!decision.ok) throw new ConfigurationFaults(decision.text);
  return {
    hosts: decision.addresses,
    port: { port: listen.port, insisted: true },
    ...(relayHosts.length === 0 ? {} : { admits: (address) => admits(relayHosts, address) }),
  };
}

/** What the API's listener says at start of an address that it does not serve. */
export function narrowedListens(configuration: Configuration, hasCredentials: boolean): readonly string[] {
  return httpListens(configuration)
    .filter(
      ({ listen, relayHosts }) => listen.host === undefined && !hasCredentials && relayHosts.length === 0,
    )
    .map(({ listen }) => narrowedText(listen, API_GUARD));
}

const API_GUARD = 'credentials (--credentials FILE) or Relay_Hosts';

function admits(relayHosts: readonly Network[], address: string): boolean {
  return isLoopback(address) || relayHosts.some((network) => network.contains(address));
}

function shortenedTimeouts(configuration: Configuration): readonly string[] {
  const longestSeconds = SMTP_TIMEOUTS.openingMs / 1_000;
  return [OPTIONS.Connect_Timeout, OPTIONS.EHLO_Timeout].flatMap((option) => {
    const place = findSetting(configuration, option, {})?.place;
    if (place === undefined || evaluate(configuration, option) <= longestSeconds) return [];
    const text = `${option.name} is cut to ${longestSeconds} s, which a session has to open in all`;
    return [`${place.file}:${place.line}: ${text}`];
  });
}
