import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Sidecar } from '../../sidecar/start.ts';
import { startScriptedPeer } from './scripted-peer.ts';
import { closedPort, delayedTo, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { verdicts } from './sidecar-receiver.ts';
import { connectRaw, deliver } from './sidecar-smtp-client.ts';

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n';
const ANY_ID = /^250 2\.0\.0 \S{43} accepted$/;

function target(name: string, port: number, options = ''): string {
  return `Domain ${name} { Delivery_Method = delay_xfer Routes = "xfer://127.0.0.1?port=${port}" ${options} }`;
}

/** The port of a sidecar's LMTP listener. */
async function lmtpFor(t: TestContext, configuration: string): Promise<number> {
  const port = await closedPort();
  const { sidecar } = await sidecarFor(
    t,
    `${configuration}\nLMTP_Listener { Listen "127.0.0.1:${port}" {} }`,
  );
  return lmtpPort(sidecar);
}

function lmtpPort({ addresses }: Sidecar): number {
  return addresses.find(({ kind }) => kind === 'lmtp')?.port ?? assert.fail('no LMTP listener');
}

/** The reply for each RCPT, and then for each recipient after the content. */
async function deliverLmtp(
  port: number,
  to: readonly string[],
  content: string,
): Promise<readonly [readonly string[], readonly string[]]> {
  const client = await connectRaw(port);
  await client.say('LHLO mta.example.com');
  await client.say('MAIL FROM:<sender@example.com>');
  const named: string[] = [];
  for (const address of to) named.push(await client.say(`RCPT TO:<${address}>`));
  await client.say('DATA');
  client.write(`${content}.\r\n`);
  const replies: string[] = [];
  while (replies.length < named.filter((reply) => reply.startsWith('250')).length)
    replies.push(await client.reply());
  client.socket.destroy();
  return [named, replies];
}

test('LMTP: recipients of one message go different ways, each way under an id of its own', async (t) => {
  const [later, whole] = [await receiverFor(t), await receiverFor(t)];
  const port = await lmtpFor(
    t,
    `Instance = "mx1.example.com" Delayed_Reroute_Domain = later.test
     Domain gmail.com { Reroute_Domain = whole.test }
     Domain never.example { Delayed_Reroute_Domain = disabled }
     ${target('later.test', later.port)} ${target('whole.test', whole.port)}`,
  );
  whole.script('POST', [
    verdicts(
      ({ ids }) =>
        ids.map((id) => ({ id, status: 'refused', reply: { code: 550, enhanced: '5.7.1', text: 'no' } })),
      422,
    ),
  ]);
  const to = ['a@example.net', 'b@gmail.com', 'c@never.example', 'd@example.org'];
  const [named, replies] = await deliverLmtp(port, to, MAIL);
  assert.deepEqual(named, [
    '250 2.1.5 ok',
    '250 2.1.5 ok',
    '451 4.3.5 Delayed_Reroute_Domain is disabled for never.example',
    '250 2.1.5 ok',
  ]);
  assert.match(replies[0] ?? '', ANY_ID);
  assert.equal(replies[1], '550 5.7.1 no');
  assert.equal(replies[2], replies[0]);
  const [delayed] = later.requests.flatMap(({ frames }) => frames);
  const [rerouted] = whole.requests.flatMap(({ frames }) => frames);
  assert.deepEqual(delayed?.header['recipients'], [
    { address: 'a@example.net' },
    { address: 'd@example.org' },
  ]);
  assert.deepEqual(rerouted?.header['recipients'], [{ address: 'b@gmail.com' }]);
  assert.notEqual(delayed?.header['id'], rerouted?.header['id']);
  const [, again] = await deliverLmtp(port, ['d@example.org', 'a@example.net'], MAIL);
  assert.equal(again[0], replies[0], 'the id is that of the group, whoever else the message was for');
});

test('LMTP: an attempt of the sidecar’s own has an exact answer for each recipient', async (t) => {
  const receiver = await receiverFor(t);
  await using peer = await startScriptedPeer(`
    S: 220 mx.example.net ESMTP
    C: EHLO out.example.com
    S: 250 mx.example.net
    C: MAIL FROM:<sender@example.com>
    S: 250 ok
    C: RCPT TO:<a@example.net>
    S: 250 ok
    C: RCPT TO:<b@example.net>
    S: 550 5.1.1 no such user
    C: RCPT TO:<c@example.net>
    S: 450 4.2.1 busy
    C: DATA
    S: 354 go on
    C: (content)
    S: 250 queued`);
  const port = await lmtpFor(
    t,
    `${delayedTo([receiver.port])} Attempt_First = true EHLO_Hostname = out.example.com
     Domain example.net { Routes = "smtp://127.0.0.1?port=${peer.port}" }`,
  );
  const [, replies] = await deliverLmtp(port, ['a@example.net', 'b@example.net', 'c@example.net'], MAIL);
  assert.match(replies[0] ?? '', /^250 2\.0\.0 \S{43} delivered$/);
  assert.equal(replies[1], '550 5.1.1 no such user');
  assert.match(replies[2] ?? '', ANY_ID);
  assert.deepEqual(receiver.requests[0]?.frames[0]?.header['recipients'], [{ address: 'c@example.net' }]);
});

test('while no route of a receiver is up, mail goes to the next one of its chain', async (t) => {
  const far = await receiverFor(t);
  const { port } = await sidecarFor(
    t,
    `Delayed_Reroute_Domain = near.test
     ${target('near.test', await closedPort(), 'Delayed_Reroute_Domain = far.test Host_Failure_Retry = 60')}
     ${target('far.test', far.port, 'Delayed_Reroute_Domain = disabled')}`,
  );
  assert.match(await deliver(port, 'a@example.net', MAIL), ANY_ID);
  assert.match(await deliver(port, 'b@example.net', MAIL), ANY_ID);
  assert.equal(far.requests.length, 2);
});

test('bare newlines are refused for good where nobody else will try the mail, and for now where its MTA will', async (t) => {
  const receiver = await receiverFor(t);
  const configuration = `Delayed_Reroute_Domain = xfer.test
     Domain gmail.com { Reroute_Domain = xfer.test } ${target('xfer.test', receiver.port)}`;
  const { port, transfers } = await sidecarFor(t, configuration);
  const text = 'a CR or an LF stands alone in the content, which is never passed on (Bare_Newlines = refuse)';
  assert.equal(await deliver(port, 'a@gmail.com', `${MAIL}one\ntwo\r\n`), `554 5.6.0 ${text}`);
  assert.equal(await deliver(port, 'a@example.net', `${MAIL}one\rtwo\r\n`), `451 4.6.0 ${text}`);
  assert.equal(receiver.requests.length, 0);
  assert.deepEqual(
    (await transfers(2)).map(({ verdict, mode, route }) => [verdict, mode, route]),
    [
      ['refused', 'rerouted', null],
      ['refused', 'delayed', null],
    ],
  );
  const converting = await sidecarFor(t, `Bare_Newlines = convert\n${configuration}`);
  assert.match(await deliver(converting.port, 'a@gmail.com', `${MAIL}one\ntwo\r\n`), ANY_ID);
  assert.equal(
    receiver.requests[0]?.frames[0]?.content.toString('latin1'),
    `${MAIL}one\ntwo\r\n`,
    'the receiver converts it',
  );
});

test('the clock of expiry starts when the MTA took the message', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, delayedTo([receiver.port]));
  const anHourAgo = new Date(Math.floor(Date.now() / 1_000) * 1_000 - 3_600_000);
  const received = `Received: from c (c [192.0.2.7])\r\n\tby mta.example.com (Postfix) with ESMTP id 4XyZ;\r\n\t${anHourAgo.toUTCString()}\r\n`;
  assert.match(await deliver(port, 'a@example.net', `${received}${MAIL}`), ANY_ID);
  const header = receiver.requests[0]?.frames[0]?.header;
  assert.equal(Date.parse(String(header?.['receivedAt'])), anHourAgo.getTime());
});

test('mail to addresses of every kind finds its way: literals, A- and U-labels, any case, postmaster alone', async (t) => {
  const [whole, later] = [await receiverFor(t), await receiverFor(t)];
  const { port } = await sidecarFor(
    t,
    `Delayed_Reroute_Domain = later.test EHLO_Hostname = sidecar.example.com
     Domain bücher.example { Reroute_Domain = whole.test }
     Domain "[192.0.2.9]" { Reroute_Domain = whole.test }
     Domain sidecar.example.com { Reroute_Domain = whole.test }
     ${target('later.test', later.port)} ${target('whole.test', whole.port)}`,
  );
  for (const to of ['a@xn--BCHER-kva.Example', 'b@[192.0.2.9]', 'Postmaster', '"c d"@XN--bcher-KVA.example'])
    assert.match(await deliver(port, to, MAIL), ANY_ID, to);
  assert.deepEqual(
    whole.requests.flatMap(({ frames }) => frames.map(({ header }) => header['recipients'])),
    [
      [{ address: 'a@xn--bcher-kva.example' }],
      [{ address: 'b@[192.0.2.9]' }],
      [{ address: 'Postmaster@sidecar.example.com' }],
      [{ address: '"c d"@xn--bcher-kva.example' }],
    ],
  );
  assert.match(await deliver(port, 'd@[192.0.2.10]', MAIL), ANY_ID);
  assert.equal(later.requests.length, 1);
});
