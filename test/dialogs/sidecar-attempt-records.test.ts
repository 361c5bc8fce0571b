import assert from 'node:assert/strict';
import { test } from 'node:test';
import { greeted, startScriptedPeer } from './scripted-peer.ts';
import { ANY_ID, attempts, DELIVERED, firstTo, MAIL } from './sidecar-attempt-peer.ts';
import { receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { status } from './sidecar-receiver.ts';
import { deliver } from './sidecar-smtp-client.ts';

test('each attempt for each recipient has an event id of its own, however often the message comes', async (t) => {
  const receiver = await receiverFor(t);
  receiver.script('POST', [status(401)]);
  const refuses = ['a', 'b'].map((name) => `C: RCPT TO:<${name}@example.net>\nS: 451 4.7.1 greylisted`);
  const mail = `C: MAIL FROM:<sender@example.com>\nS: 250 2.1.0 ok\n${refuses.join('\n')}\nC: RSET\nS: 250 2.0.0 ok`;
  await using peer = await startScriptedPeer(`${greeted('ENHANCEDSTATUSCODES')}\n${mail}\n${mail}`);
  const { port, records } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  const both = ['a@example.net', 'b@example.net'];
  assert.match(await deliver(port, both, MAIL), /^451 4\.3\.0 not taken: /);
  assert.match(await deliver(port, both, MAIL), ANY_ID);
  assert.deepEqual(attempts(records), [
    'TransientFailure a@example.net 451 rcpt',
    'TransientFailure b@example.net 451 rcpt',
    'TransientFailure a@example.net 451 rcpt',
    'TransientFailure b@example.net 451 rcpt',
  ]);
  const told = records.flatMap((record) => (record.type === 'TransientFailure' ? [record] : []));
  assert.equal(new Set(told.map(({ id }) => id)).size, 1);
  assert.equal(new Set(told.map(({ event_id }) => event_id)).size, 4);
  for (const { event_id } of told) assert.match(event_id, /^[\w-]{22}$/);
});

test('the log says that a destination was spoken to by LMTP', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer(`
    S: 220 mail.example.net LMTP
    C: LHLO out.example.com
    S: 250-mail.example.net
    S: 250 ENHANCEDSTATUSCODES
    C: MAIL FROM:<sender@example.com>
    S: 250 2.1.0 ok
    C: RCPT TO:<a@example.net>
    S: 250 2.1.5 ok
    C: RCPT TO:<b@example.net>
    S: 250 2.1.5 ok
    C: DATA
    S: 354 go on
    C: (content)
    S: 250 2.0.0 stored for a
    S: 452 4.2.2 the mailbox of b is full`);
  const { port, records } = await sidecarFor(
    t,
    firstTo(receiver.port, peer.port, 'Delivery_Method = "lmtp"'),
  );
  assert.match(await deliver(port, ['a@example.net', 'b@example.net'], MAIL), DELIVERED);
  assert.deepEqual(
    records.flatMap((record) =>
      record.type === 'Delivery' || record.type === 'TransientFailure'
        ? [`${record.recipient} ${record.response.code} ${record.delivery_protocol}`]
        : [],
    ),
    ['a@example.net 250 LMTP', 'b@example.net 452 LMTP'],
  );
  assert.deepEqual(
    receiver.requests.flatMap(({ frames }) => frames.map(({ header }) => header['recipients'])),
    [[{ address: 'b@example.net' }]],
  );
});
