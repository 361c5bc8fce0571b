// Stands before the receiver's API and passes requests on, until a test lets it strike: then it calls the test at a
// chosen moment of the next transfer, and the client never gets an answer. It may hold each answer for a while, as a
// receiver far away does, and tells what is under way.

import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Lifetime } from './directory.ts';

export type Moment = 'before the receiver hears of it' | 'after the receiver has said yes';

export interface Meddler {
  /** Resolves when `action` has been called, at that moment of the next transfer, and has ended. */
  strike(moment: Moment, action: () => Promise<void>): Promise<void>;
  /** Transfers that have come and have no answer yet. */
  underWay(): number;
}

interface Strike {
  readonly moment: Moment;
  readonly action: () => Promise<void>;
}

/** Listens at `address:port` and passes on to an API at the port of 127.0.0.1. */
export async function startMeddler(
  lifetime: Lifetime,
  from: string,
  apiPort: number,
  holdAnswersMs = 0,
): Promise<Meddler> {
  let armed: Strike | undefined;
  let underWay = 0;
  const server = createServer((incoming, outgoing) => {
    const strike = incoming.method === 'POST' ? armed : undefined;
    if (strike !== undefined) armed = undefined;
    const isTransfer = incoming.method === 'POST';
    if (isTransfer) underWay += 1;
    outgoing.on('close', () => {
      if (isTransfer) underWay -= 1;
    });
    // A client that is gone needs no answer.
    passOn(incoming, outgoing, { apiPort, holdAnswersMs, strike }).catch(() => outgoing.destroy());
  });
  const [address, port] = from.split(':');
  server.listen(Number(port), address);
  await once(server, 'listening');
  lifetime.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    strike: (moment, action) =>
      new Promise((resolve, reject) => {
        armed = { moment, action: () => action().then(resolve, reject) };
      }),
    underWay: () => underWay,
  };
}

interface Passage {
  readonly apiPort: number;
  readonly holdAnswersMs: number;
  readonly strike: Strike | undefined;
}

async function passOn(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { apiPort, holdAnswersMs, strike }: Passage,
): Promise<void> {
  const body = await whole(incoming);
  if (strike?.moment === 'before the receiver hears of it') return await endWith(strike, outgoing);
  const { method, url: path, headers } = incoming;
  const asked = request({ host: '127.0.0.1', port: apiPort, method, path, headers });
  asked.end(body);
  const [answer]: IncomingMessage[] = await once(asked, 'response');
  if (answer === undefined) throw new Error('the API did not answer');
  const answered = await whole(answer);
  if (strike !== undefined) return await endWith(strike, outgoing);
  if (holdAnswersMs > 0) await pause(holdAnswersMs);
  outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
  outgoing.end(answered);
}

async function endWith({ action }: Strike, outgoing: ServerResponse): Promise<void> {
  await action();
  outgoing.destroy();
}

async function whole(message: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece);
  return Buffer.concat(pieces);
}
