// An Exim of the test's own: configuration, spool, log and mailboxes in one folder, in the foreground, on
// loopback addresses. It accepts mail for its mailboxes, and from this machine for anywhere once it has routers of
// its own; what its ACLs do beyond that, the test configures.
// Exim starts itself anew for each delivery, and gives up root for a configuration named on the command line.

import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { type Lifetime, makeDirectory } from './directory.ts';
import { readMaildir } from './maildir.ts';
import { runWell, start } from './program.ts';
import { until } from './until.ts';

const PROGRAM = join(process.env['DELAY_XFER_CACHE'] ?? '/var/cache/delay-xfer', 'exim/usr/sbin/exim4');

export interface EximOptions {
  readonly name: string;
  /** Where it listens. */
  readonly addresses: readonly string[];
  /** 25 when absent. */
  readonly port?: number;
  /** Addresses that it delivers itself; a local part that is no other's name. */
  readonly mailboxes?: readonly string[];
  /** No limit when absent. */
  readonly maxSizeBytes?: number;
  /** Options of the main section. `$config_dir` is the folder of `files`. */
  readonly main?: string;
  /** Text for the sections of these names, in front of what is there. */
  readonly routers?: string;
  readonly transports?: string;
  readonly retry?: string;
  /** How often it looks at its queue; only when told, when absent. */
  readonly queueRunSeconds?: number;
  /** Files beside the configuration, which Exim may read. */
  readonly files?: Readonly<Record<string, string>>;
  /** Statements at RCPT, after unknown users were refused and before the final accept. */
  readonly atRecipient?: string;
  /** Statements at the final dot. */
  readonly atContent?: string;
}

export interface Exim {
  readonly port: number;
  log(): Promise<string>;
  /** What stands in its log and matches, as soon as it does. */
  logged(pattern: RegExp): Promise<RegExpExecArray>;
  /** Ids of the messages in its queue. */
  queue(): Promise<readonly string[]>;
  /** Resolves when it has no message any more. */
  emptied(): Promise<void>;
  /** Tries everything in its queue now, also what is not due; resolves when that is over. */
  flush(): Promise<void>;
  /** What was delivered to one of its mailboxes, as soon as there are so many, in order of arrival. */
  mailbox(address: string, count?: number): Promise<readonly Buffer[]>;
}

export async function startExim(lifetime: Lifetime, options: EximOptions): Promise<Exim> {
  const directory = await makeDirectory(lifetime, options.name);
  const { uid, gid } = await eximUser();
  for (const name of ['spool', 'log', 'mail']) {
    await mkdir(join(directory, name));
    await chown(join(directory, name), uid, gid);
  }
  for (const [name, text] of Object.entries(options.files ?? {}))
    await writeFile(join(directory, name), text);
  const file = join(directory, 'exim.conf');
  await writeFile(file, configurationOf(options, directory));
  // Exim trusts no configuration that others could write.
  await chmod(file, 0o644);

  const log = () => readFile(join(directory, 'log', 'main'), 'utf8').catch(() => '');
  const port = options.port ?? 25;
  const runs = options.queueRunSeconds === undefined ? [] : [`-q${options.queueRunSeconds}s`];
  const exim = await start(PROGRAM, ['-bdf', ...runs, '-C', file]);
  lifetime.defer(() => exim.kill());
  const evidence = async () => `${options.name}: ${exim.output()}\n${await log()}`;
  await until(
    `${options.name} listens`,
    async () => {
      if (exim.hasEnded()) throw new Error(`Exim ended\n${await evidence()}`);
      return (
        (await Promise.all(options.addresses.map((address) => listens(address, port)))).every(Boolean) ||
        undefined
      );
    },
    evidence,
  );
  const queue = async () => {
    const files = await readdir(join(directory, 'spool', 'input')).catch(() => []);
    return files.flatMap((name) => (name.endsWith('-H') ? [name.slice(0, -2)] : []));
  };
  return {
    port,
    log,
    logged: (pattern) =>
      until(`${options.name} logs ${pattern}`, async () => pattern.exec(await log()) ?? undefined, evidence),
    queue,
    async emptied() {
      const isEmpty = async () => ((await queue()).length === 0 ? true : undefined);
      await until(`${options.name} has no message any more`, isEmpty, evidence);
    },
    async flush() {
      await runWell(PROGRAM, ['-C', file, '-qff']);
    },
    mailbox: (address, count = 1) =>
      until(
        `${options.name} has ${count} in the mailbox of ${address}`,
        async () => {
          const received = await readMaildir(join(directory, 'mail', address));
          return received.length >= count ? received : undefined;
        },
        evidence,
      ),
  };
}

function configurationOf(options: EximOptions, directory: string): string {
  const mailboxes = options.mailboxes ?? [];
  const users = mailboxes.map((address) => address.slice(0, address.lastIndexOf('@')));
  const domains = new Set(mailboxes.map((address) => address.slice(address.lastIndexOf('@') + 1)));
  return `
exim_path = ${PROGRAM}
primary_hostname = ${options.name}
spool_directory = ${directory}/spool
log_file_path = ${directory}/log/%s
pid_file_path = ${directory}/spool/exim.pid
local_interfaces = ${options.addresses.join(' : ')}
daemon_smtp_ports = ${options.port ?? 25}
disable_ipv6 = true
keep_environment =
deliver_drop_privilege = true
host_lookup =
rfc1413_query_timeout = 0s
message_size_limit = ${options.maxSizeBytes ?? 0}
domainlist local_domains = ${[...domains].join(' : ')}
localpartlist users = ${users.join(' : ')}
acl_smtp_rcpt = at_recipient
acl_smtp_data = at_content
${options.main ?? ''}

begin acl
at_recipient:
${options.routers === undefined ? '' : '  accept\n    hosts = 127.0.0.1\n    !domains = +local_domains\n'}  deny
    message = 5.7.1 relay not permitted
    !domains = +local_domains
  deny
    message = 5.1.1 no such user
    !local_parts = +users
${options.atRecipient ?? ''}
  accept

at_content:
${options.atContent ?? ''}
  accept

begin routers
${options.routers ?? ''}
mailbox:
  driver = accept
  domains = +local_domains
  local_parts = +users
  transport = maildir

begin transports
${options.transports ?? ''}
maildir:
  driver = appendfile
  directory = ${directory}/mail/$local_part_data@$domain_data
  maildir_format
  envelope_to_add
  return_path_add

begin retry
${options.retry ?? ''}
`;
}

async function eximUser(): Promise<{ readonly uid: number; readonly gid: number }> {
  const { stdout } = await runWell('/usr/bin/getent', ['passwd', 'Debian-exim']);
  const [, , uid = '', gid = ''] = stdout.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

function listens(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port });
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
