// The bodies that a transfer may have, as their clients send them, from the socket to the destination.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { assertQuiet, inventory, NOTHING } from './inventory.ts';
import {
  arrived,
  delivery,
  frame,
  letter,
  message,
  postFrames,
  recordsOf,
  request,
  sha256Hex,
} from './transfers.ts';
import { startWorld } from './world.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

function onlyReply(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !('messages' in body) || !Array.isArray(body.messages)) {
    throw new Error(`no verdicts: ${JSON.stringify(body)}`);
  }
  return body.messages[0]?.reply;
}

test('frames in gzip are taken', async () => {
  await using world = await startWorld();
  const sent = gzipSync(
    Buffer.concat([
      frame('zip-1', ['a@ok.test'], letter('zip-1')),
      frame('zip-2', ['b@ok.test'], letter('zip-2'), { sha256: sha256Hex(letter('zip-2')) }),
    ]),
  );
  const { status } = await postFrames(world, [sent], { 'content-encoding': 'gzip' });
  assert.equal(status, 200);
  await world.deliver();
  assert.deepEqual(arrived(world, 'a@ok.test'), [letter('zip-1')]);
  assert.deepEqual(arrived(world, 'b@ok.test'), [letter('zip-2')]);
  await assertQuiet(world);
});

test('JSON with its content in base64 keeps every octet', async () => {
  await using world = await startWorld();
  const octets = Buffer.concat([
    Buffer.from('Subject: octets\r\n\r\n'),
    Buffer.from(Array.from({ length: 256 }, (_, octet) => (octet === 10 || octet === 13 ? 0 : octet))),
    Buffer.from('\r\n.\r\n..\r\nlast line without its end'),
  ]);
  const answer = await world.post({
    id: 'octets',
    sender: 'a@sender.example',
    recipients: ['anyone@ok.test'],
    contentBase64: octets.toString('base64'),
  });
  assert.equal(answer.status, 200);
  await world.deliver();
  // SMTP content ends with a line end; that one CRLF is not ours to leave out.
  assert.deepEqual(arrived(world, 'anyone@ok.test'), [`${octets.toString('latin1')}\r\n`]);
});

test('JSON in gzip does not survive an HTTP API, which hands JSON over as text: refused, nothing is kept', async () => {
  await using world = await startWorld();
  const answer = await request(world, '/delay_message', {
    method: 'POST',
    headers: { ...JSON_TYPE, 'content-encoding': 'gzip' },
    body: gzipSync(JSON.stringify(message('zipped', ['a@ok.test']))),
  });
  assert.equal(answer.status, 400);
  assert.equal(Object(answer.body).code, 'bad-gzip');
  assert.deepEqual(await inventory(world), NOTHING);
});

test('message/rfc822 from curl: envelope in headers, a local file with LF, the id made and told', async () => {
  await using world = await startWorld();
  const answer = await request(world, '/delay_message', {
    method: 'POST',
    headers: {
      'content-type': 'message/rfc822',
      'x-xfer-sender': '<a@sender.example>',
      'x-xfer-recipients': 'b@ok.test, <c@ok.test>',
      'user-agent': 'curl/8.5.0',
      accept: '*/*',
    },
    body: 'Subject: local file\n\n.dot\nend\n',
  });
  assert.equal(answer.status, 200);
  const [accepted] = world.records;
  assert.deepEqual(answer.body, { messages: [{ id: accepted?.id, status: 'accepted' }] });
  assert.match(accepted?.id ?? '', /^[A-Za-z0-9_-]{24}$/);
  await world.deliver();
  const [mail] = world.sink.received;
  assert.equal(mail?.sender, 'a@sender.example');
  assert.deepEqual(
    mail?.recipients.map(({ address }) => address),
    ['b@ok.test', 'c@ok.test'],
  );
  assert.deepEqual(arrived(world, 'b@ok.test'), ['Subject: local file\r\n\r\n.dot\r\nend\r\n']);
  await assertQuiet(world);
});

test('message/rfc822 with an Idempotency-Key is recognised when curl sends it again', async () => {
  await using world = await startWorld();
  const post = () =>
    request(world, '/delay_message', {
      method: 'POST',
      headers: {
        'content-type': 'message/rfc822',
        'x-xfer-sender': '<>',
        'x-xfer-recipients': 'b@ok.test',
        'idempotency-key': '"curl-1"',
      },
      body: letter('curl'),
    });
  assert.deepEqual((await post()).body, { messages: [{ id: 'curl-1', status: 'accepted' }] });
  assert.deepEqual((await post()).body, { messages: [{ id: 'curl-1', status: 'duplicate' }] });
  assert.equal((await delivery(world, 'curl-1')).facts.sender, '');
});

test('message/rfc822 with lines of both kinds is refused, as smuggling would begin so', async () => {
  await using world = await startWorld();
  const { status, body } = await request(world, '/delay_message', {
    method: 'POST',
    headers: {
      'content-type': 'message/rfc822',
      'x-xfer-sender': 'a@sender.example',
      'x-xfer-recipients': 'b@ok.test',
    },
    body: 'Subject: x\r\n\r\none\n.\r\nMAIL FROM:<evil@example.com>\r\n',
  });
  assert.equal(status, 422);
  assert.deepEqual(onlyReply(body), {
    code: 554,
    enhanced: '5.6.0',
    text: 'bare CR or LF among CRLF (smuggling): send CRLF only (Bare_Newlines = refuse)',
  });
  assert.deepEqual(await inventory(world), NOTHING);
});

test('a message that carries our own trace is a loop: refused 451 4.4.6, so that its sender keeps it', async () => {
  await using world = await startWorld();
  await world.post(message('round', ['anyone@ok.test']));
  await world.deliver();
  const looped = world.sink.received[0]?.content.toString('utf8') ?? '';
  const { status, body } = await world.post(
    message('again', ['anyone@ok.test'], { content: `Received: from mx by relay.example; now\r\n${looped}` }),
  );
  assert.equal(status, 422);
  assert.deepEqual(onlyReply(body), {
    code: 451,
    enhanced: '4.4.6',
    text: 'loop: the content already carries our trace; the sending side must keep it',
  });
  await assertQuiet(world);
});

test('a message with 51 Received fields goes round somewhere else: 554 5.4.6', async () => {
  await using world = await startWorld();
  const hops = (count: number) => 'Received: by relay.example; today\r\n'.repeat(count) + letter('hops');
  const { body } = await world.post(message('hops-51', ['a@ok.test'], { content: hops(51) }));
  assert.deepEqual(onlyReply(body), {
    code: 554,
    enhanced: '5.4.6',
    text: 'loop: 51 Received fields, at most 50 are taken',
  });
  assert.deepEqual(await inventory(world), NOTHING);
  assert.equal((await world.post(message('hops-50', ['a@ok.test'], { content: hops(50) }))).status, 200);
});

test('the trace names the host that handed the message over, and the log keeps its meta', async () => {
  await using world = await startWorld();
  const meta = { tenant: 'acme', campaign: { name: 'spring', wave: 2 } };
  await world.post(message('named', ['a@ok.test'], { receivedFrom: 'mx1.sender.example', meta }));
  await world.deliver();
  assert.match(
    world.sink.received[0]?.content.toString('latin1') ?? '',
    /^Received: from mx1\.sender\.example\r\n\tby xfer\.test\.example \(delay-xfer\) with XFER id named;\r\n/,
  );
  assert.deepEqual(
    recordsOf(world, 'named').map(({ type, meta: logged }) => ({ type, logged })),
    [
      { type: 'XferIn', logged: meta },
      { type: 'Delivery', logged: meta },
    ],
  );
});

test('a message without any content is delivered as its trace alone', async () => {
  await using world = await startWorld();
  await postFrames(world, [frame('empty', ['a@ok.test'], '')]);
  await world.deliver();
  assert.deepEqual(arrived(world, 'a@ok.test'), ['']);
  await assertQuiet(world);
});

test('health says that it is up, and nothing else', async () => {
  await using world = await startWorld();
  assert.deepEqual(await request(world, '/health', {}), {
    status: 200,
    type: 'application/json',
    body: { status: 'up' },
  });
});
