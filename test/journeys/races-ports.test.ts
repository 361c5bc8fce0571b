// The stores that races are run in keep the same contract as the adapters over the emulators.

import { after, before, describe, test } from 'node:test';
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { emulatorClients } from '../../local/clients.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { type Bench, CHECKS } from './port-contract.ts';
import { createMemoryStores } from './port-memory.ts';
import { startWorld, type World } from './world.ts';

const VISIBILITY_SECONDS = 600;

describe('in memory', () => {
  for (const { title, run } of CHECKS) test(title, () => run(memoryBench()));
});

describe('over the emulators', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.close());
  for (const { title, run } of CHECKS) test(title, () => run(emulatedBench(world)));
});

function memoryBench(): Bench {
  let atMs = 1_795_341_600_000;
  const nowMs = () => atMs;
  const stores = createMemoryStores({ clock: { nowMs }, tempo: DEFAULT_TEMPO });
  return {
    stores,
    nowMs,
    advance: (ms) => {
      atMs += ms;
    },
    receive: async () => stores.receive(VISIBILITY_SECONDS * 1_000),
  };
}

function emulatedBench({ stores, clock, endpoints }: World): Bench {
  return {
    stores,
    nowMs: clock.nowMs,
    advance: clock.advance,
    async receive() {
      const clients = emulatorClients(endpoints);
      try {
        const { Messages = [] } = await clients.sqs.send(
          new ReceiveMessageCommand({
            QueueUrl: endpoints.timersQueueUrl,
            MaxNumberOfMessages: 10,
            VisibilityTimeout: VISIBILITY_SECONDS,
            WaitTimeSeconds: 0,
            MessageSystemAttributeNames: ['ApproximateReceiveCount'],
          }),
        );
        return Messages.map(({ MessageId = '', ReceiptHandle = '', Body = '', Attributes }) => ({
          messageId: MessageId,
          receipt: ReceiptHandle,
          body: Body,
          receiveCount: Number(Attributes?.ApproximateReceiveCount),
        }));
      } finally {
        clients.destroy();
      }
    },
  };
}
