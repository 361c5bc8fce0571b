// Requests that are wrong before their body is looked at, bodies beyond every limit, and clients that go away in the
// middle. The receiver answers with a code where there is somebody to answer to, and stores nothing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { inventory, NOTHING } from './inventory.ts';
import { type Answer, arrived, frame, letter, message, postFrames, request } from './transfers.ts';
import { startWorld, type World } from './world.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world.close());

const JSON_TYPE = { 'content-type': 'application/json' };
const GOOD = JSON.stringify(message('good', ['a@ok.test']));

async function assertRefused(answer: Answer, status: number, code: string): Promise<void> {
  assert.deepEqual([answer.status, Object(answer.body).code], [status, code], JSON.stringify(answer.body));
  assert.equal(answer.type, 'application/problem+json');
  assert.deepEqual(await inventory(world), NOTHING);
  assert.deepEqual(world.notices, [], 'nothing broke');
}

const post = (headers: Readonly<Record<string, string>>, body: string | Uint8Array<ArrayBuffer>) =>
  request(world, '/delay_message', { method: 'POST', headers, body });

describe('a transfer', () => {
  for (const type of [
    'text/plain',
    'application/octet-stream',
    'multipart/form-data; boundary=x',
    'application/xml',
  ]) {
    test(`of type ${type} is not taken`, async () => {
      await assertRefused(await post({ 'content-type': type }, GOOD), 415, 'unsupported-media-type');
    });
  }

  test('without a type is not taken', async () => {
    await assertRefused(await post({ 'content-type': '' }, Buffer.from(GOOD)), 415, 'unsupported-media-type');
  });

  for (const type of ['application/vnd.delay-xfer.v1', 'application/json', 'message/rfc822']) {
    test(`of type ${type} without a body has no message`, async () => {
      const answer = await request(world, '/delay_message', {
        method: 'POST',
        headers: { 'content-type': type },
      });
      await assertRefused(answer, 400, 'empty-body');
    });
  }

  for (const patience of ['0', '-1', '1999', '1e4', 'soon', '10000000000', '']) {
    test(`with the patience ${JSON.stringify(patience)} is refused`, async () => {
      const headers = { ...JSON_TYPE, 'x-xfer-patience-ms': patience };
      await assertRefused(await post(headers, GOOD), 400, 'bad-patience');
    });
  }

  for (const [what, headers] of [
    ['a sender', { 'x-xfer-recipients': 'a@ok.test' }],
    ['recipients', { 'x-xfer-sender': 'a@sender.example' }],
  ] as const) {
    test(`of type message/rfc822 without ${what} is refused`, async () => {
      const answer = await post({ 'content-type': 'message/rfc822', ...headers }, letter('x'));
      await assertRefused(answer, 400, 'missing-header');
    });
  }

  test('of type message/rfc822 with an Idempotency-Key that climbs is refused', async () => {
    const headers = {
      'content-type': 'message/rfc822',
      'x-xfer-sender': '<>',
      'x-xfer-recipients': 'a@ok.test',
      'idempotency-key': '../../x',
    };
    await assertRefused(await post(headers, letter('x')), 400, 'bad-id');
  });
});

describe('a body', () => {
  const line = `${'x'.repeat(76)}\r\n`;

  for (const [what, sizeBytes] of [
    ['7 MB, more than a function can be handed,', 7_000_000],
    ['11 MB, more than the API takes,', 11_000_000],
  ] as const) {
    test(`of ${what} is a 413 of the API, and the function is not asked`, async () => {
      const content = line.repeat(sizeBytes / line.length);
      const answer = await postFrames(world, [frame('large', ['a@ok.test'], content)]);
      assert.equal(answer.status, 413);
      assert.deepEqual(await inventory(world), NOTHING);
    });
  }

  test('of 4 MiB in frames is taken, and of 4.8 MB is not: that is what fits into an event', async () => {
    await using roomy = await startWorld();
    const content = `Subject: x\r\n\r\n${line.repeat(53_000)}`;
    assert.ok(content.length > 4_100_000 && content.length < 4_194_304);
    assert.equal((await postFrames(roomy, [frame('fits', ['a@ok.test'], content)])).status, 200);
    await roomy.deliver();
    assert.deepEqual(arrived(roomy, 'a@ok.test'), [content]);
    const more = frame('more', ['a@ok.test'], line.repeat(61_000));
    assert.equal((await postFrames(roomy, [more])).status, 413);
  });

  for (const [what, head] of [
    ['frames', 'Content-Type: application/vnd.delay-xfer.v1\r\nContent-Length: 100000'],
    ['JSON in chunks', 'Content-Type: application/json\r\nTransfer-Encoding: chunked'],
  ] as const) {
    test(`of ${what} whose client goes away in the middle is nothing`, async () => {
      const { hostname, port } = new URL(world.baseUrl);
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect');
      socket.write(`POST /delay_message HTTP/1.1\r\nHost: ${hostname}\r\n${head}\r\n\r\n`);
      const whole = frame('slow', ['a@ok.test'], letter('slow'));
      const part = head.includes('chunked') ? Buffer.from(`40\r\n${GOOD.slice(0, 0x40)}\r\n`) : whole;
      await new Promise((resolve) => socket.write(part, resolve));
      socket.destroy();
      await once(socket, 'close');
      // The receiver serves the next client, and knows nothing of this one.
      assert.equal((await request(world, '/health', {})).status, 200);
      assert.deepEqual(await inventory(world), NOTHING);
      assert.deepEqual(world.notices, []);
    });
  }
});

describe('a withdrawal', () => {
  for (const path of [
    '/delay_message/a%2Fb',
    '/delay_message/..%2Fx',
    '/delay_message/a%00',
    '/delay_message/a%0d%0aX',
    `/delay_message/${'x'.repeat(65)}`,
    '/delay_message/a*b',
  ]) {
    test(`of ${path.slice(0, 40)} finds nothing`, async () => {
      await assertRefused(await request(world, path, { method: 'DELETE' }), 404, 'not-found');
    });
  }

  test('of a path below an id finds nothing', async () => {
    await assertRefused(await request(world, '/delay_message/a/b', { method: 'DELETE' }), 404, 'not-found');
  });
});

describe('a request that is no transfer, upload or withdrawal', () => {
  for (const [method, path, status, code, allow] of [
    ['GET', '/delay_message', 405, 'method-not-allowed', 'POST'],
    ['PUT', '/delay_message', 405, 'method-not-allowed', 'POST'],
    ['GET', '/api/xfer/inject/v1', 405, 'method-not-allowed', 'POST'],
    ['GET', '/delay_message/uploads', 405, 'method-not-allowed', 'POST'],
    ['POST', '/delay_message/some-id', 405, 'method-not-allowed', 'DELETE'],
    ['POST', '/health', 405, 'method-not-allowed', 'GET'],
    ['POST', '/delay_message/', 404, 'not-found', null],
    ['POST', '/', 404, 'not-found', null],
    ['GET', '/../../etc/passwd', 404, 'not-found', null],
  ] as const) {
    test(`${method} ${path} is a ${status} with ${code}`, async () => {
      await assertRefused(await request(world, path, { method }), status, code);
      const { headers } = await fetch(`${world.baseUrl}${path}`, { method });
      assert.equal(headers.get('allow'), allow);
    });
  }
});

test('a good transfer among a hundred bad ones is taken', async () => {
  await using busy = await startWorld();
  const bad = Array.from({ length: 100 }, (_, index) =>
    postFrames(busy, [frame(`bad-${index}`, ['a@ok.test'], letter('bad')).subarray(0, -1 - index)]),
  );
  const good = busy.post(message('good', ['a@ok.test']));
  const statuses = new Set((await Promise.all(bad)).map(({ status }) => status));
  assert.deepEqual([...statuses], [400]);
  assert.equal((await good).status, 200);
  await busy.deliver();
  assert.deepEqual(arrived(busy, 'a@ok.test'), [letter('good')]);
  assert.equal(busy.sink.received.length, 1);
});
