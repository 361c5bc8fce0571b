// OpenSMTPD, in the foreground, on loopback addresses. Its spool, its chroot and its control socket have fixed places,
// so that there is one at a time; they are in memory and end with it, in the mount namespace of own-network.sh.
// Promises: its mailboxes show content with CRLF, octet for octet as it arrived, behind its own headers.

import { chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { Certificate } from './certificates.ts';
import { type Lifetime, makeDirectory } from './directory.ts';
import { readMaildir } from './maildir.ts';
import { runWell, start } from './program.ts';
import { until } from './until.ts';

const PROGRAM = join(process.env['DELAY_XFER_CACHE'] ?? '/var/cache/delay-xfer', 'opensmtpd/usr/sbin/smtpd');

/** Compiled in, as its delivery agents' place is; install.sh makes the folders. */
const SPOOL = '/var/spool/smtpd';
const CHROOT = '/var/lib/opensmtpd/empty';
const SOCKET = '/var/run/smtpd.sock';

/** nobody's user and group on Debian. */
const NOBODY = 65_534;

export interface OpenSmtpdOptions {
  readonly name: string;
  /** Where it listens, on port 25, with the certificate that it shows there. */
  readonly listeners: Readonly<Record<string, Certificate | undefined>>;
  /** Addresses that it delivers itself; it takes mail for no other. */
  readonly mailboxes: readonly string[];
  /** Further lines of smtpd.conf. */
  readonly main?: string;
}

export interface OpenSmtpd {
  log(): string;
  /** What was delivered to one of its mailboxes, as soon as there are so many, in order of arrival. */
  mailbox(address: string, count?: number): Promise<readonly Buffer[]>;
}

export async function startOpenSmtpd(lifetime: Lifetime, options: OpenSmtpdOptions): Promise<OpenSmtpd> {
  const directory = await makeDirectory(lifetime, options.name);
  const mail = join(directory, 'mail');
  await mkdir(mail);
  await chown(mail, NOBODY, NOBODY);
  await inMemory(lifetime, SPOOL, '711');
  await inMemory(lifetime, CHROOT, '755');
  lifetime.defer(() => rm(SOCKET, { force: true }));

  const stanzas = await Promise.all(
    Object.entries(options.listeners).map(async ([address, certificate]) => {
      const listener = `listen on ${address} port 25 hostname "${options.name}"`;
      if (certificate === undefined) return listener;
      const [pem, key] = [join(directory, `${address}.pem`), join(directory, `${address}.key`)];
      await writeFile(pem, certificate.certificate, { mode: 0o600 });
      await writeFile(key, certificate.key, { mode: 0o600 });
      return `pki "${address}" cert "${pem}"\npki "${address}" key "${key}"\n${listener} tls pki "${address}"`;
    }),
  );
  const mailboxes = options.mailboxes.map((address) => `"${address}"`).join(', ');
  const file = join(directory, 'smtpd.conf');
  await writeFile(
    file,
    `${options.main ?? ''}
${stanzas.join('\n')}
table everybody { "@" = "nobody" }
table mailboxes { ${mailboxes} }
action "deliver" maildir "${mail}/%{rcpt.user}@%{rcpt.domain}" user nobody virtual <everybody>
match from any for any rcpt-to <mailboxes> action "deliver"
`,
  );
  await chmod(file, 0o600);

  const smtpd = await start(PROGRAM, ['-d', '-f', file]);
  lifetime.defer(() => smtpd.kill());
  const log = () => `${options.name}: ${smtpd.output()}`;
  await until(
    `${options.name} listens`,
    async () => {
      if (smtpd.hasEnded()) throw new Error(`OpenSMTPD ended\n${log()}`);
      return (await Promise.all(Object.keys(options.listeners).map(listens))).every(Boolean) || undefined;
    },
    log,
  );
  return {
    log,
    mailbox: (address, count = 1) =>
      until(
        `${options.name} has ${count} in the mailbox of ${address}`,
        async () => {
          const received = await readMaildir(join(mail, address));
          return received.length >= count ? received : undefined;
        },
        log,
      ),
  };
}

async function inMemory(lifetime: Lifetime, folder: string, mode: string): Promise<void> {
  await runWell('/usr/bin/mount', ['-t', 'tmpfs', '-o', `mode=${mode}`, 'none', folder]);
  // Lazily: what is on its way out may still have files open there.
  lifetime.defer(async () => {
    await runWell('/usr/bin/umount', ['--lazy', folder]);
  });
}

function listens(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port: 25 });
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
