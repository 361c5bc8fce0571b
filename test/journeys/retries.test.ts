// From transfer to ending: the schedule that a message lives by.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startWorld, type World } from './world.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world.close());

const CONTENT = 'From: a@sender.example\r\nSubject: hi\r\n\r\n.dot\r\n..two\r\nbody\r\n';

test('a message for a healthy destination is delivered at once, octet for octet behind its trace', async () => {
  const answer = await world.post({
    id: 'once-1',
    sender: 'a@sender.example',
    recipients: [{ address: 'anyone@ok.test' }],
    content: CONTENT,
  });
  assert.deepEqual(answer, { status: 200, body: { messages: [{ id: 'once-1', status: 'accepted' }] } });
  assert.equal(await world.deliver(), 1);
  const mail = world.sink.received.find((one) => one.recipients[0]?.address === 'anyone@ok.test');
  const text = mail?.content.toString('latin1') ?? '';
  assert.match(text, /^Received: from unknown\r\n\tby xfer\.test\.example/);
  assert.ok(text.endsWith(CONTENT));
  const [item] = await world.items({ credential: 'tester', id: 'once-1' });
  assert.equal(item?.delivery?.state, 'finished');
  assert.equal(await world.deliver(), 0);
});
