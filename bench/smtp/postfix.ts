// A Postfix of the bench's own: configuration, queue and log in one folder, its processes in a table of their own.

import { chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { lettersFrom } from './letters.ts';
import { openProcessTable } from './process-table.ts';
import { configuration, type Rival, userIds } from './rival.ts';
import { nodemailer } from './senders.ts';
import { freePort } from './sink.ts';

export const POSTFIX = '/usr/sbin/postfix';
export const POSTFIX_USER = 'postfix';
const POSTSUPER = '/usr/sbin/postsuper';
const POSTQUEUE = '/usr/sbin/postqueue';
const POSTCONF = '/usr/sbin/postconf';

const SEED = 20_261_124;
const PATIENCE_MS = 300_000;
const LOOK_MS = 50;

export interface Postfix extends Rival {
  /** Where it takes messages, and keeps them. */
  readonly submissionPort: number;
  /** Throws away what it has kept. */
  discard(): Promise<void>;
  /** Of all of its processes so far. */
  cpuMs(): number;
}

/** `directory` is empty and may be read by everybody. */
export async function startPostfix(
  lifetime: AsyncDisposableStack,
  directory: string,
  sinkPort: number,
  smtpdProcesses = 4,
): Promise<Postfix> {
  const submissionPort = await freePort();
  const places = {
    DIRECTORY: directory,
    SINK_PORT: sinkPort,
    SUBMISSION_PORT: submissionPort,
    SMTPD_PROCESSES: smtpdProcesses,
  };
  const config = join(directory, 'config');
  for (const each of ['config', 'queue', 'data']) await mkdir(join(directory, each));
  const { uid, gid } = userIds(POSTFIX_USER);
  await chown(join(directory, 'data'), uid, gid);
  await writeFile(join(config, 'main.cf'), await configuration('postfix-main.cf', places));
  await writeFile(join(config, 'master.cf'), await configuration('postfix-master.cf', places));

  const table = await openProcessTable();
  lifetime.defer(() => table.close());
  await table.run(POSTFIX, ['-c', config, 'start']).catch(async (error) => {
    const log = await readFile(join(directory, 'log'), 'utf8').catch(() => '');
    throw new Error(`Postfix does not start: ${log}`, { cause: error });
  });
  const version = await table.run(POSTCONF, ['-c', config, '-h', 'mail_version']);
  return {
    version: `Postfix ${version}`,
    submissionPort,
    cpuMs: () => table.cpuMs(),
    async discard() {
      await table.run(POSTSUPER, ['-c', config, '-d', 'ALL']);
    },
    fill: (count) => nodemailer()(submissionPort, lettersFrom(SEED, count)),
    async drain() {
      await table.run(POSTSUPER, ['-c', config, '-H', 'ALL']);
      const beforeMs = table.cpuMs();
      await table.run(POSTQUEUE, ['-c', config, '-f']);
      await emptied(join(directory, 'queue'));
      return table.cpuMs() - beforeMs;
    },
  };
}

async function emptied(queue: string): Promise<void> {
  const giveUpAtMs = performance.now() + PATIENCE_MS;
  for (;;) {
    let messages = 0;
    // In the order in which a message passes them: one that moves meanwhile is seen twice, never missed. What is on
    // hold by now has come since.
    for (const folder of ['deferred', 'incoming', 'active']) {
      const entries = await readdir(join(queue, folder), { recursive: true, withFileTypes: true });
      messages += entries.filter((entry) => entry.isFile()).length;
    }
    if (messages === 0) return;
    if (performance.now() > giveUpAtMs) throw new Error('Postfix has mail left after five minutes');
    await pause(LOOK_MS);
  }
}
