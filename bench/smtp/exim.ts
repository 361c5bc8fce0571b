// An Exim of the bench's own: configuration, spool and log in one folder, its processes in a table of their own.
// It gives up root for a configuration named on its command line, and starts itself anew for every delivery.

import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LETTER_BYTES, lettersFrom } from './letters.ts';
import { openProcessTable } from './process-table.ts';
import { configuration, type Rival, userIds } from './rival.ts';

/** Where test/interop/install.sh puts it, beside a Postfix that Debian's package of it would drive out. */
export const EXIM = join(process.env['DELAY_XFER_CACHE'] ?? '/var/cache/delay-xfer', 'exim/usr/sbin/exim4');
/** Its name is compiled in. */
export const EXIM_USER = 'Debian-exim';

const SEED = 20_261_125;

/** `directory` is empty and may be read by everybody. */
export async function startExim(
  lifetime: AsyncDisposableStack,
  directory: string,
  sinkPort: number,
): Promise<Rival> {
  const { uid, gid } = userIds(EXIM_USER);
  for (const each of ['spool', 'log']) {
    await mkdir(join(directory, each));
    await chown(join(directory, each), uid, gid);
  }
  const file = join(directory, 'exim.conf');
  await writeFile(
    file,
    await configuration('exim.conf', { EXIM, DIRECTORY: directory, SINK_PORT: sinkPort }),
  );
  // Exim trusts no configuration that others could write.
  await chmod(file, 0o644);

  const table = await openProcessTable();
  lifetime.defer(() => table.close());
  const exim = (...args: readonly string[]) => table.run(EXIM, ['-C', file, ...args]);
  const version = /Exim version (\S+)/.exec(await exim('-bV'))?.[1] ?? 'unknown';
  return {
    version: `Exim ${version}`,
    async fill(count) {
      const batch = join(directory, 'batch');
      await writeFile(batch, batchOf(count));
      await table.run('sh', ['-c', 'exec "$0" -C "$1" -odq -bS < "$2"', EXIM, file, batch]);
    },
    async drain() {
      const beforeMs = table.cpuMs();
      await exim('-qq');
      const left = await readdir(join(directory, 'spool', 'input'), { recursive: true });
      if (left.some((name) => name.endsWith('-H'))) {
        const log = await readFile(join(directory, 'log', 'main'), 'utf8');
        throw new Error(`Exim has mail left: ${log.slice(-2_000)}`);
      }
      return table.cpuMs() - beforeMs;
    },
  };
}

/** Batched SMTP, as UUCP had it: commands without replies. */
function batchOf(count: number): Buffer {
  const pieces = lettersFrom(SEED, count).flatMap(({ envelope, whole }) => {
    if (whole?.length !== LETTER_BYTES) throw new Error('a letter is not in memory');
    const recipients = envelope.recipients.map(({ address }) => `RCPT TO:<${address}>\r\n`).join('');
    const head = `MAIL FROM:<${envelope.sender}>\r\n${recipients}DATA\r\n`;
    return [Buffer.from(head, 'latin1'), whole, Buffer.from('.\r\n')];
  });
  return Buffer.concat(pieces);
}
