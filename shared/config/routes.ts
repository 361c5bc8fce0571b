// Routes, as the option `Routes` lists them: `xfer://host?port=8080&tls=1&sigv4=1` hands mail to a receiver over
// HTTP, `smtp://host?port=587&pref=10` to a smarthost; what has no scheme is smtp. The host is a name, an IPv4
// address, an IPv6 address in brackets, or `__mx__`, which stands for the domain's own MX hosts (smtp only). Of a
// smarthost the addresses are asked for, and its MX hosts with `type=mx`. Momentum's `ttl` is read and dropped.

import ipaddr from 'ipaddr.js';

export interface XferRoute {
  readonly scheme: 'xfer';
  /** Name or address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Requests are signed with the machine's AWS credentials. */
  readonly sigv4: boolean;
  /** Requests are compressed always, or never; undefined: where it pays. */
  readonly gzip?: boolean;
  /** Lower is tried first. */
  readonly pref: number;
  /** AWS region for the signature, when the host's name does not tell it. */
  readonly region?: string;
}

export interface SmtpRoute {
  readonly scheme: 'smtp';
  readonly target: SmtpRouteTarget;
  /** Undefined: Remote_SMTP_Port. */
  readonly port: number | undefined;
  /** Lower is tried first, equal ones in random order. Undefined: after all that stand before it. */
  readonly pref: number | undefined;
}

export type SmtpRouteTarget =
  /** The domain's own MX hosts, in the order that DNS gives them. */
  | { readonly kind: 'own-mx' }
  /** Name or address, without brackets. */
  | { readonly kind: 'host'; readonly host: string }
  /** The MX hosts of this domain. */
  | { readonly kind: 'mx-of'; readonly domain: string };

export type Route = XferRoute | SmtpRoute;

export type RouteReading =
  | { readonly ok: true; readonly route: Route }
  | { readonly ok: false; readonly message: string };

const DEFAULT_PREF = 0;
const MX_HOST = '__mx__';
const PARAMETERS = {
  xfer: ['port', 'tls', 'sigv4', 'gzip', 'pref', 'region'],
  smtp: ['port', 'pref', 'type', 'ttl'],
} as const;

export function parseRoute(text: string): RouteReading {
  const match =
    /^(?:(?<scheme>[a-z]+):\/\/)?(?<host>\[[^\]]*\]|[^/?:[\]]+)(?::(?<port>\d+))?\/?(?:\?(?<query>.*))?$/i.exec(
      text,
    );
  const scheme = (match?.groups?.['scheme'] ?? 'smtp').toLowerCase();
  const writtenHost = match?.groups?.['host'];
  if (match === null || writtenHost === undefined || (scheme !== 'xfer' && scheme !== 'smtp')) {
    return refuse(`"${text}" is not a route; write xfer://host?port=8080 or smtp://host?port=25`);
  }
  const parameters = readParameters(match.groups?.['query'] ?? '', PARAMETERS[scheme]);
  if (typeof parameters === 'string') return refuse(`${parameters} in the route "${text}"`);
  const colonPort = match.groups?.['port'];
  if (colonPort !== undefined && parameters.has('port')) return refuse(`the route "${text}" has two ports`);

  const host = readHost(writtenHost, scheme);
  if (host === undefined) return refuse(`"${writtenHost}" is no host name and no address`);
  const port = readNumber(parameters.get('port') ?? colonPort, 1, 65_535);
  if (port === 'wrong') return refuse(`the port of the route "${text}" is not a number from 1 to 65535`);
  const pref = readNumber(parameters.get('pref'), 0, 65_535);
  if (pref === 'wrong') return refuse(`the pref of the route "${text}" is not a number from 0 to 65535`);
  const reading: Reading = { text, host, port, pref, parameters };
  return scheme === 'smtp' ? readSmtp(reading, writtenHost) : readXfer(reading);
}

interface Reading {
  readonly text: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly pref: number | undefined;
  readonly parameters: ReadonlyMap<string, string>;
}

function readSmtp({ text, host, port, pref, parameters }: Reading, written: string): RouteReading {
  const type = parameters.get('type')?.toLowerCase() ?? 'a';
  if (type !== 'a' && type !== 'mx') return refuse(`the type of the route "${text}" is neither a nor mx`);
  if (readNumber(parameters.get('ttl'), 0, 99_999) === 'wrong')
    return refuse(`the ttl of the route "${text}" is not a number of seconds`);
  if (host.toLowerCase() === MX_HOST)
    return { ok: true, route: { scheme: 'smtp', target: { kind: 'own-mx' }, port, pref } };
  const isDomain = type === 'mx' && !written.startsWith('[') && !ipaddr.isValid(host);
  const target: SmtpRouteTarget = isDomain ? { kind: 'mx-of', domain: host } : { kind: 'host', host };
  return { ok: true, route: { scheme: 'smtp', target, port, pref } };
}

function readXfer({ text, host, port, pref, parameters }: Reading): RouteReading {
  if (host === MX_HOST) return refuse(`${MX_HOST} stands for MX hosts and fits smtp:// alone`);
  const tls = readFlag(parameters.get('tls'), port === 443);
  const sigv4 = readFlag(parameters.get('sigv4'), false);
  const gzip = readFlag(parameters.get('gzip'), undefined);
  if (tls === 'wrong' || sigv4 === 'wrong' || gzip === 'wrong')
    return refuse(`tls, sigv4 and gzip are 0 or 1 in the route "${text}"`);
  const region = parameters.get('region');
  return {
    ok: true,
    route: {
      scheme: 'xfer',
      host,
      port: port ?? (tls ? 443 : 80),
      tls,
      sigv4,
      ...(gzip !== undefined && { gzip }),
      pref: pref ?? DEFAULT_PREF,
      ...(region === undefined ? {} : { region }),
    },
  };
}

/** As it stands in logs and replies: scheme, host and port. */
export function formatXferRoute(route: XferRoute): string {
  const host = route.host.includes(':') ? `[${route.host}]` : route.host;
  return `xfer://${host}:${route.port}`;
}

function refuse(message: string): RouteReading {
  return { ok: false, message };
}

// Brackets mean an IPv6 address; for smtp also any host whose MX is not asked for, as other programs write it.
function readHost(written: string, scheme: Route['scheme']): string | undefined {
  if (written.startsWith('[')) {
    const inner = written.slice(1, -1);
    if (ipaddr.IPv6.isValid(inner)) return inner.includes('%') ? undefined : inner;
    return scheme === 'smtp' && HOST_NAME.test(inner) ? inner : undefined;
  }
  return HOST_NAME.test(written) ? written : undefined;
}

const HOST_NAME = /^[\p{L}\p{N}_]([\p{L}\p{N}._-]*[\p{L}\p{N}_.])?$/u;

function readParameters(query: string, known: readonly string[]): ReadonlyMap<string, string> | string {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter((piece) => piece !== '')) {
    const [name = '', ...rest] = part.split('=');
    const key = name.toLowerCase();
    if (!known.includes(key)) return `unknown parameter "${name}" (known: ${known.join(', ')})`;
    if (parameters.has(key)) return `"${name}" stands twice`;
    parameters.set(key, rest.join('='));
  }
  return parameters;
}

function readNumber(text: string | undefined, least: number, most: number): number | undefined | 'wrong' {
  if (text === undefined) return undefined;
  const number = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  return number >= least && number <= most ? number : 'wrong';
}

function readFlag<Absent>(text: string | undefined, absent: Absent): boolean | Absent | 'wrong' {
  if (text === undefined) return absent;
  if (text === '1' || text === 'true') return true;
  return text === '0' || text === 'false' ? false : 'wrong';
}
