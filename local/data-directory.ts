// The directory behind `--data`: one folder per emulator, and a lock, since neither emulator stands a second
// process on its files. The lock is SQLite's on a file of its own: the system frees it when the process ends,
// however it ends, so a kill leaves nothing to clean up. The speed of time is fixed at a directory's first use,
// since the ledger's index counts in buckets of it.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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

export class SpeedChanged extends Error {
  readonly code = 'speed-changed';
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

/** Throws `SpeedChanged` when the directory was first used at another speed. */
export function keepSpeed(path: string, speed: number): void {
  const root = resolve(path);
  const file = join(root, 'speed');
  if (!existsSync(file)) {
    mkdirSync(root, { recursive: true });
    writeFileSync(file, `${speed}\n`);
    return;
  }
  const kept = Number(readFileSync(file, 'utf8'));
  if (kept !== speed) {
    throw new SpeedChanged(
      `the data directory ${root} runs at speed ${kept}, not ${speed}: use --speed ${kept}`,
    );
  }
}
