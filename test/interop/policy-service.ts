// A policy server for Postfix (SMTPD_POLICY_README): asked with lines `name=value` up to an empty one, it answers
// `action=…`. Here it greylists: of each sender, recipient and client name the first requests are deferred.

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Lifetime } from './directory.ts';

export interface PolicyService {
  /** As a restriction of Postfix: `check_policy_service inet:127.0.0.1:…`. */
  readonly restriction: string;
  /** What was deferred, in order: `client sender recipient`. */
  readonly deferred: readonly string[];
}

export async function startGreylist(
  lifetime: Lifetime,
  /** How often each is deferred. */
  times: number,
  reply = '451 4.7.1 Greylisted, come back later',
): Promise<PolicyService> {
  const deferred: string[] = [];
  const seen = new Map<string, number>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    answerRequests(socket, (attributes) => {
      const triplet = ['helo_name', 'sender', 'recipient'].map((name) => attributes.get(name)).join(' ');
      const count = seen.get(triplet) ?? 0;
      seen.set(triplet, count + 1);
      if (count >= times) return 'DUNNO';
      deferred.push(triplet);
      return reply;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  lifetime.defer(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string')
    throw new Error('the policy server does not listen on TCP');
  return { restriction: `check_policy_service inet:127.0.0.1:${bound.port}`, deferred };
}

function answerRequests(socket: Socket, decide: (attributes: ReadonlyMap<string, string>) => string): void {
  const attributes = new Map<string, string>();
  createInterface(socket).on('line', (line) => {
    if (line !== '') {
      const equals = line.indexOf('=');
      attributes.set(line.slice(0, equals), line.slice(equals + 1));
      return;
    }
    socket.write(`action=${decide(attributes)}\n\n`);
    attributes.clear();
  });
}
