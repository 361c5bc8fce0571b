// The bench's side of the wire: lines to sinks, how far away they are, and what went over them.

import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import * as z from 'zod/mini';
import { startChild } from './child.ts';
import type { Course } from './course.ts';

export const wireQuestion = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('lay'), sinkPort: z.number(), bytesPerSecond: z.optional(z.number()) }),
  z.object({ kind: z.literal('move'), roundTripMs: z.number() }),
  z.object({ kind: z.literal('watch'), port: z.number(), warm: z.number() }),
  z.object({ kind: z.literal('read'), port: z.number() }),
]);

const courseShape = z.object({
  messages: z.number(),
  roundTrips: z.number(),
  elapsedMs: z.number(),
  connections: z.number(),
  refused: z.number(),
});

export interface Wire {
  /** A new line to the sink on a port of this machine; answers the port where clients find it. */
  lay(sinkPort: number, options?: { readonly bytesPerSecond: number }): Promise<number>;
  /** For connections from now on. */
  move(roundTripMs: number): Promise<void>;
  /** Breaks the connections that are there, and begins to count anew on that line. */
  watch(port: number, warm: number): Promise<void>;
  read(port: number): Promise<Course>;
  close(): Promise<void>;
}

export async function startWire(): Promise<Wire> {
  const child = await startChild('wire-process.ts');
  return {
    lay: (sinkPort, options) => child.ask({ kind: 'lay', sinkPort, ...options }, z.number()),
    async move(roundTripMs) {
      await child.ask({ kind: 'move', roundTripMs }, z.number());
    },
    async watch(port, warm) {
      await child.ask({ kind: 'watch', port, warm }, z.number());
    },
    read: (port) => child.ask({ kind: 'read', port }, courseShape),
    close: child.close,
  };
}

/** How long one word to the sink takes there and back: milliseconds, in the mean of some NOOPs. */
export async function measureRoundTrip(port: number, words = 20): Promise<number> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  try {
    const replies = createInterface(socket)[Symbol.asyncIterator]();
    await replies.next();
    const startedMs = performance.now();
    for (let word = 0; word < words; word += 1) {
      socket.write('NOOP\r\n');
      if ((await replies.next()).done === true) throw new Error('the sink hung up');
    }
    return (performance.now() - startedMs) / words;
  } finally {
    socket.destroy();
  }
}
