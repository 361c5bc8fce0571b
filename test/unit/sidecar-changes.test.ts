import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesBetween } from '../../sidecar/changes.ts';
import { type Plan, planFor } from '../../sidecar/generation.ts';
import { configurationOf } from '../dialogs/sidecar-fixture.ts';

const BASE = `Delayed_Reroute_Domain = "xfer.test"
Domain xfer.test { Delivery_Method = "delay_xfer" Routes = ( "xfer://192.0.2.1" "xfer://192.0.2.2" ) }
`;

function planOf(more: string): Plan {
  const planned = planFor(configurationOf(`${BASE}${more}`), { canSign: false }, 0);
  assert.ok(planned.ok);
  return planned.plan;
}

test('a reload says which options changed, in which stanza, and shows no secret', () => {
  const before = planOf(`
Message_Expiration = 3600
Domain xfer.test { HTTP_Basic_Auth = "mx1:an old password" Handoff_Deadline = 60 }
Host mx.example.net { Max_Outbound_Connections = 1 }
Binding_Group all { Binding west { Domain a.test { EHLO_Hostname = "w.example.com" } } }
`);
  const after = planOf(`
Max_Held_Bytes = 16777216
Domain xfer.test { HTTP_Basic_Auth = "mx1:a new password" Handoff_Deadline = 90 }
Host mx.example.net { Max_Outbound_Connections = 2 }
Binding_Group all {
  Retry_Interval = 600
  Binding west { Domain a.test { EHLO_Hostname = "west.example.com" } }
}
ESMTP_Listener { Listen "127.0.0.1:2600" { Max_Inbound_Connections = 9 } }
`);
  assert.deepEqual(changesBetween(before, after), [
    'Message_Expiration is no longer set (was 3600)',
    'Max_Held_Bytes = 16777216',
    'Domain xfer.test: HTTP_Basic_Auth changed',
    'Domain xfer.test: Handoff_Deadline = 90 (was 60)',
    'Host mx.example.net: Max_Outbound_Connections = 2 (was 1)',
    'Binding_Group all: Retry_Interval = 600',
    'Binding west, Domain a.test: EHLO_Hostname = west.example.com (was w.example.com)',
    'ESMTP_Listener, Listen 127.0.0.1:2600: Max_Inbound_Connections = 9',
    'opened SMTP on 127.0.0.1:2600',
    'closed SMTP on 127.0.0.1:2525',
  ]);
});

test('a list is told whole, and what is written otherwise but says the same is no change', () => {
  const before = planOf('');
  const after = planOf('domain "XFER.test" { routes = ( "xfer://192.0.2.2", "xfer://192.0.2.1" ) }');
  assert.deepEqual(changesBetween(before, after), [
    'Domain xfer.test: Routes = ( xfer://192.0.2.2, xfer://192.0.2.1 ) (was ( xfer://192.0.2.1, xfer://192.0.2.2 ))',
  ]);
  assert.deepEqual(changesBetween(before, planOf('delayed_reroute_domain = xfer.test')), []);
});
