// Binds a server to its address.

import type { Server } from 'node:net';

/** Rejects with the system's error. */
export function bind(
  server: Server,
  at: { readonly address: string; readonly port: number },
): Promise<{ readonly address: string; readonly port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: at.address, port: at.port, backlog: 511 }, () => {
      server.off('error', reject);
      const bound = server.address();
      if (bound === null || typeof bound === 'string') reject(new Error('a TCP server has an address'));
      else resolve({ address: bound.address, port: bound.port });
    });
  });
}
