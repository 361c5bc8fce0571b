import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TraceRecord } from '../../sidecar/trace.ts';
import { delayedTo, receiverFor } from './sidecar-fixture.ts';
import { frame, httpSidecarFor } from './sidecar-http-fixture.ts';
import { accept, cut } from './sidecar-receiver.ts';
import { deliver } from './sidecar-smtp-client.ts';

test('the trace tells both dialogues of a message, without its content and without secrets', async (t) => {
  const receiver = await receiverFor(t);
  const traced: TraceRecord[] = [];
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port], 'HTTP_Basic_Auth = "mta:geheim"'), {
    trace: (record) => traced.push(record),
  });
  const reply = await deliver(sidecar.port, 'a@example.net', 'Subject: private\r\n\r\nfor your eyes\r\n');
  const [record] = await sidecar.transfers(1);
  const lines = traced.filter((each) => each.type === 'SmtpTrace');
  const said = lines.filter(({ from }) => from === 'client').map(({ text }) => text);
  assert.equal(said[0]?.startsWith('EHLO '), true);
  assert.deepEqual(
    said.filter((text) => text.startsWith('RCPT')),
    ['RCPT TO:<a@example.net>'],
  );
  assert.ok(lines.some(({ from, text }) => from === 'server' && text === reply));
  assert.deepEqual([...new Set(lines.map((line) => line.session_id))], [record?.session_id]);
  const [push] = traced.filter((each) => each.type === 'PushTrace');
  assert.deepEqual(
    [push?.method, push?.url, push?.status, push?.reason, push?.headers['content-type']],
    ['POST', `http://127.0.0.1:${receiver.port}/delay_message`, 200, null, 'application/vnd.delay-xfer.v1'],
  );
  const text = JSON.stringify(traced);
  for (const secret of ['geheim', Buffer.from('mta:geheim').toString('base64'), 'your eyes', 'private']) {
    assert.ok(!text.includes(secret), secret);
  }
});

test('the trace tells requests of local programs, and pushes that nobody answered', async (t) => {
  const receiver = await receiverFor(t);
  const traced: TraceRecord[] = [];
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]), {
    trace: (record) => traced.push(record),
  });
  receiver.script('POST', [cut, accept]);
  await sidecar.transfer(frame('one') + frame('two'));
  const [request] = traced.filter((each) => each.type === 'HttpTrace');
  assert.deepEqual(
    [request?.peer, request?.method, request?.path, request?.status, request?.ids],
    ['127.0.0.1', 'POST', '/delay_message', 200, ['one', 'two']],
  );
  const pushes = traced.filter((each) => each.type === 'PushTrace');
  assert.deepEqual(
    pushes.map(({ status, reason }) => [status, reason?.split(':')[0] ?? null]),
    [
      [null, 'lost'],
      [200, null],
    ],
  );
});
