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

test('mail of a binding does not leave in clear or for another place than told, since bindings have no part', () => {
  const { faults } = check(`Binding b {
  TLS = "required"
  Domain bank.test { TLS = "required" }
  Domain other.test { TLS = "ifavailable" }
}
Binding c { Routes = "smtp://__mx__?port=587" }`);
  const tls =
    'TLS cannot be required of one binding yet, and its mail would leave in clear; ' +
    'write TLS = "required" in a Domain stanza, or at the top of a file for all mail';
  assert.deepEqual(faults, [
    `x.conf:2:3: ${tls}`,
    `x.conf:3:22: ${tls}`,
    'x.conf:6:13: a binding has no routes of its own yet, and its mail would go to the MX hosts of its domain instead; ' +
      'write the routes in a Domain stanza, or at the top of a file',
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

test('what holds for all domains alike is warned of where it stands for one', () => {
  assert.deepEqual(
    check(`Max_Outbound_Connections = 3
Domain a.test { Max_Outbound_Connections = 2  EHLO_Hostname = a.example.com  Body_Timeout = 9 }
Binding b { Connect_Timeout = 5  Domain c.test { Remote_SMTP_Port = 26  TLS = no } }`),
    {
      faults: [],
      warnings: [
        'x.conf:2:17: Max_Outbound_Connections has an effect only at the top of a file yet',
        'x.conf:2:47: EHLO_Hostname has an effect only at the top of a file yet',
        'x.conf:2:78: Body_Timeout has an effect only at the top of a file yet',
        'x.conf:3:13: Connect_Timeout has no effect in a Binding yet',
        'x.conf:3:50: Remote_SMTP_Port has no effect in a Binding yet',
        'x.conf:3:73: TLS has no effect in a Binding yet',
      ],
    },
  );
});

test('stanzas of the sending side load as they are', () => {
  for (const name of ['receiving', 'sending-2023', 'sending-delayed', 'sending-domains']) {
    const text = readFileSync(new URL(`../../sidecar/examples/${name}.conf`, import.meta.url), 'utf8');
    assert.deepEqual(check(text), { faults: [], warnings: [] }, name);
  }
  const own = 'Domain xfer.test { Delivery_Method = "delay_xfer" Max_Retry_Interval = 2 TLS = "required" }';
  assert.deepEqual(check(own), { faults: [], warnings: [] });
});
