// The mapping from the timers queue to the deliver function: what is deleted, what stays, and how it stops.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { type EmulatorClients, emulatorClients } from '../../local/clients.ts';
import { type Emulators, startEmulators } from '../../local/emulators.ts';
import { type EventSourceOptions, pollOnce, startEventSource } from '../../local/event-source.ts';

interface Bench {
  readonly emulators: Emulators;
  readonly clients: EmulatorClients;
  readonly faults: string[];
  send(...bodies: readonly string[]): Promise<void>;
  /** visible, in flight */
  depth(): Promise<[string | undefined, string | undefined]>;
  options(handler: EventSourceOptions['handler'], more?: Partial<EventSourceOptions>): EventSourceOptions;
}

async function benchFor(t: TestContext): Promise<Bench> {
  const emulators = await startEmulators();
  const clients = emulatorClients(emulators);
  t.after(async () => {
    clients.destroy();
    await emulators.close();
  });
  const QueueUrl = emulators.timersQueueUrl;
  const faults: string[] = [];
  return {
    emulators,
    clients,
    faults,
    async send(...bodies) {
      for (const MessageBody of bodies)
        await clients.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
    },
    async depth() {
      const { Attributes } = await clients.sqs.send(
        new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
      );
      return [
        Attributes?.['ApproximateNumberOfMessages'],
        Attributes?.['ApproximateNumberOfMessagesNotVisible'],
      ];
    },
    options: (handler, more = {}) => ({
      sqs: clients.sqs,
      queueUrl: QueueUrl,
      queueArn: emulators.timersQueueArn,
      functionName: 'deliver',
      handler,
      functionTimeoutMs: 900_000,
      batchSize: 100,
      windowMs: 0,
      maximumConcurrency: 2,
      onFault: (error) => faults.push(error instanceof Error ? error.message : String(error)),
      ...more,
    }),
  };
}

const failing = (event: SQSEvent, ...bodies: readonly string[]): SQSBatchResponse => ({
  batchItemFailures: event.Records.filter((record) => bodies.includes(record.body)).map((record) => ({
    itemIdentifier: record.messageId,
  })),
});

test('a record looks as Lambda makes it', async (t) => {
  const bench = await benchFor(t);
  await bench.send('{"v":1}');
  const events: SQSEvent[] = [];
  const handled = await pollOnce(
    bench.options(async (event) => {
      events.push(event);
      return { batchItemFailures: [] };
    }),
  );
  assert.equal(handled, 1);
  const record = events[0]?.Records[0];
  assert.ok(record !== undefined);
  const { messageId, receiptHandle, attributes, ...rest } = record;
  assert.deepEqual(rest, {
    body: '{"v":1}',
    messageAttributes: {},
    md5OfBody: 'a191475ae2bf7db9c7e320f7da455bbb',
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:timers',
    awsRegion: 'us-east-1',
  });
  assert.match(messageId, /^[0-9a-f-]{36}$/);
  assert.ok(receiptHandle.length > 0);
  assert.equal(attributes.ApproximateReceiveCount, '1');
  assert.match(attributes.SentTimestamp, /^\d{13}$/);
  assert.deepEqual(await bench.depth(), ['0', '0']);
});

test('named records stay with the visibility the function gave them, the others are deleted', async (t) => {
  const bench = await benchFor(t);
  await bench.send('done', 'again at once', 'hidden', 'deleted by the function');
  const { sqs } = bench.clients;
  const QueueUrl = bench.emulators.timersQueueUrl;
  await pollOnce(
    bench.options(async (event) => {
      for (const { body, receiptHandle: ReceiptHandle } of event.Records) {
        if (body === 'again at once') {
          await sqs.send(
            new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 }),
          );
        }
        if (body === 'deleted by the function')
          await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
      }
      return failing(event, 'again at once', 'hidden');
    }),
  );
  assert.deepEqual(await bench.depth(), ['1', '1']);
  const second: string[] = [];
  await pollOnce(
    bench.options(async (event) => {
      second.push(
        ...event.Records.map(({ body, attributes }) => `${body} ${attributes.ApproximateReceiveCount}`),
      );
      return failing(event);
    }),
  );
  assert.deepEqual(second, ['again at once 2']);
});

test('a handler that throws, or answers with an id it was not given, leaves its whole batch', async (t) => {
  const broken: [string, () => Promise<unknown>][] = [
    ['a thrown error', () => Promise.reject(new Error('broken'))],
    ['an empty id', async () => ({ batchItemFailures: [{ itemIdentifier: '' }] })],
    ['an unknown id', async () => ({ batchItemFailures: [{ itemIdentifier: 'someone-else' }] })],
    ['a misspelt key', async () => ({ batchItemFailures: [{ messageId: 'x' }] })],
    ['no list', async () => ({ batchItemFailures: 'none' })],
  ];
  const bench = await benchFor(t);
  for (const [index, [what, answer]] of broken.entries()) {
    await bench.send(`${what} 1`, `${what} 2`);
    // The handler's type forbids these answers; a bundle on AWS has no types.
    const handler: EventSourceOptions['handler'] = async () => JSON.parse(JSON.stringify(await answer()));
    await assert.rejects(pollOnce(bench.options(handler)), what === 'a thrown error' ? /broken/ : /unusable/);
    assert.deepEqual(await bench.depth(), ['0', String(2 * (index + 1))], what);
  }
});

test('no answer, or an empty one, is success for all', async (t) => {
  const bench = await benchFor(t);
  for (const text of ['null', '{}', '{"batchItemFailures":null}', '{"batchItemFailures":[]}']) {
    await bench.send('x', 'y');
    await pollOnce(bench.options(async () => JSON.parse(text)));
    assert.deepEqual(await bench.depth(), ['0', '0'], text);
  }
});

test('a batch gathers more than one receive brings, up to its size', async (t) => {
  const bench = await benchFor(t);
  await bench.send(...Array.from({ length: 37 }, (_, index) => String(index)));
  const sizes: number[] = [];
  const options = bench.options(
    async (event) => {
      sizes.push(event.Records.length);
      return failing(event);
    },
    { batchSize: 25 },
  );
  await pollOnce(options);
  await pollOnce(options);
  assert.deepEqual(sizes, [25, 12]);
});

test('no more invocations run at once than allowed, and stopping waits for them', async (t) => {
  const bench = await benchFor(t);
  let running = 0;
  let most = 0;
  let handled = 0;
  const two = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const source = startEventSource(
    bench.options(
      async (event) => {
        running += 1;
        most = Math.max(most, running);
        if (running === 2) two.resolve();
        await release.promise;
        running -= 1;
        handled += event.Records.length;
        return failing(event);
      },
      { batchSize: 1, maximumConcurrency: 2 },
    ),
  );
  await bench.send('1', '2', '3');
  await two.promise;
  const stopped = source.stop(10_000);
  release.resolve();
  assert.equal(await stopped, true);
  assert.equal(most, 2);
  assert.equal(handled, 2);
  assert.deepEqual(await bench.depth(), ['1', '0']);
  assert.deepEqual(bench.faults, []);
});

test('stopping gives up on an invocation that does not end', async (t) => {
  const bench = await benchFor(t);
  const started = Promise.withResolvers<void>();
  const source = startEventSource(
    bench.options(() => {
      started.resolve();
      return new Promise<never>(() => {});
    }),
  );
  await bench.send('x');
  await started.promise;
  assert.equal(await source.stop(10), false);
  assert.deepEqual(await bench.depth(), ['0', '1']);
});

test('a timer that arrives while polling stops is given back', async (t) => {
  const bench = await benchFor(t);
  let calls = 0;
  const source = startEventSource(
    bench.options(async (event) => {
      calls += 1;
      return failing(event);
    }),
  );
  const stopped = source.stop(1_000);
  await bench.send('x');
  assert.equal(await stopped, true);
  assert.equal(calls, 0);
  assert.deepEqual(await bench.depth(), ['1', '0']);
});

test('polling goes on after a fault', async (t) => {
  const bench = await benchFor(t);
  const second = Promise.withResolvers<string | undefined>();
  let calls = 0;
  const source = startEventSource(
    bench.options(async (event) => {
      calls += 1;
      if (calls === 1) throw new Error('first call');
      second.resolve(event.Records[0]?.body);
      return failing(event);
    }),
  );
  await bench.send('one');
  while (bench.faults.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await bench.send('two');
  assert.equal(await second.promise, 'two');
  assert.equal(await source.stop(1_000), true);
  assert.deepEqual(bench.faults, ['first call']);
});
