// What a domain with an MTA-STS policy has: a mail host over TLS, and an HTTPS host with the policy (RFC 8461 §3).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { ServerCertificate } from './authority.ts';

export interface MailHost extends AsyncDisposable {
  readonly port: number;
  /** How each message came. */
  readonly arrived: readonly string[];
}

export async function startMailHost(
  certificate: ServerCertificate,
  options: SMTPServerOptions = {},
): Promise<MailHost> {
  const arrived: string[] = [];
  const server = new SMTPServer({
    ...certificate,
    authOptional: true,
    disabledCommands: ['AUTH'],
    onData(stream, session, callback) {
      stream.resume().once('end', () => {
        arrived.push(session.secure ? 'TLS' : 'clear');
        callback(null);
      });
    },
    ...options,
  });
  // A client that leaves after the handshake is the server's error too.
  server.on('error', () => {});
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  return {
    port: portOf(server.server),
    arrived,
    [Symbol.asyncDispose]: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}

/** Not listening yet. */
export function policyServer(certificate: ServerCertificate, mode: 'enforce' | 'testing'): Server {
  return createServer(certificate, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(`version: STSv1\r\nmode: ${mode}\r\nmx: mx.example.net\r\nmax_age: 604800\r\n`);
  });
}

export function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}
