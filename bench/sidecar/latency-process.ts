// How long replies take: clients that send one message after another, each over a connection of its own, by SMTP to
// a listener, or straight to a receiver by HTTP. What is measured is the wait that an MTA has: from the final dot, or
// from the request, to the reply. Every message is another one. Rejects when one is not accepted.

import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import * as z from 'zod/mini';
import { FRAMES_CONTENT_TYPE, formatFrames } from '../../shared/xfer/frame-format.ts';
import { mailFrom } from '../mail.ts';
import { answerAll } from '../smtp/child.ts';

export const latencyQuestion = z.object({
  by: z.enum(['smtp', 'http']),
  port: z.number(),
  clients: z.number(),
  messages: z.number(),
  sizeBytes: z.number(),
  seed: z.number(),
});

/** Milliseconds. */
export const latencyAnswer = z.object({ p50: z.number(), p99: z.number(), perSecond: z.number() });

type Question = z.infer<typeof latencyQuestion>;
type Letter = ReturnType<ReturnType<typeof mailFrom>['make']>[number];

if (process.argv[1]?.endsWith('latency-process.ts')) answerAll(latencyQuestion, measure);

async function measure(question: Question): Promise<z.infer<typeof latencyAnswer>> {
  const { by, clients, messages, sizeBytes, seed, port } = question;
  const letters = mailFrom(seed).make(messages, { sizeBytes, domains: ['bench.test'], deferEvery: 0 });
  const queue = letters.values();
  const waitsMs: number[] = [];
  const startedMs = performance.now();
  const client = by === 'smtp' ? smtpClient : httpClient;
  await Promise.all(Array.from({ length: clients }, () => client(port, queue, waitsMs)));
  const seconds = (performance.now() - startedMs) / 1_000;
  if (waitsMs.length !== messages) throw new Error(`${waitsMs.length} of ${messages} messages were taken`);
  waitsMs.sort((a, b) => a - b);
  const at = (share: number) => waitsMs[Math.ceil(waitsMs.length * share) - 1] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), perSecond: messages / seconds };
}

async function smtpClient(port: number, letters: Iterable<Letter>, waitsMs: number[]): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  try {
    const lines = createInterface(socket)[Symbol.asyncIterator]();
    const expect = async (first: string): Promise<void> => {
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error('the listener hung up');
        if (value[3] === '-') continue;
        if (!value.startsWith(first)) throw new Error(`the listener said ${value}`);
        return;
      }
    };
    await expect('220');
    socket.write('EHLO mta.bench.test\r\n');
    await expect('250');
    for (const { header, content } of letters) {
      const [recipient] = header.envelope.recipients;
      socket.write(`MAIL FROM:<${header.envelope.sender}>\r\nRCPT TO:<${recipient?.address}>\r\nDATA\r\n`);
      await expect('250');
      await expect('250');
      await expect('354');
      const sentMs = performance.now();
      socket.write(content);
      socket.write('.\r\n');
      await expect('250');
      waitsMs.push(performance.now() - sentMs);
    }
    socket.write('QUIT\r\n');
  } finally {
    socket.destroy();
  }
}

async function httpClient(port: number, letters: Iterable<Letter>, waitsMs: number[]): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (const letter of letters) {
      const sentMs = performance.now();
      const answer = await post(agent, port, Buffer.concat(formatFrames([letter])));
      if (!answer.includes('"accepted"')) throw new Error(`the receiver answered ${answer.slice(0, 200)}`);
      waitsMs.push(performance.now() - sentMs);
    }
  } finally {
    agent.destroy();
  }
}

function post(agent: Agent, port: number, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        agent,
        host: '127.0.0.1',
        port,
        method: 'POST',
        path: '/delay_message',
        headers: { 'content-type': FRAMES_CONTENT_TYPE, 'content-length': body.length },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
        });
        response.on('end', () => resolve(text));
        response.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
