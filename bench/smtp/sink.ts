// smtp-sink(1), which comes with Postfix: takes every message and keeps none. It is killed when the bench dies.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export const SMTP_SINK = '/usr/sbin/smtp-sink';

const BACKLOG = '1024';
const LOOK_MS = 20;
const PATIENCE_MS = 10_000;

/** Answers the port of 127.0.0.1 where it listens. */
export async function startSmtpSink(lifetime: AsyncDisposableStack): Promise<number> {
  const port = await freePort();
  const unprivileged = ['--reuid=nobody', '--regid=nogroup', '--clear-groups'];
  const child = spawn(
    'setpriv',
    [
      ...(process.getuid?.() === 0 ? unprivileged : []),
      '--pdeathsig=KILL',
      SMTP_SINK,
      `127.0.0.1:${port}`,
      BACKLOG,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  await once(child, 'spawn');
  const ended = once(child, 'exit');
  lifetime.defer(async () => {
    child.kill();
    await ended;
  });
  const giveUpAtMs = performance.now() + PATIENCE_MS;
  while (!(await listens(port))) {
    if (child.exitCode !== null) throw new Error('smtp-sink ended');
    if (performance.now() > giveUpAtMs) throw new Error('smtp-sink does not listen');
    await pause(LOOK_MS);
  }
  return port;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      resolve(bound === null || typeof bound === 'string' ? 0 : bound.port);
    });
  });
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('error', () => resolve(false));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
