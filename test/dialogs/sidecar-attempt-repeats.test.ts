import assert from 'node:assert/strict';
import { test } from 'node:test';
import { greeted, startScriptedPeer } from './scripted-peer.ts';
import { ANY_ID, attempts, DELIVERED, firstTo, MAIL, startHeldPeer } from './sidecar-attempt-peer.ts';
import { configurationOf, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { accept, duplicate, kept } from './sidecar-receiver.ts';
import { connectRaw, deliver, offer, type RawClient } from './sidecar-smtp-client.ts';

/** What is left is a reply for each recipient. */
async function offerLmtp(port: number, to: readonly string[]): Promise<RawClient> {
  const client = await connectRaw(port);
  await client.say('LHLO mta.example.com');
  await client.say('MAIL FROM:<sender@example.com>');
  for (const recipient of to) assert.equal(await client.say(`RCPT TO:<${recipient}>`), '250 2.1.5 ok');
  await client.say('DATA');
  client.write(`${MAIL}.\r\n`);
  return client;
}

test('a repeat does not deliver beside the first try, though the configuration was read anew between them', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startHeldPeer('.');
  const configuration = firstTo(receiver.port, peer.port, 'Max_Outbound_Connections = 2');
  const { port, sidecar } = await sidecarFor(t, configuration);
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  await peer.held(1);
  const changed = configuration.replace('Max_Outbound_Connections = 2', 'Max_Outbound_Connections = 1');
  const reload = await sidecar.reload({ ok: true, configuration: configurationOf(changed) });
  assert.equal(reload.ok, true);
  assert.equal(
    await deliver(port, 'a@example.net', MAIL),
    '451 4.3.2 an attempt to deliver this very message is under way',
  );
  assert.match(
    await deliver(port, 'a@example.net', `X-Number: 2\r\n${MAIL}`),
    /^250 2\.0\.0 \S{43} accepted$/,
    'the session of the first try counts',
  );
  peer.release();
  assert.match(await client.reply(), DELIVERED);
  client.socket.destroy();
  assert.equal(peer.messages.length, 1);
  assert.equal(receiver.requests.length, 1);
});

test('LMTP: who was delivered while others waited, and the MTA left, is left out when it comes again', async (t) => {
  const [receiver, slow] = [await receiverFor(t), await receiverFor(t)];
  await using peer = await startHeldPeer('.');
  const { sidecar, attempted, notice } = await sidecarFor(
    t,
    `${firstTo(receiver.port, peer.port)}
     LMTP_Listener { Listen "127.0.0.1:0" {} }
     Domain slow.example { Reroute_Domain = slow.test }
     Domain slow.test { Delivery_Method = delay_xfer Routes = "xfer://127.0.0.1?port=${slow.port}" }`,
    { listen: [] },
  );
  const both = ['a@example.net', 'b@slow.example'];
  let acceptSlow = (): void => undefined;
  slow.script('POST', [
    (request, response) => {
      acceptSlow = () => accept(request, response);
    },
  ]);
  const [{ port } = assert.fail('no listener')] = sidecar.addresses;
  const client = await offerLmtp(port, both);
  await peer.held(1);
  await slow.until('POST', 1);
  peer.release();
  await attempted('Delivery');
  const early = await offerLmtp(port, ['a@example.net']);
  assert.equal(
    await early.reply(),
    '451 4.3.2 an attempt to deliver this very message is under way',
    'its MTA may still hear of all recipients',
  );
  early.socket.destroy();
  client.socket.destroy();
  await client.closed;
  acceptSlow();
  assert.match((await notice('delivered-unheard')).message, /^\S{43} was delivered to 1 of 1, /);
  const again = await offerLmtp(port, both);
  assert.match(await again.reply(), /^250 2\.0\.0 \S{43} delivered before$/);
  assert.match(await again.reply(), ANY_ID);
  again.socket.destroy();
  assert.equal(peer.messages.length, 1);
});

test('a repeat of what a receiver kept is not tried here beside it', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer(
    `${greeted('ENHANCEDSTATUSCODES')}
     C: MAIL FROM:<sender@example.com>
     S: 250 2.1.0 ok
     C: RCPT TO:<a@example.net>
     S: 451 4.7.1 greylisted
     C: RSET
     S: 250 2.0.0 ok
     C: QUIT
     S: 221 2.0.0 bye`,
  );
  const { port, records, transfers } = await sidecarFor(t, firstTo(receiver.port, peer.port));
  let acceptFirst = (): void => undefined;
  receiver.script(
    'POST',
    [
      (request, response) => {
        acceptFirst = () => accept(request, response);
      },
    ],
    duplicate,
  );
  receiver.script('DELETE', [kept]);
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  await receiver.until('POST', 1);
  client.socket.end();
  await client.closed;
  acceptFirst();
  assert.equal((await transfers(1))[0]?.withdrawal, 'kept');
  assert.match(await deliver(port, 'a@example.net', MAIL), /^250 2\.0\.0 \S{43} accepted before$/);
  assert.deepEqual(attempts(records), [
    'TransientFailure a@example.net 451 rcpt',
    'Delayed a@example.net 451 null',
  ]);
});
