// What is shipped, as its users get it: the npm package is built, packed, installed into an empty folder without a
// network, and its programs hand a message over, on the Node of the tests and on that of the machine.

import assert from 'node:assert/strict';
import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exampleFor, receiverFor } from '../dialogs/sidecar-fixture.ts';
import { connectRaw, offer } from '../dialogs/sidecar-smtp-client.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'packed-'));
const installed = join(folder, 'node_modules/delay-xfer');

/** The Node of the tests, and the machine's own when there is one. */
const NODES = [process.execPath, ...machineNode()];

before(() => {
  execFileSync(process.execPath, [join(ROOT, 'scripts/build.ts'), '--pack'], { cwd: ROOT });
  const [tarball] = readdirSync(join(ROOT, 'dist')).filter((name) => name.endsWith('.tgz'));
  assert.ok(tarball, 'npm pack makes a tarball');
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const args = ['install', '--offline', '--no-audit', '--no-fund', join(ROOT, 'dist', tarball)];
  execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
});

after(() => rmSync(folder, { recursive: true }));

test('the package brings its documents, unit, examples and licences, and nothing of the machine that made it', () => {
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(installed, name)).isFile())
    .sort();
  for (const wanted of [
    'LICENSE',
    'README.md',
    'THIRD-PARTY-LICENSES',
    'dist/delay-xfer.mjs',
    'dist/sidecar.mjs',
    'docs/configuration.md',
    'docs/install.md',
    'docs/senders/postfix.md',
    'docs/sidecar.md',
    'examples/sending-delayed.conf',
    'package.json',
    'packaging/Dockerfile',
    'packaging/delay-xfer-sidecar.service',
    'packaging/haraka/index.js',
  ]) {
    assert.ok(files.includes(wanted), `${wanted} is in the package`);
  }
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  assert.equal(manifest.dependencies, undefined);
  assert.deepEqual(manifest.bin, {
    'delay-xfer': 'dist/delay-xfer.mjs',
    'delay-xfer-sidecar': 'dist/sidecar.mjs',
  });
  for (const file of files) assert.ok(!readFileSync(join(installed, file)).includes(ROOT), file);
  const licences = readFileSync(join(installed, 'THIRD-PARTY-LICENSES'), 'utf8');
  for (const name of ['@smithy/signature-v4', 'ipaddr.js', 'zod'])
    assert.ok(licences.includes(`\n${name} `), name);
});

test('what the pages of the package link to is in the package', () => {
  const pages = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.md'),
  );
  const broken = pages.flatMap((page) => {
    const text = readFileSync(join(installed, page), 'utf8').replaceAll(/^```[\s\S]*?^```|`[^`\n]*`/gm, '');
    return [...text.matchAll(/\]\((?!\w+:)([^)#]+)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !existsSync(join(installed, dirname(page), target)))
      .map((target) => `${page}: ${target}`);
  });
  assert.ok(pages.length > 4);
  assert.deepEqual(broken, []);
});

test('npx runs the command, and check and eval say what they say', () => {
  // What npm itself has to say goes to standard error.
  const npx = (...args: readonly string[]): readonly [number | null, string] => {
    const run = spawnSync('npx', ['--no-install', 'delay-xfer', ...args], { cwd: folder, encoding: 'utf8' });
    return [run.status, run.stdout];
  };
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.deepEqual(npx('--version'), [0, `${version}\n`]);
  const example = 'node_modules/delay-xfer/examples/sending-domains.conf';
  const [status, out] = npx('check', example);
  assert.equal(status, 0);
  assert.match(out, /^sending side: 0 faults, /m);
  assert.deepEqual(npx('eval', example, 'gmail.com'), [
    0,
    `Reroute_Domain = "xfer.test"  ${example}:3 (Domain gmail.com)\n`,
  ]);
});

for (const node of NODES) {
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  test(`on Node ${stdout.trim()} the installed sidecar hands a message over, and stops at SIGTERM`, async (t) => {
    const receiver = await receiverFor(t);
    writeFileSync(join(folder, 'a.conf'), exampleFor('sending-delayed.conf', receiver.port));
    const sidecar = await startInstalled(t, node, 'a.conf');
    const client = await connectRaw(sidecar.port);
    await offer(client, ['a@example.net'], 'Subject: hello\r\n\r\nhello\r\n');
    assert.match(await client.reply(), /^250 2\.0\.0 \S+ accepted$/);
    const [request] = await receiver.until('POST', 1);
    assert.equal(request?.frames[0]?.content.toString(), 'Subject: hello\r\n\r\nhello\r\n');
    sidecar.child.kill('SIGTERM');
    assert.deepEqual(await once(sidecar.child, 'exit'), [0, null]);
  });

  test(`on Node ${stdout.trim()} requests are signed with the machine's credentials`, async (t) => {
    const receiver = await receiverFor(t);
    const text = exampleFor('sending-delayed.conf', receiver.port);
    writeFileSync(join(folder, 'signed.conf'), text.replace('?port=', '?sigv4=1&region=eu-west-1&port='));
    const sidecar = await startInstalled(t, node, 'signed.conf', {
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'none',
    });
    const client = await connectRaw(sidecar.port);
    await offer(client, ['a@example.net'], 'x\r\n');
    assert.match(await client.reply(), /^250 /);
    const [request] = await receiver.until('POST', 1);
    assert.match(
      String(request?.headers['authorization']),
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/execute-api\/aws4_request, /,
    );
  });
}

test('each program is one file that needs no other', () => {
  const alone = mkdtempSync(join(tmpdir(), 'alone-'));
  try {
    for (const name of ['sidecar.mjs', 'delay-xfer.mjs'])
      cpSync(join(installed, 'dist', name), join(alone, name));
    writeFileSync(join(alone, 'a.conf'), exampleFor('sending-delayed.conf', 8080));
    for (const node of NODES) {
      const run = (...args: readonly string[]) =>
        outcome(spawnSync(node, args, { cwd: alone, encoding: 'utf8' }));
      assert.deepEqual(run('sidecar.mjs', '--config', 'a.conf', '--check'), [
        0,
        'takes mail at 127.0.0.1:2525\nhands over to xfer.test: xfer://127.0.0.1:8080\n',
        '',
      ]);
      assert.equal(run('delay-xfer.mjs', 'check', 'a.conf')[0], 0);
    }
  } finally {
    rmSync(alone, { recursive: true });
  }
});

async function startInstalled(
  context: TestContext,
  node: string,
  configuration: string,
  environment: Readonly<Record<string, string>> = {},
) {
  const program = join(installed, 'dist/delay-xfer.mjs');
  const args = [program, 'sidecar', '--config', configuration, '--listen', '127.0.0.1:0'];
  const child = spawn(node, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  context.after(() => child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    const record = JSON.parse(line);
    if (record.code === 'listening') return { child, port: Number(record.message.split(':').at(-1)) };
  }
  throw new Error('it ended before it listened');
}

function machineNode(): readonly string[] {
  const own = dirname(process.execPath);
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = folders
    .filter((path) => !path.includes('node_modules') && path !== own)
    .map((path) => join(path, 'node'))
    .find((path) => existsSync(path));
  return found === undefined ? [] : [found];
}

function outcome({ status, stdout, stderr }: SpawnSyncReturns<string>): [number | null, string, string] {
  return [status, stdout, stderr];
}
