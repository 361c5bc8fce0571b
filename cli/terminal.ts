// Where a command reads and writes. A reader that has seen enough (`| head`) ends the output, not the command: what comes
// after is dropped, and the exit status stays what it is.

import type { Readable } from 'node:stream';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Standard input, to its end or to so many octets of it. */
  input(mostBytes: number): Promise<Uint8Array>;
}

interface Stream {
  write(text: string): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

export function terminalOn(input: Readable, out: Stream, err: Stream): Terminal {
  return { out: writerTo(out), err: writerTo(err), input: (mostBytes) => firstOctets(input, mostBytes) };
}

function writerTo(stream: Stream): (text: string) => void {
  let open = true;
  stream.on('error', (error) => {
    if (!('code' in error && error.code === 'EPIPE')) throw error;
    open = false;
  });
  return (text) => {
    if (open) stream.write(text);
  };
}

async function firstOctets(input: Readable, most: number): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of input) {
    const octets = Buffer.from(piece);
    pieces.push(octets);
    length += octets.length;
    if (length >= most) break;
  }
  return Buffer.concat(pieces).subarray(0, most);
}
