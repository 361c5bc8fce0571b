// A folder for one server's configuration, queue and mail. Readable by others, since mail servers give up root.

import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a test starts ends with it, the last first. */
export type Lifetime = Pick<AsyncDisposableStack, 'defer'>;

export async function makeDirectory(lifetime: Lifetime, name: string): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), `delay-xfer-${name}-`));
  lifetime.defer(() => rm(path, { recursive: true, force: true }));
  await chmod(path, 0o755);
  return path;
}
