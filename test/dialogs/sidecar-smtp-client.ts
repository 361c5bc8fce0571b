// An SMTP client that says exactly what the test says, octet by octet, and hands replies out one by one.

import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

export interface RawClient {
  readonly socket: Socket;
  /** Writes octets as they are. */
  write(data: string | Buffer): void;
  /** The next whole reply, its lines joined by LF; rejects when the connection ends first. */
  reply(): Promise<string>;
  /** Writes a line and waits for its reply. */
  say(line: string): Promise<string>;
  /** Resolves when the server has closed. */
  closed: Promise<void>;
}

/** Connected and greeted. */
export async function connectRaw(port: number): Promise<RawClient> {
  const client = openRaw(port);
  await client.reply();
  return client;
}

/** Its first reply is the greeting. */
export function openRaw(port: number): RawClient {
  return rawOver(connect({ host: '127.0.0.1', port, noDelay: true }));
}

/** Says its lines over a socket that is there. */
export function rawOver(socket: Socket): RawClient {
  let text = '';
  let ended = false;
  let waiter: (() => void) | undefined;
  const wake = (): void => {
    waiter?.();
    waiter = undefined;
  };
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    wake();
  });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      ended = true;
      wake();
      resolve();
    });
  });
  const client: RawClient = {
    socket,
    closed,
    write: (data) => void socket.write(data),
    async reply() {
      for (;;) {
        const match = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3}(?: [^\r\n]*)?\r\n/.exec(text);
        if (match !== null) {
          text = text.slice(match[0].length);
          return match[0].trimEnd().replaceAll('\r\n', '\n');
        }
        if (ended) throw new Error(`the connection ended; unread: ${JSON.stringify(text)}`);
        await new Promise<void>((resolve) => {
          waiter = resolve;
        });
      }
    },
    say(line) {
      client.write(`${line}\r\n`);
      return client.reply();
    },
  };
  return client;
}

/** After STARTTLS and its 220: TLS over the same connection. */
export async function secureRaw(client: RawClient, options: ConnectionOptions = {}): Promise<RawClient> {
  client.socket.removeAllListeners('data');
  const secured = connectTls({ socket: client.socket, rejectUnauthorized: false, ...options });
  const raw = rawOver(secured);
  await new Promise<void>((resolve, reject) => {
    secured.once('secureConnect', resolve);
    secured.once('error', reject);
    secured.once('close', () => reject(new Error('the connection ended')));
  });
  return raw;
}

/** EHLO, MAIL, RCPTs and DATA, all accepted; the next reply is the final dot's. */
export async function offer(
  client: RawClient,
  to: readonly string[],
  content: string | Buffer,
): Promise<void> {
  await client.say('EHLO mta.example.com');
  await client.say('MAIL FROM:<sender@example.com>');
  for (const recipient of to) {
    const reply = await client.say(`RCPT TO:<${recipient}>`);
    if (!reply.startsWith('250')) throw new Error(`${recipient} was refused: ${reply}`);
  }
  await client.say('DATA');
  client.write(content);
  client.write('.\r\n');
}

/** One message over a connection of its own; answers the final dot's reply. */
export async function deliver(
  port: number,
  to: string | readonly string[],
  content: string | Buffer,
): Promise<string> {
  const client = await connectRaw(port);
  await offer(client, typeof to === 'string' ? [to] : to, content);
  const reply = await client.reply();
  client.socket.destroy();
  return reply;
}
