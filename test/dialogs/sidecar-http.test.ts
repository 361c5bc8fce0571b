import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { closedPort, delayedTo, receiverFor } from './sidecar-fixture.ts';
import { frame, httpSidecarFor, LETTER } from './sidecar-http-fixture.ts';
import { accept, cut, hang, kept, status, verdicts, withdrawn } from './sidecar-receiver.ts';

const SHA256 = createHash('sha256').update(LETTER).digest('hex');

test('a transfer of frames reaches the receiver with its own ids and fields, and hears its verdicts in order', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]));
  receiver.script('POST', [
    verdicts(({ ids }) =>
      ids.map((id) =>
        id === 'two'
          ? { id, status: 'refused', reply: { code: 554, enhanced: '5.6.0', text: 'bare CR' } }
          : { id, status: id === 'three' ? 'duplicate' : 'accepted' },
      ),
    ),
  ]);
  const fields = {
    recipients: [{ address: 'a@example.net', orcpt: 'rfc822;a@example.net', notify: ['FAILURE'] }],
    envid: 'e1',
    ret: 'HDRS',
    receivedAt: '2026-11-22T10:00:00.000Z',
    receivedFrom: 'mx1.example.com',
    attempts: 3,
    dueAt: '2026-11-22T12:00:00.000Z',
    expiresAt: '2026-11-27T10:00:00.000Z',
    lastReply: { code: 451, enhanced: '4.7.1', text: 'Greylisted', host: 'mx.example.net' },
    meta: { tenant: 'acme' },
  };
  const body = [
    frame('one', fields),
    frame('two'),
    frame('bad', { recipients: ['nobody'] }),
    frame('three'),
  ].join('');
  const answer = await sidecar.transfer(body);
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.json, {
    messages: [
      { id: 'one', status: 'accepted' },
      { id: 'two', status: 'refused', reply: { code: 554, enhanced: '5.6.0', text: 'bare CR' } },
      {
        id: 'bad',
        status: 'refused',
        reply: { code: 501, enhanced: '5.1.3', text: 'recipients[0].address has no @' },
      },
      { id: 'three', status: 'duplicate' },
    ],
  });
  const [handed] = receiver.requests;
  assert.deepEqual(handed?.ids, ['one', 'two', 'three']);
  assert.deepEqual(handed?.frames[0]?.header, {
    id: 'one',
    sender: 'b@example.com',
    smtputf8: false,
    sizeBytes: LETTER.length,
    sha256: SHA256,
    ...fields,
  });
  assert.equal(handed?.frames[0]?.content.toString(), LETTER);
  const records = await sidecar.transfers(3);
  assert.deepEqual(
    records.map(({ id, mode, verdict }) => [id, mode, verdict]),
    [
      ['one', 'delayed', 'accepted'],
      ['two', 'delayed', 'refused'],
      ['three', 'delayed', 'duplicate'],
    ],
  );
});

test('JSON, rfc822 with LF alone, and a gzipped transfer of KumoMTA go onward as frames', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]));
  const json = await sidecar.ask({
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify({ id: 'j', sender: '', recipients: ['ä@example.net'], content: LETTER }),
  });
  assert.deepEqual([json.status, json.json], [200, { messages: [{ id: 'j', status: 'accepted' }] }]);
  const local = await sidecar.ask({
    headers: {
      'content-type': 'message/rfc822',
      'idempotency-key': 'r',
      'x-xfer-sender': '<>',
      'x-xfer-recipients': 'a@example.net, "john, doe"@example.net',
    },
    body: LETTER.replaceAll('\r\n', '\n'),
  });
  assert.deepEqual([local.status, local.json], [200, { messages: [{ id: 'r', status: 'accepted' }] }]);
  const id = 'e6d0c8a4f7b94c1d9a3e5b7f2c4d6e80';
  const meta = { xfer_queue_info: { tenant: 'acme', num_attempts: 2 } };
  const line = { id, sender: 'b@example.com', recipient: ['a@example.net'], meta };
  const kumo = await sidecar.ask({
    path: '/api/xfer/inject/v1',
    headers: { 'content-encoding': 'gzip', 'content-type': 'application/octet-stream' },
    body: gzipSync(`${JSON.stringify(line)}\n${LETTER}`),
  });
  assert.deepEqual([kumo.status, kumo.json], [200, { id }]);
  const frames = receiver.requests.flatMap((request) => request.frames);
  assert.deepEqual(
    frames.map(({ header, content }) => [
      header['id'],
      header['smtputf8'],
      header['attempts'],
      String(content),
    ]),
    [
      ['j', true, undefined, LETTER],
      ['r', false, undefined, LETTER],
      [id, false, 2, LETTER],
    ],
  );
  assert.deepEqual(frames[1]?.header['recipients'], [
    { address: 'a@example.net' },
    { address: '"john, doe"@example.net' },
  ]);
});

test('a refusal of all messages is a 422 with the reply of each', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]));
  const answer = await sidecar.transfer(frame('x', { sha256: '0'.repeat(64) }));
  assert.equal(answer.status, 422);
  assert.equal(answer.headers['content-type'], 'application/problem+json');
  assert.equal(answer.json['code'], 'all-refused');
  assert.deepEqual(answer.json['messages'], [
    {
      id: 'x',
      status: 'refused',
      reply: {
        code: 451,
        enhanced: '4.6.0',
        text: 'content does not have the announced sha256; send it again',
      },
    },
  ]);
  assert.equal(receiver.requests.length, 0);
});

test('a message that requires TLS goes to no route that others can read', async (t) => {
  const text = delayedTo([1]).replace('127.0.0.1?port=1', '192.0.2.1?port=1');
  const sidecar = await httpSidecarFor(t, text);
  const answer = await sidecar.transfer(frame('x', { requireTls: true, attempts: 1 }));
  assert.equal(answer.status, 422);
  const reply = { code: 451, enhanced: '4.7.30', text: 'REQUIRETLS: a route to xfer.test has no TLS' };
  assert.deepEqual(answer.json['messages'], [{ id: 'x', status: 'refused', reply }]);
});

test('faults of a request hear the same problems as at the receiver, and nothing is handed over', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]));
  const frames = { 'content-type': 'application/vnd.delay-xfer.v1' };
  const asks: [string, Parameters<typeof sidecar.ask>[0]][] = [
    ['415 unsupported-media-type', { headers: { 'content-type': 'multipart/form-data' }, body: 'x' }],
    ['415 unsupported-encoding', { headers: { ...frames, 'content-encoding': 'br' }, body: 'x' }],
    ['400 bad-gzip', { headers: { ...frames, 'content-encoding': 'gzip' }, body: 'not gzip at all' }],
    ['400 empty-body', { headers: { ...frames, 'content-encoding': 'gzip' }, body: '' }],
    ['400 empty-body', { headers: frames }],
    ['400 frame-truncated', { headers: frames, body: frame('one') + frame('two').slice(0, -3) }],
    ['400 bad-frame', { headers: frames, body: 'GET / HTTP/1.1\n' }],
    ['400 bad-patience', { headers: { ...frames, 'x-xfer-patience-ms': '5' }, body: frame('one') }],
    ['400 missing-header', { headers: { 'content-type': 'message/rfc822' }, body: LETTER }],
    ['400 bad-json', { headers: { 'content-type': 'application/json' }, body: '[]' }],
    [
      '413 body-too-large',
      {
        headers: { 'content-type': 'application/json', expect: '100-continue', 'content-length': '8388609' },
      },
    ],
    [
      '413 inflated-too-large',
      {
        headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
        body: gzipSync(Buffer.alloc(8_388_609)),
      },
    ],
    ['413 frame-too-large', { headers: frames, body: frame('big', { sizeBytes: 100_000_000 }) }],
    ['400 frame-truncated', { path: '/api/xfer/inject/v1', body: '{}' }],
    ['404 not-found', { path: '/elsewhere' }],
    ['404 not-found', { path: '/delay_message/uploads', body: '{"id":"x"}' }],
    ['405 method-not-allowed', { method: 'PUT', body: frame('one') }],
  ];
  for (const [expected, ask] of asks) {
    const answer = await sidecar.ask(ask);
    assert.equal(`${answer.status} ${answer.json['code']}`, expected, JSON.stringify(answer.json));
  }
  assert.equal(receiver.requests.length, 0);
});

test('mail that the receiver may have is withdrawn when it was deferred, and its client may keep it', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port], 'Handoff_Deadline = 3'));
  receiver.script('POST', [cut], cut);
  const answer = await sidecar.transfer(frame('doubt', { attempts: 1 }));
  assert.equal(answer.status, 422);
  assert.match(JSON.stringify(answer.json['messages']), /"code":451,"enhanced":"4\.4\.2"/);
  const [record] = await sidecar.transfers(1);
  assert.deepEqual([record?.verdict, record?.withdrawal], ['in-doubt', 'withdrawn']);
});

test('rerouted mail in doubt is left to be repeated under the same id', async (t) => {
  const receiver = await receiverFor(t);
  const text = delayedTo([receiver.port], 'Handoff_Deadline = 3').replace(
    'Delayed_Reroute_Domain = "xfer.test"',
    'Domain example.net { Reroute_Domain = "xfer.test" }',
  );
  const sidecar = await httpSidecarFor(t, text);
  receiver.script('POST', [cut], cut);
  const answer = await sidecar.transfer(frame('doubt'));
  assert.deepEqual(
    [answer.status, answer.json['code'], answer.headers['retry-after']],
    [503, 'in-doubt', '5'],
  );
  assert.deepEqual(receiver.requests.filter(({ method }) => method === 'DELETE').length, 0);
  receiver.script('POST', [verdicts(() => [{ id: 'doubt', status: 'duplicate' }])]);
  const again = await sidecar.transfer(frame('doubt'));
  assert.deepEqual(again.json, { messages: [{ id: 'doubt', status: 'duplicate' }] });
});

test('a client that leaves before its answer has its deferred mail withdrawn', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port], 'Delivery_Response_Timeout = 500'));
  receiver.script('POST', [hang, hang]);
  const body = frame('left');
  const socket = connect(sidecar.httpPort, '127.0.0.1');
  socket.write(
    `POST /delay_message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.delay-xfer.v1\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  await receiver.until('POST', 1);
  socket.destroy();
  const [record] = await sidecar.transfers(1);
  assert.deepEqual([record?.client_gone, record?.withdrawal], [true, 'withdrawn']);
  const [withdrawal] = receiver.requests.filter(({ method }) => method === 'DELETE');
  assert.equal(withdrawal?.path, '/delay_message/left');
});

test('a message for several receivers is accepted when each has taken its part', async (t) => {
  const [one, two] = [await receiverFor(t), await receiverFor(t)];
  const sidecar = await httpSidecarFor(t, twoWays(one.port, two.port));
  const fields = { recipients: ['a@one.example', 'b@two.example', 'c@one.example'] };
  const answer = await sidecar.transfer(frame('both', fields));
  assert.deepEqual(answer.json, { messages: [{ id: 'both', status: 'accepted' }] });
  const recipients = [one, two].map(({ requests }) => requests[0]?.frames[0]?.header['recipients']);
  assert.deepEqual(recipients, [
    [{ address: 'a@one.example' }, { address: 'c@one.example' }],
    [{ address: 'b@two.example' }],
  ]);

  // One part is refused: the client keeps the whole, so that the other part is taken back.
  two.script('POST', [
    verdicts(() => [{ id: 'half', status: 'refused', reply: { code: 451, text: 'later' } }], 422),
  ]);
  const half = await sidecar.transfer(frame('half', { ...fields, attempts: 1 }));
  assert.deepEqual(half.json['messages'], [
    { id: 'half', status: 'refused', reply: { code: 451, text: 'later' } },
  ]);
  assert.deepEqual(
    one.requests.filter(({ method }) => method === 'DELETE').map(({ path }) => path),
    ['/delay_message/half'],
  );

  // A recipient without a way refuses the message before anything leaves.
  const before = one.requests.length + two.requests.length;
  const none = await sidecar.transfer(frame('none', { recipients: ['a@one.example', 'x@nowhere.example'] }));
  assert.match(JSON.stringify(none.json['messages']), /"code":451,"enhanced":"4\.3\.5"/);
  assert.equal(one.requests.length + two.requests.length, before);
});

test('a withdrawal asks every receiver, and is told only when it is sure', async (t) => {
  const [one, two] = [await receiverFor(t), await receiverFor(t)];
  const sidecar = await httpSidecarFor(t, twoWays(one.port, two.port));
  const ask = () => sidecar.ask({ method: 'DELETE', path: '/delay_message/x' });
  const sure = await ask();
  assert.deepEqual([sure.status, sure.json], [200, { id: 'x', status: 'withdrawn' }]);
  assert.deepEqual([one.requests.length, two.requests.length], [1, 1]);
  two.script('DELETE', [kept]);
  const begun = await ask();
  assert.deepEqual([begun.status, begun.json['code'], begun.json['state']], [409, 'not-withdrawn', 'open']);
  one.script('DELETE', [withdrawn]);
  two.script('DELETE', [status(500)]);
  const unsure = await ask();
  assert.deepEqual([unsure.status, unsure.json['code']], [503, 'in-doubt']);
});

test('while no route is up, mail is refused before it is sent, and health says so', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]));
  const up = await sidecar.ask({ method: 'GET', path: '/health' });
  assert.deepEqual([up.status, up.json], [200, { status: 'up' }]);
  const down = await httpSidecarFor(t, delayedTo([await closedPort()], 'Host_Failure_Retry = 3600'));
  const first = await down.transfer(frame('one'));
  assert.deepEqual(
    [first.status, first.json['code'], first.headers['retry-after']],
    [503, 'unavailable', '5'],
  );
  const next = await down.ask({
    headers: {
      'content-type': 'application/vnd.delay-xfer.v1',
      expect: '100-continue',
      'content-length': '9',
    },
  });
  assert.deepEqual([next.status, next.json['code']], [503, 'unavailable']);
  const health = await down.ask({ method: 'GET', path: '/health' });
  assert.deepEqual([health.status, health.json], [503, { status: 'no-route' }]);
});

test('web pages cannot hand mail over', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]));
  for (const headers of [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { host: 'evil.example:8081' },
  ]) {
    const answer = await sidecar.transfer(frame('x'), headers);
    assert.deepEqual([answer.status, answer.json['code']], [403, 'forbidden'], JSON.stringify(headers));
  }
  for (const host of ['localhost:8081', '127.0.0.1', '[::1]:8081', 'sidecar.example.com']) {
    const answer = await sidecar.transfer(frame('x'), { host });
    assert.equal(answer.status, 200, host);
  }
});

test('content of many megabytes passes through without its size in memory, and what does not fit hears 429', async (t) => {
  const receiver = await receiverFor(t);
  const limits = { maxHeldBytes: 9_000_000 };
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]), { limits });
  const large = `${randomBytes(9_000_000).toString('base64').replaceAll(/.{76}/g, '$&\r\n')}\r\n`;
  const put = createHash('sha256');
  receiver.script('POST', [
    (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const url = `http://127.0.0.1:${receiver.port}/spool/key`;
      response.end(JSON.stringify({ url, method: 'PUT', headers: {}, expiresAt: '2099-01-01T00:00:00Z' }));
    },
    accept,
  ]);
  const answer = await sidecar.transfer(frame('large', {}, large));
  assert.deepEqual(answer.json, { messages: [{ id: 'large', status: 'accepted' }] });
  const uploaded = receiver.requests.find(({ method }) => method === 'PUT')?.body ?? Buffer.alloc(0);
  assert.equal(put.update(uploaded).digest('hex'), createHash('sha256').update(large).digest('hex'));
  assert.equal(receiver.requests.at(-1)?.frames[0]?.header['upload'], true);

  const content = 'x'.repeat(3_500_000);
  const three = [1, 2, 3].map((n) => frame(`n${n}`, {}, content)).join('');
  const full = await sidecar.transfer(three);
  assert.deepEqual([full.status, full.json['code'], full.headers['retry-after']], [429, 'too-busy', '5']);
  const after = await sidecar.transfer(frame('fits', {}, content));
  assert.deepEqual(after.json, { messages: [{ id: 'fits', status: 'accepted' }] });
});

test('closing answers what is in flight', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]));
  let answerNow = (): void => undefined;
  receiver.script('POST', [
    (request, response) => {
      answerNow = () => accept(request, response);
    },
  ]);
  const asked = sidecar.transfer(frame('last'));
  await receiver.until('POST', 1);
  const closed = sidecar.sidecar.close();
  answerNow();
  const answer = await asked;
  assert.deepEqual(answer.json, { messages: [{ id: 'last', status: 'accepted' }] });
  assert.equal(answer.headers['connection'], 'close');
  await closed;
});

function twoWays(onePort: number, twoPort: number): string {
  const domains = [
    ['one', onePort],
    ['two', twoPort],
  ].map(
    ([name, port]) => `
Domain ${name}.example { Delayed_Reroute_Domain = "${name}.test" }
Domain ${name}.test { Delivery_Method = "delay_xfer"  Routes = ( "xfer://127.0.0.1?port=${port}" ) }`,
  );
  return `Instance = "mx1.example.com"\n${domains.join('')}`;
}
