// DynamoDB on this machine: dynalite, in memory or on disk. Promises: what was acknowledged survives a kill
// of the process (LevelDB's log is written before the answer), and a client that breaks off in the middle of
// a request does not take the process down. Limits of dynalite: no transactions, no TTL, no item in a failed
// condition's answer, and an index cannot be added later.

import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import dynalite from 'dynalite';

export interface DynamoDbEmulator {
  readonly endpoint: string;
  close(): Promise<void>;
}

/** `directory` absent: in memory. `port` 0 takes a free one. Rejects when the port is taken. */
export async function startDynamoDbEmulator(options: {
  readonly directory?: string;
  readonly port: number;
}): Promise<DynamoDbEmulator> {
  const server = dynalite({
    createTableMs: 0,
    deleteTableMs: 0,
    updateTableMs: 0,
    ...(options.directory === undefined ? {} : { path: options.directory }),
  });
  const unanswered = trackRequests(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  return { endpoint: `http://127.0.0.1:${portOf(server)}`, close: () => closeServer(server, unanswered) };
}

function portOf(server: Server): number {
  const address: string | AddressInfo | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on TCP');
  return address.port;
}

/** The promises of requests that are being worked on; each resolves when its response is done or cut off. */
function trackRequests(server: Server): Set<Promise<void>> {
  const unanswered = new Set<Promise<void>>();
  server.on('request', (request, response) => {
    // dynalite rethrows a request's error, which would end the process.
    request.removeAllListeners('error');
    request.on('error', () => {});
    const answered = new Promise<void>((resolve) => response.once('close', resolve));
    unanswered.add(answered);
    void answered.then(() => unanswered.delete(answered));
  });
  return unanswered;
}

/** Waits for requests under way: dynalite throws out of a callback when its store closes beneath them. */
async function closeServer(server: Server, unanswered: ReadonlySet<Promise<void>>): Promise<void> {
  server.closeIdleConnections();
  await Promise.all(unanswered);
  await new Promise<void>((resolve, reject) => {
    server.close((error) => (error === undefined || error === null ? resolve() : reject(error)));
    server.closeAllConnections();
  });
}
