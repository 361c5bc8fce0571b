// Makes a server on this machine as far away as a round trip of so many milliseconds: a relay on another loopback
// address that keeps everything, both ways, for half of it, and the first octets for the handshake as well.
// Limit: distance alone. A window that opens slowly and loss are not imitated, so that content arrives at once.

import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Relay {
  close(): Promise<void>;
}

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Rejects when the near place cannot be listened on. */
export async function startRelay(near: Place, far: Place, roundTripMs: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    sockets.add(client);
    client.once('close', () => sockets.delete(client));
    // The caller's side is connected at once; over the distance it would wait one round trip for that.
    const opensAtMs = performance.now() + roundTripMs;
    const remote = connect({ ...far, noDelay: true });
    sockets.add(remote);
    remote.once('close', () => sockets.delete(remote));
    carry(client, remote, roundTripMs / 2, opensAtMs);
    carry(remote, client, roundTripMs / 2, opensAtMs);
  });
  await listen(server, near);
  return {
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** In order: timers of one length fire in the order in which they were set. */
function carry(from: Socket, to: Socket, delayMs: number, opensAtMs: number): void {
  const later = (act: () => void) => {
    const untilOpenMs = Math.max(0, opensAtMs - performance.now());
    setTimeout(act, untilOpenMs + delayMs);
  };
  from.on('data', (octets) => later(() => void to.write(octets)));
  from.on('end', () => later(() => void to.end()));
  from.on('error', () => to.destroy());
}

function listen(server: Server, place: Place): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(place.port, place.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
