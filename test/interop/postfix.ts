// A Postfix of the test's own beside any other: its configuration, queue, log and mailboxes are in one folder.
// It serves one loopback address and answers for no name by itself; what it does else, the test configures.
// Promises: its mailboxes show content with CRLF, octet for octet as it arrived behind the headers of this
// Postfix (it stores LF; bare newlines do not pass it).

import { chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Lifetime, makeDirectory } from './directory.ts';
import { readMaildir } from './maildir.ts';
import { runWell } from './program.ts';
import { until } from './until.ts';

export interface PostfixOptions {
  /** Its host name, and what its folder is called. */
  readonly name: string;
  readonly address: string;
  /** 25 when absent. */
  readonly port?: number;
  /** Parameters of main.cf beyond ours, or instead of them. `$config_directory` is the folder of `files`. */
  readonly main?: Readonly<Record<string, string>>;
  /** Lines for the end of a file, as a document gives them. */
  readonly append?: { readonly 'main.cf'?: string; readonly 'master.cf'?: string };
  /** Files beside main.cf: tables and the like. */
  readonly files?: Readonly<Record<string, string>>;
  /** Addresses that it delivers itself. */
  readonly mailboxes?: readonly string[];
}

export interface Postfix {
  readonly address: string;
  readonly port: number;
  log(): Promise<string>;
  /** What stands in its log and matches, as soon as it does. */
  logged(pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves when it has no message any more. */
  emptied(): Promise<void>;
  /** What was delivered to one of its mailboxes, as soon as there are so many, in order of arrival. */
  mailbox(address: string, count?: number): Promise<readonly Buffer[]>;
  /** Writes a table anew; it takes effect at once. */
  write(file: string, text: string): Promise<void>;
  /** Tries everything in its queue now. */
  flush(): Promise<void>;
  /** Ids of the messages in its queue. */
  queue(): Promise<readonly string[]>;
  /** Reads its configuration again; the queue manager starts anew. */
  reload(): Promise<void>;
}

/** nobody's user and group on Debian. */
const NOBODY = 65_534;

export async function startPostfix(lifetime: Lifetime, options: PostfixOptions): Promise<Postfix> {
  const directory = await makeDirectory(lifetime, options.name);
  const port = options.port ?? 25;
  const config = join(directory, 'config');
  const logFile = join(directory, 'log');
  const mail = join(directory, 'mail');
  for (const each of [config, mail, join(directory, 'queue'), join(directory, 'data')]) await mkdir(each);
  await chown(mail, NOBODY, NOBODY);
  const { uid, gid } = await postfixUser();
  await chown(join(directory, 'data'), uid, gid);

  const mailboxes = options.mailboxes ?? [];
  const domains = new Set(mailboxes.map((address) => address.slice(address.lastIndexOf('@') + 1)));
  const parameters = { ...ourParameters(options, directory), ...options.main };
  const files: Readonly<Record<string, string>> = {
    'main.cf': `${Object.entries(parameters)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join('')}${options.append?.['main.cf'] ?? ''}`,
    'master.cf': `${masterServices(options.address, port)}${options.append?.['master.cf'] ?? ''}`,
    domains: [...domains].map((domain) => `${domain} -\n`).join(''),
    mailboxes: mailboxes.map((address, index) => `${address} ${index}/\n`).join(''),
    ...options.files,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(config, name), text);

  const log = () => readFile(logFile, 'utf8').catch(() => '');
  const evidence = async () => `${options.name}: ${await log()}`;
  await runWell('/usr/sbin/postfix', ['-c', config, 'start']).catch(async (error) => {
    throw new Error(await evidence(), { cause: error });
  });
  lifetime.defer(async () => {
    await runWell('/usr/sbin/postfix', ['-c', config, 'stop']);
  });
  return {
    address: options.address,
    port,
    log,
    logged: (pattern) =>
      until(`${options.name} logs ${pattern}`, async () => pattern.exec(await log()) ?? undefined, evidence),
    async emptied() {
      const isEmpty = async () =>
        (await queuedIds(join(directory, 'queue'))).length === 0 ? true : undefined;
      await until(`${options.name} has no message any more`, isEmpty, evidence);
    },
    async mailbox(address, count = 1) {
      const folder = join(mail, String(mailboxes.indexOf(address)));
      return await until(
        `${options.name} has ${count} in the mailbox of ${address}`,
        async () => {
          const received = await readMaildir(folder);
          return received.length >= count ? received : undefined;
        },
        evidence,
      );
    },
    write: (file, text) => writeFile(join(config, file), text),
    async flush() {
      await runWell('/usr/sbin/postqueue', ['-c', config, '-f']);
    },
    queue: () => queuedIds(join(directory, 'queue')),
    async reload() {
      await runWell('/usr/sbin/postfix', ['-c', config, 'reload']);
    },
  };
}

function ourParameters(options: PostfixOptions, directory: string): Readonly<Record<string, string>> {
  return {
    compatibility_level: '3.6',
    myhostname: options.name,
    mydestination: '',
    mynetworks: '127.0.0.0/8',
    // What its listeners are is written in master.cf; this tells it which addresses are its own.
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    queue_directory: join(directory, 'queue'),
    data_directory: join(directory, 'data'),
    maillog_file: join(directory, 'log'),
    maillog_file_prefixes: directory,
    alias_maps: '',
    alias_database: '',
    smtpd_peername_lookup: 'no',
    // A client on the same machine is a stranger here, whose headers stay as they are.
    local_header_rewrite_clients: '',
    message_size_limit: '0',
    virtual_mailbox_limit: '0',
    smtpd_relay_restrictions: 'permit_mynetworks, reject_unauth_destination',
    virtual_mailbox_domains: 'texthash:$config_directory/domains',
    virtual_mailbox_maps: 'texthash:$config_directory/mailboxes',
    virtual_mailbox_base: join(directory, 'mail'),
    virtual_uid_maps: `static:${NOBODY}`,
    virtual_gid_maps: `static:${NOBODY}`,
  };
}

/** What a Postfix of these tests needs, nothing in a chroot, and few processes. */
function masterServices(address: string, port: number): string {
  return `
${address}:${port} inet n - n - 20 smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
tlsmgr    unix - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
`;
}

async function postfixUser(): Promise<{ readonly uid: number; readonly gid: number }> {
  const { stdout } = await runWell('/usr/bin/getent', ['passwd', 'postfix']);
  const [, , uid = '', gid = ''] = stdout.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/** Every folder that holds messages; they have subfolders when `hash_queue_names` says so. */
async function queuedIds(queue: string): Promise<readonly string[]> {
  const folders = ['maildrop', 'incoming', 'active', 'deferred', 'hold', 'corrupt'];
  const entries = await Promise.all(
    folders.map((folder) => readdir(join(queue, folder), { recursive: true, withFileTypes: true })),
  );
  return entries.flat().flatMap((entry) => (entry.isFile() ? [entry.name] : []));
}
