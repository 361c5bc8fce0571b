// Who is measured, each on a line of its own: clients in processes of their own, and mail servers that drain a
// queue. A mail server that cannot run here is passed over, and the reason is told with the figures.

import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClientName, startClient } from './clients.ts';
import { EXIM, EXIM_USER, startExim } from './exim.ts';
import { POSTFIX, POSTFIX_USER, startPostfix } from './postfix.ts';
import { hasUser, type Rival } from './rival.ts';
import type { Wire } from './wire.ts';

export interface Contender {
  readonly name: string;
  /** Of its line. */
  readonly port: number;
  /** What must be done before so many messages can go, and is not measured. */
  prepare(messages: number): Promise<void>;
  /** Sends them over its line. Answers the CPU time in milliseconds. */
  send(messages: number, isFar: boolean): Promise<number>;
  /** Without a line, by its own clock: messages a second after the first `warm`, and CPU time of each. */
  sendDirect?(
    port: number,
    messages: number,
    warm: number,
  ): Promise<{ readonly perSecond: number; readonly cpuMs: number }>;
}

export interface ClientContender extends Contender {
  /** Sends one large message; answers the bytes that were resident beyond those before, at the worst moment. */
  large(port: number, sizeBytes: number): Promise<number>;
}

const NAMES: Readonly<Record<ClientName, string>> = {
  ours: 'our client',
  nodemailer: 'nodemailer',
  deliveries: 'our whole way',
};

export async function clientContender(
  lifetime: AsyncDisposableStack,
  wire: Wire,
  sinkPort: number,
  role: ClientName,
  profileFolder?: string,
): Promise<ClientContender> {
  const port = await wire.lay(sinkPort);
  const client = await startClient(role, profileFolder);
  lifetime.defer(() => client.close());
  const sendDirect: ClientContender['sendDirect'] = async (to, messages, warm) => {
    const { cpuMs, elapsedMs } = await client.send(to, messages, warm);
    if (elapsedMs === null) throw new Error(`${role} has no clock of its own`);
    return { perSecond: ((messages - warm) / elapsedMs) * 1_000, cpuMs: cpuMs / messages };
  };
  return {
    name: NAMES[role],
    port,
    prepare: async () => {},
    // Far destinations are AWS's matter, and there its stores are not near either.
    send: async (messages, isFar) => (await client.send(port, messages, 1, { slowStores: isFar })).cpuMs,
    // The end of a delivery is its settling, not the reply to it.
    ...(role === 'deliveries' ? {} : { sendDirect }),
    large: async (to, sizeBytes) => (await client.large(to, sizeBytes)).extraBytes,
  };
}

export interface Absent {
  readonly name: string;
  /** Why it is passed over. */
  readonly because: string;
}

export interface PostfixContender extends Contender {
  /** Where its smtpd takes messages, and keeps them. */
  readonly submissionPort: number;
  /** Throws away what it has kept. */
  discard(): Promise<void>;
}

export async function postfixContender(
  lifetime: AsyncDisposableStack,
  wire: Wire,
  sinkPort: number,
): Promise<PostfixContender | Absent> {
  const because = whyNot(POSTFIX, POSTFIX_USER);
  if (because !== undefined) return { name: 'Postfix', because };
  const port = await wire.lay(sinkPort);
  const {
    submissionPort,
    discard,
    cpuMs: _,
    ...rival
  } = await startPostfix(lifetime, await openDirectory(lifetime), port);
  return { ...draining(rival, port), submissionPort, discard };
}

export async function eximContender(
  lifetime: AsyncDisposableStack,
  wire: Wire,
  sinkPort: number,
): Promise<Contender | Absent> {
  const because = whyNot(EXIM, EXIM_USER);
  if (because !== undefined) return { name: 'Exim', because };
  const port = await wire.lay(sinkPort);
  return draining(await startExim(lifetime, await openDirectory(lifetime), port), port);
}

function draining(rival: Rival, port: number): Contender {
  return { name: rival.version, port, prepare: rival.fill, send: () => rival.drain() };
}

export function whyNot(program: string, user: string): string | undefined {
  if (!existsSync(program)) return `${program} is not installed (test/interop/install.sh installs it)`;
  if (!hasUser(user)) return `there is no user ${user} (test/interop/install.sh makes it)`;
  if (process.getuid?.() !== 0) return 'it needs root, as mail servers do';
  return undefined;
}

/** Mail servers give up root: others must be able to look into it. */
export async function openDirectory(lifetime: AsyncDisposableStack): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'delay-xfer-bench-'));
  lifetime.defer(() => rm(path, { recursive: true, force: true }));
  await chmod(path, 0o755);
  return path;
}
