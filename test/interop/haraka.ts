// Haraka as a sending MTA, with the plugin of packaging/haraka set up as docs/senders/haraka.md tells. It relays for
// everybody, asks no DNS but sends all mail to one host, and tries again after five
// seconds, the least that Haraka takes.

import { copyFile, cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Lifetime, makeDirectory } from './directory.ts';
import { start } from './program.ts';
import { until } from './until.ts';

export interface HarakaOptions {
  readonly name: string;
  readonly port: number;
  /** Where all mail goes: `address:port`. */
  readonly destination: string;
  /** Lines of config/plugins, and the whole of config/delay-xfer.ini. */
  readonly plugins: string;
  readonly settings: string;
}

export interface Haraka {
  readonly server: string;
  /** Names of the files in its queue. */
  queue(): Promise<readonly string[]>;
  emptied(): Promise<void>;
  /** A line of its log that matches, as soon as there is one. */
  logged(pattern: RegExp): Promise<string>;
}

const CACHE = process.env['DELAY_XFER_CACHE'] ?? '/var/cache/delay-xfer';
const INSTALLED = join(CACHE, 'haraka/node_modules/Haraka');
const PLUGIN = fileURLToPath(new URL('../../packaging/haraka', import.meta.url));

/** What a site has in plugins of its own: who may relay, and where mail goes. */
const SITE = `
exports.hook_connect = function (next, connection) { connection.relaying = true; next() }
exports.hook_rcpt = (next) => next(OK)
exports.hook_get_mx = function (next) {
  const [exchange, port] = this.config.get('destination').split(':')
  next(OK, { priority: 0, exchange, port: Number(port) })
}
`;

export async function startHaraka(lifetime: Lifetime, options: HarakaOptions): Promise<Haraka> {
  const { name, port, destination, plugins, settings } = options;
  const directory = await makeDirectory(lifetime, 'haraka');
  const config = join(directory, 'config');
  await Promise.all(['config', 'plugins', 'queue'].map((each) => mkdir(join(directory, each))));
  const files: Record<string, string> = {
    me: name,
    'smtp.ini': `listen=127.0.0.1:${port}\nnodes=0\n`,
    'outbound.ini': 'temp_fail_intervals=5s*100\nenable_tls=false\n',
    loglevel: 'INFO',
    plugins: `site\n${plugins}`,
    'delay-xfer.ini': settings,
    destination,
  };
  await Promise.all(Object.entries(files).map(([file, text]) => writeFile(join(config, file), text)));
  await writeFile(join(directory, 'plugins/site.js'), SITE);
  await cp(PLUGIN, join(directory, 'plugins/delay-xfer'), { recursive: true });
  // As `haraka -i` does.
  await copyFile(join(INSTALLED, 'config/connection.ini'), join(config, 'connection.ini'));
  const program = await start(process.execPath, [join(INSTALLED, 'bin/haraka'), '-c', directory]);
  lifetime.defer(() => program.kill('SIGKILL'));
  const logged = (pattern: RegExp): Promise<string> =>
    until(
      `Haraka logs ${pattern}`,
      () => {
        if (program.hasEnded()) throw new Error(`Haraka ended\n${program.output()}`);
        return program.lines.find((line) => pattern.test(line));
      },
      program.output,
    );
  await logged(/Listening on 127\.0\.0\.1/);
  const queue = (): Promise<readonly string[]> => readdir(join(directory, 'queue'));
  return {
    server: `127.0.0.1:${port}`,
    queue,
    async emptied() {
      const empty = async () => ((await queue()).length === 0 ? true : undefined);
      await until('the queue of Haraka is empty', empty, program.output);
    },
    logged,
  };
}
