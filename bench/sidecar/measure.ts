// The sidecar part of the bench: one stream of mail into a Postfix that queues it, and into sidecars that hand it to
// receivers, in turns; how long replies take there and at the receiver itself; and the sidecar's memory.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { z } from 'zod/mini';
import { startChild } from '../smtp/child.ts';
import { whyNot } from '../smtp/contenders.ts';
import { POSTFIX, POSTFIX_USER } from '../smtp/postfix.ts';
import { type Contender, postfixContender, type SidecarContender, sidecarContender } from './contenders.ts';
import { latencyAnswer } from './latency-process.ts';

export const SMTP_SOURCE = '/usr/sbin/smtp-source';
export const CLIENTS = 20;
export const SIZE_BYTES = 10_240;

export interface SidecarPlan {
  readonly rounds: number;
  /** Of each throughput measurement. */
  readonly messages: number;
  readonly latencyMessages: number;
  /** After how many messages memory is looked at. */
  readonly memoryAfter: readonly number[];
}

export interface Stream {
  readonly perSecond: number;
  readonly cpuMs: number;
}

export type Latency = z.infer<typeof latencyAnswer>;

export interface Row {
  readonly name: string;
  /** Over kept connections, and over a new one for each message. */
  readonly kept: Stream[];
  readonly fresh: Stream[];
  /** Of the reply to the final dot, at full load. */
  readonly latency: Latency[];
}

export interface SidecarResults {
  readonly postfix: Row;
  readonly stack: Row;
  readonly disk: Row;
  /** The receivers without a sidecar: each message posted by its client. */
  readonly direct: { readonly stack: Latency[]; readonly disk: Latency[] };
  /** Of the sidecar before `disk`. */
  readonly memory: readonly { readonly messages: number; readonly residentBytes: number }[];
}

export interface SidecarBenchOptions {
  /** Rejects when the bench is to end. */
  readonly interrupted: Promise<never>;
  readonly progress: (step: string) => void;
  readonly profileFolder?: string;
}

/** A text says why nothing could be measured. Rejects when a message was not taken: such a run says nothing. */
export async function measureSidecar(
  plan: SidecarPlan,
  options: SidecarBenchOptions,
): Promise<SidecarResults | string> {
  const because = existsSync(SMTP_SOURCE)
    ? whyNot(POSTFIX, POSTFIX_USER)
    : 'there is no smtp-source; it comes with Postfix (test/interop/install.sh installs it)';
  if (because !== undefined) return because;
  await using lifetime = new AsyncDisposableStack();
  const work = run(lifetime, plan, options);
  work.catch(() => {});
  return await Promise.race([options.interrupted, work]);
}

const WARM_UP = 2_000;

async function run(
  lifetime: AsyncDisposableStack,
  plan: SidecarPlan,
  { progress, profileFolder }: SidecarBenchOptions,
): Promise<SidecarResults> {
  const postfix = await postfixContender(lifetime);
  const stack = await sidecarContender(lifetime, 'stack');
  const disk = await sidecarContender(lifetime, 'disk', profileFolder);
  const clients = await startChild('../sidecar/latency-process.ts');
  lifetime.defer(() => clients.close());
  let seed = Date.now() % 1_000_000;
  const latency = (by: 'smtp' | 'http', port: number): Promise<Latency> => {
    seed += 1;
    const question = {
      by,
      port,
      clients: CLIENTS,
      messages: plan.latencyMessages,
      sizeBytes: SIZE_BYTES,
      seed,
    };
    return clients.ask(question, latencyAnswer);
  };
  const entrants = [postfix, stack, disk].map((contender) => ({ contender, row: emptyRow(contender) }));
  const receivers = [
    { sidecar: stack, latencies: [] as Latency[] },
    { sidecar: disk, latencies: [] as Latency[] },
  ] as const;

  for (const { contender } of entrants) {
    progress(`${contender.name}: warming up`);
    await stream(contender, WARM_UP, true);
    await contender.discard();
  }
  for (let round = 0; round < plan.rounds; round += 1) {
    // In turns: none always goes first.
    for (const { contender, row } of round % 2 === 0 ? entrants : entrants.toReversed()) {
      progress(`round ${round + 1} of ${plan.rounds}: ${contender.name}`);
      row.kept.push(await stream(contender, plan.messages, true));
      row.fresh.push(await stream(contender, plan.messages, false));
      row.latency.push(await latency('smtp', contender.port));
      await contender.discard();
    }
    for (const { sidecar, latencies } of receivers) {
      latencies.push(await latency('http', sidecar.receiverPort));
    }
  }
  const memory = await memoryOf(disk, plan.memoryAfter, progress);
  const [postfixRow, stackRow, diskRow] = entrants.map(({ row }) => row);
  if (postfixRow === undefined || stackRow === undefined || diskRow === undefined) throw new Error('no rows');
  const [ofStack, ofDisk] = receivers.map(({ latencies }) => latencies);
  return {
    postfix: postfixRow,
    stack: stackRow,
    disk: diskRow,
    direct: { stack: ofStack ?? [], disk: ofDisk ?? [] },
    memory,
  };
}

/** On from what it has carried in the rounds, so that the first look is not at a cold process. */
async function memoryOf(
  sidecar: SidecarContender,
  after: readonly number[],
  progress: (step: string) => void,
): Promise<SidecarResults['memory']> {
  const looks: { messages: number; residentBytes: number }[] = [];
  let sent = 0;
  for (const messages of after) {
    progress(`memory: to ${messages} messages`);
    await stream(sidecar, messages - sent, true);
    sent = messages;
    looks.push({ messages, residentBytes: sidecar.residentBytes() });
  }
  return looks;
}

/** smtp-source(1): rejects when a message was not taken, as it then ends badly. */
async function stream(contender: Contender, messages: number, keep: boolean): Promise<Stream> {
  const cpuBeforeMs = contender.cpuMs();
  const startedMs = performance.now();
  const child = spawn(
    SMTP_SOURCE,
    [
      // Without -d a connection ends with each message.
      ...(keep ? ['-d'] : []),
      ...['-s', String(CLIENTS), '-l', String(SIZE_BYTES), '-m', String(messages)],
      ...['-f', 'newsletter@sender.example', '-t', 'reader@bench.test'],
      `127.0.0.1:${contender.port}`,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const [status] = await once(child, 'exit');
  if (status !== 0) throw new Error(`${contender.name} did not take every message of smtp-source`);
  const elapsedMs = performance.now() - startedMs;
  return {
    perSecond: (messages / elapsedMs) * 1_000,
    cpuMs: (contender.cpuMs() - cpuBeforeMs) / messages,
  };
}

function emptyRow({ name }: Contender): Row {
  return { name, kept: [], fresh: [], latency: [] };
}
