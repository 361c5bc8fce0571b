// Destinations that are slow to open a session, or that take only few: nobody else's mail may pay for it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpenOutcome, SmtpClient } from '../../shared/smtp/client.ts';
import { ownReply } from '../../shared/smtp/reply.ts';
import { createClient, type Letter } from './port-client.ts';
import { createMemoryStage, type MemoryStage } from './port-stage.ts';
import { createTrial, type Trial } from './port-trial.ts';

const CONTENT = Buffer.from('From: a@sender.example\r\n\r\nhello\r\n');

function letters(count: number): readonly Letter[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `m${index}`,
    recipients: [`ok+${index}@ok.test`],
    content: CONTENT,
  }));
}

/** The stage's destinations, opened by `open`. */
function withOpening(stage: MemoryStage, open: SmtpClient['open']): Trial {
  return createTrial('t', { ...stage, ports: { ...stage.ports, smtp: { open } } });
}

const REFUSED: OpenOutcome = {
  kind: 'failed',
  stage: 'greeting',
  reply: ownReply(421, '4.7.0', 'too many connections from your address'),
};

test('a site that takes two connections gets all of its mail by these two', async () => {
  const stage = createMemoryStage();
  let open = 0;
  const trial = withOpening(stage, async (target) => {
    open += 1;
    return open > 2 ? REFUSED : stage.ports.smtp.open(target);
  });
  await createClient(trial, 'repeats').handOver(letters(20));
  await trial.deliver(await stage.receiveTimers());
  assert.equal(stage.arrived().length, 20);
});

test('a site whose every connection is refused defers all of its mail', async () => {
  const stage = createMemoryStage();
  const trial = withOpening(stage, async () => REFUSED);
  await createClient(trial, 'repeats').handOver(letters(20));
  await trial.deliver(await stage.receiveTimers());
  const states = await Promise.all(letters(20).map(({ id }) => trial.items(id)));
  assert.deepEqual(
    states.map(([item]) => [item?.delivery?.attempts, item?.delivery?.lastReply?.code]),
    Array.from({ length: 20 }, () => [1, 421]),
  );
});

test('a session that opens after five minutes starts nothing, since the final reply may take ten', async () => {
  const stage = createMemoryStage();
  const trial = withOpening(stage, async (target) => {
    await stage.sleep(300_000);
    return stage.ports.smtp.open(target);
  });
  await createClient(trial, 'repeats').handOver(letters(1));
  await trial.deliver(await stage.receiveTimers());
  assert.equal(stage.arrived().length, 0);
  const [item] = await trial.items('m0');
  assert.deepEqual([item?.delivery?.attempts, item?.delivery?.everLeased], [0, false]);
});
