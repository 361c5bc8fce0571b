// Accepts connections and keeps their sessions. Clients outside the loopback interface must stand in Relay_Hosts, or
// be users; past the connection limit a client hears 421. Closing ends idle sessions and lets the others finish.

import { randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { formatReply, ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { type Peer, peerOf } from '../intake/admission.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import { AuthGuard, sourceOf } from './auth-guard.ts';
import { replyLines } from './reply-lines.ts';
import { LINGER_MS, SmtpSession } from './session.ts';
import type { ListenerSettings } from './settings.ts';
import { TurnedAway } from './turned-away.ts';

export interface ListenerOptions {
  readonly address: string;
  readonly port: number;
  /** Shared by all listeners of the process. */
  readonly memory: MemoryBudget;
  /** What holds now; asked at each connection and each MAIL. */
  readonly settings: () => ListenerSettings;
  /** What the next attempt waits after one wrong password; 500 by default. */
  readonly failedAuthDelayMs?: number;
  /** From the connection to AUTH's 235, for whoever needs it; 120,000 by default. */
  readonly strangerTimeoutMs?: number;
}

export interface SmtpListener {
  readonly address: string;
  readonly port: number;
  /** Open now. */
  readonly connections: number;
  /** Resolves when every session has ended; those that take longer than `graceMs` are cut. */
  close(graceMs: number): Promise<void>;
}

/** Rejects with the system's error when the address cannot be bound. */
export async function listenSmtp(options: ListenerOptions): Promise<SmtpListener> {
  const { memory, settings } = options;
  const guard = new AuthGuard(options.failedAuthDelayMs);
  const { strangerTimeoutMs = STRANGER_TIMEOUT_MS } = options;
  const away = new TurnedAway(settings);
  const sessions = new Set<SmtpSession>();
  const series = randomBytes(4).toString('hex');
  let connections = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const now = settings();
    const peer = peerOf(socket, now.relayHosts);
    const strangers = peer.trusted ? [] : [...sessions].filter(({ isStranger }) => isStranger);
    const source = sourceOf(peer.address);
    const open = {
      connections: sessions.size,
      strangers: strangers.length,
      fromThere: strangers.filter((session) => session.source === source).length,
    };
    const refusal = refuseConnection(peer, open, now);
    connections += 1;
    const name = `${series}-${connections}`;
    if (refusal !== undefined) {
      away.refused(refusal.enhanced === NOT_RELAYED ? 'relay' : 'connections');
      now.trace?.({
        session: name,
        from: 'event',
        text: `${peer.address} was turned away: ${formatReply(refusal)}`,
      });
      turnAway(socket, refusal);
      return;
    }
    const closed = (session: SmtpSession): void => void sessions.delete(session);
    sessions.add(
      new SmtpSession(socket, {
        name,
        peer,
        source,
        memory,
        guard,
        away,
        strangerTimeoutMs,
        settings,
        closed,
      }),
    );
  });
  await listening(server, options);
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('a TCP server has an address and a port');
  return {
    address: bound.address,
    port: bound.port,
    get connections() {
      return sessions.size;
    },
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

/**
 * The reply that ends a connection at once; undefined lets it in. Where there are users, anybody may be one; those who
 * have not authenticated keep half of the connections at most, so that they never shut out whom the listener serves,
 * and from one address, or one /64, a tenth of that, so that nobody shuts out the other users.
 */
export function refuseConnection(
  peer: Peer,
  open: { readonly connections: number; readonly strangers: number; readonly fromThere: number },
  { maxConnections, users }: Pick<ListenerSettings, 'maxConnections' | 'users'>,
): Reply | undefined {
  if (!peer.trusted) {
    if (users === undefined) return ownReply(421, NOT_RELAYED, `${peer.address} is not in Relay_Hosts`);
    const waiting = 'wait for AUTH already; try again';
    if (open.strangers >= maxConnections / 2)
      return ownReply(421, '4.3.2', `${open.strangers} connections ${waiting}`);
    if (open.fromThere >= Math.max(maxConnections / 20, FEWEST_FROM_ONE_SOURCE))
      return ownReply(421, '4.3.2', `${open.fromThere} connections of ${peer.address} ${waiting}`);
  }
  return open.connections >= maxConnections
    ? ownReply(421, '4.3.2', `${open.connections} connections are open already; try again`)
    : undefined;
}

const STRANGER_TIMEOUT_MS = 120_000;
const NOT_RELAYED = '4.7.1';
/** Also where few connections are let in at all. */
const FEWEST_FROM_ONE_SOURCE = 2;

// Reads on, so that the client's end is seen and what it sent ahead does not undo the reply.
function turnAway(socket: Socket, refusal: Reply): void {
  const cut = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => clearTimeout(cut));
  socket.resume();
  socket.end(replyLines(refusal));
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
