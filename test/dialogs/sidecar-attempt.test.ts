import assert from 'node:assert/strict';
import { test } from 'node:test';
import { greeted, startScriptedPeer } from './scripted-peer.ts';
import { ANY_ID, attempts, DELIVERED, firstTo, MAIL, startHeldPeer, TAKES } from './sidecar-attempt-peer.ts';
import { closedPort, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { verdicts } from './sidecar-receiver.ts';
import { connectRaw, deliver, offer } from './sidecar-smtp-client.ts';

test('what the destination takes never reaches a receiver, and has one trace in front', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer(TAKES);
  const { port, records, sidecar } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  assert.match(await deliver(port, 'a@example.net', MAIL), DELIVERED);
  await sidecar.close();
  const sent = peer.contents[0]?.toString('latin1') ?? '';
  const [, trace, rest] = /^(Received: (?:[^\r]*\r\n[ \t])*[^\r]*\r\n)(.*)$/s.exec(sent) ?? [];
  assert.match(
    trace ?? '',
    /^Received: from mta\.example\.com\r\n\tby out\.example\.com \(delay-xfer\) with ESMTP id \S{43};\r\n/,
  );
  assert.equal(rest, MAIL);
  assert.deepEqual(receiver.requests, []);
  assert.deepEqual(attempts(records), ['Delivery a@example.net 250 final']);
  const [record] = records.filter(({ type }) => type === 'Delivery');
  assert.ok(record?.type === 'Delivery');
  assert.equal(record.queue, 'example.net');
  assert.equal(record.site, `smtp://[127.0.0.1]:${peer.port}`);
  assert.deepEqual(record.peer_address, { name: '127.0.0.1', addr: '127.0.0.1' });
});

test('whom the destination puts off is handed over with its reply, and nobody else is', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer(
    `${greeted('ENHANCEDSTATUSCODES')}
     C: MAIL FROM:<sender@example.com>
     S: 250 2.1.0 ok
     C: RCPT TO:<a@example.net>
     S: 250 2.1.5 ok
     C: RCPT TO:<b@example.net>
     S: 451 4.7.1 greylisted, come back
     C: DATA
     S: 354 go on
     C: (content)
     S: 250 2.0.0 queued`,
  );
  const { port, records } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  assert.match(await deliver(port, ['a@example.net', 'b@example.net'], MAIL), DELIVERED);
  const [frame] = receiver.requests.flatMap(({ frames }) => frames);
  assert.deepEqual(frame?.header['recipients'], [{ address: 'b@example.net' }]);
  assert.equal(frame?.header['attempts'], 1);
  assert.deepEqual(frame?.header['lastReply'], {
    code: 451,
    enhanced: '4.7.1',
    text: 'greylisted, come back',
    host: '[127.0.0.1]',
  });
  assert.equal(frame?.content.toString('latin1'), MAIL, 'without our trace, so that its id is the same');
  assert.deepEqual(attempts(records), [
    'Delivery a@example.net 250 final',
    'TransientFailure b@example.net 451 rcpt',
  ]);
});

test('a permanent refusal of everybody passes through to the MTA', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer(
    `${greeted('ENHANCEDSTATUSCODES')}
     C: MAIL FROM:<sender@example.com>
     S: 250 2.1.0 ok
     C: RCPT TO:<a@example.net>
     S: 550 5.1.1 no such user
     C: RSET
     S: 250 2.0.0 ok
     C: QUIT
     S: 221 2.0.0 bye`,
  );
  const { port, records } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  assert.equal(await deliver(port, 'a@example.net', MAIL), '550 5.1.1 no such user');
  assert.deepEqual(receiver.requests, []);
  assert.deepEqual(attempts(records), ['Bounce a@example.net 550 rcpt']);
});

test('whom the destination refuses beside others goes to the receiver, who reports it to the sender', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer(
    `${greeted('ENHANCEDSTATUSCODES')}
     C: MAIL FROM:<sender@example.com>
     S: 250 2.1.0 ok
     C: RCPT TO:<a@example.net>
     S: 250 2.1.5 ok
     C: RCPT TO:<b@example.net>
     S: 550 5.1.1 no such user
     C: DATA
     S: 354 go on
     C: (content)
     S: 250 2.0.0 queued`,
  );
  const { port, records } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  assert.match(await deliver(port, ['a@example.net', 'b@example.net'], MAIL), DELIVERED);
  const [frame] = receiver.requests.flatMap(({ frames }) => frames);
  assert.deepEqual(frame?.header['recipients'], [{ address: 'b@example.net' }]);
  assert.deepEqual(attempts(records), [
    'Delivery a@example.net 250 final',
    'TransientFailure b@example.net 550 rcpt',
  ]);
});

test('a message lost after its final dot is handed over: doubt never loses mail', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer(TAKES.replace('S: 250 2.0.0 queued as 1', 'drop'));
  const { port, records } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  assert.match(await deliver(port, 'a@example.net', MAIL), ANY_ID);
  assert.deepEqual(attempts(records), ['Uncertain a@example.net 421 final']);
  const [frame] = receiver.requests.flatMap(({ frames }) => frames);
  assert.equal(frame?.header['attempts'], 1);
});

test('a repeat leaves out whom the first try delivered, when their hand-over had failed', async (t) => {
  const receiver = await receiverFor(t);
  const greylists = `${greeted('ENHANCEDSTATUSCODES')}
     C: MAIL FROM:<sender@example.com>
     S: 250 2.1.0 ok
     C: RCPT TO:<a@example.net>
     S: 250 2.1.5 ok
     C: RCPT TO:<b@example.net>
     S: 451 4.7.1 greylisted
     C: DATA
     S: 354 go on
     C: (content)
     S: 250 2.0.0 queued
     C: MAIL FROM:<sender@example.com>
     S: 250 2.1.0 ok
     C: RCPT TO:<b@example.net>
     S: 451 4.7.1 greylisted still
     C: RSET
     S: 250 2.0.0 ok
     C: MAIL FROM:<sender@example.com>
     S: 250 2.1.0 ok
     C: RCPT TO:<b@example.net>
     S: 451 4.7.1 greylisted still
     C: RSET
     S: 250 2.0.0 ok`;
  await using peer = await startScriptedPeer(greylists);
  const { port, records, notices } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  const full = verdicts(({ ids }) =>
    ids.map((id) => ({ id, status: 'refused', reply: { code: 452, enhanced: '4.3.1', text: 'full' } })),
  );
  receiver.script('POST', [full, full]);
  const both = ['a@example.net', 'b@example.net'];
  assert.equal(await deliver(port, both, MAIL), '452 4.3.1 full');
  assert.match(
    notices().find(({ code }) => code === 'delivered-unheard')?.message ?? '',
    /^\S{43} was delivered to 1 of 2, and its MTA keeps it/,
  );
  assert.equal(await deliver(port, both, MAIL), '452 4.3.1 full', 'b is with nobody yet');
  assert.match(await deliver(port, both, MAIL), /^250 2\.0\.0 \S{43} delivered before$/);
  assert.deepEqual(attempts(records), [
    'Delivery a@example.net 250 final',
    'TransientFailure b@example.net 451 rcpt',
    'TransientFailure b@example.net 451 rcpt',
    'TransientFailure b@example.net 451 rcpt',
  ]);
  assert.equal(new Set(receiver.requests.flatMap(({ ids }) => ids)).size, 1, 'the repeat has its id');
});

test('mail of a rerouted domain is never tried here', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer('silence');
  const configuration = firstTo(receiver.port, peer.port, 'Reroute_Domain = xfer.test');
  const { port } = await sidecarFor(t, configuration);
  assert.match(await deliver(port, 'a@example.net', MAIL), ANY_ID);
  assert.equal(receiver.requests[0]?.frames[0]?.header['attempts'], undefined);
  assert.deepEqual(peer.clients, []);
});

test('without a receiver the destination’s word goes to the MTA, for one recipient at a time', async (t) => {
  const receiver = await receiverFor(t);
  const says = (reply: string): string => `${greeted('ENHANCEDSTATUSCODES')}
     C: MAIL FROM:<sender@example.com>
     S: ${reply}
     C: /^(RSET|QUIT)/
     S: 250 2.0.0 ok`;
  await using peer = await startScriptedPeer(
    says('451 4.7.1 busy'),
    says('421 4.3.2 going down'),
    says('553 5.1.8 no such sender'),
  );
  const configuration = firstTo(
    receiver.port,
    peer.port,
    'Delayed_Reroute_Domain = disabled Idle_Timeout = 0',
  );
  const { port } = await sidecarFor(t, configuration);
  assert.equal(await deliver(port, 'a@example.net', MAIL), '451 4.7.1 busy');
  assert.equal(await deliver(port, 'a@example.net', MAIL), '451 4.3.2 going down', 'our session goes on');
  assert.equal(await deliver(port, 'a@example.net', MAIL), '553 5.1.8 no such sender');
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  await client.say('MAIL FROM:<sender@example.com>');
  assert.equal(await client.say('RCPT TO:<a@example.net>'), '250 2.1.5 ok');
  assert.match(await client.say('RCPT TO:<b@example.net>'), /^452 4\.5\.3 no receiver stands behind/);
  client.socket.destroy();
  assert.deepEqual(receiver.requests, []);
});

test('a session waits for the next message, and one that ended meanwhile costs nobody an attempt', async (t) => {
  const receiver = await receiverFor(t);
  const second = TAKES.slice(TAKES.indexOf('C: MAIL'));
  const enough = 'C: MAIL FROM:<sender@example.com>\nS: 421 4.3.2 enough for now';
  await using peer = await startScriptedPeer(`${TAKES}\n${second}\n${enough}`, `${TAKES}\ndrop`, TAKES);
  const { port, sidecar } = await sidecarFor(t, firstTo(receiver.port, peer.port, 'Idle_Timeout = 600'));
  for (let message = 1; message <= 4; message += 1) {
    assert.match(await deliver(port, 'a@example.net', `X-Number: ${message}\r\n${MAIL}`), DELIVERED);
  }
  assert.equal(peer.clients.length, 3);
  await sidecar.close();
  assert.deepEqual(receiver.requests, []);
});

test('a destination that cannot be reached costs its time once', async (t) => {
  const receiver = await receiverFor(t);
  const { port, records } = await sidecarFor(t, firstTo(receiver.port, await closedPort()));
  assert.match(await deliver(port, 'a@example.net', MAIL), ANY_ID);
  assert.match(await deliver(port, 'a@example.net', `X-Number: 2\r\n${MAIL}`), ANY_ID);
  assert.deepEqual(attempts(records), [
    'TransientFailure a@example.net 421 connect',
    'Delayed a@example.net 451 null',
  ]);
  assert.deepEqual(
    receiver.requests.flatMap(({ frames }) => frames.map(({ header }) => header['attempts'])),
    [1, 1],
  );
});

test('a report of success that was asked for is left to the receiver', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer('silence');
  const { port } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  await client.say('MAIL FROM:<sender@example.com>');
  await client.say('RCPT TO:<a@example.net> NOTIFY=SUCCESS,FAILURE');
  await client.say('DATA');
  client.write(`${MAIL}.\r\n`);
  assert.match(await client.reply(), ANY_ID);
  client.socket.destroy();
  assert.deepEqual(peer.clients, []);
});

test('while no receiver is up, mail is still tried, and goes back to its MTA when that fails', async (t) => {
  await using peer = await startScriptedPeer(TAKES);
  const dead = `Domain example.org { Routes = "smtp://127.0.0.1?port=${await closedPort()}" }`;
  const { port, notices } = await sidecarFor(t, `${firstTo(await closedPort(), peer.port)} ${dead}`);
  assert.match(await deliver(port, 'a@example.org', MAIL), /^451 4\.4\.1 no route to xfer\.test is up/);
  assert.ok(notices().some(({ code }) => code === 'route-down'));
  assert.match(await deliver(port, 'a@example.net', MAIL), DELIVERED);
});

test('whoever was delivered while its MTA left is left out when it comes again', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startHeldPeer('.');
  const { port, notice } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  await peer.held(1);
  assert.equal(
    await deliver(port, 'a@example.net', MAIL),
    '451 4.3.2 an attempt to deliver this very message is under way',
  );
  client.socket.end();
  await client.closed;
  peer.release();
  await notice('delivered-unheard');
  assert.match(await deliver(port, 'a@example.net', MAIL), /^250 2\.0\.0 \S{43} delivered before$/);
  assert.equal(peer.messages.length, 1);
  assert.deepEqual(receiver.requests, []);
});
