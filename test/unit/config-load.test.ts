import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Configuration } from '../../shared/config/configuration.ts';
import { deliverySettings, httpListens } from '../../shared/config/delivery-settings.ts';
import { evaluate } from '../../shared/config/evaluate.ts';
import { formatFault } from '../../shared/config/fault.ts';
import { type IncludeReader, loadConfiguration } from '../../shared/config/load.ts';
import { nearestName } from '../../shared/config/nearest.ts';
import { OPTIONS } from '../../shared/config/options.ts';

function example(name: string): { path: string; text: string } {
  return {
    path: name,
    text: readFileSync(new URL(`../../sidecar/examples/${name}`, import.meta.url), 'utf8'),
  };
}

function load(text: string, readInclude?: IncludeReader): Configuration {
  const result = loadConfiguration([{ path: 'x.conf', text }], readInclude);
  if (!result.ok) assert.fail(result.faults.map(formatFault).join('\n'));
  return result.configuration;
}

function faultsOf(text: string, readInclude?: IncludeReader): string[] {
  const result = loadConfiguration([{ path: 'x.conf', text }], readInclude);
  return result.ok ? [] : result.faults.map((fault) => formatFault(fault).split('\n')[0] ?? '');
}

function warningsOf(text: string): string[] {
  const result = loadConfiguration([{ path: 'x.conf', text }]);
  return result.ok ? result.warnings.map((fault) => formatFault(fault).split('\n')[0] ?? '') : ['faults'];
}

const XFER_TEST = {
  Reroute_Domain: 'disabled',
  Delayed_Reroute_Domain: 'disabled',
  Delivery_Method: 'delay_xfer',
  Delivery_Response_Timeout: 10_000,
  Routes: [{ scheme: 'xfer', host: '10.10.10.10', port: 8080, tls: false, sigv4: false, pref: 0 }],
  HTTP_URI: '/delay_message',
  HTTP_METHOD: 'POST',
  HTTP_HOST: 'localhost',
};

function valuesAt(configuration: Configuration, domain: string): typeof XFER_TEST {
  const at = { domain };
  return {
    Reroute_Domain: evaluate(configuration, OPTIONS.Reroute_Domain, at) ?? '',
    Delayed_Reroute_Domain: evaluate(configuration, OPTIONS.Delayed_Reroute_Domain, at) ?? '',
    Delivery_Method: evaluate(configuration, OPTIONS.Delivery_Method, at),
    Delivery_Response_Timeout: evaluate(configuration, OPTIONS.Delivery_Response_Timeout, at),
    Routes: evaluate(configuration, OPTIONS.Routes, at).filter((route) => route.scheme === 'xfer'),
    HTTP_URI: evaluate(configuration, OPTIONS.HTTP_URI, at),
    HTTP_METHOD: evaluate(configuration, OPTIONS.HTTP_METHOD, at),
    HTTP_HOST: evaluate(configuration, OPTIONS.HTTP_HOST, at) ?? '',
  };
}

test('the example for delayed mail sends every deferred message to xfer.test, which goes over HTTP', () => {
  const result = loadConfiguration([example('sending-delayed.conf')]);
  assert.ok(result.ok);
  assert.deepEqual(result.warnings, []);
  const { configuration } = result;
  assert.equal(
    evaluate(configuration, OPTIONS.Delayed_Reroute_Domain, { domain: 'anything.example' }),
    'xfer.test',
  );
  assert.equal(evaluate(configuration, OPTIONS.Reroute_Domain, { domain: 'anything.example' }), undefined);
  assert.deepEqual(valuesAt(configuration, 'xfer.test'), XFER_TEST);
});

test('the example for chosen domains sends gmail.com to xfer.test and leaves the others alone', () => {
  const result = loadConfiguration([example('sending-domains.conf')]);
  assert.ok(result.ok);
  const { configuration } = result;
  assert.equal(evaluate(configuration, OPTIONS.Reroute_Domain, { domain: 'GMAIL.com' }), 'xfer.test');
  assert.equal(evaluate(configuration, OPTIONS.Reroute_Domain, { domain: 'example.com' }), undefined);
  assert.equal(evaluate(configuration, OPTIONS.Delayed_Reroute_Domain, { domain: 'gmail.com' }), undefined);
  assert.deepEqual(valuesAt(configuration, 'xfer.test'), XFER_TEST);
});

test('both sending examples together say the same about xfer.test, so nothing is warned of', () => {
  const result = loadConfiguration([example('sending-delayed.conf'), example('sending-domains.conf')]);
  assert.ok(result.ok);
  assert.deepEqual(result.warnings, []);
  assert.equal(evaluate(result.configuration, OPTIONS.Reroute_Domain, { domain: 'gmail.com' }), 'xfer.test');
  assert.equal(
    evaluate(result.configuration, OPTIONS.Delayed_Reroute_Domain, { domain: 'a.test' }),
    'xfer.test',
  );
});

test('the example of 2023 retries quickly, and only Teleport_Enabled is named as without effect', () => {
  const result = loadConfiguration([example('sending-2023.conf')]);
  assert.ok(result.ok);
  assert.deepEqual(
    result.warnings.map((fault) => `${fault.place.file}:${fault.place.line} ${fault.message}`),
    [
      'sending-2023.conf:15 Teleport_Enabled has no effect: a message whose transfer fails stays with its MTA, ' +
        'so there is no context to keep',
    ],
  );
  assert.equal(evaluate(result.configuration, OPTIONS.Host_Failure_Retry, { domain: 'xfer.test' }), 1);
  assert.equal(evaluate(result.configuration, OPTIONS.Max_Retry_Interval, { domain: 'xfer.test' }), 2);
  assert.deepEqual(result.configuration.scripts, [{ name: 'xfer_client', source: 'msys.xfer.client' }]);
});

test('the example for receiving loads the XFER server and listens on port 8080', () => {
  const result = loadConfiguration([example('receiving.conf')]);
  assert.ok(result.ok);
  assert.deepEqual(result.warnings, []);
  assert.deepEqual(result.configuration.scripts, [{ name: 'xfer_api', source: 'msys.xfer.server' }]);
  assert.deepEqual(
    httpListens(result.configuration).map(({ listen, relayHosts }) => [listen.host, listen.port, relayHosts]),
    [[undefined, 8080, []]],
  );
});

test('unknown names and wrong values are reported together, each with the nearest known name', () => {
  const text = `Retry_Intervall = 30
Delivery_Response_Timeout = "ten"
Domian gmail.com { }
HTTP_METHOD = GET
Domain x.test {
  Routes = ( "xfer://a?prot=1" "ftp://b" )
  Relay_Hosts = ( 10.0.0.0/8 )
  Max_Retries = ( 1 2 )
}
Listen ":25" {}
ESMTP_Listener { Listen "2525" {} }
HTTP_Listener { }
Domain { }
Domain "/(/" { }
Scriptlet s { TLS = no  script t { source = "msys.xfer.server" HTTP_URI = "/x" } }
Zebra = 1`;
  assert.deepEqual(faultsOf(text), [
    'x.conf:1:1: unknown option "Retry_Intervall"; did you mean Retry_Interval?',
    'x.conf:2:29: Delivery_Response_Timeout takes a whole number of milliseconds from 1 to 600000, not "ten"',
    'x.conf:3:1: unknown stanza "Domian"; did you mean Domain?',
    'x.conf:4:15: HTTP_METHOD takes "POST", not "GET"',
    'x.conf:6:14: Routes: unknown parameter "prot" (known: port, tls, sigv4, gzip, pref, region) in the route "xfer://a?prot=1"',
    'x.conf:6:32: Routes: "ftp://b" is not a route; write xfer://host?port=8080 or smtp://host?port=25',
    'x.conf:7:3: Relay_Hosts cannot stand in a Domain stanza; it belongs at the top of a file, in a listener',
    'x.conf:8:17: Max_Retries takes "auto", "none" or a whole number up to 10000, not a list',
    'x.conf:10:1: Listen cannot stand at the top of a file; it belongs in a listener',
    'x.conf:11:25: "2525" is no address and port; write ":8080", "127.0.0.1:2525" or "[::1]:2525"',
    'x.conf:12:1: this HTTP_Listener listens nowhere; add Listen ":8080" {}',
    'x.conf:13:1: Domain needs a name; write Domain example.com { … }',
    'x.conf:14:8: "/(/" is no regular expression: unterminated group',
    'x.conf:15:15: TLS cannot stand in a Scriptlet stanza; it belongs at the top of a file, in a Domain, in a Binding',
    'x.conf:15:64: HTTP_URI cannot stand in a Script stanza; it belongs at the top of a file, in a Domain, in a Binding',
    'x.conf:16:1: unknown option "Zebra"',
  ]);
});

test('a fault in a password does not show the password', () => {
  const result = loadConfiguration([{ path: 'x.conf', text: '  HTTP_Basic_Auth = "hunter2"' }]);
  assert.ok(!result.ok);
  assert.deepEqual(result.faults.map(formatFault), [
    'x.conf:1:3: HTTP_Basic_Auth takes "user:password"\n      HTTP_Basic_Auth = *********\n      ^^^^^^^^^^^^^^^',
  ]);
});

test('what is accepted and has no effect is warned of, and so is a value set twice', () => {
  assert.deepEqual(
    warningsOf(`Outbound_Throttle_Messages = "100/60"
Host 10.0.0.1 { Max_Outbound_Connections = 2 }
Domain x.test { HTTP_URI = "/a" }
Domain x.test { HTTP_URI = "/b" }
scriptlet s { script t { source = "msys.other" } }`),
    [
      'x.conf:1:1: Outbound_Throttle_Messages has no effect: rates are not limited yet; connections are, by Max_Outbound_Connections',
      'x.conf:4:17: HTTP_URI was set to another value at x.conf:3; this one counts',
      'x.conf:5:15: the script "t" has no effect; known sources are msys.xfer.server, msys.xfer.client',
    ],
  );
});

test('Binding::Domain comes before Binding, Domain (exact, then patterns in order) and Global', () => {
  const configuration = load(`
Retry_Interval = 1
Max_Retry_Interval = 10
Domain "/[.]example[.]com$/" { Retry_Interval = 2  Max_Retries = 2 }
Domain a.example.com { Retry_Interval = 3 }
Domain "/example/" { Retry_Interval = 4  Max_Retries = 4 EHLO_Hostname = four.test }
Binding out { Max_Retries = 5  Domain a.example.com { Retry_Interval = 6 } Domain "/^a/" { Retry_Interval = 7 } }
`);
  const at = (domain?: string, binding?: string): unknown[] => {
    const place = {
      ...(domain === undefined ? {} : { domain }),
      ...(binding === undefined ? {} : { binding }),
    };
    const settings = deliverySettings(configuration, place);
    return [
      settings.retryIntervalSeconds,
      settings.maxRetryIntervalSeconds,
      settings.maxRetries,
      settings.ehloHostname,
    ];
  };
  assert.deepEqual(at(), [1, 10, 'none', undefined]);
  assert.deepEqual(at('other.test'), [1, 10, 'none', undefined]);
  assert.deepEqual(at('a.example.com'), [3, 10, 2, 'four.test']);
  assert.deepEqual(at('B.Example.com.'), [2, 10, 2, 'four.test']);
  assert.deepEqual(at('example.net'), [4, 10, 4, 'four.test']);
  assert.deepEqual(at('a.example.com', 'out'), [6, 10, 5, 'four.test']);
  assert.deepEqual(at('ab.test', 'out'), [7, 10, 5, undefined]);
  assert.deepEqual(at('other.test', 'out'), [1, 10, 5, undefined]);
});

test('a domain written in its own script is the one written in A-labels', () => {
  const configuration = load('Domain bücher.example { Retry_Interval = 9 }');
  assert.equal(evaluate(configuration, OPTIONS.Retry_Interval, { domain: 'xn--bcher-kva.example' }), 9);
  assert.equal(evaluate(configuration, OPTIONS.Retry_Interval, { domain: 'BÜCHER.example' }), 9);
});

test('without a configuration the defaults hold', () => {
  assert.deepEqual(deliverySettings(load('')), {
    retryIntervalSeconds: 300,
    maxRetryIntervalSeconds: 14_400,
    maxRetries: 'none',
    messageExpirationSeconds: 432_000,
    neverRetry: false,
    neverAttemptExpired: false,
    suspendDelivery: false,
    blackhole: 'false',
    routes: [],
    remoteSmtpPort: 25,
    deliveryMethod: 'smtp',
    lmtpPort: 2003,
    skipHosts: [],
    prohibitedHosts: [],
    ehloHostname: undefined,
    maxOutboundConnections: 32,
    maxDeliveriesPerConnection: 0,
    maxRecipientsPerConnection: 0,
    maxRecipientsPerBatch: 100,
    bindAddress: undefined,
    idleTimeoutSeconds: 5,
    connectTimeoutSeconds: 30,
    ehloTimeoutSeconds: 300,
    mailfromTimeoutSeconds: 300,
    rcpttoTimeoutSeconds: 300,
    bodyTimeoutSeconds: 600,
    rsetTimeoutSeconds: 30,
    tls: 'ifavailable',
    tlsVerify: 'no',
    tlsCa: undefined,
    tlsVersions: undefined,
    tlsCiphers: undefined,
    tlsFallsBack: true,
    enableMtaSts: true,
    bareNewlines: 'refuse',
    eightBitMail: 'refuse',
    generateBounces: true,
    generateDelayDsn: false,
    delayDsnRetryIntervalSeconds: 3_600,
    delayDsnMaxRetryIntervalSeconds: 0,
    bouncesInlineOriginal: 'headers',
    mailerDaemon: undefined,
    transcode: undefined,
    replyClasses: undefined,
  });
});

test('a domain has its own routes, TLS, timeouts and reports', () => {
  const configuration = load(`
Reply_Classes = "classes.json"
Skip_Hosts = ( "192.0.2.0/24" "2001:db8::1" )
Mailerdaemon = "mailer-daemon@example.com"
Domain bank.example {
  TLS = "required"
  tls_verify = host
  TLS_Ca = "/etc/ssl/bank.pem"
  Enable_MTA_STS = false
  Eight_Bit_Mail = "convert"
  EHLO_Timeout = 31  Mailfrom_Timeout = 32  Rcptto_Timeout = 33  Body_Timeout = 34  RSET_Timeout = 35
  Idle_Timeout = 0
  Generate_Bounces = false  Generate_Delay_DSN = true
  Delay_DSN_Retry_Interval = 7200  Delay_DSN_Max_Retry_Interval = 43200
  Bounces_Inline_Original = "all"
  Routes = ( "xfer://10.0.0.1" "smtp://relay.bank.example?port=587&pref=10" "__mx__" )
}`);
  const settings = deliverySettings(configuration, { domain: 'Bank.example.' });
  const { skipHosts, routes, ...others } = settings;
  assert.deepEqual(others, {
    retryIntervalSeconds: 300,
    maxRetryIntervalSeconds: 14_400,
    maxRetries: 'none',
    messageExpirationSeconds: 432_000,
    neverRetry: false,
    neverAttemptExpired: false,
    suspendDelivery: false,
    blackhole: 'false',
    prohibitedHosts: [],
    remoteSmtpPort: 25,
    deliveryMethod: 'smtp',
    lmtpPort: 2003,
    ehloHostname: undefined,
    maxOutboundConnections: 32,
    maxDeliveriesPerConnection: 0,
    maxRecipientsPerConnection: 0,
    maxRecipientsPerBatch: 100,
    bindAddress: undefined,
    idleTimeoutSeconds: 0,
    connectTimeoutSeconds: 30,
    ehloTimeoutSeconds: 31,
    mailfromTimeoutSeconds: 32,
    rcpttoTimeoutSeconds: 33,
    bodyTimeoutSeconds: 34,
    rsetTimeoutSeconds: 35,
    tls: 'required',
    tlsVerify: 'host',
    tlsCa: '/etc/ssl/bank.pem',
    tlsVersions: undefined,
    tlsCiphers: undefined,
    tlsFallsBack: true,
    enableMtaSts: false,
    bareNewlines: 'refuse',
    eightBitMail: 'convert',
    generateBounces: false,
    generateDelayDsn: true,
    delayDsnRetryIntervalSeconds: 7_200,
    delayDsnMaxRetryIntervalSeconds: 43_200,
    bouncesInlineOriginal: 'all',
    mailerDaemon: 'mailer-daemon@example.com',
    transcode: undefined,
    replyClasses: 'classes.json',
  });
  assert.deepEqual(
    skipHosts.map((network) => network.text),
    ['192.0.2.0/24', '2001:db8::1'],
  );
  assert.deepEqual(routes, [
    { scheme: 'smtp', target: { kind: 'host', host: 'relay.bank.example' }, port: 587, pref: 10 },
    { scheme: 'smtp', target: { kind: 'own-mx' }, port: undefined, pref: undefined },
  ]);
  assert.equal(deliverySettings(configuration, { domain: 'other.example' }).tls, 'ifavailable');
});

test('an included file is read where it is included, and its faults name it', () => {
  const files = new Map([
    ['domains.conf', 'HTTP_URI = "/included"'],
    ['loop.conf', 'include "loop.conf"'],
    ['bad.conf', 'Nonsense_Option = 1'],
  ]);
  const readInclude: IncludeReader = (path) => {
    const text = files.get(path);
    return text === undefined ? undefined : { path, text };
  };
  const configuration = load('Domain x.test { include "domains.conf" } include domains.conf', readInclude);
  assert.equal(evaluate(configuration, OPTIONS.HTTP_URI, { domain: 'x.test' }), '/included');
  assert.deepEqual(faultsOf('include "loop.conf"\ninclude "bad.conf"\ninclude "none.conf"', readInclude), [
    'x.conf:3:9: the included file "none.conf" cannot be read',
    'loop.conf:1:9: this file includes itself: loop.conf:1 → loop.conf; take one of the includes out',
    'bad.conf:1:1: unknown option "Nonsense_Option"',
  ]);
});

test('every option stands in the table under its own name', () => {
  for (const [key, option] of Object.entries(OPTIONS)) assert.equal(option.name, key);
});

test('a slip of a few letters finds the name that was meant, and nonsense finds none', () => {
  const names = ['Retry_Interval', 'Max_Retry_Interval', 'Routes', 'TLS'];
  assert.equal(nearestName('retry_intreval', names), 'Retry_Interval');
  assert.equal(nearestName('Max_Retry_Intervals', names), 'Max_Retry_Interval');
  assert.equal(nearestName('Route', names), 'Routes');
  assert.equal(nearestName('Quota', names), undefined);
});
