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
import type { HttpSettings } from './settings.ts';

/** Undefined lets the request in. */
export function refuseRequest(
  request: {
    readonly headers: IncomingMessage['headers'];
    readonly socket: Pick<Socket, 'remoteAddress' | 'localAddress'>;
  },
  /** That of this request included. */
  openConnections: number,
  settings: Pick<HttpSettings, 'hostName' | 'relayHosts' | 'maxConnections'>,
): Problem | undefined {
  const { headers, socket } = request;
  // Strangers are turned away as they connect; a kept connection may have become one's by a reload.
  const peer = peerOf(socket, settings.relayHosts);
  if (!peer.trusted) return strangerProblem(peer.address);
  if (openConnections > settings.maxConnections) {
    return problem('unavailable', `${settings.maxConnections} connections are open already; try again`);
  }
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) {
    return problem('forbidden', 'requests of web pages are not taken');
  }
  const local = isLoopback(socket.localAddress ?? '');
  if (local && !isOwnName(headers.host, settings.hostName)) {
    return problem('forbidden', 'the Host header does not name this machine; use localhost or its address');
  }
  return undefined;
}

export function strangerProblem(address: string): Problem {
  return problem('forbidden', `${address} is not in Relay_Hosts`);
}

/** An HTTP/1.0 client says no Host, and is no browser. */
export function isOwnName(host: string | undefined, hostName: string): boolean {
  if (host === undefined) return true;
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  const own = ['localhost', hostname().toLowerCase(), hostName.toLowerCase()];
  return isIP(name) !== 0 || own.includes(name) || name.endsWith('.localhost');
}
