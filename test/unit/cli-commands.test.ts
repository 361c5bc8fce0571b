import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OPTIONS_BY_NAME } from '../../shared/config/options.ts';
import { delayXfer } from './cli-fixture.ts';

test('a command or option that is not known is answered with the nearest one', async () => {
  const first = async (...args: string[]) => {
    const { status, err } = await delayXfer(args);
    return [status, err.split('\n')[0]];
  };
  assert.deepEqual(await first('chekc'), [64, 'delay-xfer: unknown command chekc; did you mean check?']);
  assert.deepEqual(await first('--hlep'), [64, 'delay-xfer: unknown option --hlep; did you mean --help?']);
  assert.deepEqual(await first('check', '--stric', 'x'), [
    64,
    'delay-xfer check: unknown option --stric; did you mean --strict?',
  ]);
  assert.deepEqual(await first('check', '--side', 'both', 'x'), [
    64,
    'delay-xfer check: --side takes sending or receiving, not both',
  ]);
  assert.deepEqual(await first('check', '-x', 'x'), [64, "delay-xfer check: unknown option '-x'"]);
  assert.deepEqual(await first('sidecar', '--listen', 'nowhere', '-c', 'x'), [
    64,
    'delay-xfer sidecar: --listen nowhere is no address and port',
  ]);
});

test('every command says what it takes, with each of its options', async () => {
  const overview = await delayXfer(['--help']);
  assert.equal(overview.status, 0);
  const names = [...overview.out.matchAll(/^ {2}(\w+) {2,}/gm)].map(([, name]) => name ?? '');
  assert.deepEqual(names, ['check', 'eval', 'options', 'sidecar', 'credential']);
  for (const name of names) {
    const { status, out } = await delayXfer([name, '--help']);
    assert.equal(status, 0);
    assert.ok(out.startsWith(`Usage: delay-xfer ${name} `), out);
    assert.match(out, /^ {2}--help, -h +this text$/m);
    assert.deepEqual(await delayXfer(['help', name]), { status: 0, out, err: '' });
  }
  const bare = await delayXfer([]);
  assert.deepEqual([bare.status, bare.err], [64, overview.out]);
});

test('the version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  for (const program of ['cli', 'sidecar']) {
    const main = fileURLToPath(new URL(`../../${program}/main.ts`, import.meta.url));
    const out = execFileSync(process.execPath, [main, '--version'], { encoding: 'utf8' });
    assert.equal(out, `${version}\n`);
  }
});

test('every option of the configuration is listed, and one is told whole', async () => {
  const { out } = await delayXfer(['options']);
  const listed = [...out.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name);
  assert.deepEqual(
    listed,
    [...OPTIONS_BY_NAME.values()].map(({ name }) => name),
  );
  const one = (await delayXfer(['options', 'handoff_deadline'])).out;
  assert.match(one, /^Handoff_Deadline\n {2}\S/);
  assert.match(one, /^ {2}takes +a whole number from 1 to 240 \(seconds\)$/m);
  assert.match(one, /^ {2}default +120$/m);
  const wrong = await delayXfer(['options', 'Handof_Deadline']);
  assert.match(wrong.err, /no option is called Handof_Deadline; did you mean Handoff_Deadline\?/);
});
