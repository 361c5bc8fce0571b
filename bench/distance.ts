// Makes a server on this machine as far away as a round trip of so many milliseconds: a relay on another loopback
// address or port that keeps everything, both ways, for half of it, and the first octets for the handshake as well.
// Each piece is passed on by itself, in order, half a round trip after it came; nothing slows the pieces after it.
// Limits: distance alone. A window that opens slowly and loss are not imitated, so that content arrives at once.
// Timers are late by up to a millisecond or two, each way: who quotes a distance measures it.

import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Relay {
  /** Where it listens; chosen by the system when the near place has port 0. */
  readonly port: number;
  /** Breaks every connection; new ones may come. */
  hangUp(): void;
  close(): Promise<void>;
}

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Sees one connection as its client does: octets as they come from it and as they are given to it. */
export interface Observer {
  clientSaid(octets: Buffer): void;
  serverSaid(octets: Buffer): void;
}

export interface RelayOptions {
  /** Asked for each new connection. */
  readonly observe?: () => Observer;
  /** Takes a client's octets no faster than that: for a client that must wait, unlike one that is far away. */
  readonly bytesPerSecond?: number;
}

/** Rejects when the near place cannot be listened on. A function for the distance is asked at each connection. */
export async function startRelay(
  near: Place,
  far: Place,
  roundTripMs: number | (() => number),
  options: RelayOptions = {},
): Promise<Relay> {
  const sockets = new Set<Socket>();
  // Either side may have said its last word and still wait for the other's.
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    sockets.add(client);
    client.once('close', () => sockets.delete(client));
    const distanceMs = typeof roundTripMs === 'number' ? roundTripMs : roundTripMs();
    // The caller's side is connected at once; over the distance it would wait one round trip for that.
    const opensAtMs = performance.now() + distanceMs;
    const remote = connect({ ...far, noDelay: true, allowHalfOpen: true });
    sockets.add(remote);
    remote.once('close', () => sockets.delete(remote));
    const observer = options.observe?.();
    const arrived = (octets: Buffer) => observer?.clientSaid(octets);
    const given = (octets: Buffer) => observer?.serverSaid(octets);
    carry(client, remote, distanceMs / 2, opensAtMs, { arrived });
    if (options.bytesPerSecond !== undefined) slowDown(client, options.bytesPerSecond);
    carry(remote, client, distanceMs / 2, opensAtMs, { given });
  });
  const port = await listen(server, near);
  const hangUp = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    hangUp,
    async close() {
      hangUp();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

interface Hooks {
  readonly arrived?: (octets: Buffer) => void;
  readonly given?: (octets: Buffer) => void;
}

function carry(from: Socket, to: Socket, delayMs: number, opensAtMs: number, hooks: Hooks): void {
  const onTheWay: { readonly dueAtMs: number; readonly arrive: () => void }[] = [];
  let sleeping = false;
  const passOn = () => {
    sleeping = false;
    for (let next = onTheWay[0]; next !== undefined; next = onTheWay[0]) {
      const earlyMs = next.dueAtMs - performance.now();
      if (earlyMs > 0) {
        sleeping = true;
        setTimeout(passOn, Math.ceil(earlyMs));
        return;
      }
      onTheWay.shift();
      next.arrive();
    }
  };
  const later = (arrive: () => void) => {
    onTheWay.push({ dueAtMs: Math.max(performance.now(), opensAtMs) + delayMs, arrive });
    if (!sleeping) passOn();
  };
  from.on('data', (octets) => {
    hooks.arrived?.(octets);
    later(() => {
      hooks.given?.(octets);
      to.write(octets);
    });
  });
  from.on('end', () => later(() => void to.end()));
  from.on('error', () => to.destroy());
}

function slowDown(from: Socket, bytesPerSecond: number): void {
  from.on('data', ({ length }) => {
    from.pause();
    setTimeout(() => from.resume(), (length / bytesPerSecond) * 1_000);
  });
}

function listen(server: Server, place: Place): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(place.port, place.host, () => {
      server.off('error', reject);
      const bound = server.address();
      if (bound === null || typeof bound === 'string') reject(new Error('the relay does not listen on TCP'));
      else resolve(bound.port);
    });
  });
}
