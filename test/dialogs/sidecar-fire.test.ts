// The hand-over under fire: whatever the receiver does, each message is at its MTA or at the receiver, and never in
// no hand. For every case: what the MTA heard, and what the receiver has.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../sidecar/clock.ts';
import { closedPort, delayedTo, type Fixture, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { createLedger, type Ledger } from './sidecar-ledger.ts';
import { fastClock } from './sidecar-push.ts';
import {
  type Answer,
  accept,
  cut,
  hang,
  type ScriptedReceiver,
  startReceiver,
  status,
  verdicts,
} from './sidecar-receiver.ts';
import { connectRaw, deliver, offer } from './sidecar-smtp-client.ts';

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n';
const MAIL_ID = '-KjDRiThMnrBbc5glhXv2LmmiWnWOR8Mm-1k9-uAJic';
const TAKEN = `250 2.0.0 ${MAIL_ID} accepted`;
const TAKEN_BEFORE = `250 2.0.0 ${MAIL_ID} accepted before`;

interface Stage extends Fixture {
  readonly receiver: ScriptedReceiver;
  readonly ledger: Ledger;
}

/** One receiver with a memory, whose first answers are scripted; time runs 20 times as fast. */
async function stage(
  t: TestContext,
  answers: (ledger: Ledger) => readonly Answer[],
  options = '',
): Promise<Stage> {
  const receiver = await receiverFor(t);
  const ledger = createLedger();
  receiver.script('POST', answers(ledger), ledger.honest);
  receiver.script('DELETE', [], ledger.honest);
  const fixture = await sidecarFor(t, delayedTo([receiver.port], options), { clock: fastClock(20) });
  return { ...fixture, receiver, ledger };
}

/** Sends its answer octet by octet, and never ends. */
const dribble: Answer = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
};

const foreign = verdicts(() => [{ id: 'another', status: 'accepted' }]);

for (const [what, answers, heard, tries] of [
  ['answers 500 and takes nothing', () => [status(500)], TAKEN, 2],
  ['takes the message and answers 500', (l) => [l.storing(status(500))], TAKEN_BEFORE, 2],
  ['is too busy and does not say for how long', () => [status(429), status(429)], TAKEN, 3],
  ['is too busy for two seconds', () => [status(429, { 'retry-after': '2' })], TAKEN, 2],
  ['hangs past the timeout', () => [hang], TAKEN, 2],
  ['takes the message and hangs past the timeout', (l) => [l.storing(hang)], TAKEN_BEFORE, 2],
  ['cuts the connection before it takes the message', () => [cut], TAKEN, 2],
  ['takes the message and cuts the connection', (l) => [l.storing(cut)], TAKEN_BEFORE, 2],
  ['answers octet by octet', (l) => [l.storing(dribble)], TAKEN_BEFORE, 2],
  ['answers 200 for another message', (l) => [l.storing(foreign)], TAKEN_BEFORE, 2],
  ['answers 200 with nothing', (l) => [l.storing(verdicts(() => []))], TAKEN_BEFORE, 2],
  ['answers 200 with a page', () => [(_, response) => response.end('<html>Welcome</html>')], TAKEN, 2],
  [
    'takes the message, fails in many ways, and comes to its senses',
    (l) => [l.storing(cut), status(502), hang, foreign, status(429)],
    TAKEN_BEFORE,
    6,
  ],
] as const satisfies readonly (readonly [string, (l: Ledger) => readonly Answer[], string, number])[]) {
  test(`a receiver that ${what} has the message once, and its MTA hears 250`, async (t) => {
    const { port, transfers, ledger, receiver } = await stage(t, answers, 'Delivery_Response_Timeout = 5000');
    assert.equal(await deliver(port, 'a@example.net', MAIL), heard);
    const [record] = await transfers(1);
    assert.equal(record?.withdrawal, null);
    // On a slow machine one more may have run into the timeout.
    assert.ok((record?.tries ?? 0) >= tries, `${record?.tries} tries`);
    assert.deepEqual([...ledger.held()], [[MAIL_ID, Buffer.from(MAIL)]]);
    assert.ok(receiver.requests.every(({ ids }) => ids.join() === MAIL_ID));
  });
}

for (const [what, answer, text] of [
  ['answers 503 for ever', status(503), 'HTTP 503 scripted the script says 503'],
  ['takes the message and hangs for ever', hang, 'no answer within \\d+ ms'],
  ['takes the message and always cuts the connection', cut, 'socket hang up'],
  ['takes the message and never names it', foreign, 'the answer leaves out a message'],
] as const) {
  test(`a receiver that ${what} has nothing in the end, and the MTA keeps its mail`, async (t) => {
    const { port, transfers, ledger, receiver } = await stage(
      t,
      () => [],
      'Handoff_Deadline = 12  Delivery_Response_Timeout = 4000',
    );
    receiver.script('POST', [], ledger.storing(answer));
    const reply = await deliver(port, 'a@example.net', MAIL);
    assert.match(reply, new RegExp(`^451 4.4.2 no verdict in time: ${text}$`));
    const [record] = await transfers(1);
    assert.deepEqual([record?.verdict, record?.withdrawal], ['in-doubt', 'withdrawn']);
    assert.ok((record?.tries ?? 0) >= 2);
    assert.deepEqual([...ledger.held()], []);
  });
}

test('a redirect is not followed: the MTA keeps its mail, and an operator is told', async (t) => {
  const spare = await receiverFor(t);
  const { port, ledger, notices } = await stage(t, () => [
    status(307, { location: `http://127.0.0.1:${spare.port}/delay_message` }),
  ]);
  assert.match(await deliver(port, 'a@example.net', MAIL), /^451 4\.3\.0 not taken: HTTP 307/);
  assert.equal(spare.requests.length, 0);
  assert.deepEqual([...ledger.held()], []);
  assert.equal(notices().at(-1)?.code, 'receiver-refuses-us');
});

test('of a batch the receiver has what it took, and the MTA keeps the one that it refused', async (t) => {
  const receiver = await receiverFor(t);
  const ledger = createLedger();
  const { port } = await sidecarFor(t, delayedTo([receiver.port]), { limits: { windowMs: 100 } });
  const reply = { code: 451, enhanced: '4.4.6', text: 'loop' };
  receiver.script('POST', [
    (request, response) => {
      const frames = request.frames.filter(({ content }) => !content.includes('two'));
      const ids = frames.map(({ header }) => String(header['id']));
      const refuse = verdicts(({ ids: all }) =>
        all.map((id) => (ids.includes(id) ? { id, status: 'accepted' } : { id, status: 'refused', reply })),
      );
      ledger.storing(() => refuse(request, response))({ ...request, frames, ids }, response);
    },
  ]);
  const replies = await Promise.all(
    ['one\r\n', 'two\r\n', 'three\r\n'].map((content) => deliver(port, 'a@example.net', content)),
  );
  assert.deepEqual(
    replies.map((line) => line.replace(/\S{43}/, 'ID')),
    ['250 2.0.0 ID accepted', '451 4.4.6 loop', '250 2.0.0 ID accepted'],
  );
  assert.deepEqual([...ledger.held().values()].map(String).toSorted(), ['one\r\n', 'three\r\n']);
});

test('a message that its receiver dies of does not take those beside it along', async (t) => {
  const receiver = await receiverFor(t);
  const ledger = createLedger();
  receiver.script('POST', [], (request, response) => {
    (request.body.includes('poison') ? cut : ledger.honest)(request, response);
  });
  const { port } = await sidecarFor(t, delayedTo([receiver.port], 'Handoff_Deadline = 30'), {
    clock: fastClock(20),
    limits: { windowMs: 2_000 },
  });
  const contents = ['1\r\n', '2\r\n', 'poison\r\n', '4\r\n', '5\r\n'];
  const replies = await Promise.all(contents.map((content) => deliver(port, 'a@example.net', content)));
  assert.deepEqual(
    replies.map((line) => line.slice(0, 9)),
    ['250 2.0.0', '250 2.0.0', '451 4.4.2', '250 2.0.0', '250 2.0.0'],
  );
  assert.equal(receiver.requests[0]?.ids.length, 5);
  assert.deepEqual([...ledger.held().values()].map(String).toSorted(), ['1\r\n', '2\r\n', '4\r\n', '5\r\n']);
});

test('while the receiver is down mail hears 451 before its content, and goes on when it is back', async (t) => {
  const port = await closedPort();
  const ledger = createLedger();
  let aheadMs = 0;
  const sidecar = await sidecarFor(t, delayedTo([port]), {
    clock: { ...systemClock, nowMs: () => Date.now() + aheadMs },
  });
  assert.match(await deliver(sidecar.port, 'a@example.net', MAIL), /^451 4\.4\.1 no route to xfer\.test/);
  await assert.rejects(
    deliver(sidecar.port, 'a@example.net', MAIL),
    /was refused: 451 4\.4\.1 no route to any receiver is up/,
  );
  aheadMs = 60_000;
  assert.match(await deliver(sidecar.port, 'a@example.net', MAIL), /^451 4\.4\.1 no route to xfer\.test/);
  const receiver = await startReceiver(port);
  t.after(() => receiver.close());
  receiver.script('POST', [], ledger.honest);
  aheadMs = 120_000;
  assert.equal(await deliver(sidecar.port, 'a@example.net', MAIL), TAKEN);
  assert.deepEqual([...ledger.held().keys()], [MAIL_ID]);
  assert.deepEqual(
    sidecar
      .notices()
      .map(({ code }) => code)
      .filter((code) => code.startsWith('route')),
    ['route-down', 'route-up'],
  );
});

test('a receiver that fails for long is closed for new mail, while mail in doubt keeps asking it', async (t) => {
  const { port, ledger, receiver, notices } = await stage(t, () => [], 'Host_Failure_Retry = 100');
  receiver.script('POST', [], status(503));
  const first = deliver(port, 'a@example.net', MAIL);
  await receiver.until('POST', 1);
  const second = deliver(port, 'a@example.net', 'second\r\n');
  const isDown = (): boolean => notices().some(({ code }) => code === 'route-down');
  for (let count = 6; !isDown(); count += 1) await receiver.until('POST', count);
  await assert.rejects(
    deliver(port, 'a@example.net', 'new\r\n'),
    /was refused: 451 4\.4\.1 no route to any receiver is up/,
  );
  receiver.script('POST', [], ledger.honest);
  assert.equal(await first, TAKEN);
  assert.match(await second, /^250 /);
  assert.match(await deliver(port, 'a@example.net', 'new\r\n'), /^250 /);
  assert.equal(ledger.held().size, 3);
  assert.deepEqual(
    notices()
      .filter(({ code }) => code.startsWith('route'))
      .map(({ code, message }) => [code, message]),
    [
      [
        'route-down',
        `xfer://127.0.0.1:${receiver.port} takes no mail, 5 tries in a row: HTTP 503 scripted the script says 503`,
      ],
      ['route-up', `xfer://127.0.0.1:${receiver.port} answers again`],
    ],
  );
});

test('a wrong credential leaves all mail with its MTA, and an operator hears of it once a minute', async (t) => {
  const receiver = await receiverFor(t);
  let aheadMs = 0;
  const { port, notices } = await sidecarFor(t, delayedTo([receiver.port]), {
    clock: { ...systemClock, nowMs: () => Date.now() + aheadMs },
  });
  receiver.script('POST', [], status(401));
  const told = () => notices().filter(({ code }) => code === 'receiver-refuses-us');
  for (const content of ['1\r\n', '2\r\n', '3\r\n']) {
    assert.match(await deliver(port, 'a@example.net', content), /^451 4\.3\.0 not taken: HTTP 401/);
  }
  assert.equal(told().length, 1);
  aheadMs = 61_000;
  await deliver(port, 'a@example.net', '4\r\n');
  assert.deepEqual(
    told().map(({ message }) => message.replace(/^\S+ /, '')),
    [
      'HTTP 401 scripted the script says 401; mail waits at its MTA',
      'HTTP 401 scripted the script says 401; mail waits at its MTA (and 2 times since this was told last)',
    ],
  );
});

test('mail whose MTA leaves is withdrawn, though the receiver took it and cut the connection', async (t) => {
  const { port, ledger, receiver, transfers } = await stage(t, () => []);
  receiver.script('POST', [], ledger.storing(cut));
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], MAIL);
  await receiver.until('POST', 2);
  assert.deepEqual([...ledger.held().keys()], [MAIL_ID]);
  client.socket.destroy();
  const [record] = await transfers(1);
  assert.deepEqual([record?.client_gone, record?.withdrawal], [true, 'withdrawn']);
  assert.deepEqual([...ledger.held().keys()], []);
});

test('while mail waits too long for its receiver, more of it hears 452 before its content', async (t) => {
  const receiver = await receiverFor(t);
  const options = 'Delivery_Response_Timeout = 100000';
  const { port } = await sidecarFor(t, delayedTo([receiver.port], options), {
    clock: fastClock(50),
    limits: { maxTransfers: 1 },
  });
  let release = (): void => undefined;
  receiver.script('POST', [
    (request, response) => {
      release = () => accept(request, response);
    },
  ]);
  const first = deliver(port, 'a@example.net', 'first\r\n');
  await receiver.until('POST', 1);
  const second = deliver(port, 'a@example.net', 'second\r\n');
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  let reply = '';
  while (!reply.startsWith('452')) {
    await client.say('RSET');
    await client.say('MAIL FROM:<sender@example.com>');
    reply = await client.say('RCPT TO:<a@example.net>');
  }
  assert.equal(reply, '452 4.3.1 too much mail waits for this receiver');
  client.socket.destroy();
  release();
  assert.match(await first, /^250 /);
  assert.match(await second, /^250 /);
});
