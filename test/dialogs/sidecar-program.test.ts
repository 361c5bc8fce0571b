import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { delayedTo, receiverFor } from './sidecar-fixture.ts';
import { accept } from './sidecar-receiver.ts';
import { connectRaw, offer } from './sidecar-smtp-client.ts';

const MAIN = fileURLToPath(new URL('../../sidecar/main.ts', import.meta.url));

function directoryFor(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'sidecar-'));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

function run(args: readonly string[], directory: string): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function outcomeOf(child: ChildProcess): Promise<{ status: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const [status] = await once(child, 'close');
  return { status: Number(status), out, err };
}

test('started from files, it takes mail, logs one line of JSON per event, and SIGTERM lets it finish', async (t) => {
  const receiver = await receiverFor(t);
  const directory = directoryFor(t);
  writeFileSync(join(directory, 'a.conf'), 'include "sub.conf"\n');
  writeFileSync(join(directory, 'sub.conf'), delayedTo([receiver.port], 'Max_Retries = "none"'));
  const child = run(['--config', 'a.conf', '--listen', '127.0.0.1:0'], directory);
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout ?? assert.fail('no output') })[Symbol.asyncIterator]();
  const nextRecord = async (): Promise<Record<string, unknown>> =>
    JSON.parse(String((await lines.next()).value));
  const listening = await nextRecord();
  assert.equal(listening['code'], 'listening');
  const port = Number(/:(\d+)$/.exec(String(listening['message']))?.[1]);
  let release = (): void => undefined;
  receiver.script('POST', [
    (request, response) => {
      release = () => accept(request, response);
    },
  ]);
  const client = await connectRaw(port);
  await offer(client, ['a@example.net'], 'x\r\n');
  await receiver.until('POST', 1);
  child.kill('SIGTERM');
  assert.equal((await nextRecord())['code'], 'stopping');
  release();
  assert.match(await client.reply(), /^250 2\.0\.0 /);
  const record = await nextRecord();
  assert.deepEqual([record['type'], record['verdict']], ['XferOut', 'accepted']);
  assert.equal((await nextRecord())['code'], 'stopped');
  const [status] = await once(child, 'exit');
  assert.equal(status, 0);
});

test('all faults of all files are printed together, with exit status 78', async (t) => {
  const directory = directoryFor(t);
  writeFileSync(join(directory, 'a.conf'), 'Handoff_Deadline = 5m\nDomain x.test {\n  Rutes = 1\n}\n');
  writeFileSync(join(directory, 'b.conf'), 'HTTP_URI = "delay"\n');
  const { status, out, err } = await outcomeOf(run(['--config', 'a.conf', 'b.conf', 'c.conf'], directory));
  assert.equal(status, 78);
  assert.equal(out, '');
  assert.equal(
    err,
    `c.conf is not there
a.conf:1:20: Handoff_Deadline takes a whole number of seconds from 1 to 240, not "5m"
    Handoff_Deadline = 5m
                       ^^
a.conf:3:3: unknown option "Rutes"; did you mean Routes?
      Rutes = 1
      ^^^^^
b.conf:1:12: HTTP_URI takes a path that begins with /, like "/delay_message", not "delay"
    HTTP_URI = "delay"
               ^^^^^^^
`,
  );
});

test('it does not listen outside the loopback interface without Relay_Hosts, and says why', async (t) => {
  const directory = directoryFor(t);
  writeFileSync(
    join(directory, 'a.conf'),
    `${delayedTo([1], 'Handoff_Deadline = 3')}\nESMTP_Listener { Listen "0.0.0.0:2525" {} }`,
  );
  const refused = await outcomeOf(run(['--config', 'a.conf'], directory));
  assert.equal(refused.status, 78);
  assert.match(
    refused.err,
    /^a\.conf:\d+:\d+: Listen "0\.0\.0\.0:2525" would be reachable from other machines, and anyone there could send mail through it; configure Relay_Hosts, or listen on 127\.0\.0\.1\n/m,
  );
  assert.match(
    refused.err,
    /^a\.conf:\d+:\d+: one try may take 10000 ms, and all of them together have 3 s/m,
  );
  const guarded = `${delayedTo([1])}
Metrics_Listen = "127.0.0.1:9325"
ESMTP_Listener { Relay_Hosts = 192.0.2.0/24 Listen "0.0.0.0:2525" {} }
LMTP_Listener { Listen "127.0.0.1:2424" {} }`;
  writeFileSync(join(directory, 'b.conf'), guarded);
  const checked = await outcomeOf(run(['--config', 'b.conf', '--check'], directory));
  assert.deepEqual(checked, {
    status: 0,
    out: `takes mail at 0.0.0.0:2525
takes mail by LMTP at 127.0.0.1:2424
answers Prometheus at 127.0.0.1:9325
hands over to xfer.test: xfer://127.0.0.1:1
`,
    err: '',
  });
});

test('a wrong command line is answered with the usage, and an occupied port with exit status 1', async (t) => {
  const directory = directoryFor(t);
  const receiver = await receiverFor(t);
  const wrong = await outcomeOf(run(['--confg', 'x'], directory));
  assert.equal(wrong.status, 64);
  assert.equal(
    wrong.err,
    "node sidecar/main.ts: unknown option --confg; did you mean --config?\nTry 'node sidecar/main.ts --help'.\n",
  );
  const help = await outcomeOf(run(['--help'], directory));
  assert.equal(help.status, 0);
  assert.match(help.out, /^Usage: /);
  writeFileSync(join(directory, 'a.conf'), delayedTo([1]));
  const occupied = await outcomeOf(
    run(['--config', 'a.conf', '--listen', `127.0.0.1:${receiver.port}`], directory),
  );
  assert.equal(occupied.status, 1);
  assert.equal(
    occupied.err,
    `the sidecar cannot listen: SMTP on 127.0.0.1:${receiver.port}: another program listens there already\n`,
  );
});
