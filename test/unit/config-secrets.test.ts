// Faults reach terminals and logs, where no password belongs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFault } from '../../shared/config/fault.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { OPTIONS, type Option } from '../../shared/config/options.ts';
import { looksSecret } from '../../shared/config/secrets.ts';
import { formatTraced, traceOptions } from '../../shared/config/trace.ts';

test('no fault on the line of a password shows it, however it is written', () => {
  for (const written of [
    'HTTP_Basic_Auth = "u:hunter2" Bogus = 1',
    "http_basic_auth = 'u:hunter2' Bogus = 1",
    'HTTP_Basic_Auth = u:hunter2 Bogus = 1',
    'HTTP_Basic_Auth = ( "u:hunter2" ) Bogus = 1',
    'HTTP_Basic_Auth =\n  "u:hunter2" Bogus = 1',
    'HTTP_Basic_Auth "u:hunter2"',
    'HTTP_Basic_Auth /* Basic */ = # here\n /* it is */ "u:hunter2" Bogus = 1',
    'HTTP_Basic_Auth: "u:hunter2"',
    'HTTP_Basic_Auth = u:x=hunter2',
    'HTTP_Basic_Auth = "u:hunter2',
    'HTTP_Basic_Auth = “u:hunter2”',
    'HTTP_Basic_Auht = "u:hunter2"',
    'HTTP_Basic_Auth = "hunter2"',
    'HTTP_Basic_Auth = "u:\\"hunter2" Bogus = 1',
    'Password = hunter2',
    'Bogus = 1 HTTP_Basic_Auth = "u:hunter2"',
  ]) {
    const result = loadConfiguration([{ path: 'x.conf', text: written }]);
    assert.ok(!result.ok, written);
    const told = result.faults.map(formatFault).join('\n');
    assert.doesNotMatch(told, /hunter2/, written);
    assert.match(told, /\*\*\*/, written);
  }
});

test('a trace hides the password and says where it is written', () => {
  const result = loadConfiguration([{ path: 'x.conf', text: 'HTTP_Basic_Auth = "u:hunter2"' }]);
  assert.ok(result.ok);
  assert.deepEqual(traceOptions(result.configuration, {}, ['http_basic_auth']).flatMap(formatTraced), [
    'HTTP_Basic_Auth = (hidden)\tx.conf:1 (the top of a file)',
  ]);
});

test('the name of every secret option is known for one', () => {
  const rows = Object.values<Option<unknown>>(OPTIONS);
  assert.deepEqual(
    rows.filter(({ secret }) => secret).map(({ name }) => name),
    rows.filter(({ name }) => looksSecret(name)).map(({ name }) => name),
  );
});
