// Mail of one client that goes to several receivers, and hears one answer.

import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { type Fixture, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { FRAMES, frame, httpSidecarFor } from './sidecar-http-fixture.ts';
import { createLedger } from './sidecar-ledger.ts';
import { hang, kept, type ScriptedReceiver, status } from './sidecar-receiver.ts';
import { connectRaw } from './sidecar-smtp-client.ts';

const BOTH = ['a@x.example', 'b@y.example'];

/** Delayed mail for x.example goes to the first, for y.example to the second. */
function twoReceivers(x: ScriptedReceiver, y: ScriptedReceiver): string {
  return `
Delayed_Reroute_Domain = "x.test"
Instance = "mx1.example.com"
EHLO_Hostname = "sidecar.example.com"
Domain y.example { Delayed_Reroute_Domain = "y.test" }
Domain x.test {
  Delivery_Method = "delay_xfer"
  Routes = ( "xfer://127.0.0.1?port=${x.port}" )
  Delivery_Response_Timeout = 500
}
Domain y.test {
  Delivery_Method = "delay_xfer"
  Routes = ( "xfer://127.0.0.1?port=${y.port}" )
  Delivery_Response_Timeout = 300
}`;
}

/** A request whose client can leave. */
function startTransfer(port: number, body: string): { leave(): void } {
  const headers = { 'content-type': FRAMES, 'content-length': Buffer.byteLength(body) };
  const asked = httpRequest({ host: '127.0.0.1', port, method: 'POST', path: '/delay_message', headers });
  asked.on('error', () => undefined);
  asked.end(body);
  return { leave: () => void asked.destroy() };
}

async function ends(fixture: Fixture, count: number): Promise<readonly (readonly unknown[])[]> {
  const records = await fixture.transfers(count);
  return records
    .map(({ queue, verdict, withdrawal, client_gone }) => [queue, verdict, withdrawal, client_gone])
    .toSorted();
}

test('HTTP: a client that comes again does not hear that a part was taken which is taken back after it', async (t) => {
  const [atX, atY] = [createLedger(), createLedger()];
  const [x, y] = [await receiverFor(t), await receiverFor(t)];
  x.script('POST', [], atX.honest);
  x.script('DELETE', [hang], atX.honest);
  y.script('POST', [status(401)], atY.honest);
  y.script('DELETE', [], atY.honest);
  const sidecar = await httpSidecarFor(t, twoReceivers(x, y));
  const body = frame('id1', { attempts: 1, recipients: BOTH });
  const first = startTransfer(sidecar.httpPort, body);
  await x.until('DELETE', 1);
  first.leave();
  const second = await sidecar.transfer(body);
  assert.equal(second.status, 422);
  assert.deepEqual([atX.held().size, atY.held().size], [0, 0]);
});

test('HTTP: a part accepted early is taken back when the client leaves before the whole answer', async (t) => {
  const [atX, atY] = [createLedger(), createLedger()];
  const [x, y] = [await receiverFor(t), await receiverFor(t)];
  x.script('POST', [], atX.honest);
  x.script('DELETE', [], atX.honest);
  y.script('POST', [], hang);
  y.script('DELETE', [], atY.honest);
  const sidecar = await httpSidecarFor(t, twoReceivers(x, y));
  const messages = frame('id1', { attempts: 1, recipients: ['a@x.example'] });
  const body = `${messages}${frame('id2', { attempts: 1, recipients: ['b@y.example'] })}`;
  const client = startTransfer(sidecar.httpPort, body);
  await x.until('POST', 1);
  await y.until('POST', 1);
  client.leave();
  assert.deepEqual(await ends(sidecar, 2), [
    ['x.test', 'accepted', 'withdrawn', true],
    ['y.test', 'in-doubt', 'withdrawn', true],
  ]);
  assert.deepEqual([atX.held().size, atY.held().size], [0, 0]);
});

test('HTTP: the sidecar does not stop before a part is taken back', async (t) => {
  const atX = createLedger();
  const [x, y] = [await receiverFor(t), await receiverFor(t)];
  x.script('POST', [], atX.honest);
  x.script('DELETE', [status(503), status(503)], atX.honest);
  y.script('POST', [], status(401));
  const sidecar = await httpSidecarFor(t, twoReceivers(x, y));
  const client = startTransfer(sidecar.httpPort, frame('id1', { attempts: 1, recipients: BOTH }));
  await x.until('DELETE', 1);
  client.leave();
  await sidecar.sidecar.close();
  assert.equal(atX.held().size, 0);
  assert.equal(x.requests.filter(({ method }) => method === 'DELETE').length, 3);
});

test('HTTP: an operator hears of a part that its receiver keeps while another was not taken', async (t) => {
  const [x, y] = [await receiverFor(t), await receiverFor(t)];
  x.script('DELETE', [kept]);
  y.script('POST', [], status(401));
  const sidecar = await httpSidecarFor(t, twoReceivers(x, y));
  await sidecar.transfer(frame('id1', { attempts: 1, recipients: BOTH }));
  assert.match((await sidecar.notice('double-possible')).message, /^id1 is at one receiver, which has begun/);
});

test('LMTP: a group accepted early is taken back when the MTA leaves before its replies', async (t) => {
  const atX = createLedger();
  const [x, y] = [await receiverFor(t), await receiverFor(t)];
  x.script('POST', [], atX.honest);
  x.script('DELETE', [], atX.honest);
  y.script('POST', [], hang);
  const text = `${twoReceivers(x, y)} LMTP_Listener { Listen "127.0.0.1:0" {} }`;
  const fixture = await sidecarFor(t, text, { listen: [] });
  const client = await connectRaw(fixture.sidecar.addresses.find(({ kind }) => kind === 'lmtp')?.port ?? 0);
  await client.say('LHLO mta.example.com');
  await client.say('MAIL FROM:<s@example.com>');
  for (const recipient of BOTH) assert.match(await client.say(`RCPT TO:<${recipient}>`), /^250 /);
  await client.say('DATA');
  client.write('Subject: hello\r\n\r\nHello.\r\n.\r\n');
  await x.until('POST', 1);
  await y.until('POST', 1);
  client.socket.destroy();
  assert.deepEqual(await ends(fixture, 2), [
    ['x.test', 'accepted', 'withdrawn', true],
    ['y.test', 'in-doubt', 'withdrawn', true],
  ]);
  assert.equal(atX.held().size, 0);
});
