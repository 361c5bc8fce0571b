// Content too large for a request: put into the spool by its sender, through a URL that the receiver signs, and
// taken only when it is what was announced.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { inventory, NOTHING, removeObject } from './inventory.ts';
import {
  delivery,
  frame,
  letter,
  postFrames,
  request,
  sha256Hex,
  steady,
  withoutTrace,
} from './transfers.ts';
import { startWorld, type World } from './world.ts';

interface Ticket {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expiresAt: string;
}

async function askForPlace(world: World, id: string, sizeBytes: number, sha256: string): Promise<Ticket> {
  const { status, body } = await request(world, '/delay_message/uploads', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id, sizeBytes, sha256 }),
  });
  assert.equal(status, 200, JSON.stringify(body));
  const { url, method, headers, expiresAt } = Object(body);
  return { url, method, headers, expiresAt };
}

async function put(ticket: Ticket, content: Buffer, headers = ticket.headers): Promise<number> {
  const response = await fetch(ticket.url, { method: ticket.method, headers, body: content });
  await response.arrayBuffer();
  return response.status;
}

/** The frame that refers to an upload. */
function reference(id: string, content: Buffer, fields: object = {}): Buffer {
  const sha256 = sha256Hex(content);
  return frame(id, ['anyone@ok.test'], '', { sizeBytes: content.length, sha256, upload: true, ...fields });
}

function replies(body: unknown): readonly unknown[] {
  const { messages } = Object(body);
  return Array.isArray(messages) ? messages.map(({ reply }) => reply) : [];
}

/** Lines of letters and digits, as an attachment has them. */
function attachment(sizeBytes: number): Buffer {
  const line = `${randomBytes(38).toString('hex')}\r\n`;
  const content = Buffer.alloc(sizeBytes, line);
  content.write('Subject: large\r\n\r\n');
  content.write('\r\n', sizeBytes - 2);
  return content;
}

test('a message of 20 MB comes by upload and is delivered octet for octet', async () => {
  await using world = await startWorld();
  const content = attachment(20 * 1_000_000);
  const ticket = await askForPlace(world, 'large', content.length, sha256Hex(content));
  assert.equal(ticket.method, 'PUT');
  assert.equal(ticket.headers['content-length'], '20000000');
  assert.equal(
    ticket.headers['x-amz-checksum-sha256'],
    Buffer.from(sha256Hex(content), 'hex').toString('base64'),
  );
  assert.match(ticket.url, /X-Amz-SignedHeaders=content-length%3Bhost%3Bx-amz-checksum-sha256/);
  assert.match(ticket.url, /X-Amz-Expires=900/);
  assert.equal(await put(ticket, content), 200);
  const { status, body } = await postFrames(world, [reference('large', content)]);
  assert.deepEqual([status, body], [200, { messages: [{ id: 'large', status: 'accepted' }] }]);
  assert.equal((await delivery(world, 'large')).facts.sizeBytes, 20_000_000);
  assert.equal(await world.deliver(), 1);
  const [mail] = world.sink.received;
  assert.ok(mail !== undefined);
  assert.equal(withoutTrace(mail.content), content.toString('latin1'));
  assert.equal((await delivery(world, 'large')).state, 'finished');
  const left = (await inventory(world)).objects.filter((key) => key.endsWith('/upload'));
  assert.deepEqual(left, []);
});

test('an upload with another content, or another size, is refused 451 and can be put again', async () => {
  await using world = await startWorld();
  const content = Buffer.from(letter('wanted'));
  const other = Buffer.from(letter('other!'));
  assert.equal(other.length, content.length);
  const ticket = await askForPlace(world, 'check', content.length, sha256Hex(content));
  const wrong = [451, '4.6.0', 'upload: the stored content has another size or hash; PUT it again'];
  const unsigned = { 'x-amz-checksum-sha256': ticket.headers['x-amz-checksum-sha256'] ?? '' };

  // The emulator checks neither signature nor checksum; the receiver relies on neither.
  for (const bad of [other, content.subarray(0, -1), Buffer.concat([content, Buffer.from('!')])]) {
    assert.equal(await put(ticket, bad, unsigned), 200);
    const { status, body } = await postFrames(world, [reference('check', content)]);
    assert.equal(status, 422);
    const [reply] = replies(body);
    assert.deepEqual(Object.values(Object(reply)), wrong, `${bad.length} octets`);
  }
  assert.deepEqual((await inventory(world)).items, []);

  assert.equal(await put(ticket, content), 200);
  assert.equal((await postFrames(world, [reference('check', content)])).status, 200);
  await world.deliver();
  assert.equal(world.sink.received.length, 1);
});

test('a message whose upload never came is refused 451, and stores nothing', async () => {
  await using world = await startWorld();
  const content = Buffer.from(letter('nowhere'));
  await askForPlace(world, 'missing', content.length, sha256Hex(content));
  const { status, body } = await postFrames(world, [reference('missing', content)]);
  assert.equal(status, 422);
  assert.deepEqual(replies(body), [
    {
      code: 451,
      enhanced: '4.3.0',
      text: 'upload: no content is stored for this id and sha256; PUT it first',
    },
  ]);
  assert.deepEqual(await inventory(world), NOTHING);
});

test('uploaded content is checked like any other: bare newlines and loops are refused', async () => {
  await using world = await startWorld();
  for (const [id, text, code] of [
    ['bare', 'Subject: x\r\n\r\na\nb\r\n', 554],
    ['loop', 'Received: from x\r\n by xfer.test.example with XFER id y; now\r\n\r\n', 451],
  ] as const) {
    const content = Buffer.from(text);
    assert.equal(await put(await askForPlace(world, id, content.length, sha256Hex(content)), content), 200);
    const { body } = await postFrames(world, [reference(id, content)]);
    assert.equal(Object(replies(body)[0]).code, code, id);
  }
  assert.deepEqual((await inventory(world)).items, []);
});

test('an upload belongs to its id: under another id there is nothing', async () => {
  await using world = await startWorld();
  const content = Buffer.from(letter('mine'));
  await put(await askForPlace(world, 'mine', content.length, sha256Hex(content)), content);
  const { status } = await postFrames(world, [reference('yours', content)]);
  assert.equal(status, 422);
});

test('uploads and inline messages share a transfer, and one that is deferred keeps its upload', async () => {
  await using world = await startWorld({ random: steady() });
  const content = Buffer.from(letter('up'));
  await put(await askForPlace(world, 'up', content.length, sha256Hex(content)), content);
  const { body } = await postFrames(world, [
    frame('in', ['b@ok.test'], letter('in')),
    reference('up', content, { recipients: ['defer-1@ok.test', 'c@utf8.test'] }),
  ]);
  assert.deepEqual(body, {
    messages: [
      { id: 'in', status: 'accepted' },
      { id: 'up', status: 'accepted' },
    ],
  });
  assert.equal(await world.deliver(), 3);
  const uploads = async () => (await inventory(world)).objects.filter((key) => key.endsWith('/upload'));
  assert.equal((await uploads()).length, 1);
  world.clock.advance(301_000);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(world.sink.received.map((mail) => withoutTrace(mail.content)).sort(), [
    letter('in'),
    letter('up'),
    letter('up'),
  ]);
  assert.deepEqual(await uploads(), []);
});

test('a repeat of an uploaded message is a duplicate, and its upload stays for the first', async () => {
  await using world = await startWorld();
  const content = Buffer.from(letter('twice'));
  await put(await askForPlace(world, 'twice', content.length, sha256Hex(content)), content);
  await postFrames(world, [reference('twice', content)]);
  const { body } = await postFrames(world, [reference('twice', content)]);
  assert.deepEqual(body, { messages: [{ id: 'twice', status: 'duplicate' }] });
  await world.deliver();
  assert.equal(world.sink.received.length, 1);
});

test('a repeat that comes when the uploaded message is delivered is a duplicate, though the upload is gone', async () => {
  await using world = await startWorld();
  const content = Buffer.from(letter('lost'));
  await put(await askForPlace(world, 'lost', content.length, sha256Hex(content)), content);
  await postFrames(world, [reference('lost', content)]);
  await world.deliver();
  const { body } = await postFrames(world, [reference('lost', content)]);
  assert.deepEqual(body, { messages: [{ id: 'lost', status: 'duplicate' }] });
  const more = await postFrames(world, [
    reference('lost', content, { recipients: ['anyone@ok.test', 'else@ok.test'] }),
  ]);
  assert.deepEqual(
    [more.status, Object(replies(more.body)[0]).code],
    [422, 451],
    'somebody new needs it again',
  );
  const other = Buffer.from(letter('else'));
  const changed = await postFrames(world, [reference('lost', other)]);
  assert.deepEqual([changed.status, Object(replies(changed.body)[0]).code], [422, 451]);
  assert.equal(await world.deliver(), 0);
  assert.equal(world.sink.received.length, 1);
});

test('an upload that vanishes after acceptance holds its delivery', async () => {
  await using world = await startWorld();
  const content = Buffer.from(letter('gone'));
  await put(await askForPlace(world, 'gone', content.length, sha256Hex(content)), content);
  await postFrames(world, [reference('gone', content)]);
  await removeObject(world, (await delivery(world, 'gone')).facts.content.key);
  await world.deliver();
  assert.equal((await delivery(world, 'gone')).state, 'held');
});

for (const [what, fields, status, code] of [
  ['more than 50 MiB', { sizeBytes: 52_428_801 }, 413, 'message-too-large'],
  ['a hash of the wrong length', { sha256: 'abc' }, 400, 'bad-field'],
  ['an id with a slash', { id: '../etc' }, 400, 'bad-id'],
  ['a negative size', { sizeBytes: -1 }, 400, 'bad-size'],
  ['an unknown field', { key: 'mine' }, 400, 'bad-field'],
] as const) {
  test(`a place for ${what} is refused with ${code}`, async () => {
    await using world = await startWorld();
    const answer = await request(world, '/delay_message/uploads', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: 'x', sizeBytes: 10, sha256: '0'.repeat(64), ...fields }),
    });
    assert.equal(answer.status, status);
    assert.equal(Object(answer.body).code, code);
    assert.deepEqual(await inventory(world), NOTHING);
  });
}
