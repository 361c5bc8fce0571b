// The emulators behind `--data`: a kill in the middle of work loses nothing that was acknowledged.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { GetItemCommand, PutItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { emulatorClients } from '../../local/clients.ts';
import { type EmulatorEndpoints, startEmulators } from '../../local/emulators.ts';
import { spawnEmulators } from '../../local/emulators-process.ts';

async function freshDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'delay-xfer-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Clients and emulators end with the test, also when it fails. */
function clientsOf<E extends EmulatorEndpoints & { close(): Promise<void> }>(t: TestContext, emulators: E) {
  const clients = emulatorClients(emulators);
  t.after(async () => {
    clients.destroy();
    await emulators.close();
  });
  return clients;
}

async function receive(clients: ReturnType<typeof emulatorClients>, endpoints: EmulatorEndpoints) {
  const { Messages } = await clients.sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: endpoints.timersQueueUrl,
      MaxNumberOfMessages: 10,
      MessageSystemAttributeNames: ['ApproximateReceiveCount'],
    }),
  );
  return Messages ?? [];
}

test('spool, ledger and timers are all there after the emulators were killed', async (t) => {
  const dataDirectory = await freshDirectory(t);
  const first = await spawnEmulators({ dataDirectory });
  const before = clientsOf(t, first);
  const content = Buffer.alloc(3_000_000, 'mail');
  await before.s3.send(new PutObjectCommand({ Bucket: first.bucket, Key: 'a/b', Body: content }));
  await before.dynamodb.send(
    new PutItemCommand({
      TableName: first.table,
      Item: {
        pk: { S: 'm#c#1' },
        sk: { S: 'd#0' },
        dueBucket: { S: '29000000#3' },
        dueKey: { S: 'p|default#ok.test#x' },
      },
    }),
  );
  const send = (body: string, delaySeconds = 0) =>
    before.sqs.send(
      new SendMessageCommand({
        QueueUrl: first.timersQueueUrl,
        MessageBody: body,
        DelaySeconds: delaySeconds,
      }),
    );
  await send('hidden by its receive');
  assert.equal((await receive(before, first)).length, 1);
  await send('given back at once');
  const [given] = await receive(before, first);
  await before.sqs.send(
    new ChangeMessageVisibilityCommand({
      QueueUrl: first.timersQueueUrl,
      ReceiptHandle: given?.ReceiptHandle,
      VisibilityTimeout: 0,
    }),
  );
  await send('delayed', 900);
  await send('deleted');
  for (const message of await receive(before, first)) {
    if (message.Body === 'deleted') {
      await before.sqs.send(
        new DeleteMessageCommand({ QueueUrl: first.timersQueueUrl, ReceiptHandle: message.ReceiptHandle }),
      );
    } else {
      await before.sqs.send(
        new ChangeMessageVisibilityCommand({
          QueueUrl: first.timersQueueUrl,
          ReceiptHandle: message.ReceiptHandle,
          VisibilityTimeout: 0,
        }),
      );
    }
  }
  await first.kill();

  const second = await spawnEmulators({ dataDirectory });
  const clients = clientsOf(t, second);
  const object = await clients.s3.send(new GetObjectCommand({ Bucket: second.bucket, Key: 'a/b' }));
  assert.deepEqual(Buffer.from((await object.Body?.transformToByteArray()) ?? []), content);
  const item = await clients.dynamodb.send(
    new GetItemCommand({ TableName: second.table, Key: { pk: { S: 'm#c#1' }, sk: { S: 'd#0' } } }),
  );
  assert.equal(item.Item?.['dueBucket']?.S, '29000000#3');
  const byDue = await clients.dynamodb.send(
    new QueryCommand({
      TableName: second.table,
      IndexName: 'by-due',
      KeyConditionExpression: 'dueBucket = :b',
      ExpressionAttributeValues: { ':b': { S: '29000000#3' } },
    }),
  );
  assert.equal(byDue.Items?.length, 1);
  const { Attributes } = await clients.sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: second.timersQueueUrl, AttributeNames: ['All'] }),
  );
  assert.equal(Attributes?.['ApproximateNumberOfMessages'], '1');
  assert.equal(Attributes?.['ApproximateNumberOfMessagesNotVisible'], '1');
  assert.equal(Attributes?.['ApproximateNumberOfMessagesDelayed'], '1');
  assert.equal(Attributes?.['VisibilityTimeout'], '961');
  const [visible] = await receive(clients, second);
  assert.equal(visible?.Body, 'given back at once');
  assert.equal(visible?.Attributes?.ApproximateReceiveCount, '3');
});

test('a message given back with visibility 0 is received again by the same process', async (t) => {
  const emulators = await startEmulators({ dataDirectory: await freshDirectory(t) });
  const clients = clientsOf(t, emulators);
  await clients.sqs.send(
    new SendMessageCommand({ QueueUrl: emulators.timersQueueUrl, MessageBody: 'come back' }),
  );
  const [first] = await receive(clients, emulators);
  await clients.sqs.send(
    new ChangeMessageVisibilityCommand({
      QueueUrl: emulators.timersQueueUrl,
      ReceiptHandle: first?.ReceiptHandle,
      VisibilityTimeout: 0,
    }),
  );
  const [second] = await receive(clients, emulators);
  assert.equal(second?.Body, 'come back');
});

test('a spool object of 50 MiB is stored and read back', async (t) => {
  const emulators = await startEmulators();
  const clients = clientsOf(t, emulators);
  const content = Buffer.alloc(50 * 1024 * 1024, 7);
  await clients.s3.send(new PutObjectCommand({ Bucket: emulators.bucket, Key: 'large', Body: content }));
  const object = await clients.s3.send(
    new GetObjectCommand({ Bucket: emulators.bucket, Key: 'large', Range: 'bytes=52428799-52428799' }),
  );
  assert.deepEqual([...((await object.Body?.transformToByteArray()) ?? [])], [7]);
});

test('a second start on a data directory in use says so', async (t) => {
  const dataDirectory = await freshDirectory(t);
  const emulators = await startEmulators({ dataDirectory });
  await assert.rejects(startEmulators({ dataDirectory }), { code: 'data-directory-in-use' });
  await emulators.close();
  await (await startEmulators({ dataDirectory })).close();
});
