// Waits for something that only another program's files or queues tell.

import { setTimeout as pause } from 'node:timers/promises';

const EVERY_MS = 50;
/** Far more than anything here takes, also on a slow machine. */
const PATIENCE_MS = 60_000;

/** The first answer of `probe` that is not undefined. Rejects after `patienceMs`, with what `evidence` has to say. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  evidence: () => string | Promise<string> = () => '',
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const endAt = performance.now() + patienceMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() > endAt) throw new Error(`waited in vain until ${what}\n${await evidence()}`);
    await pause(EVERY_MS);
  }
}
