// The command line of `npm start`, read at once: all its faults are told together.

import { parseArgs } from 'node:util';
import { parseNetwork } from '../shared/config/networks.ts';
import type { PortWish } from './ports.ts';
import { SINK_ADDRESSES } from './sink-behaviours.ts';

/** Taken when nobody asked for others; each gives way to a free one. */
export const DEFAULT_PORTS = { api: 8080, smtp: 2525, sink: 2526, dns: 2553 } as const;

/** Faster than this, a retry would come before the destination's second has passed. */
const MAX_SPEED = 3_600;
/** Two minutes hold the whole story at this speed. */
const DEMO_SPEED = 60;

export interface StartArguments {
  readonly demo: boolean;
  readonly json: boolean;
  readonly dataDirectory: string | undefined;
  readonly configurationFiles: readonly string[];
  readonly credentialsFile: string | undefined;
  readonly speed: number;
  readonly ports: Readonly<Record<keyof typeof DEFAULT_PORTS, PortWish>>;
  /** Where mail goes instead of to the sink. */
  readonly outside: OutsideArguments | undefined;
}

export interface OutsideArguments {
  /** `address:port`; undefined: the machine's own. */
  readonly dnsServer: string | undefined;
  /** Undefined: the configuration's Remote_SMTP_Port. */
  readonly smtpPort: number | undefined;
  readonly allowedNetworks: readonly string[];
}

export type ReadArguments =
  | { readonly kind: 'start'; readonly arguments: StartArguments }
  | { readonly kind: 'help' }
  | { readonly kind: 'faults'; readonly faults: readonly string[] };

const OPTIONS = {
  data: { type: 'string' },
  config: { type: 'string', multiple: true },
  credentials: { type: 'string' },
  speed: { type: 'string' },
  port: { type: 'string' },
  'smtp-port': { type: 'string' },
  'sink-port': { type: 'string' },
  'dns-port': { type: 'string' },
  dns: { type: 'string' },
  'deliver-port': { type: 'string' },
  'allow-network': { type: 'string', multiple: true },
  json: { type: 'boolean' },
  demo: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

export function readArguments(args: readonly string[]): ReadArguments {
  const faults: string[] = [];
  const parsed = parse(args, faults);
  if (parsed === undefined) return { kind: 'faults', faults };
  const { values, positionals } = parsed;
  if (values.help === true) return { kind: 'help' };

  const number = (name: keyof typeof values, min: number, max: number): number | undefined => {
    const text = values[name];
    if (typeof text !== 'string') return undefined;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    faults.push(`--${name} takes a whole number from ${min} to ${max}, not "${text}"`);
    return undefined;
  };
  const port = (name: keyof typeof values, preferred: number): PortWish => {
    const asked = number(name, 1, 65_535);
    return asked === undefined ? { port: preferred, insisted: false } : { port: asked, insisted: true };
  };
  const demo = values.demo ?? false;
  const ports = {
    api: port('port', DEFAULT_PORTS.api),
    smtp: port('smtp-port', DEFAULT_PORTS.smtp),
    sink: port('sink-port', DEFAULT_PORTS.sink),
    dns: port('dns-port', DEFAULT_PORTS.dns),
  };
  const speed = number('speed', 1, MAX_SPEED) ?? (demo ? DEMO_SPEED : 1);
  const outside = readOutside(values, number('deliver-port', 1, 65_535), faults);
  const configurationFiles = [...(values.config ?? []), ...positionals];
  if (outside !== undefined) {
    for (const name of ['sink-port', 'dns-port'] as const) {
      if (values[name] !== undefined)
        faults.push(`--${name} has no meaning with --dns: no sink is started then`);
    }
  }
  if (demo && (outside !== undefined || configurationFiles.length > 0 || values.credentials !== undefined)) {
    faults.push(
      '--demo plays its own story: it goes with --data, --speed and the ports, and with nothing else',
    );
  }
  if (faults.length > 0) return { kind: 'faults', faults };
  return {
    kind: 'start',
    arguments: {
      demo,
      json: values.json ?? false,
      dataDirectory: values.data,
      configurationFiles,
      credentialsFile: values.credentials,
      speed,
      ports,
      outside,
    },
  };
}

function parse(args: readonly string[], faults: string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

function readOutside(
  values: { readonly dns?: string; readonly 'deliver-port'?: string; readonly 'allow-network'?: string[] },
  smtpPort: number | undefined,
  faults: string[],
): OutsideArguments | undefined {
  if (values.dns === undefined) {
    for (const name of ['deliver-port', 'allow-network'] as const) {
      if (values[name] !== undefined) faults.push(`--${name} needs --dns: without it mail goes to the sink`);
    }
    return undefined;
  }
  const isSystem = values.dns === 'system';
  if (!isSystem && !/^(\[[0-9a-f:.]+\]|[0-9.]+):\d{1,5}$/i.test(values.dns)) {
    faults.push(`--dns takes ADDRESS:PORT or "system", not "${values.dns}"`);
  }
  const allowedNetworks = values['allow-network'] ?? [];
  for (const network of allowedNetworks) {
    if (parseNetwork(network) === undefined) {
      faults.push(`--allow-network takes an address or a block such as 127.0.0.0/8, not "${network}"`);
    }
  }
  return { dnsServer: isSystem ? undefined : values.dns, smtpPort, allowedNetworks };
}

export function usage(): string {
  const width = Math.max(...SINK_ADDRESSES.map(([address]) => address.length));
  const addresses = SINK_ADDRESSES.map(([address, what]) => `  ${address.padEnd(width)}  ${what}`).join('\n');
  return `Usage: npm start -- [OPTION…]

Runs the whole of delay-xfer on this machine: the API with its functions over embedded AWS services, a sidecar
that takes mail by SMTP, and destinations that accept, defer and reject. Nothing leaves the machine.

  --demo               send real messages of many kinds, show how each ends, and stop; status 0 when all ended well
  --data DIR           keep everything in DIR, also over a kill; without it everything is in memory
  --config FILE…       configuration files: HTTP_Listener, ESMTP_Listener, what is handed over where, retry times
  --credentials FILE   who may call the API: {"credentials":{"NAME":"scrypt$…"}}; without it the API is open, and
                       serves the loopback interface only
  --speed N            divide retry intervals, first wait and expiry by N (1 to ${MAX_SPEED}; with --demo ${DEMO_SPEED})
  --port N             the API (default ${DEFAULT_PORTS.api})
  --smtp-port N        the sidecar (default ${DEFAULT_PORTS.smtp})
  --sink-port N        the destinations (default ${DEFAULT_PORTS.sink})
  --dns-port N         their name server (default ${DEFAULT_PORTS.dns})
  --dns ADDRESS:PORT   deliver for real, asking this name server for MX hosts ("system": the machine's own)
  --deliver-port N     SMTP port of the destinations with --dns (default: Remote_SMTP_Port, or 25)
  --allow-network CIDR…  networks that mail may go to although they are not public, with --dns
  --json               log records as JSON lines on standard output
  --help               this text

A default port that is taken gives way to a free one; one that you name does not.

Destinations and what they do:
${addresses}
`;
}
