// The directory behind `--data`: one folder per emulator, and a lock, since neither emulator stands a second
// process on its files. The lock is SQLite's on a file of its own: the system frees it when the process ends,
// however it ends, so a kill leaves nothing to clean up.

import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export interface DataDirectory {
  readonly fauxqs: string;
  readonly dynamodb: string;
  release(): void;
}

export class DataDirectoryInUse extends Error {
  readonly code = 'data-directory-in-use';
}

/** Creates what is missing. Throws `DataDirectoryInUse`, or what the file system says. */
export function openDataDirectory(path: string): DataDirectory {
  const root = resolve(path);
  const fauxqs = join(root, 's3-sqs');
  const dynamodb = join(root, 'dynamodb');
  for (const directory of [fauxqs, dynamodb]) mkdirSync(directory, { recursive: true });
  const lock = new DatabaseSync(join(root, 'lock'), { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    throw new DataDirectoryInUse(`another process is using the data directory ${root}`, { cause });
  }
  return { fauxqs, dynamodb, release: () => lock.close() };
}
