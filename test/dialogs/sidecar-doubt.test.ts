import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delayedTo, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { accept, cut, duplicate, hang, kept, status, verdicts } from './sidecar-receiver.ts';
import { connectRaw, deliver, offer, openRaw } from './sidecar-smtp-client.ts';

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n';
const MAIL_ID = '-KjDRiThMnrBbc5glhXv2LmmiWnWOR8Mm-1k9-uAJic';
/** One try of 150 ms, another 500 ms later, and that is it. */
const BRIEF = 'Delivery_Response_Timeout = 150  Handoff_Deadline = 1';

test('after a 500 the same id is sent to the same receiver again, and the MTA hears 250', async (t) => {
  const receiver = await receiverFor(t);
  const spare = await receiverFor(t);
  const { port, transfers } = await sidecarFor(t, delayedTo([receiver.port, spare.port]));
  receiver.script('POST', [status(500), duplicate]);
  assert.equal(await deliver(port, 'a@example.net', MAIL), `250 2.0.0 ${MAIL_ID} accepted before`);
  assert.deepEqual(
    receiver.requests.map((request) => request.ids),
    [[MAIL_ID], [MAIL_ID]],
  );
  assert.equal(spare.requests.length, 0);
  assert.equal((await transfers(1))[0]?.tries, 2);
});

test('after a try without an answer the same id is sent again', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port], BRIEF));
  receiver.script('POST', [hang, duplicate]);
  assert.equal(await deliver(port, 'a@example.net', MAIL), `250 2.0.0 ${MAIL_ID} accepted before`);
  assert.deepEqual(
    receiver.requests.map((request) => `${request.method} ${request.ids.join()}`),
    [`POST ${MAIL_ID}`, `POST ${MAIL_ID}`],
  );
  assert.equal(receiver.requests[0]?.headers['x-xfer-patience-ms'], undefined);
});

test('still in doubt at the deadline, the message is withdrawn and its MTA keeps it', async (t) => {
  const receiver = await receiverFor(t);
  const { port, transfers } = await sidecarFor(t, delayedTo([receiver.port], BRIEF));
  receiver.script('POST', [], hang);
  assert.equal(
    await deliver(port, 'a@example.net', MAIL),
    '451 4.4.2 no verdict in time: no answer within 150 ms',
  );
  assert.deepEqual(
    receiver.requests.map((request) => `${request.method} ${request.path}`),
    ['POST /delay_message', 'POST /delay_message', `DELETE /delay_message/${MAIL_ID}`],
  );
  const [record] = await transfers(1);
  assert.deepEqual([record?.verdict, record?.withdrawal, record?.tries], ['in-doubt', 'withdrawn', 2]);
});

test('a message that is past withdrawal has been handed over, so that its MTA hears 250', async (t) => {
  const receiver = await receiverFor(t);
  const { port, transfers } = await sidecarFor(t, delayedTo([receiver.port], BRIEF));
  receiver.script('POST', [], hang);
  receiver.script('DELETE', [kept]);
  assert.equal(await deliver(port, 'a@example.net', MAIL), `250 2.0.0 ${MAIL_ID} accepted before`);
  assert.equal((await transfers(1))[0]?.withdrawal, 'kept');
});

test('a withdrawal that is never answered is repeated, and an operator is told of the possible double', async (t) => {
  const receiver = await receiverFor(t);
  const { port, transfers, notices } = await sidecarFor(t, delayedTo([receiver.port], BRIEF));
  receiver.script('POST', [], status(503));
  receiver.script('DELETE', [status(500)], hang);
  const reply = await deliver(port, 'a@example.net', MAIL);
  assert.equal(reply, '451 4.4.2 no verdict in time: HTTP 503 scripted the script says 503');
  assert.equal((await transfers(1))[0]?.withdrawal, 'unconfirmed');
  assert.equal(receiver.requests.filter((request) => request.method === 'DELETE').length, 2);
  const notice = notices().find(({ code }) => code === 'withdrawal-unconfirmed');
  assert.equal(notice?.level, 'error');
  assert.match(notice?.message ?? '', /^-KjDRi\S+ may be at the receiver and at its MTA/);
});

test('a Retry-After beyond the deadline ends the hand-over at once', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  receiver.script('POST', [status(503, { 'retry-after': '600' })]);
  const reply = await deliver(port, 'a@example.net', MAIL);
  assert.equal(reply, '451 4.4.2 no verdict in time: HTTP 503 scripted the script says 503');
  assert.deepEqual(
    receiver.requests.map((request) => request.method),
    ['POST', 'DELETE'],
  );
});

test('a receiver that is too busy is asked again after the time it names, and nothing needs withdrawal', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const times: number[] = [];
  receiver.script('POST', [
    (request, response) => {
      times.push(Date.now());
      status(429, { 'retry-after': '1' })(request, response);
    },
    (request, response) => {
      times.push(Date.now());
      status(429, { 'retry-after': '600' })(request, response);
    },
  ]);
  const reply = await deliver(port, 'a@example.net', MAIL);
  assert.equal(reply, '451 4.3.0 not taken: HTTP 429 scripted the script says 429');
  assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 990);
  assert.deepEqual(
    receiver.requests.map((request) => request.method),
    ['POST', 'POST'],
  );
});

for (const [when, before] of [
  ['before the body is read', true],
  ['after the body is read', false],
] as const) {
  test(`a connection lost ${when} leaves doubt: the same receiver is asked again, not the next`, async (t) => {
    const receiver = await receiverFor(t);
    const spare = await receiverFor(t);
    const { port, transfers } = await sidecarFor(t, delayedTo([receiver.port, spare.port]));
    if (before) {
      receiver.cutBeforeBody = () => {
        receiver.cutBeforeBody = () => false;
        return true;
      };
    } else {
      receiver.script('POST', [cut]);
    }
    assert.equal(await deliver(port, 'a@example.net', MAIL), `250 2.0.0 ${MAIL_ID} accepted`);
    assert.equal(spare.requests.length, 0);
    assert.equal((await transfers(1))[0]?.tries, 2);
  });
}

for (const [what, answer] of [
  ['a lost connection', cut],
  ['a 503', status(503)],
] as const) {
  test(`after ${what} no other receiver is asked, even when the first one is gone`, async (t) => {
    const receiver = await receiverFor(t);
    const spare = await receiverFor(t);
    const { port } = await sidecarFor(t, delayedTo([receiver.port, spare.port], BRIEF));
    receiver.script('POST', [
      (request, response) => {
        response.on('close', () => void receiver.close());
        answer(request, response);
      },
    ]);
    const reply = await deliver(port, 'a@example.net', MAIL);
    assert.equal(reply, `451 4.4.2 no verdict in time: connect ECONNREFUSED 127.0.0.1:${receiver.port}`);
    assert.equal(receiver.requests.length, 1);
    assert.equal(spare.requests.length, 0);
  });
}

test('a message that its receiver refuses after a doubt is withdrawn, in case the first try was taken', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const refusal = { code: 451, enhanced: '4.3.0', text: 'no time' };
  receiver.script('POST', [
    status(500),
    verdicts(({ ids }) => ids.map((id) => ({ id, status: 'refused', reply: refusal })), 422),
  ]);
  assert.equal(await deliver(port, 'a@example.net', MAIL), '451 4.3.0 no time');
  assert.deepEqual(
    receiver.requests.map((request) => request.method),
    ['POST', 'POST', 'DELETE'],
  );
});

test('a message that an answer leaves out is sent again alone', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]), { limits: { windowMs: 100 } });
  receiver.script('POST', [verdicts(({ ids }) => ids.slice(0, 1).map((id) => ({ id, status: 'accepted' })))]);
  const replies = await Promise.all(
    ['1\r\n', '2\r\n'].map((content) => deliver(port, 'a@example.net', content)),
  );
  for (const reply of replies) assert.match(reply, /^250 2\.0\.0 \S{43} accepted$/);
  assert.deepEqual(
    receiver.requests.map((request) => request.ids.length),
    [2, 1],
  );
  assert.deepEqual(receiver.requests[1]?.ids, receiver.requests[0]?.ids.slice(1));
});

test('an MTA that leaves before its 250 keeps its mail: the message is withdrawn', async (t) => {
  const receiver = await receiverFor(t);
  const { port, transfers, notices } = await sidecarFor(t, delayedTo([receiver.port], BRIEF));
  receiver.script('POST', [], hang);
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  await receiver.until('POST', 1);
  client.socket.destroy();
  const [record] = await transfers(1);
  assert.deepEqual(
    receiver.requests.map((request) => `${request.method} ${request.path}`),
    ['POST /delay_message', `DELETE /delay_message/${MAIL_ID}`],
  );
  assert.deepEqual([record?.client_gone, record?.withdrawal], [true, 'withdrawn']);
  assert.deepEqual(
    notices().filter(({ level }) => level !== 'info'),
    [],
  );
});

test('a message accepted after its MTA left is withdrawn, and when that is too late an operator is told', async (t) => {
  const receiver = await receiverFor(t);
  const limits = { maxConnections: 1 };
  const { port, transfers, notices } = await sidecarFor(t, delayedTo([receiver.port]), { limits });
  const client = await connectRaw(port);
  let release = (): void => undefined;
  receiver.script('POST', [
    (request, response) => {
      release = () => accept(request, response);
    },
  ]);
  receiver.script('DELETE', [kept]);
  await offer(client, ['a@example.net'], MAIL);
  await receiver.until('POST', 1);
  client.socket.destroy();
  // The only connection is free again when the sidecar has seen that its client is gone.
  while (!(await openRaw(port).reply()).startsWith('220'));
  release();
  const [record] = await transfers(1);
  assert.deepEqual([record?.verdict, record?.client_gone, record?.withdrawal], ['accepted', true, 'kept']);
  assert.deepEqual(
    notices()
      .filter(({ level }) => level === 'warn')
      .map(({ code }) => code),
    ['double-possible'],
  );
});

test('closing waits for the withdrawal of a message whose MTA left', async (t) => {
  const receiver = await receiverFor(t);
  const { port, sidecar, records } = await sidecarFor(t, delayedTo([receiver.port], BRIEF));
  receiver.script('POST', [], hang);
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  await receiver.until('POST', 1);
  client.socket.destroy();
  await sidecar.close();
  assert.equal(receiver.requests.at(-1)?.method, 'DELETE');
  const ended = records.find((record) => record.type === 'XferOut');
  assert.equal(ended?.withdrawal, 'withdrawn');
});
