// Types of values that name hosts, addresses, networks, routes, and what HTTP and TLS say of themselves.

import ipaddr from 'ipaddr.js';
import { shown } from './fault.ts';
import { type ListenAddress, parseListen } from './listen.ts';
import { type Network, parseNetwork } from './networks.ts';
import { parseRoute, type Route, type SmtpRoute } from './routes.ts';
import { fromList, fromText, type ValueType } from './value-types.ts';

/** A name in any script; underscores occur in the names of internal hosts. */
const HOST_NAME = /^[\p{L}\p{N}_](?:[\p{L}\p{N}._-]{0,252}[\p{L}\p{N}_])?$/u;

export const hostName: ValueType<string> = fromText('a host name', (text) =>
  HOST_NAME.test(text) ? text : undefined,
);

/** A domain to send mail on to, or `disabled`, which stops a chain. Lower case. */
export const domainOrDisabled: ValueType<string> = fromText('a domain, or "disabled"', (text) =>
  HOST_NAME.test(text) ? text.toLowerCase() : undefined,
);

/** What an HTTP Host header may carry: a name or address, with or without a port. */
export const httpHost: ValueType<string> = fromText('a host name, with or without a port', (text) =>
  /^[A-Za-z0-9._[\]:-]{1,255}$/.test(text) ? text : undefined,
);

export const uriPath: ValueType<string> = fromText(
  'a path that begins with /, like "/delay_message"',
  (text) => (/^\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$/.test(text) ? text.replace(/\/+$/, '') || '/' : undefined),
);

/** `user:password`, as in RFC 7617; the user's name holds no colon. */
export const credentials: ValueType<{ readonly user: string; readonly password: string }> = fromText(
  '"user:password"',
  (text) => {
    const colon = text.indexOf(':');
    if (colon < 1) return undefined;
    return { user: text.slice(0, colon), password: text.slice(colon + 1) };
  },
);

/** One address and port, as a listener's. */
export const listenAddress: ValueType<ListenAddress | undefined> = fromText(
  'an address and port like "127.0.0.1:9325"',
  parseListen,
);

/** An address of this machine; `*` is read as undefined: the system chooses. */
export const sourceAddress: ValueType<string | undefined> = {
  takes: 'an IP address of this machine, or "*"',
  read(value) {
    if (value.kind === 'list') return { ok: false, culprit: value };
    if (value.text === '*') return { ok: true, value: undefined };
    const isAddress = ipaddr.IPv6.isValid(value.text) || ipaddr.IPv4.isValidFourPartDecimal(value.text);
    return isAddress ? { ok: true, value: value.text } : { ok: false, culprit: value };
  },
};

export const routes: ValueType<readonly Route[]> = fromList('one route or a list of routes', (item) => {
  const reading = parseRoute(item.text);
  return reading.ok
    ? { ok: true, value: reading.route }
    : { ok: false, reason: reading.message, culprit: item };
});

/** A smarthost without scheme and parameters: `relay.internal`, `10.0.0.1`, `[fe80::a00]:1`. */
export const gateway: ValueType<SmtpRoute> = fromText(
  'a host name or address, with or without a port',
  (text) => {
    if (/[/?]/.test(text)) return undefined;
    const reading = parseRoute(text);
    const isHost = reading.ok && reading.route.scheme === 'smtp' && reading.route.target.kind === 'host';
    return isHost && reading.route.scheme === 'smtp' ? reading.route : undefined;
  },
);

export const networks: ValueType<readonly Network[]> = fromList('addresses or CIDR blocks', (item) => {
  const value = parseNetwork(item.text);
  return value === undefined
    ? { ok: false, reason: `${shown(item.text)} is neither an address nor a CIDR block`, culprit: item }
    : { ok: true, value };
});

/** As Node.js names them. */
const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
export type TlsVersion = (typeof TLS_VERSIONS)[number];

export interface TlsVersions {
  readonly least: TlsVersion;
  readonly most: TlsVersion;
}

/** `+ALL:-SSLv3:-TLSv1.0`: from left to right, each name adds or takes away. */
export const tlsVersions: ValueType<TlsVersions> = {
  takes: 'versions like "+ALL:-TLSv1.0:-TLSv1.1"',
  read(value) {
    if (value.kind === 'list') return { ok: false, culprit: value };
    const chosen = new Set<TlsVersion>();
    for (const part of value.text.split(':')) {
      const match = /^([+-]?)(?:(all)|(sslv[23])|tlsv1(?:\.([0-3]))?)$/i.exec(part.trim());
      if (match === null) return { ok: false, culprit: value };
      const [, sign, all, ssl, minor] = match;
      if (ssl !== undefined) continue;
      const named =
        all === undefined ? TLS_VERSIONS.slice(Number(minor ?? 0), Number(minor ?? 0) + 1) : TLS_VERSIONS;
      for (const version of named) {
        if (sign === '-') chosen.delete(version);
        else chosen.add(version);
      }
    }
    const kept = TLS_VERSIONS.filter((version) => chosen.has(version));
    const [least] = kept;
    const most = kept.at(-1);
    if (least === undefined || most === undefined)
      return { ok: false, culprit: value, reason: 'no version of TLS is left' };
    if (TLS_VERSIONS.indexOf(most) - TLS_VERSIONS.indexOf(least) >= kept.length)
      return { ok: false, culprit: value, reason: 'a version between others cannot be left out' };
    return { ok: true, value: { least, most } };
  },
};

/** An OpenSSL cipher list; whether OpenSSL knows its names is found out where it is used. */
export const cipherList: ValueType<string> = fromText('an OpenSSL cipher list like "DEFAULT:!LOW"', (text) =>
  /^[A-Za-z0-9_+!@:=,. -]{1,2000}$/.test(text) ? text : undefined,
);
