// The stack's parameters: defaults, what is read from the command line, and faults told all at once.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { readParameters } from '../../infra/parameters.ts';

test('with nothing given, the stack is for AWS callers, behind NAT, and keeps its mail', () => {
  assert.deepEqual(readParameters({}), {
    ok: true,
    parameters: {
      authentication: 'iam',
      network: 'vpc',
      configuration: undefined,
      ehloHostname: undefined,
      traceHost: undefined,
      reservedConcurrency: 100,
      maximumConcurrency: 50,
      removalPolicy: 'retain',
    },
  });
});

test('numbers arrive from the command line as text', () => {
  assert.deepEqual(
    readParameters({
      authentication: 'basic',
      network: 'none',
      ehloHostname: 'out.example.com',
      reservedConcurrency: '20',
      maximumConcurrency: '1000',
      removalPolicy: 'destroy',
    }),
    {
      ok: true,
      parameters: {
        authentication: 'basic',
        network: 'none',
        ehloHostname: 'out.example.com',
        traceHost: 'out.example.com',
        configuration: undefined,
        reservedConcurrency: 20,
        maximumConcurrency: 1_000,
        removalPolicy: 'destroy',
      },
    },
  );
});

test('every fault is told at once, with the parameter and the mend', () => {
  assert.deepEqual(
    readParameters({
      authentication: 'password',
      network: 'public',
      ehloHostname: 'localhost',
      traceHost: 'a_b.example.com',
      reservedConcurrency: 'many',
      maximumConcurrency: '1',
      removalPolicy: 'keep',
      ehloHostName: 'out.example.com',
    }),
    {
      ok: false,
      faults: [
        'ehloHostName: no such parameter; did you mean ehloHostname?',
        'authentication: must be iam or basic, not "password"',
        'network: must be vpc or none, not "public"',
        'ehloHostname: must be a fully qualified host name like mail.example.com, not "localhost"',
        'traceHost: must be a fully qualified host name like mail.example.com, not "a_b.example.com"',
        'reservedConcurrency: must be none or a whole number from 1 to 1000, not "many"',
        'maximumConcurrency: must be a whole number from 2 to 1000, not "1"',
        'removalPolicy: must be retain or destroy, not "keep"',
      ],
    },
  );
});

for (const value of ['', '0', '-1', '2.5', '1001', ' ', 'NaN', '1e9']) {
  test(`a reserved concurrency of ${JSON.stringify(value)} is refused`, () => {
    assert.deepEqual(readParameters({ reservedConcurrency: value }), {
      ok: false,
      faults: [
        `reservedConcurrency: must be none or a whole number from 1 to 1000, not ${JSON.stringify(value)}`,
      ],
    });
  });
}

test('without a network there is no address, so the EHLO name is required', () => {
  assert.deepEqual(readParameters({ network: 'none' }), {
    ok: false,
    faults: ['ehloHostname: required with network=none, which has no fixed address to say instead'],
  });
});

test("CDK's own context, and all of cdk.json's, is let through", () => {
  const file: { context: Record<string, unknown> } = JSON.parse(readFileSync('cdk.json', 'utf8'));
  const flags = { '@aws-cdk/aws-iam:minimizePolicies': true, 'availability-zones:account=1:region=x': ['a'] };
  assert.equal(readParameters({ ...file.context, ...flags }).ok, true);
});

test('a configuration is read and checked with what it includes, and its faults are told with the others', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'delay-xfer-configuration-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'main.conf'), 'include "more.conf"\nMessage_Expiration = 172800\n');
  writeFileSync(join(folder, 'more.conf'), 'Retry_Interval = 600\n');
  const good = readParameters({ configuration: join(folder, 'main.conf') });
  assert.ok(good.ok);
  assert.deepEqual(
    [good.parameters.configuration?.main, [...(good.parameters.configuration?.texts ?? [])]],
    [
      'main.conf',
      [
        ['main.conf', 'include "more.conf"\nMessage_Expiration = 172800\n'],
        ['more.conf', 'Retry_Interval = 600\n'],
      ],
    ],
  );

  writeFileSync(join(folder, 'main.conf'), 'Message_Expiraton = 1\n');
  const bad = readParameters({ configuration: join(folder, 'main.conf'), network: 'wan' });
  assert.ok(!bad.ok);
  assert.deepEqual(
    bad.faults.map((fault) => fault.replaceAll(folder, 'FOLDER')),
    [
      'network: must be vpc or none, not "wan"',
      'configuration: FOLDER/main.conf:1:1: unknown option "Message_Expiraton"; did you mean Message_Expiration?\n    Message_Expiraton = 1\n    ^^^^^^^^^^^^^^^^^',
    ],
  );
});

test('a file outside of the folder of its configuration cannot be deployed, and is named', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'delay-xfer-configuration-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'here'));
  writeFileSync(join(folder, 'here', 'main.conf'), 'include "../more.conf"\n');
  writeFileSync(join(folder, 'more.conf'), 'Retry_Interval = 600\n');
  const result = readParameters({ configuration: join(folder, 'here', 'main.conf') });
  assert.ok(!result.ok);
  assert.match(
    result.faults.join(),
    /configuration: \.\.\/more\.conf is outside of the folder of .*put it there/,
  );
});

test('what holds on a machine of one\u2019s own alone is warned of', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'delay-xfer-parameters-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'main.conf');
  writeFileSync(file, 'Retry_Interval = 60\nBinding default { Bind_Address = "192.0.2.9" }\n');
  const result = readParameters({ configuration: file });
  assert.ok(result.ok);
  assert.deepEqual(result.parameters.configuration?.warnings, [
    `${file}:2: Bind_Address has no effect on AWS: connections leave by the NAT gateway`,
  ]);
});
