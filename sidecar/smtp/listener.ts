// Accepts connections and keeps their sessions. Clients outside the loopback interface must stand in Relay_Hosts;
// past the connection limit a client hears 421. Closing ends idle sessions and lets the others finish.

import { createServer, type Server } from 'node:net';
import { isLoopback } from '../../shared/config/networks.ts';
import { formatReply, ownReply, type Reply } from '../../shared/smtp/reply.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import { SmtpSession } from './session.ts';
import type { ListenerSettings } from './settings.ts';

export interface ListenerOptions {
  readonly address: string;
  readonly port: number;
  /** Shared by all listeners of the process. */
  readonly memory: MemoryBudget;
  /** What holds now; asked at each connection and each MAIL. */
  readonly settings: () => ListenerSettings;
}

export interface SmtpListener {
  readonly address: string;
  readonly port: number;
  /** Resolves when every session has ended; those that take longer than `graceMs` are cut. */
  close(graceMs: number): Promise<void>;
}

/** Rejects with the system's error when the address cannot be bound. */
export async function listenSmtp(options: ListenerOptions): Promise<SmtpListener> {
  const sessions = new Set<SmtpSession>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const refusal = refuseConnection(socket, sessions.size, options.settings());
    if (refusal !== undefined) {
      socket.on('error', () => socket.destroy());
      socket.end(`${formatReply(refusal)}\r\n`);
      return;
    }
    const session = new SmtpSession(socket, options);
    sessions.add(session);
    socket.on('close', () => sessions.delete(session));
  });
  await listening(server, options);
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('a TCP server has an address and a port');
  return {
    address: bound.address,
    port: bound.port,
    async close(graceMs) {
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.close();
      const cut = setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, graceMs);
      await ended;
      clearTimeout(cut);
    },
  };
}

/** The reply that ends a connection at once; undefined lets it in. */
export function refuseConnection(
  connection: { readonly remoteAddress?: string | undefined; readonly localAddress?: string | undefined },
  openConnections: number,
  settings: Pick<ListenerSettings, 'relayHosts' | 'maxConnections'>,
): Reply | undefined {
  const from = connection.remoteAddress ?? '';
  // A connection to one of the machine's own addresses from that very address never left the machine.
  const own = isLoopback(from) || from === connection.localAddress;
  if (!own && !settings.relayHosts.some((network) => network.contains(from))) {
    return ownReply(421, '4.7.1', `${from} is not in Relay_Hosts`);
  }
  return openConnections >= settings.maxConnections
    ? ownReply(421, '4.3.2', `${openConnections} connections are open already; try again`)
    : undefined;
}

function listening(server: Server, options: ListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.address, port: options.port, backlog: 511 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
