// A client that closes its side while it waits for the verdict: Exim does so behind QUIT, a process that dies without.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { delayedTo, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { type Answer, accept } from './sidecar-receiver.ts';
import { connectRaw, offer } from './sidecar-smtp-client.ts';

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n';

test('a client that says QUIT behind its final dot and closes its side hears the verdict', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const asked: Parameters<Answer>[] = [];
  receiver.script('POST', [(...request) => void asked.push(request)]);
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  client.socket.end('QUIT\r\n');
  await once(client.socket, 'finish');
  await receiver.until('POST', 1);
  // What a later connection says is heard after that end.
  const other = await connectRaw(port);
  await other.say('NOOP');
  other.socket.destroy();
  for (const request of asked) accept(...request);
  assert.match(await client.reply(), /^250 2\.0\.0 /);
  assert.match(await client.reply(), /^221 /);
  await client.closed;
  assert.deepEqual(
    receiver.requests.map(({ method }) => method),
    ['POST'],
  );
});

test('a client that closes its side without QUIT has left, and what it waited for is withdrawn', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const asked: Parameters<Answer>[] = [];
  receiver.script('POST', [(...request) => void asked.push(request)]);
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  await receiver.until('POST', 1);
  client.socket.end();
  await client.closed;
  for (const request of asked) accept(...request);
  await receiver.until('DELETE', 1);
});
