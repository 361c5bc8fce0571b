// A folder for one server's configuration, queue and mail. Readable by others, since mail servers give up root.

import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a test starts ends with it, the last first. */
export type Lifetime = Pick<AsyncDisposableStack, 'defer'>;

/** Rejects outside of own-network.sh: the servers would take well-known ports of the machine. */
export async function makeDirectory(lifetime: Lifetime, name: string): Promise<string> {
  if (process.env['IN_OWN_NETWORK'] === undefined) {
    throw new Error(
      'run interop tests by `npm run test:interop`, or a single one under test/interop/own-network.sh',
    );
  }
  const path = await mkdtemp(join(tmpdir(), `delay-xfer-${name}-`));
  lifetime.defer(() => rm(path, { recursive: true, force: true }));
  await chmod(path, 0o755);
  return path;
}
