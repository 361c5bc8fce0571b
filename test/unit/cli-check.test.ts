import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readConfigurationFiles } from '../../shared/files/configuration-files.ts';
import { delayXfer, folderOf } from './cli-fixture.ts';

const SENDING = `Delayed_Reroute_Domain = "xfer.test"
Domain xfer.test {
  Delivery_Method = "delay_xfer"
  Routes = "xfer://192.0.2.1?port=8080"
  Max_Retries = "none"
}
`;

test('files without faults are fine, and what a side does not use is told with its line', async (t) => {
  const directory = folderOf(t, { 'a.conf': SENDING });
  assert.deepEqual(await delayXfer(['check', 'a.conf'], directory), {
    status: 0,
    out: `a.conf:5: note: Max_Retries has no effect on the sending side: mail that cannot be handed over stays with its MTA, which retries it
sending side: 0 faults, 0 warnings, 1 note
`,
    err: '',
  });
  const both = await delayXfer(['check', 'a.conf', '--side', 'sending', '--side', 'receiving'], directory);
  assert.match(both.out, /^a\.conf:1: note: Delayed_Reroute_Domain has no effect on the receiving side: /m);
  assert.match(both.out, /^receiving side: 0 faults, 0 warnings, 3 notes$/m);
});

test('every fault is told as the sidecar would tell it at start, also those that it alone knows of', async (t) => {
  const directory = folderOf(t, {
    'a.conf': 'Handoff_Deadline = 5m\nRutes = 1\n',
    'b.conf': `Handoff_Deadline = 3
${SENDING}Domain b.test { Reroute_Domain = c.test }
Domain c.test { Reroute_Domain = b.test }
ESMTP_Listener { TLS_Certificate = cert.pem TLS_Key = key.pem Listen "0.0.0.0:2525" {} }
`,
  });
  const language = await delayXfer(['check', 'a.conf'], directory);
  assert.equal(language.status, 1);
  assert.match(
    language.out,
    /^a\.conf:1:20: Handoff_Deadline takes a whole number .*\n {4}Handoff_Deadline = 5m\n {23}\^\^\n/,
  );
  assert.match(
    language.out,
    /^a\.conf:2:1: unknown option "Rutes"; did you mean Routes\?\n {4}Rutes = 1\n {4}\^{5}\n/m,
  );
  assert.match(language.out, /^sending side: 2 faults, 0 warnings, 0 notes\nreceiving side: 2 faults, /m);
  const { status, out } = await delayXfer(['check', 'b.conf', '--side', 'sending'], directory);
  assert.equal(status, 1);
  assert.match(out, /^b\.conf:1:1: one try may take 10000 ms, and all of them together have 3 s/m);
  assert.match(out, /^b\.conf:8:17: .*c\.test → b\.test \(b\.conf:9\) → c\.test \(b\.conf:8\)/m);
  assert.match(out, /^b\.conf:10:18: TLS_Certificate: cert\.pem is not there$/m);
  assert.match(out, /^b\.conf:10:\d+: Listen "0\.0\.0\.0:2525" would be reachable from other machines/m);
});

test('warnings make the exit status 2 only with --strict', async (t) => {
  const directory = folderOf(t, { 'a.conf': SENDING.replace('Max_Retries = "none"', '') });
  const plain = await delayXfer(['check', 'a.conf'], directory);
  assert.match(plain.out, /^a\.conf:3: warning: .*Max_Retries/);
  assert.equal(plain.status, 0);
  assert.equal((await delayXfer(['check', '--strict', 'a.conf'], directory)).status, 2);
});

test('programs get every finding with its parts apart, and standard input is a file too', async (t) => {
  const { status, out } = await delayXfer(['check', '--json', '-'], folderOf(t, {}), 'Rutes = 1\n');
  assert.equal(status, 1);
  const finding = {
    severity: 'fault',
    file: '(standard input)',
    line: 1,
    column: 1,
    message: 'unknown option "Rutes"; did you mean Routes?',
  };
  assert.deepEqual(JSON.parse(out), {
    ok: false,
    sides: [
      { side: 'sending', findings: [finding] },
      { side: 'receiving', findings: [finding] },
    ],
  });
});

test('a file that is not there is told, and no file at all is a wrong command line', async (t) => {
  const directory = folderOf(t, {});
  const { status, out } = await delayXfer(['check', 'gone.conf', '--side', 'sending'], directory);
  assert.deepEqual(
    [status, out],
    [1, 'gone.conf is not there\nsending side: 1 fault, 0 warnings, 0 notes\n'],
  );
  const none = await delayXfer(['check'], directory);
  assert.deepEqual(none, {
    status: 64,
    out: '',
    err: "delay-xfer check: a FILE is needed\nTry 'delay-xfer check --help'.\n",
  });
});

test('a reader that has seen enough ends the output and not the exit status', async (t) => {
  const directory = folderOf(t, { 'a.conf': 'Rutes = 1\n'.repeat(100) });
  const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, 'check', 'a.conf'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk;
  });
  const status = await new Promise((resolve) => child.on('close', resolve));
  assert.deepEqual([status, err], [1, '']);
});

test('a pipe is a file too, for both sides, and an endless one is read no further than a file may be long', async (t) => {
  const directory = folderOf(t, { 'a.conf': SENDING });
  const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
  const script = `cat a.conf | "${process.execPath}" "${main}" check --side sending --side receiving /dev/stdin`;
  const out = execFileSync('sh', ['-c', script], { cwd: directory, encoding: 'utf8' });
  assert.match(out, /^sending side: 0 faults, 0 warnings, 1 note$/m);
  assert.match(out, /^receiving side: 0 faults, 0 warnings, 3 notes$/m);
  const zero = await delayXfer(['check', '--side', 'sending', '/dev/zero']);
  assert.deepEqual(
    [zero.status, zero.out],
    [1, '/dev/zero is larger than 1 MiB\nsending side: 1 fault, 0 warnings, 0 notes\n'],
  );
  const endless = `yes '# nothing' | "${process.execPath}" "${main}" check --side sending -`;
  const told = spawnSync('sh', ['-c', endless], { encoding: 'utf8', timeout: 20_000 });
  assert.match(told.stdout, /^\(standard input\) is larger than 1 MiB$/m);
});

test('ciphers that OpenSSL does not know are a fault on both sides', async (t) => {
  const directory = folderOf(t, { 'a.conf': `${SENDING}Domain b.test { TLS_Ciphers = "NONSENSE" }\n` });
  for (const side of ['sending', 'receiving']) {
    const { status, out } = await delayXfer(['check', '--side', side, 'a.conf'], directory);
    assert.equal(status, 1);
    assert.match(
      out,
      /^a\.conf:7:31: TLS_Ciphers: OpenSSL knows no cipher of "NONSENSE"; write a list like/m,
    );
  }
});

test('a slip in one option hides no fault of another kind, and makes none up', async (t) => {
  const directory = folderOf(t, {
    'a.conf': `Rutes = 1\nHandoff_Deadline = 3\n${SENDING}Domain b.test { Routes = "xfer://192.0.2.1" TLS_Verify = host }\n`,
    'b.conf': SENDING.replace('Routes =', 'Rutes ='),
  });
  const sending = await delayXfer(['check', '--side', 'sending', 'a.conf'], directory);
  assert.match(sending.out, /^a\.conf:1:1: unknown option "Rutes"/m);
  assert.match(sending.out, /^a\.conf:2:1: one try may take 10000 ms/m);
  assert.match(sending.out, /^a\.conf:9:26: xfer:\/\/ needs Delivery_Method/m);
  assert.match(sending.out, /^sending side: 3 faults,/m);
  const receiving = await delayXfer(['check', '--side', 'receiving', 'a.conf'], directory);
  assert.match(receiving.out, /^a\.conf:9:\d+: certificates are checked only where TLS = "required"/m);
  const misspelt = await delayXfer(['check', '--side', 'sending', 'b.conf'], directory);
  assert.match(misspelt.out, /^sending side: 1 fault,/m);
});

test('one mistake is told once: a file that includes itself, a target that is named, without routes', async (t) => {
  const directory = folderOf(t, {
    'a.conf': 'include "a.conf"\n',
    'b.conf': 'Delayed_Reroute_Domain = "x.test"\nDomain x.test {\n  Delivery_Method = "delay_xfer"\n}\n',
  });
  const itself = readConfigurationFiles([`${directory}//a.conf`]);
  assert.match(
    itself.ok ? '' : itself.faults.join(),
    /^\S+\/\/a\.conf:1:9: this file includes itself: \S+\/\/a\.conf:1 → /,
  );
  const target = await delayXfer(['check', '--side', 'sending', 'b.conf'], directory);
  assert.doesNotMatch(target.out, /^b\.conf:1:/m);
});

test('a Listen that stands for several addresses is told of once when they are taken', async (t) => {
  const directory = folderOf(t, {
    'a.conf': `${SENDING}ESMTP_Listener { Listen ":2525" {} Listen "localhost:2525" {} }\n`,
  });
  const { out } = await delayXfer(['check', '--side', 'sending', 'a.conf'], directory);
  assert.equal(out.split('is listened at already').length - 1, 1, out);
});
