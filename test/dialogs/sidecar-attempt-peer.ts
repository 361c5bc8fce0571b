// A destination for the sidecar's own attempts that takes everything, and answers the commands that the test holds
// back when the test says so; and a clock whose long waits end when the test says so.

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../sidecar/clock.ts';

export interface HeldPeer {
  readonly port: number;
  /** Messages whose content came whole. */
  readonly messages: readonly string[];
  /** Resolves when so many replies are held back. */
  held(count: number): Promise<void>;
  /** Answers what is held back. */
  release(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** `holds`: the verb whose reply waits; `.` is the final dot. */
export async function startHeldPeer(holds: 'DATA' | '.'): Promise<HeldPeer> {
  const messages: string[] = [];
  const sockets = new Set<Socket>();
  const pending: (() => void)[] = [];
  let wake = (): void => {};
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    let inContent = false;
    const answer = (verb: string, reply: string): void => {
      const say = (): void => void socket.write(`${reply}\r\n`);
      if (verb === holds) pending.push(say);
      else say();
      wake();
    };
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (;;) {
        const end = text.indexOf(inContent ? '\r\n.\r\n' : '\r\n');
        if (end < 0) return;
        const part = text.slice(0, end);
        text = text.slice(end + (inContent ? 5 : 2));
        if (inContent) messages.push(part);
        const verb = inContent ? '.' : part.slice(0, 4).toUpperCase();
        inContent = verb === 'DATA';
        answer(verb, verb === 'DATA' ? '354 go on' : '250 ok');
      }
    });
    socket.write('220 mx.example.net ESMTP\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the peer has no port');
  return {
    port: address.port,
    messages,
    async held(count) {
      while (pending.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    release() {
      for (const say of pending.splice(0)) say();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

/** Waits of 20 s and more end when `pass` moves the clock beyond them; shorter ones end by themselves. */
export function movableClock(): Clock & { pass(ms: number): void } {
  const waits = new Set<{ readonly atMs: number; readonly wake: () => void }>();
  let aheadMs = 0;
  const nowMs = (): number => Date.now() + aheadMs;
  return {
    nowMs,
    after(delayMs, wake) {
      if (delayMs < 20_000) return systemClock.after(delayMs, wake);
      const wait = { atMs: nowMs() + delayMs, wake };
      waits.add(wait);
      return () => waits.delete(wait);
    },
    pass(ms) {
      aheadMs += ms;
      for (const wait of [...waits]) {
        if (wait.atMs > nowMs() || !waits.delete(wait)) continue;
        wait.wake();
      }
    },
  };
}
