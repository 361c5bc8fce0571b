// Who may speak to the HTTP listener. Programs of this machine, and of the networks in Relay_Hosts; no page in a
// browser: it reaches the loopback interface as well, and could submit mail in its user's name. Browsers say Origin
// with every request that can change something; a page whose name was made to point here (DNS rebinding) is told by
// the Host that it asks for.

import type { IncomingMessage } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { isLoopback } from '../../shared/config/networks.ts';
import { type Problem, problem } from '../../shared/xfer/problem.ts';
import { peerOf } from '../intake/admission.ts';
import type { RefusalReason } from '../intake/refusals.ts';
import type { HttpSettings } from './settings.ts';

export interface Refusal {
  readonly reason: RefusalReason;
  readonly problem: Problem;
}

/** Undefined lets the request in. */
export function refuseRequest(
  request: Addressed & {
    readonly socket: Pick<Socket, 'remoteAddress' | 'localAddress'>;
  },
  /** That of this request included. */
  openConnections: number,
  settings: Pick<HttpSettings, 'hostName' | 'relayHosts' | 'maxConnections'>,
): Refusal | undefined {
  const { headers, socket } = request;
  // Strangers are turned away as they connect; a kept connection may have become one's by a reload.
  const peer = peerOf(socket, settings.relayHosts);
  if (!peer.trusted) return refuseStranger(peer.address);
  if (openConnections > settings.maxConnections) {
    const detail = `${settings.maxConnections} connections are open already; try again`;
    return { reason: 'connections', problem: problem('unavailable', detail) };
  }
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) {
    return { reason: 'browser', problem: problem('forbidden', 'requests of web pages are not taken') };
  }
  return isLoopback(socket.localAddress ?? '')
    ? refuseName(request, settings.hostName)
    : refuseHosts(request);
}

/** What a request says of whom it asks. */
export type Addressed = Pick<IncomingMessage, 'headers' | 'rawHeaders' | 'url'>;

/** Refuses what asks for another machine than this one. */
export function refuseName(request: Addressed, hostName: string): Refusal | undefined {
  const { authority } = targetOf(request);
  if (isOwnName(authority, hostName)) return refuseHosts(request);
  const detail = 'the Host header does not name this machine; use localhost or its address';
  return { reason: 'browser', problem: problem('forbidden', detail) };
}

/** RFC 9112 §3.2: where there are two, whoever stands between may have gone by the other one. */
function refuseHosts({ rawHeaders }: Addressed): Refusal | undefined {
  const hosts = rawHeaders.filter((text, at) => at % 2 === 0 && text.toLowerCase() === 'host');
  if (hosts.length <= 1) return undefined;
  return { reason: 'request', problem: problem('bad-field', 'the request has more than one Host header') };
}

export interface Target {
  /** Undefined where an HTTP/1.0 client names nobody. */
  readonly authority: string | undefined;
  /** Without its query. */
  readonly path: string;
}

/** A target with an authority of its own goes before the Host header (RFC 9112 §3.2.2). */
export function targetOf({ url = '', headers }: Pick<Addressed, 'url' | 'headers'>): Target {
  const absolute = /^http:\/\/([^/?#]*)(.*)$/i.exec(url);
  const [, authority = headers.host, rest = url] = absolute ?? [];
  return { authority, path: rest.split('?', 1)[0] || (absolute === null ? '' : '/') };
}

export function refuseStranger(address: string): Refusal {
  return { reason: 'relay', problem: problem('forbidden', `${address} is not in Relay_Hosts`) };
}

/** An HTTP/1.0 client says no Host, and is no browser. */
function isOwnName(host: string | undefined, hostName: string): boolean {
  if (host === undefined) return true;
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  const own = ['localhost', hostname().toLowerCase(), hostName.toLowerCase()];
  return isIP(name) !== 0 || own.includes(name) || name.endsWith('.localhost');
}
