// `npm start` as a process: ports, clean stop, kill and restart on the same data, configurations and faults.

import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startDnsServer } from '../../local/dns.ts';
import { startSink } from '../../local/sink.ts';
import { SINK_ZONE } from '../../local/sink-zone.ts';
import { hashPassword } from '../../shared/access/password.ts';

const MAIN = fileURLToPath(new URL('../../local/main.ts', import.meta.url));

interface Started {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly apiUrl: string;
  /** All addresses of the API. */
  readonly banner: string;
  /** The next log record that fits. */
  logged(fits: (record: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  end(signal: 'SIGINT' | 'SIGKILL'): Promise<number | null>;
}

function run(t: TestContext, args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

/** Starts with JSON logs; the banner is on standard error then. */
async function start(t: TestContext, ...args: readonly string[]): Promise<Started> {
  const child = run(t, ['--json', ...args]);
  const exited = once(child, 'exit');
  const seen: Record<string, unknown>[] = [];
  const waiting = new Map<
    (record: Record<string, unknown>) => boolean,
    (record: Record<string, unknown>) => void
  >();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const record: Record<string, unknown> = JSON.parse(line);
    seen.push(record);
    for (const [fits, resolve] of waiting) {
      if (!fits(record)) continue;
      waiting.delete(fits);
      resolve(record);
    }
  });
  const banner = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stderr.on('data', (chunk) => {
      text += chunk;
      if (text.includes('--data-binary')) resolve(text);
    });
    void exited.then(() => reject(new Error(`it ended before it ran: ${text}`)));
  });
  const apiUrl = /API +(http:\S+)/.exec(banner)?.[1] ?? '';
  return {
    child,
    apiUrl,
    banner,
    logged(fits) {
      const found = seen.find(fits);
      if (found !== undefined) return Promise.resolve(found);
      return new Promise((resolve) => waiting.set(fits, resolve));
    },
    async end(signal) {
      child.kill(signal);
      const [status] = await exited;
      return status;
    },
  };
}

/** Runs to the end, which is expected to come by itself. */
async function fails(
  t: TestContext,
  ...args: readonly string[]
): Promise<[status: number | null, said: string]> {
  const child = run(t, args);
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [status] = await once(child, 'close');
  return [status, said];
}

async function directoryFor(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'delay-xfer-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function takenPort(t: TestContext, wanted = 0): Promise<number> {
  const server = createServer();
  server.listen(wanted, '127.0.0.1');
  const taken = await Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ]);
  t.after(() => server.close());
  const address = server.address();
  return taken && address !== null && typeof address === 'object' ? address.port : wanted;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

function post(apiUrl: string, message: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${apiUrl}/delay_message`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(message),
  });
}

const message = (id: string, recipient: string, attempts = 0) => ({
  id,
  sender: 'me@sender.test',
  recipients: [recipient],
  attempts,
  content: 'Subject: hello\r\n\r\nIt works.\r\n',
});

test('defaults that are taken give way, mail goes all the way, and SIGINT stops cleanly', async (t) => {
  await takenPort(t, 8080);
  const stack = await start(t);
  assert.notEqual(new URL(stack.apiUrl).port, '8080');
  assert.equal((await fetch(`${stack.apiUrl}/health`)).status, 200);
  const answer = await post(stack.apiUrl, message('one', 'you@ok.test'));
  assert.deepEqual(await answer.json(), { messages: [{ id: 'one', status: 'accepted' }] });
  await stack.logged((record) => record['type'] === 'Delivery' && record['id'] === 'one');
  assert.equal(await stack.end('SIGINT'), 0);
});

test('a message accepted just before a kill is delivered after the restart', async (t) => {
  const directory = await directoryFor(t);
  const first = await start(t, '--data', directory, '--speed', '60');
  const answer = await post(first.apiUrl, message('kept', 'you@ok.test', 1));
  assert.deepEqual(await answer.json(), { messages: [{ id: 'kept', status: 'accepted' }] });
  await first.end('SIGKILL');

  const [status, said] = await fails(t, '--data', directory, '--speed', '30');
  assert.equal(status, 78);
  assert.match(said, /runs at speed 60, not 30/);

  const second = await start(t, '--data', directory, '--speed', '60');
  await second.logged((record) => record['type'] === 'Delivery' && record['id'] === 'kept');
  const again = await post(second.apiUrl, message('kept', 'you@ok.test', 1));
  assert.deepEqual(await again.json(), { messages: [{ id: 'kept', status: 'duplicate' }] });
  const [busyStatus, busySaid] = await fails(t, '--data', directory, '--speed', '60');
  assert.equal(busyStatus, 78);
  assert.match(busySaid, /another process is using the data directory/);
  assert.equal(await second.end('SIGINT'), 0);
});

test('a port that was asked for and is taken is an error that names it', async (t) => {
  const port = await takenPort(t);
  const [status, said] = await fails(t, '--port', String(port));
  assert.equal(status, 78);
  assert.match(said, new RegExp(`port ${port} for the API is taken`));
  const [smtpStatus, smtpSaid] = await fails(t, '--smtp-port', String(port));
  assert.equal(smtpStatus, 78);
  assert.match(smtpSaid, new RegExp(`port ${port} for SMTP is taken`));
});

test('an HTTP listener without a host serves every address of the loopback interface', async (t) => {
  const directory = await directoryFor(t);
  const port = await freePort();
  const file = join(directory, 'receiving.conf');
  await writeFile(file, `HTTP_Listener {\n  Listen ":${port}" {}\n}\n`);
  const stack = await start(t, '--config', file);
  assert.equal(stack.apiUrl, `http://127.0.0.1:${port}`);
  assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);
  const [status, said] = await fails(t, '--config', file, '--port', '18080');
  assert.equal(status, 78);
  assert.match(said, /both say where the API is/);
  assert.equal(await stack.end('SIGINT'), 0);
});

test('listening wider needs credentials, and with them strangers get nothing', async (t) => {
  const directory = await directoryFor(t);
  const port = await freePort();
  const file = join(directory, 'wide.conf');
  await writeFile(file, `HTTP_Listener { Listen "0.0.0.0:${port}" {} }\n`);
  const [status, said] = await fails(t, '--config', file);
  assert.equal(status, 78);
  assert.match(said, /would be reachable from other machines.*credentials/s);

  const credentials = join(directory, 'credentials.json');
  await writeFile(credentials, JSON.stringify({ credentials: { mta: await hashPassword('secret') } }));
  const stack = await start(t, '--config', file, '--credentials', credentials);
  const apiUrl = `http://127.0.0.1:${port}`;
  assert.equal((await post(apiUrl, message('two', 'you@ok.test'))).status, 401);
  const authorization = `Basic ${Buffer.from('mta:secret').toString('base64')}`;
  assert.equal((await post(apiUrl, message('two', 'you@ok.test'), { authorization })).status, 200);
  assert.equal(await stack.end('SIGINT'), 0);
});

test('with --dns mail leaves for the named server and port, and only for allowed networks', async (t) => {
  const dns = await startDnsServer(SINK_ZONE, { host: '127.0.0.1', port: 0 });
  const sink = await startSink({ port: 0 });
  t.after(() => Promise.all([dns.close(), sink.close()]));
  const outside = ['--dns', `127.0.0.1:${dns.port}`, '--deliver-port', String(sink.port)];
  const allowed = await start(t, ...outside, '--allow-network', '127.0.0.0/8');
  await post(allowed.apiUrl, message('three', 'you@ok.test'));
  await sink.waitFor((mail) => mail.recipients.some(({ address }) => address === 'you@ok.test'));
  assert.equal(await allowed.end('SIGINT'), 0);

  const strict = await start(t, ...outside);
  await post(strict.apiUrl, message('four', 'else@ok.test'));
  await strict.logged((record) => record['type'] === 'TransientFailure' && record['id'] === 'four');
  assert.equal(await strict.end('SIGINT'), 0);
  assert.equal(sink.received.length, 1);
});

test('mail leaves as the configuration orders: its port, one connection at a time, each for one message', async (t) => {
  const directory = await directoryFor(t);
  const dns = await startDnsServer(SINK_ZONE, { host: '127.0.0.1', port: 0 });
  const peer = await countingPeer(t);
  t.after(() => dns.close());
  const file = join(directory, 'one-by-one.conf');
  await writeFile(
    file,
    `Remote_SMTP_Port = ${peer.port}\nMax_Outbound_Connections = 1\nMax_Deliveries_Per_Connection = 1\n`,
  );
  const outside = ['--dns', `127.0.0.1:${dns.port}`, '--allow-network', '127.0.0.0/8'];
  const stack = await start(t, ...outside, '--config', file);
  const messages = ['a', 'b', 'c', 'd'].map((id) => message(id, `${id}@ok.test`));
  for (const each of messages) assert.equal((await post(stack.apiUrl, each)).status, 200);
  for (const { id } of messages) {
    await stack.logged((record) => record['type'] === 'Delivery' && record['id'] === id);
  }
  assert.equal(await stack.end('SIGINT'), 0);
  assert.deepEqual(peer.counts, { sessions: 4, mostAtOnce: 1 });

  const [status, said] = await fails(t, ...outside, '--config', file, '--deliver-port', '2500');
  assert.equal(status, 78);
  assert.match(said, /--deliver-port and Remote_SMTP_Port \(.*one-by-one\.conf:1\) both name the port/);
});

test('mail waits rather than leave in clear against an order, for all domains or for one', async (t) => {
  const directory = await directoryFor(t);
  const file = join(directory, 'tls.conf');
  await writeFile(file, 'TLS = "required"\nRemote_SMTP_Port = 2500\nConnect_Timeout = 90\n');
  const stack = await start(t, '--config', file);
  assert.match(stack.banner, /tls\.conf:2: Remote_SMTP_Port has an effect only with --dns/);
  assert.match(stack.banner, /tls\.conf:3: Connect_Timeout is cut to 60 s/);
  await post(stack.apiUrl, message('six', 'you@ok.test'));
  const failure = await stack.logged(
    (record) => record['id'] === 'six' && record['type'] === 'TransientFailure',
  );
  assert.match(JSON.stringify(failure), /TLS is required/);
  assert.equal(failure['bounce_classification'], 'ProtocolErrors');
  assert.equal(await stack.end('SIGINT'), 0);

  await writeFile(file, 'Domain ok.test {\n  TLS = "required"\n}\n');
  const narrow = await start(t, '--config', file);
  for (const id of ['ok', 'plain']) {
    assert.equal((await post(narrow.apiUrl, message(id, `you@${id}.test`))).status, 200);
  }
  const ended = async (type: string, id: string) =>
    narrow.logged((record) => record['id'] === id && record['type'] === type);
  assert.match(JSON.stringify(await ended('TransientFailure', 'ok')), /TLS is required/);
  await ended('Delivery', 'plain');
  assert.equal(await narrow.end('SIGINT'), 0);

  await writeFile(file, 'Binding a {\n  TLS = "required"\n}\n');
  const [status, said] = await fails(t, '--config', file);
  assert.equal(status, 78);
  assert.match(said, /tls\.conf:2:3: TLS cannot be required of this binding yet/);
});

test('mail of a domain goes to the relay that its Routes name', async (t) => {
  const directory = await directoryFor(t);
  const dns = await startDnsServer(SINK_ZONE, { host: '127.0.0.1', port: 0 });
  const peer = await countingPeer(t);
  t.after(() => dns.close());
  const file = join(directory, 'routes.conf');
  await writeFile(
    file,
    `Domain nowhere.example {\n  Routes = ( "smtp://127.0.0.11?port=${peer.port}" )\n}\n`,
  );
  const stack = await start(t, '--dns', `127.0.0.1:${dns.port}`, '--config', file);
  await post(stack.apiUrl, message('routed', 'you@nowhere.example'));
  await stack.logged((record) => record['type'] === 'Delivery' && record['id'] === 'routed');
  assert.equal(await stack.end('SIGINT'), 0);
  assert.equal(peer.counts.sessions, 1);
});

/** Takes all mail where the names of SINK_ZONE lead, and counts who calls: a session ends with its QUIT. */
async function countingPeer(t: TestContext) {
  const counts = { sessions: 0, mostAtOnce: 0 };
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    counts.sessions += 1;
    open.add(socket);
    counts.mostAtOnce = Math.max(counts.mostAtOnce, open.size);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    socket.write('220 mx.ok.test\r\n');
    let inContent = false;
    createInterface({ input: socket }).on('line', (line) => {
      if (inContent && line !== '.') return;
      inContent = line === 'DATA';
      // The caller may be back before this socket is closed on our side.
      if (line === 'QUIT') open.delete(socket);
      socket.write(inContent ? '354 go on\r\n' : line === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n');
      if (line === 'QUIT') socket.end();
    });
  }).listen(0, '127.0.0.11');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  return { counts, port: address !== null && typeof address === 'object' ? address.port : 0 };
}

test('a second SIGINT does not wait for a delivery under way', async (t) => {
  const greeted = Promise.withResolvers<void>();
  // A destination that never says a word.
  const silent = createServer((socket) => {
    socket.on('error', () => {});
    greeted.resolve();
  }).listen(0, '127.0.0.11');
  await once(silent, 'listening');
  const dns = await startDnsServer(SINK_ZONE, { host: '127.0.0.1', port: 0 });
  t.after(() => Promise.all([dns.close(), silent.close()]));
  const address = silent.address();
  assert.ok(address !== null && typeof address === 'object');
  const ports = ['--dns', `127.0.0.1:${dns.port}`, '--deliver-port', String(address.port)];
  const stack = await start(t, ...ports, '--allow-network', '127.0.0.0/8');
  await post(stack.apiUrl, message('five', 'you@ok.test'));
  await greeted.promise;
  const stopping = new Promise<void>((resolve) => {
    stack.child.stderr.on('data', (chunk) => String(chunk).includes('stopping') && resolve());
  });
  stack.child.kill('SIGINT');
  await stopping;
  assert.equal(await stack.end('SIGINT'), 130);
});

test('faults of the configuration are told with file and line, and nothing starts', async (t) => {
  const directory = await directoryFor(t);
  const file = join(directory, 'broken.conf');
  await writeFile(file, 'Retry_Intervall = 300\nHTTP_Listener { Listen ":70000" {} }\n');
  const [status, said] = await fails(t, '--config', file, join(directory, 'missing.conf'));
  assert.equal(status, 78);
  assert.match(said, /missing\.conf/);
  assert.match(said, /broken\.conf:1:1: .*Retry_Interval/);
  assert.match(said, /broken\.conf:2/);
  const [usageStatus, usageSaid] = await fails(t, '--sped', '2');
  assert.equal(usageStatus, 64);
  assert.match(usageSaid, /--sped/);
});
