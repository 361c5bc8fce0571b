// Who takes the stream: a Postfix that queues it on disk, and sidecars, each before a receiver that keeps it on disk.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';
import { startChild } from '../smtp/child.ts';
import { openDirectory } from '../smtp/contenders.ts';
import { startPostfix } from '../smtp/postfix.ts';
import { cpuMsUnder } from '../smtp/process-table.ts';
import { freePort } from '../smtp/sink.ts';

export interface Contender {
  readonly name: string;
  /** Where it takes mail. */
  readonly port: number;
  /** Of whatever takes the mail, so far. A sidecar's receiver is not in it: that is on another machine. */
  cpuMs(): number;
  /** After a measurement: throws away what was kept for it. */
  discard(): Promise<void>;
}

export interface SidecarContender extends Contender {
  readonly receiverPort: number;
  /** Resident now. */
  residentBytes(): number;
}

/** Enough for every client of the bench to have a process of its own from the first message on. */
const SMTPD_PROCESSES = 100;

export async function postfixContender(lifetime: AsyncDisposableStack): Promise<Contender> {
  // Mail is on hold as soon as it is queued: nothing is delivered meanwhile.
  const { version, submissionPort, cpuMs, discard } = await startPostfix(
    lifetime,
    await openDirectory(lifetime),
    await freePort(),
    SMTPD_PROCESSES,
  );
  return { name: version, port: submissionPort, cpuMs, discard };
}

export async function sidecarContender(
  lifetime: AsyncDisposableStack,
  receiver: 'stack' | 'disk',
  profileFolder?: string,
): Promise<SidecarContender> {
  const child = await startChild('../sidecar/receiver-process.ts', [receiver, await openDirectory(lifetime)]);
  lifetime.defer(() => child.close());
  const receiverPort = await child.ask({ kind: 'port' }, z.number());
  const port = await freePort();
  const configuration = join(await openDirectory(lifetime), 'sidecar.conf');
  await writeFile(configuration, configurationFor(receiverPort, port));
  const pid = await startSidecar(lifetime, configuration, profileFolder);
  return {
    name: receiver === 'stack' ? 'sidecar, emulated stores' : 'sidecar, disk alone',
    port,
    receiverPort,
    cpuMs: () => cpuMsUnder(pid),
    residentBytes: () => residentBytes(pid),
    discard: async () => {},
  };
}

function configurationFor(receiverPort: number, port: number): string {
  return `Delayed_Reroute_Domain = "xfer.test"
Domain xfer.test {
  Reroute_Domain = "disabled"
  Delayed_Reroute_Domain = "disabled"
  Delivery_Method = "delay_xfer"
  Routes = ( "xfer://127.0.0.1?port=${receiverPort}" )
  Max_Retries = "none"
}
ESMTP_Listener { Listen "127.0.0.1:${port}" {} }
`;
}

const SIDECAR = fileURLToPath(new URL('../../sidecar/main.ts', import.meta.url));

async function startSidecar(
  lifetime: AsyncDisposableStack,
  configuration: string,
  profileFolder: string | undefined,
): Promise<number> {
  const profiled = profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`];
  const child = spawn(process.execPath, [...profiled, SIDECAR, '--config', configuration], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  lifetime.defer(async () => {
    child.kill();
    await ended;
  });
  // Its log is read, as a supervisor reads it.
  const lines = createInterface(child.stdout);
  const listens = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      if (line.includes('"listening"')) resolve();
    });
  });
  await Promise.race([
    listens,
    ended.then(([status]) => Promise.reject(new Error(`the sidecar ended with status ${status}`))),
  ]);
  return child.pid ?? 0;
}

function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1_024;
}
