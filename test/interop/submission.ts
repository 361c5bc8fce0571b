// Mail as a user's program sends it, by swaks.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Lifetime, makeDirectory } from './directory.ts';
import { type Ended, run } from './program.ts';

export interface Submission {
  /** `address:port` */
  readonly server: string;
  readonly from: string;
  readonly to: readonly string[];
  /** With CRLF; sent octet for octet. */
  readonly content: Buffer;
  /** Further options of swaks. */
  readonly options?: readonly string[];
}

/** Resolves when the dialogue has ended, whatever the server said. */
export async function submit(lifetime: Lifetime, mail: Submission): Promise<Ended> {
  const file = join(await makeDirectory(lifetime, 'mail'), 'content');
  const stuffed = `\r\n${mail.content.toString('latin1')}`.replaceAll('\r\n.', '\r\n..').slice(2);
  await writeFile(file, `${stuffed}.\r\n`, 'latin1');
  return await run('/usr/bin/swaks', [
    ...['--server', mail.server, '--from', mail.from, '--to', mail.to.join(',')],
    ...[
      '--helo',
      'client.example',
      '--no-data-fixup',
      '--data',
      `@${file}`,
      '--hide-send',
      '--hide-informational',
    ],
    ...(mail.options ?? []),
  ]);
}

/** The reply to the last command before QUIT, as swaks shows it: `250 2.0.0 …` */
export function lastReply(dialogue: string): string | undefined {
  return /^<[-*]{1,2} +(\d{3} .*)\n(?:<[-*]{1,2} +221 .*\n)?\s*$/m.exec(dialogue)?.[1];
}
