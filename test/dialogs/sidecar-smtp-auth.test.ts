import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { readUsers } from '../../sidecar/smtp/users.ts';
import { connectRaw, type RawClient, rawOver, secureRaw } from './sidecar-smtp-client.ts';
import { listenerFor, selfSignedTls, strangeAddress, usersWith } from './sidecar-smtp-listener.ts';

const USERS = usersWith('mta-1', 'correct horse battery');
const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const RIGHT = base64('\0mta-1\0correct horse battery');
const WRONG = base64('\0mta-1\0incorrect horse');

async function greeted(port: number): Promise<RawClient> {
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  return client;
}

test('PLAIN and LOGIN let a user in, with and without an initial response, and no secret is traced', async (t) => {
  const { port, taken, trace } = await listenerFor(t, { settings: { users: await USERS } });
  const ways: readonly (readonly (readonly [string, string])[])[] = [
    [[`AUTH PLAIN ${RIGHT}`, '235 2.7.0 authenticated']],
    [[`auth plain ${base64('mta-1\0mta-1\0correct horse battery')}`, '235 2.7.0 authenticated']],
    [
      ['AUTH PLAIN', '334 '],
      [RIGHT, '235 2.7.0 authenticated'],
    ],
    [
      ['AUTH LOGIN', '334 VXNlcm5hbWU6'],
      [base64('mta-1'), '334 UGFzc3dvcmQ6'],
      [base64('correct horse battery'), '235 2.7.0 authenticated'],
    ],
    [
      [`AUTH LOGIN ${base64('mta-1')}`, '334 UGFzc3dvcmQ6'],
      [base64('correct horse battery'), '235 2.7.0 authenticated'],
    ],
  ];
  for (const way of ways) {
    const client = await connectRaw(port);
    assert.match(await client.say('EHLO mta.example.com'), /\n250-AUTH PLAIN LOGIN\n/);
    for (const [line, reply] of way) assert.equal((await client.say(line)).padEnd(4), reply);
    assert.equal(await client.say(`AUTH PLAIN ${RIGHT}`), '503 5.5.1 you are authenticated');
    assert.doesNotMatch(await client.say('EHLO mta.example.com'), /AUTH/);
    assert.equal(await client.say('MAIL FROM:<s@example.com> AUTH=s+40example.com'), '250 2.1.0 ok');
    await client.say('RCPT TO:<a@example.net>');
    await client.say('DATA');
    client.write('Hello.\r\n.\r\n');
    await client.reply();
    client.socket.destroy();
  }
  assert.deepEqual(
    taken.map(({ client: { user } }) => user),
    ['mta-1', 'mta-1', 'mta-1', 'mta-1', 'mta-1'],
  );
  const said = trace.filter((line) => line.startsWith('client')).join('\n');
  assert.match(said, /client AUTH PLAIN \*\*\*\n/);
  assert.match(said, /client AUTH LOGIN\nclient \*\*\*\nclient \*\*\*\n/);
  for (const secret of [RIGHT, base64('correct horse battery'), base64('mta-1')]) {
    assert.ok(!said.includes(secret));
  }
});

test('what is no sound AUTH is refused, each with its reason, and leaves the session as it was', async (t) => {
  const { port } = await listenerFor(t, { settings: { users: await USERS } });
  const first = await connectRaw(port);
  assert.equal(await first.say(`AUTH PLAIN ${RIGHT}`), '503 5.5.1 say EHLO first');
  first.socket.destroy();
  const client = await greeted(port);
  const malformed = '501 5.5.2 the response is not written as its mechanism has it';
  assert.equal(await client.say('AUTH'), '501 5.5.4 write AUTH PLAIN or AUTH LOGIN');
  assert.equal(await client.say('AUTH CRAM-MD5'), '504 5.5.4 known mechanisms are PLAIN and LOGIN');
  assert.equal(await client.say('AUTH PLAIN AGEAYg= extra'), '501 5.5.4 write AUTH PLAIN or AUTH LOGIN');
  for (const response of ['=', 'AGEAYg=', '!!!!', base64('a'), base64('\0a'), base64('\0a\0b\0c')]) {
    assert.equal(await client.say(`AUTH PLAIN ${response}`), malformed, response);
  }
  assert.equal(
    await client.say(`AUTH PLAIN ${base64('root\0mta-1\0correct horse battery')}`),
    '535 5.7.8 nobody may act for somebody else',
  );
  for (const steps of [['AUTH PLAIN'], ['AUTH LOGIN'], ['AUTH LOGIN', base64('mta-1')]]) {
    for (const step of steps) assert.match(await client.say(step), /^334/);
    assert.equal(await client.say('*'), '501 5.7.0 cancelled');
  }
  await client.say('MAIL FROM:<>');
  assert.equal(await client.say(`AUTH PLAIN ${RIGHT}`), '503 5.5.1 a transaction is open');
  await client.say('RSET');
  assert.equal(await client.say('MAIL FROM:<> AUTH=<>'), '250 2.1.0 ok');
  await client.say('RSET');
  assert.match(await client.say('MAIL FROM:<> AUTH=a+4'), /^455 4\.5\.4 the parameter AUTH /);
  assert.equal(await client.say(`AUTH PLAIN ${RIGHT}`), '235 2.7.0 authenticated');
  client.socket.destroy();
});

test('a line of AUTH may have 12,288 octets', async (t) => {
  const { port } = await listenerFor(t, { settings: { users: await USERS } });
  const client = await greeted(port);
  const response = base64(`\0mta-1\0${'x'.repeat(9_200)}`);
  assert.equal(await client.say(`AUTH PLAIN ${response}`), '535 5.7.8 the name or the password is wrong');
  client.socket.destroy();
});

test('a wrong name or password is told, slowed from then on, and the third one ends the session', async (t) => {
  const { port, trace } = await listenerFor(t, { settings: { users: await USERS }, failedAuthDelayMs: 100 });
  const client = await greeted(port);
  const wrong = '535 5.7.8 the name or the password is wrong';
  assert.equal(await client.say(`AUTH PLAIN ${WRONG}`), wrong);
  const startMs = performance.now();
  assert.equal(await client.say(`AUTH PLAIN ${base64('\0nobody\0correct horse battery')}`), wrong);
  const secondMs = performance.now();
  assert.ok(secondMs - startMs >= 99, `${secondMs - startMs} ms`);
  assert.equal(await client.say(`AUTH PLAIN ${WRONG}`), '421 4.7.0 too many wrong names or passwords');
  assert.ok(performance.now() - secondMs >= 199);
  await client.closed;
  assert.equal(trace.filter((line) => line === 'event wrong name or password').length, 3);
  // Another connection from there waits as well; the right password ends that.
  const again = await greeted(port);
  const againMs = performance.now();
  assert.equal(await again.say(`AUTH PLAIN ${RIGHT}`), '235 2.7.0 authenticated');
  assert.ok(performance.now() - againMs >= 399);
  again.socket.destroy();
});

test('AUTH is not known where there are no users, and a session that authenticates begins anew with TLS', async (t) => {
  const { port, change } = await listenerFor(t, { settings: { tls: selfSignedTls() } });
  const without = await greeted(port);
  assert.equal(await without.say(`AUTH PLAIN ${RIGHT}`), '500 5.5.2 command not known here');
  without.socket.destroy();
  change({ users: await USERS });
  const plain = await greeted(port);
  await plain.say(`AUTH PLAIN ${RIGHT}`);
  await plain.say('STARTTLS');
  const client = await secureRaw(plain);
  assert.match(await client.say('EHLO mta.example.com'), /\n250-AUTH PLAIN LOGIN\n/);
  client.socket.destroy();
});

test('a stranger hands mail over once authenticated, and authenticates under TLS alone', async (t) => {
  const localAddress = strangeAddress();
  if (localAddress === undefined) return t.skip('this machine has no address but loopback ones');
  const { port, taken, change } = await listenerFor(t, {
    settings: { tls: selfSignedTls(), users: await USERS },
  });
  const arrive = async (): Promise<RawClient> => {
    const client = rawOver(connect({ host: '127.0.0.1', port, localAddress, noDelay: true }));
    await client.reply();
    return client;
  };
  const plain = await arrive();
  assert.doesNotMatch(await plain.say('EHLO mta.example.com'), /AUTH|XFORWARD/);
  assert.equal(await plain.say('MAIL FROM:<>'), '451 4.7.0 authenticate first');
  assert.equal(await plain.say('DATA'), '451 4.7.0 authenticate first');
  assert.equal(await plain.say('XFORWARD NAME=a'), '550 5.7.0 XFORWARD is for Relay_Hosts');
  assert.equal(await plain.say(`AUTH PLAIN ${RIGHT}`), '538 5.7.11 AUTH is for TLS; say STARTTLS first');
  await plain.say('STARTTLS');
  const client = await secureRaw(plain);
  assert.match(await client.say('EHLO mta.example.com'), /\n250-AUTH PLAIN LOGIN\n/);
  assert.equal(await client.say('MAIL FROM:<>'), '451 4.7.0 authenticate first');
  assert.equal(await client.say(`AUTH PLAIN ${RIGHT}`), '235 2.7.0 authenticated');
  await client.say('MAIL FROM:<>');
  await client.say('RCPT TO:<a@example.net>');
  await client.say('DATA');
  client.write('Hello.\r\n.\r\n');
  assert.equal(await client.reply(), '250 2.0.0 taken');
  assert.deepEqual([taken[0]?.client.user, taken[0]?.client.address], ['mta-1', localAddress]);
  client.socket.destroy();
  change({ users: undefined });
  const refused = rawOver(connect({ host: '127.0.0.1', port, localAddress, noDelay: true }));
  assert.equal(await refused.reply(), `421 4.7.1 ${localAddress} is not in Relay_Hosts`);
  await refused.closed;
  change({ relayHosts: [{ text: localAddress, contains: (address) => address === localAddress }] });
  const relay = await arrive();
  assert.match(await relay.say('EHLO mta.example.com'), /XFORWARD/);
  assert.equal(await relay.say('MAIL FROM:<>'), '250 2.1.0 ok');
  relay.socket.destroy();
});

test('strangers who do not authenticate cannot shut out this machine, nor those who do', async (t) => {
  const localAddress = strangeAddress();
  if (localAddress === undefined) return t.skip('this machine has no address but loopback ones');
  const { port } = await listenerFor(t, {
    settings: { tls: selfSignedTls(), users: await USERS, maxConnections: 4 },
  });
  const arrive = (): RawClient => rawOver(connect({ host: '127.0.0.1', port, localAddress, noDelay: true }));
  const strangers = [arrive(), arrive()];
  for (const stranger of strangers) assert.match(await stranger.reply(), /^220 /);
  assert.equal(await arrive().reply(), '421 4.3.2 2 connections wait for AUTH already; try again');
  const local = await connectRaw(port);
  const [first] = strangers;
  await first?.say('EHLO mta.example.com');
  await first?.say('STARTTLS');
  const user = await secureRaw(first ?? assert.fail('nobody came'));
  await user.say('EHLO mta.example.com');
  await user.say(`AUTH PLAIN ${RIGHT}`);
  const next = arrive();
  assert.match(await next.reply(), /^220 /);
  for (const { socket } of [...strangers, local, user, next]) socket.destroy();
});

test('a file of users that cannot be read tells its line and the mend', () => {
  const whole = 'write {"credentials":{"NAME":"scrypt$…"}}, as npm run --silent credential -- NAME prints it';
  const entry = 'take the name and its hash from npm run --silent credential -- NAME';
  const named = '1 to 64 of A-Z a-z 0-9 _ -, not beginning with _';
  for (const [text, line, message, mend] of [
    ['', 1, 'it ends too early', whole],
    ['{\n  "credentials": {\n    "mta-1": "scr', 3, 'it ends too early', whole],
    ['{\n  "credentials": {\n    "mta-1":\n  }\n}\n', 4, 'it is not JSON', whole],
    ['mta-1:secret\n', 1, 'it is not JSON', whole],
    ['["mta-1"]', 1, 'it must be {"credentials":{"NAME":"scrypt$…"}} and nothing else', whole],
    ['{\n"credentials": {}}', 2, 'it names nobody', whole],
    [
      '{\n"credentials": {\n"mta-1": "secret"}}',
      3,
      'the value of "mta-1" is no scrypt hash; make one with npm run credential',
      entry,
    ],
    ['{\n"credentials": {\n\n"mta 1": "secret"}}', 4, `"mta 1" is no credential name: ${named}`, entry],
  ] as const) {
    assert.deepEqual(readUsers(text), { ok: false, line, message, mend }, text);
  }
});
