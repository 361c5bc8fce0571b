import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { SELF_SIGNED } from './self-signed.ts';
import { closedPort, delayedTo, receiverFor } from './sidecar-fixture.ts';
import { folderFor, startProcess } from './sidecar-process.ts';
import { accept, type ScriptedReceiver } from './sidecar-receiver.ts';
import { connectRaw, offer, openRaw } from './sidecar-smtp-client.ts';

/** The next transfer is accepted only when the answer is called. */
function held(receiver: ScriptedReceiver): () => void {
  let release = (): void => undefined;
  receiver.script('POST', [
    (request, response) => {
      release = () => accept(request, response);
    },
  ]);
  return () => release();
}

function listenAt(ports: readonly number[]): string {
  return `ESMTP_Listener { ${ports.map((port) => `Listen "127.0.0.1:${port}" {}`).join(' ')} }`;
}

test('SIGHUP takes new rules up: a transaction that has begun ends under the old ones, its session stays', async (t) => {
  const [before, after] = [await receiverFor(t), await receiverFor(t)];
  const port = await closedPort();
  const sidecar = startProcess(t, `${delayedTo([before.port])}\n${listenAt([port])}`);
  assert.equal(await sidecar.listening(), port);
  const client = await connectRaw(port);
  const release = held(before);
  await offer(client, ['a@example.net'], 'first\r\n');
  await before.until('POST', 1);

  sidecar.write('a.conf', `${delayedTo([after.port], 'Handoff_Deadline = 60')}\n${listenAt([port])}`);
  const { level, message } = await sidecar.signal('SIGHUP', 'reloaded');
  assert.equal(level, 'info');
  assert.equal(
    message,
    `Domain xfer.test: Routes = ( xfer://127.0.0.1?port=${after.port} ) ` +
      `(was ( xfer://127.0.0.1?port=${before.port} )); Domain xfer.test: Handoff_Deadline = 60`,
  );
  release();
  assert.match(await client.reply(), /^250 2\.0\.0 /);
  await offer(client, ['b@example.net'], 'second\r\n');
  assert.match(await client.reply(), /^250 2\.0\.0 /);
  const contents = (requests: typeof before.requests) =>
    requests.flatMap(({ frames }) => frames.map(({ content }) => content.toString()));
  assert.deepEqual(contents(before.requests), ['first\r\n']);
  assert.deepEqual(contents(after.requests), ['second\r\n']);
});

test('a reload opens new addresses and closes those that are gone once their mail is through', async (t) => {
  const receiver = await receiverFor(t);
  const [kept, gone, fresh] = [await closedPort(), await closedPort(), await closedPort()];
  const sidecar = startProcess(t, `${delayedTo([receiver.port])}\n${listenAt([kept, gone])}`);
  assert.deepEqual([await sidecar.listening(), await sidecar.listening()], [kept, gone]);
  const [staying, idle, busy] = [await connectRaw(kept), await connectRaw(gone), await connectRaw(gone)];
  const release = held(receiver);
  await offer(busy, ['a@example.net'], 'under way\r\n');
  await receiver.until('POST', 1);

  sidecar.write('a.conf', `${delayedTo([receiver.port])}\n${listenAt([kept, fresh])}`);
  const { message } = await sidecar.signal('SIGHUP', 'reloaded');
  assert.equal(message, `opened SMTP on 127.0.0.1:${fresh}; closed SMTP on 127.0.0.1:${gone}`);
  assert.equal(await idle.reply(), '421 4.3.2 shutting down');
  await assert.rejects(openRaw(gone).reply(), /the connection ended/);
  release();
  assert.match(await busy.reply(), /^250 2\.0\.0 /);
  assert.equal(await busy.reply(), '421 4.3.2 shutting down');
  assert.equal(await staying.say('NOOP'), '250 2.0.0 ok');
  await offer(await connectRaw(fresh), ['b@example.net'], 'new\r\n');
  await receiver.until('POST', 2);
});

test('a reload with faults changes nothing, and every fault is in the log', async (t) => {
  const receiver = await receiverFor(t);
  const port = await closedPort();
  const good = `${delayedTo([receiver.port])}\n${listenAt([port])}`;
  const sidecar = startProcess(t, good);
  await sidecar.listening();
  sidecar.write('a.conf', 'Handoff_Deadline = 5m\nRutes = 1\n');
  const refused = await sidecar.signal('SIGHUP', 'reload-refused');
  assert.equal(refused['level'], 'error');
  const message = String(refused['message']);
  assert.match(message, /^the old configuration stays: a\.conf:1:20: Handoff_Deadline takes /);
  assert.match(message, /\na\.conf:2:1: unknown option "Rutes"; did you mean Routes\?/);

  // What only the sidecar knows of: nowhere for mail to go.
  sidecar.write('a.conf', listenAt([port]));
  const lost = String((await sidecar.signal('SIGHUP', 'reload-refused'))['message']);
  assert.match(lost, /^the old configuration stays: no Delayed_Reroute_Domain/);

  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await new Promise((resolve) => taken.once('listening', resolve));
  const address = taken.address();
  const other = typeof address === 'object' && address !== null ? address.port : 0;
  sidecar.write('a.conf', `${delayedTo([receiver.port])}\n${listenAt([other])}`);
  assert.equal(
    (await sidecar.signal('SIGHUP', 'reload-refused'))['message'],
    'the old configuration stays: the sidecar cannot listen: ' +
      `SMTP on 127.0.0.1:${other}: another program listens there already`,
  );
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], 'x\r\n');
  assert.match(await client.reply(), /^250 2\.0\.0 /);
  sidecar.write('a.conf', good);
  assert.equal((await sidecar.signal('SIGHUP', 'reloaded'))['message'], 'nothing changed');
});

test('an address that widens over one that goes is taken over', async (t) => {
  const receiver = await receiverFor(t);
  const port = await closedPort();
  const listener = (relay: string) => `${delayedTo([receiver.port])}
    ESMTP_Listener { ${relay} Listen ":${port}" {} }`;
  const sidecar = startProcess(t, listener(''));
  await sidecar.listening();
  sidecar.write('a.conf', listener('Relay_Hosts = 192.0.2.0/24'));
  const { message } = await sidecar.signal('SIGHUP', 'reloaded');
  assert.match(String(message), new RegExp(`opened SMTP on (\\[::\\]|0\\.0\\.0\\.0):${port}`));
  await offer(await connectRaw(port), ['a@example.net'], 'x\r\n');
  await receiver.until('POST', 1);
});

test('a certificate is read anew at SIGHUP, and a key that is not its own is refused with its line', async (t) => {
  const receiver = await receiverFor(t);
  const directory = folderFor(t);
  writeFileSync(join(directory, 'cert.pem'), SELF_SIGNED.cert);
  writeFileSync(join(directory, 'key.pem'), SELF_SIGNED.key, { mode: 0o600 });
  const port = await closedPort();
  const configuration = `${delayedTo([receiver.port])}
ESMTP_Listener {
  TLS_Certificate = "cert.pem"
  TLS_Key = "key.pem"
  Listen "127.0.0.1:${port}" {}
}
`;
  const sidecar = startProcess(t, configuration, { directory });
  await sidecar.listening();
  assert.match(await (await connectRaw(port)).say('EHLO mta.example.com'), /^250[- ]STARTTLS$/m);
  sidecar.write('cert.pem', `${SELF_SIGNED.cert}\n`);
  assert.equal((await sidecar.signal('SIGHUP', 'reloaded'))['message'], 'cert.pem has other content');
  sidecar.write('key.pem', 'no key\n');
  assert.match(
    String((await sidecar.signal('SIGHUP', 'reload-refused'))['message']),
    /^the old configuration stays: a\.conf:12:3: TLS_Key: key\.pem: it holds no private key /,
  );
  assert.match(await (await connectRaw(port)).say('EHLO mta.example.com'), /^250[- ]STARTTLS$/m);
});
