// Mail servers that drain a queue of their own to the sink.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

export interface Rival {
  /** Its name and version. */
  readonly version: string;
  /** Takes so many messages of 10 KB into its queue, and releases none. */
  fill(count: number): Promise<void>;
  /** Releases them; resolves with the CPU time of all of its processes, in ms, when the queue is empty. */
  drain(): Promise<number>;
}

/** A configuration of this folder, with its @PLACES@ filled in. */
export async function configuration(
  name: string,
  places: Readonly<Record<string, string | number>>,
): Promise<string> {
  const text = await readFile(new URL(name, import.meta.url), 'utf8');
  return text.replace(/@([A-Z_]+)@/g, (all, place: string) => {
    const value = places[place];
    if (value === undefined) throw new Error(`${name}: nothing is known for ${all}`);
    return String(value);
  });
}

export function hasUser(name: string): boolean {
  return passwdLine(name) !== undefined;
}

/** Throws when there is no such user. */
export function userIds(name: string): { readonly uid: number; readonly gid: number } {
  const [, , uid, gid] = passwdLine(name) ?? [];
  if (uid === undefined || gid === undefined) throw new Error(`there is no user called ${name}`);
  return { uid: Number(uid), gid: Number(gid) };
}

function passwdLine(name: string): readonly string[] | undefined {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([user]) => user === name);
}
