// A wire tap: passes a TCP connection on octet by octet and keeps what the client said, so that a test sees
// exactly what one program handed to another. For SMTP without TLS and without CHUNKING.

import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import type { Lifetime } from './directory.ts';

export interface Tap {
  readonly port: number;
  /** The contents that crossed whole, without dot-stuffing, in order of their connections. */
  contents(): readonly Buffer[];
  /** Every command line, of all connections. */
  commands(): readonly string[];
  /** How often a client spoke after its server had: round trips, of all connections. */
  turns(): number;
}

/** Listens at `from`, `address:port` with port 0 for a free one, and connects to `to` for each connection. */
export async function startTap(lifetime: Lifetime, from: string, to: string): Promise<Tap> {
  const dialogues: Dialogue[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const dialogue = new Dialogue();
    dialogues.push(dialogue);
    const destination = createConnection(place(to));
    client.on('data', (octets: Buffer) => dialogue.clientSaid(octets));
    destination.on('data', (octets: Buffer) => dialogue.serverSaid(octets));
    client.pipe(destination).pipe(client);
    for (const [socket, other] of [
      [client, destination],
      [destination, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroySoon();
      });
    }
  });
  server.listen(place(from));
  await once(server, 'listening');
  lifetime.defer(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the tap does not listen on TCP');
  return {
    port: bound.port,
    contents: () => dialogues.flatMap((dialogue) => dialogue.contents()),
    commands: () => dialogues.flatMap((dialogue) => dialogue.commands()),
    turns: () => dialogues.reduce((sum, dialogue) => sum + dialogue.turns, 0),
  };
}

function place(text: string): { readonly host: string; readonly port: number } {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}

class Dialogue {
  readonly #pieces: Buffer[] = [];
  #sizeBytes = 0;
  #serverSpokeLast = false;
  turns = 0;
  /** How much the client had said when it was asked for content. */
  readonly #contentStarts: number[] = [];

  clientSaid(octets: Buffer): void {
    if (this.#serverSpokeLast) this.turns += 1;
    this.#serverSpokeLast = false;
    this.#pieces.push(octets);
    this.#sizeBytes += octets.length;
  }

  serverSaid(octets: Buffer): void {
    this.#serverSpokeLast = true;
    if (/^354/m.test(octets.toString('latin1'))) this.#contentStarts.push(this.#sizeBytes);
  }

  contents(): readonly Buffer[] {
    return this.#split().contents;
  }

  commands(): readonly string[] {
    return this.#split()
      .commands.flatMap((part) => part.split('\r\n'))
      .filter((line) => line !== '');
  }

  #split(): { readonly contents: readonly Buffer[]; readonly commands: readonly string[] } {
    const said = Buffer.concat(this.#pieces).toString('latin1');
    const contents: Buffer[] = [];
    const commands: string[] = [];
    let end = 0;
    for (const start of this.#contentStarts) {
      commands.push(said.slice(end, start));
      // Content begins at a line's start: an empty one is its final dot alone.
      const dot = said.indexOf('\r\n.\r\n', start - 2);
      if (dot < 0) return { contents, commands };
      const stuffed = said.slice(start - 2, dot + 2);
      contents.push(Buffer.from(stuffed.replaceAll('\r\n.', '\r\n').slice(2), 'latin1'));
      end = dot + 5;
    }
    commands.push(said.slice(end));
    return { contents, commands };
  }
}
