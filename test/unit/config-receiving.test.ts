import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatFault } from '../../shared/config/fault.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { checkReceiving } from '../../shared/config/receiving.ts';

function check(text: string): { readonly faults: string[]; readonly warnings: string[] } {
  const result = loadConfiguration([{ path: 'x.conf', text }]);
  assert.ok(result.ok);
  const { faults, warnings } = checkReceiving(result.configuration);
  const lines = (found: typeof faults): string[] =>
    found.map((fault) => formatFault(fault).split('\n')[0] ?? '');
  return { faults: lines(faults), warnings: lines(warnings) };
}

test('where mail of a domain goes, and under which TLS, is decided by its stanza', () => {
  assert.deepEqual(
    check(`TLS = "required"
Domain bank.test { TLS = "Required" TLS_Verify = host TLS_CA = "bank.pem" Enable_MTA_STS = no }
Domain "/[.]test$/" { Routes = ( "smtp://relay.test?port=587" "__mx__" ) }
Domain other.test { TLS = "ifavailable" Remote_SMTP_Port = 26 Skip_Hosts = "192.0.2.1" }`),
    { faults: [], warnings: [] },
  );
});

test('mail of a binding that carries none yet does not leave in clear or for another place than told', () => {
  const { faults } = check(`Binding b {
  TLS = "required"
  Domain bank.test { TLS = "required" }
  Domain other.test { TLS = "ifavailable" }
}
Binding c { Routes = "smtp://__mx__?port=587" }
Binding d { Gateway = "relay.test" }`);
  const tls =
    'TLS cannot be required of this binding yet, and its mail would leave in clear; ' +
    'write TLS = "required" in a Domain stanza, in the Binding "default", or at the top of a file';
  const routes =
    'this binding has no routes of its own yet, and its mail would go to the MX hosts of its domain instead; ' +
    'write the routes in a Domain stanza, in the Binding "default", or at the top of a file';
  assert.deepEqual(faults, [
    `x.conf:2:3: ${tls}`,
    `x.conf:3:22: ${tls}`,
    `x.conf:6:13: ${routes}`,
    `x.conf:7:13: ${routes}`,
  ]);
});

test('who asks for certificates to be checked asks for TLS as well', () => {
  const fault =
    'certificates are checked only where TLS = "required"; elsewhere anybody can turn TLS off on the way; ' +
    'write TLS = "required" beside it';
  assert.deepEqual(check('TLS_Verify = "host"').faults, [`x.conf:1:1: ${fault}`]);
  assert.deepEqual(check('TLS_Verify = "optional"').faults, []);
  assert.deepEqual(check('TLS_Verify = "host"\nTLS = "required"').faults, []);
  assert.deepEqual(
    check(`Domain a.test { TLS_Verify = "ca" }
Domain b.test { TLS = "ifavailable" TLS_Verify = "host" }
Domain "/[.]c[.]test$/" { TLS = "required" }
Domain one.c.test { TLS_Verify = "host" }
Domain "/d/" { TLS_Verify = "host" }`).faults,
    [`x.conf:1:17: ${fault}`, `x.conf:2:37: ${fault}`, `x.conf:5:16: ${fault}`],
  );
  // A domain may be excused from what holds for the others.
  assert.deepEqual(
    check('TLS = "required" TLS_Verify = "host" Domain old.test { TLS = "ifavailable" }').faults,
    [],
  );
});

test('options take effect for a domain, in the binding that carries all mail, and in its group', () => {
  assert.deepEqual(
    check(`Max_Outbound_Connections = 3
Domain a.test { Max_Outbound_Connections = 2  EHLO_Hostname = a.example.com  Body_Timeout = 9 }
Domain "/b/" { Retry_Interval = 5  Generate_Bounces = false  Gateway = "relay.test" }
Binding_Group g {
  Connect_Timeout = 5
  Binding default { TLS = "required"  Domain c.test { Remote_SMTP_Port = 26  TLS_Verify = "host" } }
}`),
    { faults: [], warnings: [] },
  );
});

test('what other bindings say is warned of', () => {
  const none = 'has no effect here yet: all mail goes by the Binding "default"';
  assert.deepEqual(
    check(`Binding b { Connect_Timeout = 5  Domain c.test { Remote_SMTP_Port = 26  TLS = no } }
Binding_Group g { Max_Retries = 3  Binding c { EHLO_Hostname = c.test } }
Binding d { Host mx.test { Max_Outbound_Connections = 1 } }`).warnings.toSorted(),
    [
      `x.conf:1:13: Connect_Timeout ${none}`,
      `x.conf:1:50: Remote_SMTP_Port ${none}`,
      `x.conf:1:73: TLS ${none}`,
      `x.conf:2:19: Max_Retries ${none}`,
      `x.conf:2:48: EHLO_Hostname ${none}`,
      `x.conf:3:28: Max_Outbound_Connections ${none}`,
    ],
  );
});

test('certificates are checked in the binding that carries all mail only where it asks for TLS', () => {
  assert.equal(check('Binding default { TLS_Verify = "host" }').faults.length, 1);
  assert.deepEqual(check('TLS = "required" Binding default { TLS_Verify = "host" }').faults, []);
  assert.equal(
    check('TLS = "required" TLS_Verify = "host" Binding default { TLS = "ifavailable" }').faults.length,
    1,
  );
});

test('mail that fails by configuration is told of loudly', () => {
  assert.deepEqual(
    check(`Domain a.test { Blackhole = "internal" }
Domain b.test { Blackhole = "true"  Generate_Bounces = false }
Domain c.test { Blackhole = "false" }`),
    {
      faults: [],
      warnings: [
        'x.conf:1:17: Blackhole: all mail that this holds for fails without an attempt; its senders get a bounce',
        'x.conf:2:17: Blackhole: all mail that this holds for fails without an attempt; and nobody is told',
      ],
    },
  );
});

test('a reply is read as a reply of 4xx or 5xx, and only where both halves are written', () => {
  const fault =
    'a reply is read as another one of 4xx or 5xx, and this is none; begin it with a code, like "450 4.2.0 $0"';
  const pair = (replacement: string) =>
    check(`Response_Transcode_Pattern = "gone"\nResponse_Transcode_Replace = "${replacement}"`);
  for (const fine of ['450 4.2.0 $0', '554', '$1 $0', '5$1 gone'])
    assert.deepEqual(pair(fine), { faults: [], warnings: [] });
  for (const wrong of ['250 Ok', 'gone', '4500 x'])
    assert.deepEqual(pair(wrong).faults, [`x.conf:2:1: ${fault}`], wrong);
  assert.deepEqual(check('Domain a.test { Response_Transcode_Pattern = "x" }').warnings, [
    'x.conf:1:17: replies are read as they come: Response_Transcode_Replace is missing',
  ]);
});

test('stanzas of the sending side load as they are', () => {
  for (const name of ['receiving', 'sending-2023', 'sending-delayed', 'sending-domains']) {
    const text = readFileSync(new URL(`../../sidecar/examples/${name}.conf`, import.meta.url), 'utf8');
    assert.deepEqual(check(text), { faults: [], warnings: [] }, name);
  }
  const own = 'Domain xfer.test { Delivery_Method = "delay_xfer" Max_Retry_Interval = 2 TLS = "required" }';
  assert.deepEqual(check(own), { faults: [], warnings: [] });
});
