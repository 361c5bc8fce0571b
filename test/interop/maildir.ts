// A mailbox in Maildir format, as Postfix and Exim write it.

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Whole messages with CRLF, in order of arrival; none when nothing has been delivered yet. */
export async function readMaildir(folder: string): Promise<readonly Buffer[]> {
  const inbox = join(folder, 'new');
  const names = await readdir(inbox).catch((): string[] => []);
  const messages = await Promise.all(
    names.map(async (name) => {
      const path = join(inbox, name);
      const [{ mtimeMs }, content] = await Promise.all([stat(path), readFile(path)]);
      return { mtimeMs, content: withCrlf(content) };
    }),
  );
  return messages.toSorted((a, b) => a.mtimeMs - b.mtimeMs).map(({ content }) => content);
}

// Octet by octet, since content need not be text in any encoding.
function withCrlf(stored: Buffer): Buffer {
  return Buffer.from(stored.toString('latin1').replaceAll('\n', '\r\n'), 'latin1');
}
