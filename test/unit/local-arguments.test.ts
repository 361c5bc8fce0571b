// The command line of npm start.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readArguments, usage } from '../../local/arguments.ts';

test('without arguments everything runs in memory at speed 1 on the default ports, if they are free', () => {
  assert.deepEqual(readArguments([]), {
    kind: 'start',
    arguments: {
      demo: false,
      json: false,
      dataDirectory: undefined,
      configurationFiles: [],
      credentialsFile: undefined,
      speed: 1,
      ports: {
        api: { port: 8080, insisted: false },
        smtp: { port: 2525, insisted: false },
        sink: { port: 2526, insisted: false },
        dns: { port: 2553, insisted: false },
      },
      outside: undefined,
    },
  });
});

test('a port that is named is insisted on, and files may follow --config', () => {
  const read = readArguments([
    '--config',
    'a.conf',
    'b.conf',
    '--port',
    '18080',
    '--data',
    'd',
    '--speed',
    '60',
  ]);
  assert.ok(read.kind === 'start');
  assert.deepEqual(read.arguments.configurationFiles, ['a.conf', 'b.conf']);
  assert.deepEqual(read.arguments.ports.api, { port: 18080, insisted: true });
  assert.equal(read.arguments.dataDirectory, 'd');
  assert.equal(read.arguments.speed, 60);
});

test('mail goes outside only when a name server is named', () => {
  const read = readArguments([
    '--dns',
    '127.0.0.1:53',
    '--deliver-port',
    '2500',
    '--allow-network',
    '127.0.0.0/8',
  ]);
  assert.ok(read.kind === 'start');
  assert.deepEqual(read.arguments.outside, {
    dnsServer: '127.0.0.1:53',
    smtpPort: 2500,
    allowedNetworks: ['127.0.0.0/8'],
  });
  const system = readArguments(['--dns', 'system']);
  assert.ok(system.kind === 'start');
  assert.deepEqual(system.arguments.outside, {
    dnsServer: undefined,
    smtpPort: undefined,
    allowedNetworks: [],
  });
});

test('the demo runs sixty times as fast unless told otherwise', () => {
  const speedOf = (...args: string[]) => {
    const read = readArguments(args);
    return read.kind === 'start' ? read.arguments.speed : undefined;
  };
  assert.equal(speedOf('--demo'), 60);
  assert.equal(speedOf('--demo', '--speed', '30'), 30);
});

test('all faults of a command line are told together', () => {
  assert.deepEqual(readArguments(['--port', '70000', '--speed', 'fast', '--deliver-port', '25']), {
    kind: 'faults',
    faults: [
      '--port takes a whole number from 1 to 65535, not "70000"',
      '--speed takes a whole number from 1 to 3600, not "fast"',
      '--deliver-port needs --dns: without it mail goes to the sink',
    ],
  });
  const faultsOf = (...args: string[]) => {
    const read = readArguments(args);
    return read.kind === 'faults' ? read.faults : [];
  };
  assert.equal(faultsOf('--nonsense').length, 1);
  assert.deepEqual(faultsOf('--dns', 'ns.example.net'), [
    '--dns takes ADDRESS:PORT or "system", not "ns.example.net"',
  ]);
  assert.deepEqual(faultsOf('--dns', 'system', '--allow-network', 'home', '--sink-port', '1'), [
    '--allow-network takes an address or a block such as 127.0.0.0/8, not "home"',
    '--sink-port has no meaning with --dns: no sink is started then',
  ]);
  assert.deepEqual(faultsOf('--demo', '--config', 'x.conf'), [
    '--demo plays its own story: it goes with --data, --speed and the ports, and with nothing else',
  ]);
});

test('the help names every option and every destination', () => {
  assert.deepEqual(readArguments(['-h']), { kind: 'help' });
  for (const word of [
    '--data',
    '--config',
    '--credentials',
    '--allow-network',
    'greylist.test',
    'defer-3@ok.test',
  ]) {
    assert.ok(usage().includes(word), word);
  }
});
