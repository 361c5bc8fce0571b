import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DELIVERED, firstTo, MAIL, startHeldPeer } from './sidecar-attempt-peer.ts';
import { configurationOf, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { connectRaw, deliver, offer } from './sidecar-smtp-client.ts';

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
