// What holds for a domain, where it is written, and what a side does not use.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Configuration } from '../../shared/config/configuration.ts';
import { formatFault } from '../../shared/config/fault.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import type { Side } from '../../shared/config/option.ts';
import { checkSending } from '../../shared/config/sending.ts';
import { formatTraced, type TraceAt, traceOptions } from '../../shared/config/trace.ts';
import { settingsWithoutEffect, sidesOf } from '../../shared/config/without-effect.ts';

function load(text: string, path = 'x.conf'): Configuration {
  const result = loadConfiguration([{ path, text }]);
  if (!result.ok) assert.fail(result.faults.map(formatFault).join('\n'));
  return result.configuration;
}

function seed(name: string): Configuration {
  return load(readFileSync(new URL(`../../sidecar/examples/${name}`, import.meta.url), 'utf8'), name);
}

function traced(configuration: Configuration, at: TraceAt, ...names: string[]): readonly string[] {
  return traceOptions(configuration, at, names).flatMap(formatTraced);
}

const SCOPES = load(`Retry_Interval = 60
Domain "/test$/" { Retry_Interval = 70
  Skip_Hosts = ( "10.0.0.0/8" '192.0.2.1' ) }
Domain a.test { Retry_Interval = 80 }
Binding_Group g { Binding b {
  Domain A.TEST { Retry_Interval = 90 }
} }
Host mx.a.test { Max_Outbound_Connections = 2 }
ESMTP_Listener {
  EHLO_Hostname = in.test
  Listen ":25" { }
}`);

test('a value is told with its line and its scope, and so is what it overrides', () => {
  assert.deepEqual(traced(SCOPES, { domain: 'A.Test', binding: 'b' }, 'retry_interval'), [
    'Retry_Interval = 90\tx.conf:6 (Domain a.test in Binding b)',
    '  not 80\tx.conf:4 (Domain a.test)',
    '  not 70\tx.conf:2 (Domain /test$/)',
    '  not 60\tx.conf:1 (the top of a file)',
  ]);
  assert.deepEqual(traced(SCOPES, { domain: 'other.example' }, 'Retry_Interval', 'Skip_Hosts', 'TLS'), [
    'Retry_Interval = 60\tx.conf:1 (the top of a file)',
    'Skip_Hosts = (none)\tdefault',
    'TLS = "ifavailable"\tdefault',
  ]);
  assert.deepEqual(traced(SCOPES, { domain: 'c.test' }, 'SKIP_HOSTS', 'EHLO_Hostname'), [
    'Skip_Hosts = ( "10.0.0.0/8" "192.0.2.1" )\tx.conf:3 (Domain /test$/)',
    'EHLO_Hostname = (the host name)\tdefault',
  ]);
});

test('a mail host and a listener are asked for apart from domains', () => {
  assert.deepEqual(traced(SCOPES, { host: 'mx.a.test' }, 'Max_Outbound_Connections'), [
    'Max_Outbound_Connections = 2\tx.conf:8 (Host mx.a.test)',
  ]);
  const [listener] = SCOPES.listeners;
  const [listen] = listener?.listens ?? [];
  assert.ok(listener !== undefined && listen !== undefined);
  assert.deepEqual(traced(SCOPES, { listen: { listener, listen } }, 'EHLO_Hostname', 'Attempt_First'), [
    'EHLO_Hostname = "in.test"\tx.conf:10 (ESMTP_Listener)',
    'Attempt_First = false\tdefault',
  ]);
});

test('without names every option that can be set there is told', () => {
  const names = (at: TraceAt): readonly string[] => traceOptions(SCOPES, at).map(({ option }) => option.name);
  assert.ok(names({ domain: 'a.test' }).includes('Reroute_Domain'));
  assert.ok(!names({ domain: 'a.test' }).includes('TLS_Key'));
  assert.deepEqual(names({ host: 'mx.a.test' }).toSorted(), [
    'Max_Outbound_Connections',
    'Outbound_Throttle_Connections',
    'Outbound_Throttle_Messages',
    'Rollup_MX',
    'Rollup_MX_Name',
  ]);
});

test('what is written can be written again: a value is told as the language has it', () => {
  const text = String.raw`Domain "/^a\.test$/" { Mailerdaemon = "\"a\\b\"@test.example" }`;
  const [line = ''] = traced(load(text), { domain: 'a.test' }, 'Mailerdaemon');
  const written = String.raw`Mailerdaemon = "\"a\\b\"@test.example"`;
  assert.equal(line, `${written}\tx.conf:1 (Domain /^a\\.test$/)`);
});

function idle(configuration: Configuration, side: Side): readonly string[] {
  return settingsWithoutEffect(configuration, side).map(({ place, message }) => `${place.line} ${message}`);
}

test('of the seed configurations the sending side leaves out what an MTA does', () => {
  assert.deepEqual(idle(seed('sending-delayed.conf'), 'sending'), []);
  assert.deepEqual(idle(seed('sending-domains.conf'), 'sending'), []);
  assert.deepEqual(idle(seed('sending-2023.conf'), 'sending'), [
    '14 Max_Retry_Interval has no effect on the sending side: mail that cannot be handed over stays with its MTA, ' +
      'which retries it',
  ]);
  assert.deepEqual(idle(seed('receiving.conf'), 'receiving'), []);
});

test('the seed configurations say for which side they are, and have no fault there', () => {
  for (const name of ['sending-2023.conf', 'sending-delayed.conf', 'sending-domains.conf']) {
    assert.deepEqual(sidesOf(seed(name)), ['sending'], name);
    assert.deepEqual(checkSending(seed(name)).faults, [], name);
  }
  assert.deepEqual(sidesOf(seed('receiving.conf')), ['receiving']);
  const both = load(
    'Delayed_Reroute_Domain = x.test\nDomain x.test { Delivery_Method = delay_xfer }\nTLS = no',
  );
  assert.deepEqual(sidesOf(both), ['sending', 'receiving']);
});

test('each side says what it does not use, and why', () => {
  const text = `Retry_Interval = 60
Connect_Timeout = 20
HTTP_URI = "/a"
Instance = mx1
Domain xfer.test {
  Delivery_Method = "delay_xfer"
  Routes = ( "xfer://10.0.0.1" )
  Body_Timeout = 9
  Host_Failure_Retry = 1
}
Domain gmail.com { Reroute_Domain = xfer.test  HTTP_HOST = a.test  TLS = required }
Binding b { Retry_Interval = 70  Delivery_Response_Timeout = 2000 }
Host mx.test { Max_Outbound_Connections = 2 }
ESMTP_Listener { Max_Inbound_Connections = 5  Listen ":2525" {} }`;
  const side = (name: Side, reason: string): string => `has no effect on the ${name} side: ${reason}`;
  const sidecar = side('sending', 'it is for the receiving side');
  const attempts = side('sending', 'the sidecar delivers only where a listener has Attempt_First');
  const bindings = side('sending', 'the sidecar hands all mail over the same way, without bindings');
  assert.deepEqual(idle(load(text), 'sending'), [
    `1 Retry_Interval ${sidecar}`,
    `2 Connect_Timeout ${attempts}`,
    `8 Body_Timeout ${side('sending', 'mail of this domain is handed over, and not delivered by SMTP')}`,
    `11 HTTP_HOST ${side('sending', 'mail of gmail.com is not handed over there: Delivery_Method is not "delay_xfer"')}`,
    `11 TLS ${attempts}`,
    `12 Retry_Interval ${bindings}`,
    `12 Delivery_Response_Timeout ${bindings}`,
    `13 Max_Outbound_Connections ${side('sending', 'the sidecar limits no single mail host')}`,
  ]);
  const stack = side('receiving', 'it is for the sending side');
  const over = side('receiving', 'mail of this domain is handed over, by the sending side');
  const retry = side('receiving', 'deliveries find out again at each attempt whether a mail host answers');
  assert.deepEqual(idle(load(text), 'receiving'), [
    `3 HTTP_URI ${stack}`,
    `4 Instance ${stack}`,
    `7 Routes ${over}`,
    `8 Body_Timeout ${over}`,
    `9 Host_Failure_Retry ${retry}`,
    `11 Reroute_Domain ${stack}`,
    `11 HTTP_HOST ${stack}`,
    `12 Delivery_Response_Timeout ${stack}`,
    `14 Max_Inbound_Connections ${stack}`,
  ]);
  const attempting = `Attempt_First = yes Binding default { TLS = required }\n${text}`;
  assert.ok(!idle(load(attempting), 'sending').some((line) => /Attempt_First|TLS/.test(line)));
});
