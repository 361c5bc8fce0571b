// Where a listener listens. `Listen ":8080"` means every address of the loopback interface, until credentials or
// Relay_Hosts guard the listener: then it means every address. An address outside the loopback interface is
// refused while nothing guards it, so that a first try never opens a relay (I10).

import ipaddr from 'ipaddr.js';
import { isLoopback } from './networks.ts';

export interface ListenAddress {
  /** Undefined: no host was given, or `*`. */
  readonly host: string | undefined;
  readonly port: number;
}

/** What `os.networkInterfaces()` answers, in as much as it matters here. */
export type Interfaces = Readonly<
  Record<
    string,
    readonly { readonly address: string; readonly family: string; readonly internal: boolean }[] | undefined
  >
>;

/** Said at start when a listener without a host serves this machine alone. */
export function narrowedText(listen: ListenAddress, guard: string): string {
  return `Listen "${formatListen(listen)}" serves this machine alone; configure ${guard} to serve other machines`;
}

export type ListenDecision =
  | { readonly ok: true; readonly addresses: readonly string[] }
  /** Why, and the mend. */
  | { readonly ok: false; readonly text: string };

/** `:8080`, `*:8080`, `127.0.0.1:2525`, `[::1]:8080`, `localhost:8080`; port 0 lets the system choose. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?<host>\[[^\]]+\]|[^:[\]]*):(?<port>\d{1,5})$/.exec(text.trim());
  const written = match?.groups?.['host'];
  const port = Number(match?.groups?.['port']);
  if (written === undefined || port > 65_535) return undefined;
  if (written === '' || written === '*') return { host: undefined, port };
  if (!written.startsWith('[')) return { host: written.toLowerCase(), port };
  const address = written.slice(1, -1);
  if (address === '*') return { host: '::', port };
  return ipaddr.IPv6.isValid(address) ? { host: address, port } : undefined;
}

export function formatListen(listen: ListenAddress): string {
  const host = listen.host ?? '';
  return `${host.includes(':') ? `[${host}]` : host}:${listen.port}`;
}

/**
 * The addresses to bind. `guarded`: credentials (HTTP) or Relay_Hosts (SMTP) are configured, so that strangers who
 * reach the port get nothing.
 */
export function listenAddresses(
  listen: ListenAddress,
  machine: { readonly interfaces: Interfaces; readonly guarded: boolean; readonly guard: string },
): ListenDecision {
  const internal = Object.values(machine.interfaces)
    .flatMap((entries) => entries ?? [])
    .filter((entry) => entry.internal);
  const loopback = internal.map((entry) => entry.address).filter((address) => !isLinkLocal(address));
  if (listen.host === undefined) {
    if (!machine.guarded) return { ok: true, addresses: loopback.length > 0 ? loopback : ['127.0.0.1'] };
    return { ok: true, addresses: [hasIpv6(machine.interfaces) ? '::' : '0.0.0.0'] };
  }
  if (listen.host === 'localhost') {
    const addresses = loopback.filter(isLoopback);
    return { ok: true, addresses: addresses.length > 0 ? addresses : ['127.0.0.1'] };
  }
  if (machine.guarded || isLoopback(listen.host) || loopback.includes(listen.host)) {
    return { ok: true, addresses: [listen.host] };
  }
  return {
    ok: false,
    text:
      `Listen "${formatListen(listen)}" would be reachable from other machines, and anyone there could send mail ` +
      `through it; configure ${machine.guard}, or listen on 127.0.0.1`,
  };
}

// A link-local address cannot be bound without its zone.
function isLinkLocal(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'linkLocal';
}

function hasIpv6(interfaces: Interfaces): boolean {
  return Object.values(interfaces).some((entries) =>
    (entries ?? []).some((entry) => entry.family === 'IPv6'),
  );
}
