// A destination that takes everything and keeps what it took: the octets between 354 and CRLF.CRLF, each line without
// its dot-stuffing, by recipient. It offers STARTTLS, all that lets a client send content as it is, and
// knows no other rules.

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { SELF_SIGNED } from '../dialogs/self-signed.ts';
import type { Lifetime } from './directory.ts';

export interface RecordingSink {
  /** What came for the recipient so far. */
  contents(recipient: string): readonly Buffer[];
  forget(recipient: string): void;
}

const END = Buffer.from('\r\n.\r\n');
const EHLO =
  '250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-STARTTLS\r\n250 SIZE 0\r\n';

/** Listens on port 25 of `address`. */
export async function startRecordingSink(lifetime: Lifetime, address: string): Promise<RecordingSink> {
  const kept = new Map<string, Buffer[]>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.write('220 sink.test ESMTP\r\n');
    converse(socket, (recipient, content) => {
      kept.set(recipient, [...(kept.get(recipient) ?? []), content]);
    });
  });
  server.listen(25, address);
  await once(server, 'listening');
  lifetime.defer(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    contents: (recipient) => kept.get(recipient) ?? [],
    forget: (recipient) => void kept.delete(recipient),
  };
}

type Keep = (recipient: string, content: Buffer) => void;

function converse(socket: Socket, keep: Keep): void {
  const hear = (octets: Buffer): void => dialogue.hear(octets);
  const dialogue = new Dialogue(socket, keep, () => {
    socket.off('data', hear);
    const secured = new TLSSocket(socket, { isServer: true, ...SELF_SIGNED });
    secured.on('error', () => socket.destroy());
    converse(secured, keep);
  });
  socket.on('data', hear);
}

class Dialogue {
  readonly #socket: Socket;
  readonly #keep: Keep;
  readonly #startTls: () => void;
  /** Of the content, begun with the CRLF before it; undefined between contents. */
  #content: Buffer[] | undefined;
  #heard: Buffer = Buffer.alloc(0);
  #recipients: string[] = [];

  constructor(socket: Socket, keep: Keep, startTls: () => void) {
    this.#socket = socket;
    this.#keep = keep;
    this.#startTls = startTls;
  }

  hear(octets: Buffer): void {
    let rest: Buffer | undefined = octets;
    while (rest !== undefined && rest.length > 0) {
      rest = this.#content === undefined ? this.#command(rest) : this.#piece(rest, this.#content);
    }
  }

  /** Answers one line; what is behind it is the result. */
  #command(octets: Buffer): Buffer | undefined {
    const text = Buffer.concat([this.#heard, octets]);
    const end = text.indexOf('\r\n');
    this.#heard = end < 0 ? text : Buffer.alloc(0);
    if (end < 0) return undefined;
    const line = text.toString('utf8', 0, end);
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === 'RCPT') this.#recipients.push(/<(.*?)>/.exec(line)?.[1] ?? '');
    if (verb === 'RSET' || verb === 'MAIL') this.#recipients = [];
    if (verb === 'DATA') this.#content = [Buffer.from('\r\n')];
    this.#socket.write(
      verb === 'EHLO'
        ? EHLO
        : verb === 'DATA'
          ? '354 go on\r\n'
          : verb === 'QUIT'
            ? '221 2.0.0 Bye\r\n'
            : '250 2.0.0 Ok\r\n',
    );
    if (verb === 'QUIT') this.#socket.end();
    if (verb === 'STAR') this.#startTls();
    return text.subarray(end + 2);
  }

  /** A piece of the content; what is behind its end is the result. */
  #piece(octets: Buffer, content: Buffer[]): Buffer | undefined {
    // The end may lie across pieces.
    const before = tail(content, END.length - 1);
    const joined = Buffer.concat([before, octets]);
    const end = joined.indexOf(END);
    if (end < 0) {
      content.push(octets);
      return undefined;
    }
    const wire = Buffer.concat([...content, octets]);
    const length = wire.length - octets.length - before.length + end + 2;
    const stuffed = wire.toString('latin1', 0, length);
    const plain = Buffer.from(stuffed.replaceAll('\r\n.', '\r\n').slice(2), 'latin1');
    for (const recipient of this.#recipients) this.#keep(recipient, plain);
    this.#content = undefined;
    this.#recipients = [];
    this.#socket.write('250 2.0.0 kept\r\n');
    return joined.subarray(end + END.length);
  }
}

/** The last octets of the pieces, at most so many. */
function tail(pieces: readonly Buffer[], count: number): Buffer {
  const last = pieces.slice(-count);
  return Buffer.concat(last).subarray(-count);
}
