// What `npm start` says of orders that it cannot keep.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { outsidePort, readConfiguration, sinkWarnings } from '../../local/configuration.ts';

function read(t: TestContext, text: string) {
  const directory = mkdtempSync(join(tmpdir(), 'delay-xfer-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'x.conf');
  writeFileSync(file, text);
  const { configuration, warnings } = readConfiguration([file]);
  return {
    configuration,
    warnings: warnings.map((warning) => warning.replace(`${directory}/`, '')),
    directory,
  };
}

const PORTS = `Remote_SMTP_Port = 26
Domain a.test { Remote_SMTP_Port = 27 }`;

test('ports of destinations mean nothing to the sink, whether for all domains or for one', (t) => {
  const { configuration, directory } = read(t, PORTS);
  const text = 'Remote_SMTP_Port has an effect only with --dns: mail goes to the sink';
  assert.deepEqual(
    sinkWarnings(configuration).map((warning) => warning.replace(`${directory}/`, '')),
    [`x.conf:1: ${text}`, `x.conf:2: ${text}`],
  );
  assert.deepEqual(sinkWarnings(read(t, 'TLS = no').configuration), []);
});

test('a port on the command line and one in the files, if only for one domain, are one too many', (t) => {
  const { configuration } = read(t, PORTS);
  assert.equal(outsidePort(configuration, undefined), 26);
  for (const text of [PORTS, PORTS.split('\n')[1] ?? ''])
    assert.throws(
      () => outsidePort(read(t, text).configuration, 2500),
      /both name the port of the destinations/,
    );
  assert.equal(outsidePort(read(t, 'TLS = no').configuration, 2500), 2500);
});

test('timeouts that are longer than a session may take to open are said to be cut', (t) => {
  const cut = (name: string, line: number): string =>
    `x.conf:${line}: ${name} is cut to 60 s, which a session has to open in all`;
  assert.deepEqual(read(t, 'Connect_Timeout = 61\nEHLO_Timeout = 300').warnings, [
    cut('Connect_Timeout', 1),
    cut('EHLO_Timeout', 2),
  ]);
  assert.deepEqual(read(t, 'Connect_Timeout = 60\nEHLO_Timeout = 60').warnings, []);
});
