// A peer that offers STARTTLS and, once it is asked for, says nothing more on that connection. In clear it takes mail.

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Lifetime } from './directory.ts';

export interface SilentPeer {
  /** Commands of each connection, in order. */
  readonly dialogues: readonly (readonly string[])[];
}

/** Listens on port 25 of `address`. */
export async function startSilentHandshake(lifetime: Lifetime, address: string): Promise<SilentPeer> {
  const dialogues: string[][] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    const commands: string[] = [];
    dialogues.push(commands);
    let inContent = false;
    socket.write('220 silent.peer.test ESMTP\r\n');
    const lines = createInterface(socket);
    lines.on('line', (line) => {
      if (inContent) {
        if (line !== '.') return;
        inContent = false;
        socket.write('250 2.0.0 taken\r\n');
        return;
      }
      commands.push(line);
      const verb = line.split(' ')[0]?.toUpperCase() ?? '';
      inContent = verb === 'DATA';
      socket.write(REPLIES[verb] ?? '250 2.0.0 Ok\r\n');
      // The handshake is octets that nobody reads.
      if (verb === 'STARTTLS') lines.close();
      if (verb === 'QUIT') socket.end();
    });
  });
  server.listen(25, address);
  await once(server, 'listening');
  lifetime.defer(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { dialogues };
}

const REPLIES: Readonly<Record<string, string>> = {
  EHLO: '250-silent.peer.test\r\n250 STARTTLS\r\n',
  STARTTLS: '220 2.0.0 go ahead\r\n',
  DATA: '354 end with a dot\r\n',
  QUIT: '221 2.0.0 Bye\r\n',
};
