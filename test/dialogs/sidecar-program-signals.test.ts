import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { watchdogMs } from '../../sidecar/service-manager.ts';
import { closedPort, delayedTo, receiverFor } from './sidecar-fixture.ts';
import { folderFor, startProcess } from './sidecar-process.ts';
import { cut, hang } from './sidecar-receiver.ts';
import { connectRaw, offer, openRaw } from './sidecar-smtp-client.ts';

test('SIGTERM ends idle sessions with 421, lets no new one in, and answers for mail under way', async (t) => {
  const receiver = await receiverFor(t);
  const port = await closedPort();
  const sidecar = startProcess(t, atPort(receiver.port, port));
  await sidecar.listening();
  const [idle, busy] = [await connectRaw(port), await connectRaw(port)];
  let cutNow = (): void => undefined;
  receiver.script('POST', [
    (request, response) => {
      cutNow = () => cut(request, response);
    },
  ]);
  await offer(busy, ['a@example.net'], 'x\r\n');
  const [request] = await receiver.until('POST', 1);
  await sidecar.signal('SIGTERM', 'stopping');
  assert.equal(await idle.reply(), '421 4.3.2 shutting down');
  await assert.rejects(openRaw(port).reply(), /the connection ended/);
  // The receiver is asked again with the same id, and says yes now.
  cutNow();
  assert.match(await busy.reply(), /^250 2\.0\.0 /);
  assert.equal(await busy.reply(), '421 4.3.2 shutting down');
  const repeats = await receiver.until('POST', 2);
  assert.deepEqual(repeats[1]?.ids, request?.ids);
  await sidecar.record('stopped');
  assert.equal(await sidecar.ended, 0);
});

test('a second signal does not wait for mail under way, and its MTA has heard nothing', async (t) => {
  const receiver = await receiverFor(t);
  const port = await closedPort();
  const sidecar = startProcess(t, atPort(receiver.port, port));
  await sidecar.listening();
  const client = await connectRaw(port);
  receiver.script('POST', [hang]);
  await offer(client, ['a@example.net'], 'x\r\n');
  await receiver.until('POST', 1);
  await sidecar.signal('SIGINT', 'stopping');
  sidecar.child.kill('SIGTERM');
  assert.equal(await sidecar.ended, 1);
  await assert.rejects(client.reply(), /the connection ended; unread: ""/);
});

test('a log that nobody reads any more stops no mail', async (t) => {
  const receiver = await receiverFor(t);
  const port = await closedPort();
  const sidecar = startProcess(t, atPort(receiver.port, port));
  await sidecar.listening();
  sidecar.child.stdout?.destroy();
  const client = await connectRaw(port);
  for (const to of ['a@example.net', 'b@example.net', 'c@example.net']) {
    await offer(client, [to], 'x\r\n');
    assert.match(await client.reply(), /^250 2\.0\.0 /);
  }
  sidecar.child.kill('SIGTERM');
  assert.equal(await sidecar.ended, 0);
});

test('systemd hears of the start, a reload with its instant, and the stop, in this order', async (t) => {
  const receiver = await receiverFor(t);
  const port = await closedPort();
  const manager = await managerFor(t);
  const sidecar = startProcess(t, atPort(receiver.port, port), { environment: manager.environment });
  const pid = sidecar.child.pid;
  assert.deepEqual(await manager.next(), ['READY=1', `MAINPID=${pid}`, `STATUS=SMTP on 127.0.0.1:${port}`]);
  sidecar.child.kill('SIGHUP');
  const [reloading, monotonic, reading] = await manager.next();
  assert.deepEqual([reloading, reading], ['RELOADING=1', 'STATUS=reading its files anew']);
  const micros = Number(/^MONOTONIC_USEC=(\d+)$/.exec(monotonic ?? '')?.[1]);
  const nowMicros = Number(process.hrtime.bigint() / 1000n);
  assert.ok(micros <= nowMicros && micros > nowMicros - 60_000_000, `${micros} is the same clock's`);
  assert.equal((await manager.next())[0], 'READY=1');
  sidecar.write('a.conf', 'Rutes = 1\n');
  sidecar.child.kill('SIGHUP');
  assert.equal((await manager.next())[0], 'RELOADING=1');
  assert.deepEqual(await manager.next(), [
    'READY=1',
    `MAINPID=${pid}`,
    `STATUS=SMTP on 127.0.0.1:${port}; the last reload was refused, see the log`,
  ]);
  sidecar.child.kill('SIGTERM');
  assert.deepEqual(await manager.next(), [
    'STOPPING=1',
    'STATUS=taking no new mail; finishing what is under way',
  ]);
  assert.equal(await sidecar.ended, 0);
});

test('the watchdog hears of a sidecar that runs, at half of what it waits', async (t) => {
  const receiver = await receiverFor(t);
  const manager = await managerFor(t);
  const environment = { ...manager.environment, WATCHDOG_USEC: '200000' };
  startProcess(t, atPort(receiver.port, await closedPort()), { environment });
  assert.equal((await manager.next())[0], 'READY=1');
  assert.deepEqual([await manager.next(), await manager.next()], [['WATCHDOG=1'], ['WATCHDOG=1']]);
  assert.equal(watchdogMs({ WATCHDOG_USEC: '60000000' }, 7), 30_000);
  assert.equal(watchdogMs({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '8' }, 7), undefined);
  assert.equal(watchdogMs({}, 7), undefined);
});

test('a sidecar that cannot tell systemd says so once and takes mail', async (t) => {
  const receiver = await receiverFor(t);
  const port = await closedPort();
  const environment = { NOTIFY_SOCKET: join(folderFor(t), 'nobody'), PATH: '' };
  const sidecar = startProcess(t, atPort(receiver.port, port), { environment });
  const { message } = await sidecar.record('service-manager');
  assert.equal(message, 'systemd-notify does not run: spawn systemd-notify ENOENT');
  await offer(await connectRaw(port), ['a@example.net'], 'x\r\n');
  await receiver.until('POST', 1);
});

function atPort(receiverPort: number, port: number): string {
  return `${delayedTo([receiverPort])}\nESMTP_Listener { Listen "127.0.0.1:${port}" {} }`;
}

/** Stands for systemd: a program systemd-notify that hands its arguments to this test. */
async function managerFor(context: TestContext) {
  const directory = folderFor(context);
  const socket = join(directory, 'notify');
  const messages: string[][] = [];
  let wake = (): void => undefined;
  const server = createServer((connection) => {
    let text = '';
    connection.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    connection.on('end', () => {
      messages.push(JSON.parse(text));
      wake();
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  context.after(() => server.close());
  const program = join(directory, 'systemd-notify');
  writeFileSync(
    program,
    `#!${process.execPath}
const { connect } = require('node:net');
connect(process.env.NOTIFY_SOCKET).end(JSON.stringify(process.argv.slice(2)));
`,
  );
  chmodSync(program, 0o755);
  return {
    environment: {
      NOTIFY_SOCKET: socket,
      PATH: `${directory}${delimiter}${process.env['PATH']}`,
    },
    async next(): Promise<readonly string[]> {
      while (messages.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return messages.shift() ?? [];
    },
  };
}
