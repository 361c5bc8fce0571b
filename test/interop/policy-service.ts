// A policy server for Postfix (SMTPD_POLICY_README): asked with lines `name=value` up to an empty one, it answers
// `action=…`. Postfix calls it by a restriction such as `check_policy_service inet:127.0.0.1:10023`.

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Lifetime } from './directory.ts';

/** An action of access(5): `DUNNO` leaves it to others, `451 …` defers. */
export type Policy = (attributes: ReadonlyMap<string, string>) => string;

/** Answers the restriction that asks it. */
export async function startPolicyService(lifetime: Lifetime, decide: Policy): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    answerRequests(socket, decide);
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
  return `check_policy_service inet:127.0.0.1:${bound.port}`;
}

export interface Greylist {
  readonly policy: Policy;
  /** What was deferred, in order: `client sender recipient`. */
  readonly deferred: readonly string[];
}

/** Defers the first request of each client name, sender and recipient. */
export function createGreylist(): Greylist {
  const deferred: string[] = [];
  return {
    deferred,
    policy(attributes) {
      const triplet = ['helo_name', 'sender', 'recipient'].map((name) => attributes.get(name)).join(' ');
      if (deferred.includes(triplet)) return 'DUNNO';
      deferred.push(triplet);
      return '451 4.7.1 Greylisted, come back later';
    },
  };
}

function answerRequests(socket: Socket, decide: Policy): void {
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
