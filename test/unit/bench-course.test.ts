// How the bench counts round trips and rates: dialogues as a client's side of the wire sees them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { startRelay } from '../../bench/distance.ts';
import { createCourseCounter } from '../../bench/smtp/course.ts';

/** Lines of `C:` and `S:`, each said 10 ms after the one before. */
function watch(warm: number, ...dialogues: readonly string[]) {
  let atMs = 0;
  const counter = createCourseCounter(() => atMs, warm);
  for (const dialogue of dialogues) {
    const connection = counter.connect();
    for (const line of dialogue.trim().split('\n')) {
      atMs += 10;
      const said = Buffer.from(line.trim().slice(3).replaceAll('|', '\r\n'));
      if (line.trim().startsWith('C:')) connection.clientSaid(said);
      else connection.serverSaid(said);
    }
  }
  return counter.read();
}

const OPENING = `
  S: 220 sink ESMTP|
  C: EHLO bench|
  S: 250-sink|250 PIPELINING|`;

test('a client that waits for the 354 and for the final reply makes two round trips a message', () => {
  const message = `
  C: MAIL|RCPT|DATA|
  S: 250 ok|250 ok|354 go on|
  C: content|.|
  S: 250 taken|`;
  assert.deepEqual(watch(1, `${OPENING}${message}${message}${message}\n C: QUIT|\n S: 221 bye|`), {
    messages: 2,
    roundTrips: 4,
    elapsedMs: 80,
    connections: 1,
    refused: 0,
  });
});

test('a client whose next envelope leaves with the final dot makes one round trip a message', () => {
  const overlapped = `
  C: content|.|MAIL|RCPT|DATA|
  S: 250 taken|
  S: 250 ok|250 ok|354 go on|`;
  const course = watch(
    1,
    `${OPENING}
  C: MAIL|RCPT|DATA|
  S: 250 ok|250 ok|354 go on|${overlapped}${overlapped}${overlapped}
  C: content|.|
  S: 250 taken|`,
  );
  assert.equal(course.messages, 3);
  assert.equal(course.roundTrips, 3);
  assert.equal(course.elapsedMs, 90);
});

test('content in many pieces is one speech, and a reply in many pieces is one reply', () => {
  const course = watch(
    1,
    `${OPENING}
  C: MAIL|RCPT|DATA|
  S: 250 ok|250 ok|354 go on|
  C: content|.|
  S: 250 taken|
  C: MAIL|
  C: RCPT|
  C: DATA|
  S: 250 o
  S: k|250 ok|35
  S: 4 go on|
  C: con
  C: tent|.|
  S: 250-taken,
  S:  it is|250 yes|`,
  );
  assert.equal(course.messages, 1);
  assert.equal(course.roundTrips, 2);
});

test('a message that was refused is told, and messages of several connections are added up', () => {
  const message = `
  C: MAIL|RCPT|DATA|
  S: 250 ok|250 ok|354 go on|
  C: content|.|`;
  const course = watch(
    1,
    `${OPENING}${message}\n S: 250 taken|`,
    `${OPENING}${message}\n S: 451 no|`,
    `${OPENING}${message}\n S: 250 taken|`,
  );
  assert.deepEqual(
    { messages: course.messages, connections: course.connections, refused: course.refused },
    { messages: 1, connections: 3, refused: 1 },
  );
});

test('over the wire, a client that has said its last word hears the replies to it', async () => {
  // As Exim does: QUIT, and nothing will follow.
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    const said = await text(socket);
    socket.end(`221 after ${said}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === 'object');
  const relay = await startRelay({ host: '127.0.0.1', port: 0 }, { host: '127.0.0.1', port: bound.port }, 2);
  try {
    const client = connect({ host: '127.0.0.1', port: relay.port, allowHalfOpen: true });
    client.end('QUIT');
    assert.equal(await text(client), '221 after QUIT');
  } finally {
    await relay.close();
    server.close();
  }
});
