// I8: expiry always fires, and on time: whatever keeps a delivery waiting, and wherever it waits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { createClient } from './port-client.ts';
import { createMemoryStage, type StageOptions } from './port-stage.ts';
import { createTrial, type Trial } from './port-trial.ts';

const MINUTE = 60_000;

interface Case {
  readonly title: string;
  readonly recipient: string;
  readonly expiresInMinutes: number;
  /** Queue visibility, guard and a minute of release are all that may be added. */
  readonly mayBeLateMs: number;
  readonly stage?: StageOptions;
  /** What else happens, after acceptance. */
  readonly meanwhile?: (trial: Trial, stage: ReturnType<typeof createMemoryStage>) => Promise<void>;
}

const PARKED: StageOptions = {
  limits: { ...QUEUE_LIMITS, inFlightMark: -1 },
  tempo: { ...DEFAULT_TEMPO, retryIntervalMs: 40 * MINUTE },
};

const CASES: readonly Case[] = [
  {
    title: 'a destination that defers for ever',
    recipient: 'defer-999@ok.test',
    expiresInMinutes: 100,
    mayBeLateMs: MINUTE,
  },
  {
    title: 'DNS that never answers',
    recipient: 'a@dns-fails.test',
    expiresInMinutes: 100,
    mayBeLateMs: 2 * MINUTE,
  },
  {
    title: 'a wait that is parked in the ledger',
    recipient: 'defer-999@ok.test',
    expiresInMinutes: 100,
    mayBeLateMs: MINUTE,
    stage: PARKED,
  },
  {
    title: 'an expiry before the first due time',
    recipient: 'defer-999@ok.test',
    expiresInMinutes: 30,
    mayBeLateMs: MINUTE,
    stage: PARKED,
  },
  {
    title: 'a timer that was lost',
    recipient: 'defer-999@ok.test',
    expiresInMinutes: 2,
    mayBeLateMs: QUEUE_LIMITS.queueVisibilityMs + DEFAULT_TEMPO.guardMs + 3 * MINUTE,
    meanwhile: async (_trial, stage) => stage.stores.purge(),
  },
  {
    title: 'a day in which nothing runs',
    recipient: 'defer-999@ok.test',
    expiresInMinutes: 24 * 60,
    mayBeLateMs: 2 * MINUTE,
    meanwhile: async (trial, stage) => {
      await trial.deliverAll();
      await stage.sleep(24 * 60 * MINUTE);
    },
  },
  {
    title: 'ten days, the most that may be asked for',
    recipient: 'defer-999@ok.test',
    expiresInMinutes: 10 * 24 * 60,
    mayBeLateMs: 6 * MINUTE,
    meanwhile: (trial) => trial.pass(10 * 24 * 60 * MINUTE - 30 * MINUTE),
  },
];

for (const { title, recipient, expiresInMinutes, mayBeLateMs, ...rest } of CASES) {
  test(`${title}: the delivery ends at its expiry`, async () => {
    const stage = createMemoryStage(rest.stage);
    const trial = createTrial('expiry', stage);
    const expiresAtMs = stage.nowMs() + expiresInMinutes * MINUTE;
    const fields = { expiresAt: new Date(expiresAtMs).toISOString() };
    const content = Buffer.from('Subject: x\r\n\r\nx\r\n');
    await createClient(trial, 'repeats').handOver([{ id: 'm', recipients: [recipient], content, fields }]);
    await rest.meanwhile?.(trial, stage);
    while (stage.nowMs() < expiresAtMs + mayBeLateMs && (await endingOf(trial)) === undefined) {
      await trial.release();
      await trial.deliverAll();
      await stage.sleep(MINUTE / 2);
    }
    const ending = await endingOf(trial);
    assert.equal(ending?.kind, 'expired');
    const lateMs = (ending?.atMs ?? 0) - expiresAtMs;
    assert.ok(lateMs >= 0 && lateMs <= mayBeLateMs, `it ended ${lateMs / 1_000} s after its expiry`);
    const told = trial.records.filter(({ type }) => type === 'Expiration');
    assert.deepEqual(
      told.map((record) => record.recipient),
      [recipient],
    );
  });
}

async function endingOf(trial: Trial) {
  const [item] = await trial.items('m');
  return item?.delivery?.recipients[0]?.ending;
}
