import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { closedPort, delayedTo, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { type Answer, accept, type ScriptedReceiver, status } from './sidecar-receiver.ts';
import { deliver } from './sidecar-smtp-client.ts';

/** Lines of base64, a little over 5 MB. */
const LARGE = `${randomBytes(3_800_000).toString('base64').replaceAll(/.{76}/g, '$&\r\n')}\r\n`;
const SHA256 = createHash('sha256').update(LARGE).digest('hex');

/** Says where to put the content: below /spool of the same receiver. */
function ticket(receiver: ScriptedReceiver): Answer {
  return (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        url: `http://127.0.0.1:${receiver.port}/spool/key?signature=s%2Fx`,
        method: 'PUT',
        headers: { 'x-amz-checksum-sha256': 'signed' },
        expiresAt: '2099-01-01T00:00:00Z',
      }),
    );
  };
}

function outline(receiver: ScriptedReceiver): string[] {
  return receiver.requests.map(({ method, path }) => `${method} ${path}`);
}

test('content over 4 MiB is uploaded, and the frame that follows carries no octets', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  receiver.script('POST', [ticket(receiver), accept]);
  const reply = await deliver(port, 'a@example.net', LARGE);
  assert.match(reply, /^250 2\.0\.0 \S{43} accepted$/);
  const id = reply.split(' ')[2];
  assert.deepEqual(outline(receiver), [
    'POST /delay_message/uploads',
    'PUT /spool/key?signature=s%2Fx',
    'POST /delay_message',
  ]);
  const [asked, put, handed] = receiver.requests;
  assert.deepEqual(JSON.parse(asked?.body.toString() ?? ''), { id, sizeBytes: LARGE.length, sha256: SHA256 });
  assert.equal(put?.headers['x-amz-checksum-sha256'], 'signed');
  assert.equal(put?.headers['content-length'], String(LARGE.length));
  assert.equal(
    createHash('sha256')
      .update(put?.body ?? '')
      .digest('hex'),
    SHA256,
  );
  const frame = handed?.frames[0];
  assert.deepEqual(
    [frame?.header['id'], frame?.header['upload'], frame?.header['sizeBytes'], frame?.header['sha256']],
    [id, true, LARGE.length, SHA256],
  );
  assert.equal(handed?.body.indexOf('\n'), (handed?.body.length ?? 0) - 1);
});

test('after a doubt the frame is sent again, and the content is not uploaded again', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  receiver.script('POST', [ticket(receiver), status(500), accept]);
  assert.match(await deliver(port, 'a@example.net', LARGE), /^250 /);
  assert.deepEqual(outline(receiver), [
    'POST /delay_message/uploads',
    'PUT /spool/key?signature=s%2Fx',
    'POST /delay_message',
    'POST /delay_message',
  ]);
});

test('an upload that fails is asked for again, and nothing is in doubt by that', async (t) => {
  const receiver = await receiverFor(t);
  const closed = await closedPort();
  const { port } = await sidecarFor(t, delayedTo([closed, receiver.port]));
  receiver.script('POST', [ticket(receiver), ticket(receiver), accept]);
  receiver.script('PUT', [status(503)]);
  assert.match(await deliver(port, 'a@example.net', LARGE), /^250 /);
  assert.deepEqual(outline(receiver), [
    'POST /delay_message/uploads',
    'PUT /spool/key?signature=s%2Fx',
    'POST /delay_message/uploads',
    'PUT /spool/key?signature=s%2Fx',
    'POST /delay_message',
  ]);
});

test('a message that is too large for the receiver stays with its MTA; rerouted, it is refused for good', async (t) => {
  const receiver = await receiverFor(t);
  receiver.script('POST', [], status(413));
  const delayed = await sidecarFor(t, delayedTo([receiver.port]));
  const text = 'HTTP 413 scripted the script says 413';
  assert.equal(
    await deliver(delayed.port, 'a@example.net', LARGE),
    `451 4.3.4 refused by the receiver: 552 5.3.4 ${text}`,
  );
  const rerouted = await sidecarFor(
    t,
    delayedTo([receiver.port]).replace('Delayed_Reroute_Domain', 'Reroute_Domain'),
  );
  assert.equal(await deliver(rerouted.port, 'a@example.net', LARGE), `552 5.3.4 ${text}`);
});

test('a large message travels alone, small ones beside it share theirs', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]), { limits: { windowMs: 500 } });
  receiver.script('POST', [], (request, response) => {
    if (request.path.endsWith('/uploads')) ticket(receiver)(request, response);
    else accept(request, response);
  });
  const contents = [LARGE, '1\r\n', '2\r\n'];
  const replies = await Promise.all(contents.map((content) => deliver(port, 'a@example.net', content)));
  for (const reply of replies) assert.match(reply, /^250 /);
  const sizes = receiver.requests
    .filter(({ path }) => path === '/delay_message')
    .map(({ ids }) => ids.length);
  assert.deepEqual(sizes.toSorted(), [1, 2]);
});
