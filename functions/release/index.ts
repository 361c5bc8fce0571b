// Entry point of the release function: reads the environment, makes the clients, exports the handler.

import { required } from '../../shared/aws/environment.ts';
import { SPOOL_LIFETIME_DAYS } from '../../shared/aws/limits.ts';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import { createClients, createStores, SETTLE_LEDGER_TIMEOUT_MS } from '../../shared/aws/stores.ts';
import { systemClock, systemRandom } from '../../shared/aws/system.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { createJsonLog } from '../../shared/records/json-lines.ts';
import { createReleaseHandler } from './handler.ts';

const environment = required(process.env, ['TABLE_NAME', 'SPOOL_BUCKET', 'TIMERS_QUEUE_URL']);

/** A stack's first run looks back as far as content lives: a schedule that never ran before loses nothing. */
const FIRST_LOOKBACK_MS = SPOOL_LIFETIME_DAYS * 24 * 3_600_000;

const names = {
  table: environment('TABLE_NAME'),
  bucket: environment('SPOOL_BUCKET'),
  queueUrl: environment('TIMERS_QUEUE_URL'),
};

export const handler = createReleaseHandler({
  ...createStores(createClients({}, SETTLE_LEDGER_TIMEOUT_MS), names, {
    clock: systemClock,
    tempo: DEFAULT_TEMPO,
  }),
  clock: systemClock,
  limits: QUEUE_LIMITS,
  log: createJsonLog((line) => process.stdout.write(line), Date.now),
  lookbackMs: FIRST_LOOKBACK_MS,
  random: systemRandom,
  tempo: DEFAULT_TEMPO,
});
