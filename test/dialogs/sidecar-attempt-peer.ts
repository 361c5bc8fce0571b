// What tests of the sidecar's own attempts share: a configuration, a script of a destination that takes a message, a
// destination that answers what the test holds back when the test says so, and a clock whose long waits end so.

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../sidecar/clock.ts';
import type { SidecarRecord } from '../../sidecar/log.ts';
import { greeted } from './scripted-peer.ts';
import { delayedTo } from './sidecar-fixture.ts';

export const MAIL =
  'Received: by mta.example.com; Thu, 1 Jan 2026 00:00:00 +0000\r\nSubject: hello\r\n\r\nHello.\r\n';
export const ANY_ID = /^250 2\.0\.0 \S{43} accepted$/;
export const DELIVERED = /^250 2\.0\.0 \S{43} delivered$/;

/** Mail of example.net is tried at the peer first, and goes to the receiver then. */
export function firstTo(receiver: number, peer: number, options = ''): string {
  return `${delayedTo([receiver], 'Handoff_Deadline = 1 Delivery_Response_Timeout = 400')}
    Attempt_First = true
    EHLO_Hostname = "out.example.com"
    Domain example.net { Routes = "smtp://127.0.0.1?port=${peer}" ${options} }`;
}

export const TAKES = `
  ${greeted('ENHANCEDSTATUSCODES')}
  C: MAIL FROM:<sender@example.com>
  S: 250 2.1.0 ok
  C: RCPT TO:<a@example.net>
  S: 250 2.1.5 ok
  C: DATA
  S: 354 go on
  C: (content)
  S: 250 2.0.0 queued as 1`;

export function attempts(records: readonly SidecarRecord[]): readonly string[] {
  return records.flatMap((record) =>
    record.type === 'Notice' || record.type === 'XferOut'
      ? []
      : [`${record.type} ${record.recipient} ${record.response.code} ${record.response.command}`],
  );
}

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
