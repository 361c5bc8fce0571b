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

test('mail that must not leave in clear does not, since TLS cannot be required of one domain', () => {
  const fault =
    'TLS cannot be required of one domain or binding yet, and its mail would leave in clear; ' +
    'write TLS = "required" at the top of a file, for all mail';
  const { faults } = check(`TLS = "required"
Domain bank.test { TLS = "Required" }
Domain "/[.]test$/" { TLS = "required" }
Binding b {
  TLS = "required"
  Domain bank.test { TLS = "required" }
}
Domain other.test { TLS = "ifavailable" }`);
  assert.deepEqual(faults, [
    `x.conf:2:20: ${fault}`,
    `x.conf:3:23: ${fault}`,
    `x.conf:5:3: ${fault}`,
    `x.conf:6:22: ${fault}`,
  ]);
});

test('a global Delivery_Method does not excuse a domain from its own order', () => {
  const { faults } = check('Delivery_Method = "delay_xfer"\nDomain bank.test { TLS = "required" }');
  assert.equal(faults.length, 1);
});

test('mail that has a smarthost does not go to MX hosts instead', () => {
  const fault =
    'smtp:// routes are not followed yet, and mail would go to the MX hosts of its domain instead; take the route out';
  const { faults } = check(`Routes = "smtp://relay.test"
Domain a.test { Routes = ( "xfer://10.0.0.1" "smtp://relay.test" ) }
Binding b { Routes = "smtp://__mx__?port=587" }`);
  assert.deepEqual(faults, [`x.conf:1:1: ${fault}`, `x.conf:2:17: ${fault}`, `x.conf:3:13: ${fault}`]);
});

test('what holds for all domains alike is warned of where it stands for one', () => {
  assert.deepEqual(
    check(`Max_Outbound_Connections = 3
Domain a.test { Max_Outbound_Connections = 2  EHLO_Hostname = a.example.com }
Binding b { Connect_Timeout = 5  Domain c.test { Remote_SMTP_Port = 26  TLS = no } }`),
    {
      faults: [],
      warnings: [
        'x.conf:2:17: Max_Outbound_Connections has an effect only at the top of a file yet',
        'x.conf:2:47: EHLO_Hostname has an effect only at the top of a file yet',
        'x.conf:3:13: Connect_Timeout has an effect only at the top of a file yet',
        'x.conf:3:50: Remote_SMTP_Port has an effect only at the top of a file yet',
        'x.conf:3:73: TLS has an effect only at the top of a file yet',
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
