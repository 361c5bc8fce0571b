import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Interfaces, listenAddresses, narrowedText, parseListen } from '../../shared/config/listen.ts';
import { isLoopback, parseNetwork } from '../../shared/config/networks.ts';
import { formatXferRoute, parseRoute } from '../../shared/config/routes.ts';

const INTERFACES: Interfaces = {
  lo: [
    { address: '127.0.0.1', family: 'IPv4', internal: true },
    { address: '10.10.10.10', family: 'IPv4', internal: true },
    { address: '::1', family: 'IPv6', internal: true },
  ],
  eth0: [
    { address: '192.0.2.5', family: 'IPv4', internal: false },
    { address: 'fe80::1', family: 'IPv6', internal: false },
  ],
};
const OPEN = { interfaces: INTERFACES, guarded: false, guard: 'Relay_Hosts' };
const GUARDED = { ...OPEN, guarded: true };

test('Listen takes a port alone, an IPv4 or IPv6 address or a name with a port', () => {
  assert.deepEqual(parseListen(':8080'), { host: undefined, port: 8080 });
  assert.deepEqual(parseListen('*:25'), { host: undefined, port: 25 });
  assert.deepEqual(parseListen('127.0.0.1:2525'), { host: '127.0.0.1', port: 2525 });
  assert.deepEqual(parseListen('[::1]:0'), { host: '::1', port: 0 });
  assert.deepEqual(parseListen('[*]:25'), { host: '::', port: 25 });
  assert.deepEqual(parseListen('LocalHost:25'), { host: 'localhost', port: 25 });
  for (const wrong of ['', '8080', ':', ':65536', '::1:25', '[::g]:25', '/tmp/socket']) {
    assert.equal(parseListen(wrong), undefined, wrong);
  }
});

test('a listener without a host takes every address of the loopback interface and no other', () => {
  assert.deepEqual(listenAddresses({ host: undefined, port: 8080 }, OPEN), {
    ok: true,
    addresses: ['127.0.0.1', '10.10.10.10', '::1'],
  });
});

test('a listener that serves this machine alone says what opens it', () => {
  assert.equal(
    narrowedText({ host: undefined, port: 8080 }, 'Relay_Hosts'),
    'Listen ":8080" serves this machine alone; configure Relay_Hosts to serve other machines',
  );
});

test('a listener without a host takes every address once it is guarded', () => {
  assert.deepEqual(listenAddresses({ host: undefined, port: 8080 }, GUARDED), {
    ok: true,
    addresses: ['::'],
  });
  const v4: Interfaces = { lo: [{ address: '127.0.0.1', family: 'IPv4', internal: true }] };
  assert.deepEqual(listenAddresses({ host: undefined, port: 8080 }, { ...GUARDED, interfaces: v4 }), {
    ok: true,
    addresses: ['0.0.0.0'],
  });
});

test('an unguarded listener outside the loopback interface is refused, with the reason and the mend', () => {
  assert.deepEqual(listenAddresses({ host: '192.0.2.5', port: 2525 }, OPEN), {
    ok: false,
    text:
      'Listen "192.0.2.5:2525" would be reachable from other machines, and anyone there could send mail through it; ' +
      'configure Relay_Hosts, or listen on 127.0.0.1',
  });
  for (const host of ['0.0.0.0', '::', 'mail.example.com']) {
    assert.equal(listenAddresses({ host, port: 25 }, OPEN).ok, false, host);
    assert.deepEqual(listenAddresses({ host, port: 25 }, GUARDED), { ok: true, addresses: [host] });
  }
});

test('any address of the loopback interface may be named without a guard', () => {
  for (const host of ['127.0.0.1', '127.0.0.53', '::1', '10.10.10.10']) {
    assert.deepEqual(listenAddresses({ host, port: 25 }, OPEN), { ok: true, addresses: [host] });
  }
  assert.deepEqual(listenAddresses({ host: 'localhost', port: 25 }, OPEN), {
    ok: true,
    addresses: ['127.0.0.1', '::1'],
  });
});

test('Relay_Hosts takes CIDR blocks and single addresses of both families', () => {
  const contains = (network: string, address: string): boolean | undefined =>
    parseNetwork(network)?.contains(address);
  assert.equal(contains('10.0.0.0/8', '10.1.2.3'), true);
  assert.equal(contains('10.0.0.0/8', '::ffff:10.1.2.3'), true);
  assert.equal(contains('10.0.0.0/8', '11.1.2.3'), false);
  assert.equal(contains('192.0.2.1', '192.0.2.1'), true);
  assert.equal(contains('192.0.2.1', '192.0.2.2'), false);
  assert.equal(contains('fd82::/16', 'fd82:1::5'), true);
  assert.equal(contains('::1', '127.0.0.1'), false);
  assert.equal(contains('10.0.0.0/8', 'no address'), false);
  for (const wrong of ['', '10', '10.0.0.0/33', 'example.com', '10.0.0']) {
    assert.equal(parseNetwork(wrong), undefined, wrong);
  }
});

test('loopback is recognised in every spelling', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
    assert.ok(isLoopback(address), address);
  for (const address of ['10.0.0.1', '::2', 'localhost', '']) assert.ok(!isLoopback(address), address);
});

test('an xfer route is HTTP, and HTTPS on port 443 or with tls=1', () => {
  const xfer = { scheme: 'xfer', host: 'h', tls: false, sigv4: false, pref: 0 };
  assert.deepEqual(parseRoute('xfer://h?port=8080'), { ok: true, route: { ...xfer, port: 8080 } });
  assert.deepEqual(parseRoute('xfer://h:8080/'), { ok: true, route: { ...xfer, port: 8080 } });
  assert.deepEqual(parseRoute('xfer://h'), { ok: true, route: { ...xfer, port: 80 } });
  assert.deepEqual(parseRoute('xfer://h?port=443'), { ok: true, route: { ...xfer, port: 443, tls: true } });
  assert.deepEqual(parseRoute('XFER://h?tls=1&sigv4=1&pref=5&region=eu-west-1'), {
    ok: true,
    route: { ...xfer, port: 443, tls: true, sigv4: true, pref: 5, region: 'eu-west-1' },
  });
  assert.deepEqual(parseRoute('xfer://[2001:db8::1]?port=8080'), {
    ok: true,
    route: { ...xfer, host: '2001:db8::1', port: 8080 },
  });
});

test('an smtp route names a smarthost, or __mx__ for the MX hosts of the domain', () => {
  for (const [text, target, port, pref] of [
    ['smtp://relay.internal?port=587&pref=10', { kind: 'host', host: 'relay.internal' }, 587, 10],
    ['smtp://__mx__', { kind: 'own-mx' }, undefined, undefined],
    ['__MX__', { kind: 'own-mx' }, undefined, undefined],
    ['smtp://__mx__?port=2525&pref=0', { kind: 'own-mx' }, 2525, 0],
    // As Momentum's pages write them.
    ['my.local.smart.host', { kind: 'host', host: 'my.local.smart.host' }, undefined, undefined],
    ['smtp://1.2.3.4?pref=10&ttl=300&type=mx', { kind: 'host', host: '1.2.3.4' }, undefined, 10],
    ['smtp://[fe80::a00]:1', { kind: 'host', host: 'fe80::a00' }, 1, undefined],
    ['smtp://example.com?type=mx', { kind: 'mx-of', domain: 'example.com' }, undefined, undefined],
    // As Postfix and Exim write a host whose MX is not asked for.
    ['[relay.internal]:587', { kind: 'host', host: 'relay.internal' }, 587, undefined],
    ['[relay.internal]?type=mx', { kind: 'host', host: 'relay.internal' }, undefined, undefined],
    ['[10.0.0.1]', { kind: 'host', host: '10.0.0.1' }, undefined, undefined],
  ] as const) {
    assert.deepEqual(parseRoute(text), { ok: true, route: { scheme: 'smtp', target, port, pref } }, text);
  }
});

test('a route that cannot be meant is refused with its fault', () => {
  const fault = (text: string): string => {
    const reading = parseRoute(text);
    return reading.ok ? 'accepted' : reading.message;
  };
  assert.equal(
    fault('ftp://10.0.0.1'),
    '"ftp://10.0.0.1" is not a route; write xfer://host?port=8080 or smtp://host?port=25',
  );
  assert.equal(
    fault('xfer://h?port=0'),
    'the port of the route "xfer://h?port=0" is not a number from 1 to 65535',
  );
  assert.equal(fault('xfer://h:1?port=2'), 'the route "xfer://h:1?port=2" has two ports');
  assert.equal(fault('xfer://h?tls=1&tls=1'), '"tls" stands twice in the route "xfer://h?tls=1&tls=1"');
  assert.equal(
    fault('xfer://h?tls=maybe'),
    'tls, sigv4 and gzip are 0 or 1 in the route "xfer://h?tls=maybe"',
  );
  assert.equal(fault('xfer://__mx__'), '__mx__ stands for MX hosts and fits smtp:// alone');
  assert.equal(fault('xfer://[nonsense]'), '"[nonsense]" is no host name and no address');
  assert.equal(
    fault('smtp://h?sigv4=1'),
    'unknown parameter "sigv4" (known: port, pref, type, ttl) in the route "smtp://h?sigv4=1"',
  );
  assert.equal(fault('h?type=aaaa'), 'the type of the route "h?type=aaaa" is neither a nor mx');
  assert.equal(fault('h?ttl=soon'), 'the ttl of the route "h?ttl=soon" is not a number of seconds');
  assert.equal(fault('[fe80::1%eth0]'), '"[fe80::1%eth0]" is no host name and no address');
  assert.equal(fault('xfer://[relay.internal]'), '"[relay.internal]" is no host name and no address');
});

test('a route is logged without its parameters', () => {
  const reading = parseRoute('xfer://[2001:db8::1]?port=8080&pref=3');
  assert.ok(reading.ok && reading.route.scheme === 'xfer');
  assert.equal(formatXferRoute(reading.route), 'xfer://[2001:db8::1]:8080');
});
