// Which scope decides: Bindings and their groups, Domains within them, Hosts apart from all of these, listeners.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Configuration } from '../../shared/config/configuration.ts';
import { evaluate, evaluateHost, evaluateListen } from '../../shared/config/evaluate.ts';
import { formatFault } from '../../shared/config/fault.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { OPTIONS } from '../../shared/config/options.ts';

function load(text: string): Configuration {
  const result = loadConfiguration([{ path: 'x.conf', text }]);
  if (!result.ok) assert.fail(result.faults.map(formatFault).join('\n'));
  return result.configuration;
}

test('a Domain in a group comes behind one in the binding, and before the binding and its group', () => {
  const configuration = load(`
Retry_Interval = 1
Domain a.test { Retry_Interval = 2 }
Domain c.test { Retry_Interval = 2 }
Binding_Group g {
  Retry_Interval = 3
  Domain a.test { Retry_Interval = 4 }
  Binding in-g { Retry_Interval = 5  Domain b.test { Retry_Interval = 6 } }
  Binding silent { }
}
Binding alone { Domain a.test { Retry_Interval = 7 } }
Binding_Group empty { Binding other { } }
`);
  const at = (domain: string, binding?: string): number =>
    evaluate(configuration, OPTIONS.Retry_Interval, { domain, ...(binding !== undefined && { binding }) });
  for (const [binding, a, b, c, d] of [
    [undefined, 2, 1, 2, 1],
    ['in-g', 4, 6, 5, 5],
    ['silent', 4, 3, 3, 3],
    ['alone', 7, 1, 2, 1],
    ['other', 2, 1, 2, 1],
    ['unknown', 2, 1, 2, 1],
  ] as const) {
    const told = ['a.test', 'b.test', 'c.test', 'd.test'].map((domain) => at(domain, binding));
    assert.deepEqual(told, [a, b, c, d], binding);
  }
});

test('a binding joins its group also where it was written outside of it before', () => {
  const configuration = load(`
Binding a { EHLO_Hostname = a.test }
Binding_Group g { Retry_Interval = 9 }
Binding_Group g { Binding a { } }
`);
  const at = { binding: 'a' };
  assert.equal(evaluate(configuration, OPTIONS.Retry_Interval, at), 9);
  assert.equal(evaluate(configuration, OPTIONS.EHLO_Hostname, at), 'a.test');
  assert.deepEqual(
    configuration.bindings.map(({ name, group }) => [name, group]),
    [['a', 'g']],
  );
});

test('a Host has a chain of its own, and none of a Domain or the top', () => {
  const configuration = load(`
Max_Outbound_Connections = 99
Domain mx.a.test { Max_Outbound_Connections = 98 }
Host mx.a.test { Max_Outbound_Connections = 1 }
Host "/^mx[.]/" { Max_Outbound_Connections = 2  Outbound_Throttle_Messages = "8/3600" }
Binding_Group g {
  Host mx.a.test { Max_Outbound_Connections = 3 }
  Binding b { Host mx.b.test { Max_Outbound_Connections = 4 } }
}
`);
  const connections = (host: string, binding?: string): number | undefined =>
    evaluateHost(configuration, OPTIONS.Max_Outbound_Connections, {
      host,
      ...(binding !== undefined && { binding }),
    });
  assert.deepEqual(
    [connections('MX.A.test.'), connections('mx.b.test'), connections('in.a.test')],
    [1, 2, undefined],
  );
  assert.deepEqual(
    [connections('mx.a.test', 'b'), connections('mx.b.test', 'b'), connections('mx.c.test', 'b')],
    [3, 4, 2],
  );
  assert.deepEqual(evaluateHost(configuration, OPTIONS.Outbound_Throttle_Messages, { host: 'mx.a.test' }), {
    messages: 8,
    overSeconds: 3_600,
  });
});

test('a Listen comes before its listener, and that before the top', () => {
  const configuration = load(`
Attempt_First = true
ESMTP_Listener {
  Attempt_First = false
  Max_Inbound_Connections = 7
  Listen ":25" { Attempt_First = true }
  Listen ":26" { }
}
LMTP_Listener { Listen ":24" {} }
`);
  const told = configuration.listeners.flatMap((listener) =>
    listener.listens.map((listen) => [
      listen.listen.port,
      evaluateListen(configuration, OPTIONS.Attempt_First, listener, listen),
      evaluateListen(configuration, OPTIONS.Max_Inbound_Connections, listener, listen),
    ]),
  );
  assert.deepEqual(told, [
    [25, true, 7],
    [26, false, 7],
    [24, true, 500],
  ]);
});

test('a listener that is not enabled does not listen', () => {
  const configuration = load(`
ESMTP_Listener { Enable = false  Listen ":25" {} }
LMTP_Listener { Listen ":24" { Enable = "false" } }
HTTP_Listener { Listen ":80" { Enable = no }  Listen ":81" { Enable = yes } }
`);
  assert.deepEqual(
    configuration.listeners.map(({ kind, listens }) => [kind, listens.map(({ listen }) => listen.port)]),
    [['HTTP_Listener', [81]]],
  );
});

test('a limit of 0 over seconds is no limit, and a smarthost is a route', () => {
  const configuration = load(`
Outbound_Throttle_Messages = 0
Gateway = "[fe80::a00]:26"
TLS_Protocols = "+ALL:-SSLv2:-SSLv3:-TLSv1.0"
Blackhole = true
Bind_Address = "*"
Response_Transcode_Pattern = "454 no such user ('.*')"
`);
  assert.equal(evaluate(configuration, OPTIONS.Outbound_Throttle_Messages), undefined);
  assert.deepEqual(evaluate(configuration, OPTIONS.Gateway), {
    scheme: 'smtp',
    target: { kind: 'host', host: 'fe80::a00' },
    port: 26,
    pref: undefined,
  });
  assert.deepEqual(evaluate(configuration, OPTIONS.TLS_Protocols), { least: 'TLSv1.1', most: 'TLSv1.3' });
  assert.equal(evaluate(configuration, OPTIONS.Blackhole), 'inline');
  assert.equal(evaluate(configuration, OPTIONS.Bind_Address), undefined);
  assert.equal(
    evaluate(configuration, OPTIONS.Response_Transcode_Pattern)?.exec("454 no such user 'joe'")?.[1],
    "'joe'",
  );
});

test('a hundred thousand stanzas within each other, and as many items, exhaust nothing', () => {
  const deep = `${'Domain a.test { '.repeat(100_000)}${'} '.repeat(100_000)}`;
  const result = loadConfiguration([{ path: 'x.conf', text: deep }]);
  assert.ok(!result.ok);
  assert.deepEqual(
    result.faults.map(({ place }) => place.column),
    [17, 33],
  );
  const open = loadConfiguration([{ path: 'x.conf', text: 'Quux { '.repeat(100_000) }]);
  assert.ok(!open.ok && open.faults.length === 101);
  assert.equal(
    open.faults.at(-1)?.message,
    'what is wrong from here on is not told: there is too much of it',
  );
  const wrong = `Relay_Hosts = ( ${'10.0.0 '.repeat(100_000)})`;
  assert.ok(!loadConfiguration([{ path: 'x.conf', text: wrong }]).ok);
  const wide = `Relay_Hosts = ( ${'10.0.0.1 '.repeat(100_000)})`;
  assert.ok(loadConfiguration([{ path: 'x.conf', text: wide }]).ok);
});

test('dictionaries of Momentum are read over, wherever its options may stand', () => {
  const result = loadConfiguration([
    {
      path: 'x.conf',
      text: `ESMTP_Listener {
  smtp_extensions = ( "8bitmime" )
  context = [ tenant = "acme" kind = bulk ]
  Listen ":2525" { context = [
      tenant = "other"
    ]
  }
}
HTTP_URI = "/a"`,
    },
  ]);
  assert.ok(result.ok);
  assert.deepEqual(
    result.warnings.map(({ place, message }) => `${place.line} ${message}`),
    [
      "2 Momentum's smtp_extensions has no part here",
      "3 Momentum's context has no part here",
      "4 Momentum's context has no part here",
    ],
  );
  assert.equal(evaluate(result.configuration, OPTIONS.HTTP_URI), '/a');
});
