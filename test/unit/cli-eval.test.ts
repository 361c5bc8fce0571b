import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delayXfer, folderOf } from './cli-fixture.ts';

const FILES = {
  'a.conf': `Message_Expiration = 3600
Domain "/[.]test$/" {
  Message_Expiration = 7200
}
Domain x.test {
  HTTP_Basic_Auth = "mx:correct horse battery"
}
Binding west { Domain x.test { EHLO_Hostname = "west.example.com" } }
ESMTP_Listener {
  Relay_Hosts = 192.0.2.0/24
  Listen "127.0.0.1:2525" { Max_Inbound_Connections = 7 }
}
`,
  'b.conf': 'Message_Expiration = 1800\n',
};

test('each value is shown with the line that decides, and with those that it overrides', async (t) => {
  const directory = folderOf(t, FILES);
  const { status, out } = await delayXfer(['eval', 'a.conf', 'b.conf', 'x.test'], directory);
  assert.equal(status, 0);
  assert.equal(
    out,
    `HTTP_Basic_Auth = (hidden)  a.conf:6 (Domain x.test)
Message_Expiration = 7200   a.conf:3 (Domain /[.]test$/)
  not 1800                  b.conf:1 (the top of a file)
`,
  );
});

test('one option is shown with its default, and over a binding', async (t) => {
  const directory = folderOf(t, FILES);
  const asked = (...args: string[]) => delayXfer(['eval', 'a.conf', ...args], directory);
  assert.equal((await asked('y.example', 'retry_interval')).out, 'Retry_Interval = 300  default\n');
  assert.equal(
    (await asked('x.test', 'EHLO_Hostname', '--binding', 'west')).out,
    'EHLO_Hostname = "west.example.com"  a.conf:8 (Domain x.test in Binding west)\n',
  );
  const wrong = await asked('x.test', '--binding', 'wset');
  assert.deepEqual(
    [wrong.status, wrong.err.split('\n')[0]],
    [64, 'delay-xfer eval: no Binding is called wset; did you mean west?'],
  );
  const misspelt = await asked('x.test', 'Retry_Intervall');
  assert.deepEqual(
    [misspelt.status, misspelt.err.split('\n')[0]],
    [64, 'delay-xfer eval: no option is called Retry_Intervall; did you mean Retry_Interval?'],
  );
});

test('what holds at a Listen is asked for by its address', async (t) => {
  const directory = folderOf(t, FILES);
  const { out } = await delayXfer(['eval', 'a.conf', '--listener', '127.0.0.1:2525'], directory);
  assert.equal(
    out,
    `Relay_Hosts = "192.0.2.0/24"  a.conf:10 (ESMTP_Listener)
Max_Inbound_Connections = 7   a.conf:11 (a Listen in ESMTP_Listener)
`,
  );
  const wrong = await delayXfer(['eval', 'a.conf', '--listener', '127.0.0.1:25'], directory);
  assert.match(wrong.err, /no Listen is written "127\.0\.0\.1:25"; there are 127\.0\.0\.1:2525\n/);
});

test('programs get values, places and defaults apart, and never a password', async (t) => {
  const directory = folderOf(t, FILES);
  const { out } = await delayXfer(
    ['eval', 'a.conf', 'x.test', 'HTTP_Basic_Auth', 'Message_Expiration', '--json'],
    directory,
  );
  assert.deepEqual(JSON.parse(out), [
    {
      option: 'HTTP_Basic_Auth',
      value: '(hidden)',
      file: 'a.conf',
      line: 6,
      scope: 'Domain x.test',
      overridden: [],
    },
    {
      option: 'Message_Expiration',
      value: 7200,
      file: 'a.conf',
      line: 3,
      scope: 'Domain /[.]test$/',
      overridden: [{ value: 3600, file: 'a.conf', line: 1, scope: 'the top of a file' }],
    },
  ]);
  for (const args of [['--all'], ['--all', '--json'], []]) {
    const all = await delayXfer(['eval', 'a.conf', 'x.test', ...args], directory);
    assert.doesNotMatch(all.out, /correct horse/);
  }
});

test('faults of the files go before any value', async (t) => {
  const directory = folderOf(t, { 'a.conf': 'Rutes = 1\n' });
  const { status, out, err } = await delayXfer(['eval', 'a.conf', 'x.test'], directory);
  assert.deepEqual([status, out], [1, '']);
  assert.match(err, /^a\.conf:1:1: unknown option "Rutes"/);
});

test('what is no domain, no option or no place to ask at is a wrong command line, with the mend', async (t) => {
  const directory = folderOf(t, FILES);
  const first = async (...args: string[]) => {
    const { status, err } = await delayXfer(['eval', 'a.conf', ...args], directory);
    return [status, err.split('\n')[0]?.replace('delay-xfer eval: ', '')];
  };
  assert.deepEqual(await first('you@gmail.com'), [
    64,
    '"you@gmail.com" is an address, not a domain; write gmail.com',
  ]);
  assert.deepEqual(await first('a b'), [64, '"a b" is no domain']);
  assert.deepEqual(await first(''), [64, '"" is no domain']);
  assert.deepEqual(await first('x.test', 'Nonsense'), [64, 'no option is called Nonsense']);
  assert.deepEqual(await first('x.test', 'TLS', 'Rutes'), [
    64,
    'no option is called Rutes; did you mean Routes?',
  ]);
  assert.deepEqual(await first('x.test', '--host', 'mx.x.test'), [
    64,
    '--host stands instead of DOMAIN: take x.test out',
  ]);
  assert.deepEqual(await first('--host', 'mx.x.test', '--listener', ':25'), [
    64,
    '--host and --listener ask for different things: give one',
  ]);
  assert.deepEqual(await first('--listener', '127.0.0.1:2525', '--binding', 'west'), [
    64,
    '--binding has no say at a listener: take it out',
  ]);
});

test('mail that no Binding is written for leaves by the default one, and values have one type each', async (t) => {
  const directory = folderOf(t, FILES);
  const { status, out } = await delayXfer(
    [
      'eval',
      'a.conf',
      'y.example',
      'Retry_Interval',
      'Message_Expiration',
      'Rollup_MX',
      '--json',
      '--binding',
      'default',
    ],
    directory,
  );
  assert.equal(status, 0);
  assert.deepEqual(
    JSON.parse(out).map(({ value }: { value: unknown }) => value),
    [300, 3600, true],
  );
});
