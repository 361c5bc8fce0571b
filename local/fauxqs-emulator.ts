// S3 and SQS on this machine: fauxqs on 127.0.0.1, in memory or in one SQLite file. Promises: a request that
// was answered survives a kill of the process; bodies of up to 64 MB are taken; nothing is logged.
// All state goes to SQLite and none to fauxqs's object files, since a kill in the middle of a file leaves
// one that its next start cannot read. The stores are not part of the package's public entry, hence the
// relative imports; the exact version is pinned.
// Limits of fauxqs: signatures, checksums, IfNoneMatch, the in-flight quota and the 12 h total of a
// message's visibility are not checked.

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { buildApp } from 'fauxqs';
import { PersistenceManager } from '../node_modules/fauxqs/dist/persistence.js';
import { S3Store } from '../node_modules/fauxqs/dist/s3/s3Store.js';
import { SnsStore } from '../node_modules/fauxqs/dist/sns/snsStore.js';
import { SqsStore } from '../node_modules/fauxqs/dist/sqs/sqsStore.js';

/** Larger than the largest message with its frame; fauxqs's own limit is 11 MiB. */
const BODY_LIMIT_BYTES = 64 * 1024 * 1024;

export interface FauxqsEmulator {
  readonly endpoint: string;
  close(): Promise<void>;
}

/** `directory` absent: in memory. `port` 0 takes a free one. Rejects when the port is taken. */
export async function startFauxqsEmulator(options: {
  readonly directory?: string;
  readonly port: number;
}): Promise<FauxqsEmulator> {
  const stores = { sqsStore: new SqsStore(), snsStore: new SnsStore(), s3Store: new S3Store() };
  // An empty host makes queue URLs carry the address that the client used, which always resolves.
  stores.sqsStore.host = '';
  const persistence = options.directory === undefined ? undefined : persist(options.directory, stores);
  const app = buildApp({ logger: false, stores });
  app.removeContentTypeParser('*');
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (_request, body, done) => {
      done(null, body);
    },
  );
  if (persistence !== undefined) app.addHook('preClose', async () => persistence.close());
  const endpoint = await app.listen({ port: options.port, host: '127.0.0.1' });
  return { endpoint, close: () => app.close() };
}

interface Stores {
  readonly sqsStore: SqsStore;
  readonly snsStore: SnsStore;
  readonly s3Store: S3Store;
}

/** Loads what is stored, then makes every change write through. */
function persist(directory: string, { sqsStore, snsStore, s3Store }: Stores): { close(): void } {
  const persistence = new PersistenceManager(directory);
  persistence.load(sqsStore, snsStore, s3Store);
  const database = new DatabaseSync(join(directory, 'fauxqs.db'));
  const makeVisible = database.prepare(
    'UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL WHERE message_id = ?',
  );
  // fauxqs 2.4.1 also sets the receive count to NULL, which its own schema refuses: a message made visible
  // with timeout 0 would vanish until the next start.
  persistence.updateMessageReady = (messageId) => {
    makeVisible.run(messageId);
  };
  sqsStore.persistence = persistence;
  snsStore.persistence = persistence;
  s3Store.persistence = persistence;
  for (const queue of sqsStore.allQueues()) queue.persistence = persistence;
  return {
    close() {
      database.close();
      persistence.close();
    },
  };
}
