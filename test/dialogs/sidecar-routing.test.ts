import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SidecarStartError } from '../../sidecar/start.ts';
import { closedPort, delayedTo, exampleFor, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { hang, verdicts } from './sidecar-receiver.ts';
import { connectRaw, deliver } from './sidecar-smtp-client.ts';

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n';
const ANY_ID = /^250 2\.0\.0 \S{43} accepted$/;

test('with the example for delayed mail as it stands, mail for any domain goes to the receiver', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, exampleFor('sending-delayed.conf', receiver.port));
  assert.match(await deliver(port, 'a@anything.example', MAIL), ANY_ID);
  const [request] = receiver.requests;
  assert.equal(request?.headers['host'], 'localhost');
  assert.equal(request?.path, '/delay_message');
  assert.equal(request?.frames[0]?.header['attempts'], 1);
});

test('with the example for chosen domains as it stands, gmail.com is rerouted and the others find no way', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, exampleFor('sending-domains.conf', receiver.port));
  assert.match(await deliver(port, 'a@GMAIL.com', MAIL), ANY_ID);
  assert.equal(receiver.requests[0]?.frames[0]?.header['attempts'], undefined);
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  await client.say('MAIL FROM:<>');
  assert.equal(
    await client.say('RCPT TO:<a@example.com>'),
    '451 4.3.5 Delayed_Reroute_Domain is not set for example.com',
  );
  client.socket.destroy();
});

test('the example of 2023 hands rerouted mail over as well', async (t) => {
  const receiver = await receiverFor(t);
  const { port } = await sidecarFor(t, exampleFor('sending-2023.conf', receiver.port));
  assert.match(await deliver(port, 'a@example.com', MAIL), ANY_ID);
});

/** gmail.com goes to one receiver whole, deferred mail to another. */
function bothWays(rerouted: number, delayed: number): string {
  const target = (port: number): string =>
    `Delivery_Method = delay_xfer Routes = "xfer://127.0.0.1?port=${port}" Delivery_Response_Timeout = 150
     Handoff_Deadline = 1 Reroute_Domain = disabled Delayed_Reroute_Domain = disabled`;
  return `Delayed_Reroute_Domain = later.test
    Domain gmail.com { Reroute_Domain = first.test }
    Domain first.test { Reroute_Domain = second.test }
    Domain second.test { ${target(rerouted)} }
    Domain later.test { ${target(delayed)} }`;
}

test('a recipient who takes another way than the first is asked for in a transaction of its own', async (t) => {
  const [one, two] = [await receiverFor(t), await receiverFor(t)];
  const { port } = await sidecarFor(t, bothWays(one.port, two.port));
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  await client.say('MAIL FROM:<s@example.com>');
  assert.equal(await client.say('RCPT TO:<a@example.net>'), '250 2.1.5 ok');
  const other = '452 4.5.3 this recipient takes another way; send it in a transaction of its own';
  assert.equal(await client.say('RCPT TO:<b@gmail.com>'), other);
  assert.equal(await client.say('RCPT TO:<c@example.org>'), '250 2.1.5 ok');
  await client.say('DATA');
  client.write(`${MAIL}.\r\n`);
  assert.match(await client.reply(), ANY_ID);
  await client.say('MAIL FROM:<s@example.com>');
  assert.equal(await client.say('RCPT TO:<b@gmail.com>'), '250 2.1.5 ok');
  await client.say('DATA');
  client.write(`${MAIL}.\r\n`);
  assert.match(await client.reply(), ANY_ID);
  client.socket.destroy();
  assert.deepEqual(two.requests[0]?.frames[0]?.header['recipients'], [
    { address: 'a@example.net' },
    { address: 'c@example.org' },
  ]);
  assert.deepEqual(one.requests[0]?.frames[0]?.header['recipients'], [{ address: 'b@gmail.com' }]);
});

test('a permanent refusal of rerouted mail passes through, since nobody else would try it', async (t) => {
  const [one, two] = [await receiverFor(t), await receiverFor(t)];
  const { port } = await sidecarFor(t, bothWays(one.port, two.port));
  const refuse = (code: number, enhanced: string): ReturnType<typeof verdicts> =>
    verdicts(
      ({ ids }) => ids.map((id) => ({ id, status: 'refused', reply: { code, enhanced, text: 'no' } })),
      422,
    );
  one.script('POST', [refuse(554, '5.6.0'), refuse(452, '4.3.1'), refuse(421, '4.3.2')]);
  two.script('POST', [refuse(554, '5.6.0'), refuse(452, '4.3.1')]);
  assert.equal(await deliver(port, 'a@gmail.com', MAIL), '554 5.6.0 no');
  assert.equal(await deliver(port, 'a@gmail.com', MAIL), '452 4.3.1 no');
  assert.equal(await deliver(port, 'a@gmail.com', MAIL), '451 4.3.2 refused by the receiver: 421 4.3.2 no');
  assert.equal(await deliver(port, 'a@example.net', MAIL), '451 4.6.0 refused by the receiver: 554 5.6.0 no');
  assert.equal(await deliver(port, 'a@example.net', MAIL), '452 4.3.1 no');
});

test('rerouted mail in doubt is not withdrawn: its MTA comes back to us with the same id', async (t) => {
  const [one, two] = [await receiverFor(t), await receiverFor(t)];
  const { port } = await sidecarFor(t, bothWays(one.port, two.port));
  one.script('POST', [hang, hang]);
  const reply = await deliver(port, 'a@gmail.com', MAIL);
  assert.equal(reply, '451 4.4.2 no verdict in time: no answer within 150 ms');
  assert.match(await deliver(port, 'a@gmail.com', MAIL), ANY_ID);
  assert.deepEqual(
    one.requests.map(({ method }) => method),
    ['POST', 'POST', 'POST'],
  );
  assert.equal(new Set(one.requests.flatMap(({ ids }) => ids)).size, 1);
});

test('a recipient whose receiver is down is refused, while those of another go on', async (t) => {
  const receiver = await receiverFor(t);
  const closed = await closedPort();
  const configuration = bothWays(closed, receiver.port);
  const { port } = await sidecarFor(t, configuration);
  assert.match(
    await deliver(port, 'a@gmail.com', MAIL),
    /^451 4\.4\.1 no route to second\.test is up: connect/,
  );
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  await client.say('MAIL FROM:<s@example.com>');
  assert.equal(await client.say('RCPT TO:<a@gmail.com>'), '451 4.4.1 no route to second.test is up');
  assert.equal(await client.say('RCPT TO:<a@example.net>'), '250 2.1.5 ok');
  client.socket.destroy();
});

async function startFault(configuration: string): Promise<string> {
  try {
    const context = { after: () => undefined };
    const { sidecar } = await sidecarFor(context, configuration);
    await sidecar.close();
    return 'started';
  } catch (error) {
    assert.ok(error instanceof SidecarStartError && error.code === 'configuration');
    return error.message;
  }
}

test('a configuration that leaves mail without a receiver is refused at start, with every fault', async () => {
  assert.equal(
    await startFault(''),
    'no Delayed_Reroute_Domain and no Reroute_Domain is configured, so that no mail could go anywhere',
  );
  const faults = await startFault(`Delayed_Reroute_Domain = nowhere.test
Domain a.test { Reroute_Domain = b.test }
Domain b.test { Reroute_Domain = a.test }
Domain c.test { Reroute_Domain = d.test }
Domain d.test { Delivery_Method = delay_xfer Routes = ( "xfer://a" "smtp://b" ) }`);
  assert.deepEqual(
    faults.split('\n').filter((line) => line.startsWith('test.conf')),
    [
      'test.conf:2:17: Reroute_Domain goes round in a circle: b.test → a.test (test.conf:3) → b.test (test.conf:2); write Reroute_Domain = "disabled" in Domain a.test',
      'test.conf:1:1: mail goes to nowhere.test, but no Domain nowhere.test has Delivery_Method = "delay_xfer"',
      'test.conf:5:17: Domain d.test needs Routes that all begin with xfer:// (test.conf:5)',
    ],
  );
});

test('a route to be signed needs a region, told before any mail is taken', async () => {
  const signed = delayedTo([1]).replace('port=1', 'port=1&sigv4=1');
  assert.equal(await startFault(signed), 'the region of 127.0.0.1 is not known; add region= to its route');
  assert.equal(
    await startFault(signed.replace('sigv4=1', 'sigv4=1&region=eu-west-1')),
    'a route asks for sigv4=1, but no AWS credentials are at hand',
  );
});
