// The process of one client: its CPU time and its memory are those of its messages. Named on its command line.

import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { answerAll } from './child.ts';
import { clientNames, clientQuestion } from './clients.ts';
import { deliverAll } from './deliveries.ts';
import { largeLetter, lettersFrom } from './letters.ts';
import { nodemailer, ourClient } from './senders.ts';

const SEED = 20_261_123;
/** Memory is looked at when what went before has come to rest. */
const REST_MS = 200;
/** As in the cost part of the bench, cost.ts. */
const LATENCY = { dynamodbMs: 5, s3Ms: 40, sqsMs: 10 };
const NO_LATENCY = { dynamodbMs: 0, s3Ms: 0, sqsMs: 0 };

const name = clientNames.parse(process.argv[2]);
const send = name === 'nodemailer' ? nodemailer() : ourClient();

answerAll(clientQuestion, async (question) => {
  switch (question.kind) {
    case 'send': {
      const { port, count, warm, slowStores } = question;
      return name === 'deliveries' ? deliver(port, count, slowStores) : sendAll(port, count, warm);
    }
    case 'large': {
      globalThis.gc?.();
      await pause(REST_MS);
      const before = residentBytes('VmRSS');
      // Linux, proc(5): 5 sets the peak back to what is resident now.
      writeFileSync('/proc/self/clear_refs', '5');
      const startedMs = performance.now();
      await send(question.port, [largeLetter(question.sizeBytes)]);
      return { extraBytes: residentBytes('VmHWM') - before, elapsedMs: performance.now() - startedMs };
    }
  }
});

async function sendAll(port: number, count: number, warm: number) {
  const letters = lettersFrom(SEED, count);
  globalThis.gc?.();
  const before = process.cpuUsage();
  let taken = 0;
  let warmAtMs = 0;
  let lastAtMs = 0;
  await send(port, letters, () => {
    taken += 1;
    lastAtMs = performance.now();
    if (taken === warm) warmAtMs = lastAtMs;
  });
  return { cpuMs: milliseconds(process.cpuUsage(before)), elapsedMs: lastAtMs - warmAtMs };
}

async function deliver(port: number, count: number, slowStores: boolean) {
  let before = process.cpuUsage();
  await deliverAll(port, SEED, count, slowStores ? LATENCY : NO_LATENCY, () => {
    globalThis.gc?.();
    before = process.cpuUsage();
  });
  return { cpuMs: milliseconds(process.cpuUsage(before)), elapsedMs: null };
}

function milliseconds({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1_000;
}

function residentBytes(line: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync('/proc/self/status', 'latin1');
  const kilobytes = new RegExp(`^${line}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1];
  if (kilobytes === undefined) throw new Error(`/proc/self/status has no ${line}`);
  return Number(kilobytes) * 1_024;
}
