// The emulators in a process of their own, so that a measurement can leave their share of the CPU out and a
// test can kill them. Run as a program, it starts them (arguments: an optional data directory), sends their
// endpoints to its parent, and closes when the parent goes away.
// `spawnEmulators` is the parent's side: it resolves when they serve and rejects when they cannot start.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type EmulatorEndpoints, startEmulators } from './emulators.ts';

export interface EmulatorsProcess extends EmulatorEndpoints {
  readonly processId: number;
  /** Clean end. */
  close(): Promise<void>;
  /** SIGKILL: nothing is written any more. */
  kill(): Promise<void>;
}

const FILE = fileURLToPath(import.meta.url);

export async function spawnEmulators(
  options: { readonly dataDirectory?: string } = {},
): Promise<EmulatorsProcess> {
  const child = fork(FILE, options.dataDirectory === undefined ? [] : [options.dataDirectory], {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const endpoints = await Promise.race([
    once(child, 'message').then(([message]) => parseEndpoints(message)),
    exited.then(([status]) =>
      Promise.reject(new Error(`the emulators did not start: exit status ${status}`)),
    ),
  ]);
  if (child.pid === undefined) throw new Error('the emulators process has no id');
  return {
    ...endpoints,
    processId: child.pid,
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** The message comes from this file's other half; anything else is a bug. */
function parseEndpoints(message: unknown): EmulatorEndpoints {
  if (typeof message !== 'object' || message === null) throw new Error('the emulators sent no endpoints');
  const text = (name: string): string => {
    const value: unknown = Reflect.get(message, name);
    if (typeof value !== 'string') throw new Error(`the emulators sent no ${name}`);
    return value;
  };
  return {
    s3Endpoint: text('s3Endpoint'),
    sqsEndpoint: text('sqsEndpoint'),
    dynamodbEndpoint: text('dynamodbEndpoint'),
    bucket: text('bucket'),
    table: text('table'),
    timersQueueUrl: text('timersQueueUrl'),
    timersQueueArn: text('timersQueueArn'),
    deadLetterQueueUrl: text('deadLetterQueueUrl'),
  };
}

async function serve(): Promise<void> {
  const dataDirectory = process.argv[2];
  const { close, ...endpoints } = await startEmulators(dataDirectory === undefined ? {} : { dataDirectory });
  process.once('disconnect', () => void close());
  process.send?.(endpoints);
}

if (process.argv[1] === FILE) await serve();
