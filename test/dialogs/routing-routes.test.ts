// Where mail goes when the operator says so: the options Routes, Remote_SMTP_Port, Skip_Hosts and TLS of a
// configuration, with a real name server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, route } from './routing-question.ts';

const ZONE = `
  example.net      MX    10 mx1.example.net
  example.net      MX    20 mx2.example.net
  mx1.example.net  A     192.0.2.1
  mx2.example.net  A     192.0.2.2
  relay.internal   A     10.0.0.5
  relay.internal   AAAA  fd00::5
  relay.internal   MX    10 decoy.example
  backup.internal  A     10.0.0.6
  hub.example      MX    10 in1.hub.example
  hub.example      MX    20 in2.hub.example
  in1.hub.example  A     192.0.2.11
  in2.hub.example  A     192.0.2.12
  metadata.example A     169.254.169.254
  local.example    A     127.0.0.1
`;

/** The route of example.net with these Routes. */
function by(routes: string, domain = 'example.net'): Promise<string> {
  return route(ZONE, domain, { configuration: `Domain ${domain} { Routes = ( ${routes} ) }` });
}

test('a smarthost takes the mail of a domain, at its own port, and its MX is not asked for', async () => {
  const { outcome, questions } = await ask(ZONE, 'example.net', {
    configuration:
      'Domain example.net { Routes = ( "smtp://relay.internal?port=587&pref=10" ) TLS = "required" }',
  });
  assert.deepEqual(outcome, {
    kind: 'hops',
    site: 'smtp://relay.internal:587',
    hops: [
      { host: 'relay.internal', address: '10.0.0.5', port: 587, source: 'routes' },
      { host: 'relay.internal', address: 'fd00::5', port: 587, source: 'routes' },
    ],
    tls: { mode: 'required', verify: false },
  });
  assert.deepEqual(questions, ['relay.internal A', 'relay.internal AAAA']);
});

test('other domains go their own way, and a global route is for all of them', async () => {
  const one = 'Domain example.net { Routes = "relay.internal" }';
  assert.equal(
    await route(ZONE, 'hub.example', { configuration: one }),
    '(in1|in2).hub.example > in1.hub.example 192.0.2.11 25 > in2.hub.example 192.0.2.12 25',
  );
  const all = `Routes = "[10.0.0.6]:2525" ${one}`;
  assert.equal(
    await route(ZONE, 'hub.example', { configuration: all }),
    'smtp://[10.0.0.6]:2525 > 10.0.0.6 10.0.0.6 2525',
  );
  assert.equal(
    await route(ZONE, 'example.net', { configuration: all }),
    'smtp://relay.internal > relay.internal 10.0.0.5 25 > relay.internal fd00::5 25',
  );
  // A smarthost also takes what has no MX: literals, and names that it alone knows.
  for (const domain of ['[192.0.2.7]', 'intranet'])
    assert.equal(
      await route(ZONE, domain, { configuration: all }),
      'smtp://[10.0.0.6]:2525 > 10.0.0.6 10.0.0.6 2525',
    );
});

test('routes are tried as they are listed, whatever is drawn', async () => {
  const configuration = 'Routes = ( "10.0.0.9" "smtp://backup.internal" "[fd00::9]" )';
  for (const draw of [0, 0.5, 0.99]) {
    assert.equal(
      await route(ZONE, 'example.net', { configuration, random: () => draw }),
      'smtp://([10.0.0.9]|[fd00::9]|backup.internal) > 10.0.0.9 10.0.0.9 25 > backup.internal 10.0.0.6 25 > fd00::9 fd00::9 25',
    );
  }
});

test('pref decides before the list does, lower first, and what has none comes after what stands before it', async () => {
  for (const [routes, addresses] of [
    ['"10.0.0.1?pref=20" "10.0.0.2?pref=10"', '10.0.0.2 10.0.0.1'],
    ['"10.0.0.1?pref=20" "10.0.0.2?pref=10" "10.0.0.3"', '10.0.0.2 10.0.0.1 10.0.0.3'],
    ['"10.0.0.1" "10.0.0.2" "10.0.0.3?pref=0"', '10.0.0.1 10.0.0.2 10.0.0.3'],
    ['"10.0.0.1?pref=5" "10.0.0.2" "10.0.0.3?pref=7" "10.0.0.4"', '10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4'],
  ] as const) {
    const { outcome } = await ask(ZONE, 'example.net', { configuration: `Routes = ( ${routes} )` });
    assert.ok(outcome.kind === 'hops');
    assert.equal(outcome.hops.map((hop) => hop.address).join(' '), addresses, routes);
  }
});

test('routes of equal pref are shuffled', async () => {
  const configuration = 'Routes = ( "10.0.0.1?pref=10" "10.0.0.2?pref=10" "10.0.0.3?pref=5" )';
  const orders = new Set<string>();
  for (const draw of [0, 0.5]) {
    const { outcome } = await ask(ZONE, 'example.net', { configuration, random: () => draw });
    assert.ok(outcome.kind === 'hops');
    orders.add(outcome.hops.map((hop) => hop.address).join(' '));
  }
  assert.deepEqual(orders, new Set(['10.0.0.3 10.0.0.1 10.0.0.2', '10.0.0.3 10.0.0.2 10.0.0.1']));
});

test('__mx__ stands for the mail hosts of the domain, in their own order', async () => {
  const own = 'mx1.example.net 192.0.2.1 25 > mx2.example.net 192.0.2.2 25';
  assert.equal(await by('"__mx__"'), `(mx1|mx2).example.net > ${own}`);
  assert.equal(
    await by('"__mx__" "smtp://backup.internal?pref=100"'),
    `smtp://(backup.internal|mx1.example.net|mx2.example.net) > ${own} > backup.internal 10.0.0.6 25`,
  );
  // As on Momentum's page: the smarthost first, although the MX records have preferences of their own.
  assert.equal(
    await by('"smtp://backup.internal?pref=1" "__mx__"'),
    `smtp://(backup.internal|mx1.example.net|mx2.example.net) > backup.internal 10.0.0.6 25 > ${own}`,
  );
  assert.equal(
    await by('"smtp://__mx__?port=587"'),
    '(mx1|mx2).example.net:587 > mx1.example.net 192.0.2.1 587 > mx2.example.net 192.0.2.2 587',
  );
});

test('hops say whether the domain or the operator named them, since a policy of the domain holds for its own', async () => {
  const { outcome } = await ask(ZONE, 'example.net', {
    configuration: 'Routes = ( "__mx__" "backup.internal" "smtp://hub.example?type=mx" )',
  });
  assert.ok(outcome.kind === 'hops');
  assert.deepEqual(
    outcome.hops.map(({ host, source }) => [host, source]),
    [
      ['mx1.example.net', 'mx'],
      ['mx2.example.net', 'mx'],
      ['backup.internal', 'routes'],
      ['in1.hub.example', 'routes'],
      ['in2.hub.example', 'routes'],
    ],
  );
});

test('a fallback takes the mail that MX cannot place, and without one the verdict stands', async () => {
  for (const [domain, verdict] of [
    ['gone.example', 'permanent: 550 5.1.2 gone.example does not exist'],
    ['null.example', 'permanent: 556 5.1.10 null.example takes no mail (null MX)'],
    ['broken.example', 'postpone: 451 4.4.3 DNS did not answer for the MX of broken.example: ESERVFAIL'],
    ['empty.example', 'permanent: 550 5.1.2 empty.example has neither mail hosts nor an address'],
  ] as const) {
    const zone = `${ZONE}\n null.example MX 0 .\n broken.example MX SERVFAIL\n empty.example TXT nothing`;
    assert.equal(await route(zone, domain, { configuration: 'Routes = "__mx__"' }), verdict);
    assert.equal(
      await route(zone, domain, { configuration: 'Routes = ( "__mx__" "10.0.0.6" )' }),
      'smtp://[10.0.0.6] > 10.0.0.6 10.0.0.6 25',
    );
  }
});

test('what is wrong with a route is never a verdict on the mail', async () => {
  for (const [routes, told] of [
    ['"smtp://gone.internal"', 'transient: 451 4.4.4 no mail host of example.net has an address'],
    [
      '"smtp://gone.internal?type=mx"',
      'transient: 451 4.4.4 the route of example.net leads nowhere: gone.internal does not exist',
    ],
    [
      '"smtp://texts.internal?type=mx"',
      'transient: 451 4.4.4 no host of the route of example.net has an address',
    ],
    [
      '"smtp://broken.internal"',
      'postpone: 451 4.4.3 DNS did not answer for the mail hosts of example.net: broken.internal: ESERVFAIL',
    ],
    [
      '"smtp://gone.internal" "__mx__"',
      'transient: 451 4.4.4 no mail host of nowhere.example has an address',
    ],
  ] as const) {
    const zone = `${ZONE}\n broken.internal A SERVFAIL\n texts.internal TXT nothing`;
    const domain = routes.includes('__mx__') ? 'nowhere.example' : 'example.net';
    assert.equal(await route(zone, domain, { configuration: `Routes = ( ${routes} )` }), told);
  }
});

test('what the operator names may be private or this machine, but no metadata service', async () => {
  assert.equal(await by('"local.example"'), 'smtp://local.example > local.example 127.0.0.1 25');
  assert.equal(
    await by('"metadata.example"'),
    'transient: 451 4.7.1 example.net has no address that mail may go to: metadata.example [169.254.169.254] is a metadata service',
  );
  // The same host in an MX record is a stranger's word.
  assert.equal(
    await route(`${ZONE}\n trap.example MX 10 relay.internal`, 'trap.example', {
      configuration: 'Domain example.net { Routes = "relay.internal" }',
    }),
    'transient: 451 4.7.1 trap.example has no address that mail may go to: relay.internal [10.0.0.5] is private, ' +
      'relay.internal [fd00::5] is private',
  );
});

test('Remote_SMTP_Port is the port of MX hosts and of routes that name none', async () => {
  const port = 'Domain example.net { Remote_SMTP_Port = 2525';
  assert.equal(
    await route(ZONE, 'example.net', { configuration: `${port} }` }),
    '(mx1|mx2).example.net:2525 > mx1.example.net 192.0.2.1 2525 > mx2.example.net 192.0.2.2 2525',
  );
  assert.equal(
    await route(ZONE, 'example.net', { configuration: `${port} Routes = ( "10.0.0.1" "10.0.0.2:26" ) }` }),
    'smtp://([10.0.0.1]:2525|[10.0.0.2]:26) > 10.0.0.1 10.0.0.1 2525 > 10.0.0.2 10.0.0.2 26',
  );
});

test('Skip_Hosts leaves addresses out, also those of routes, and such mail shares no sessions with other mail', async () => {
  const skipping = (hosts: string): string => `Domain example.net { Skip_Hosts = ( ${hosts} ) }`;
  const { outcome } = await ask(ZONE, 'example.net', { configuration: skipping('192.0.2.0/31') });
  assert.ok(outcome.kind === 'hops');
  assert.deepEqual(
    outcome.hops.map((hop) => hop.address),
    ['192.0.2.2'],
  );
  assert.match(outcome.site, /^\(mx1\|mx2\)\.example\.net-[0-9a-f]{8}$/);
  // What skips nothing here is the site that it was.
  assert.equal(
    await route(ZONE, 'example.net', { configuration: skipping('"203.0.113.1"') }),
    '(mx1|mx2).example.net > mx1.example.net 192.0.2.1 25 > mx2.example.net 192.0.2.2 25',
  );
  assert.equal(
    await route(ZONE, 'example.net', { configuration: skipping('192.0.2.1 192.0.2.2') }),
    'transient: 451 4.4.4 every address of example.net is skipped by configuration: 192.0.2.1, 192.0.2.2',
  );
  assert.match(
    await route(ZONE, 'hub.example', {
      configuration: 'Routes = "relay.internal" Skip_Hosts = "10.0.0.0/8"',
    }),
    /^smtp:\/\/relay\.internal-[0-9a-f]{8} > relay\.internal fd00::5 25$/,
  );
});

test('an address that stands twice is tried where it stands first, at another port again', async () => {
  assert.equal(
    await by('"10.0.0.6" "backup.internal" "10.0.0.6:587"'),
    'smtp://([10.0.0.6]|[10.0.0.6]:587|backup.internal) > 10.0.0.6 10.0.0.6 25 > 10.0.0.6 10.0.0.6 587',
  );
});

test('the name of a smarthost may stand in its own script', async () => {
  const zone = 'xn--bcher-kva.example A 192.0.2.1';
  assert.equal(
    await route(zone, 'example.net', { configuration: 'Routes = "smtp://Bücher.example."' }),
    'smtp://xn--bcher-kva.example > xn--bcher-kva.example 192.0.2.1 25',
  );
});

test('Gateway is one route, and whichever of it and Routes stands nearer counts', async () => {
  const configuration = `Gateway = "relay.internal"
    Domain "/[.]net$/" { Routes = "__mx__" }
    Domain hub.example { Gateway = "10.0.0.6:587"  Routes = "backup.internal" }`;
  const goes = (domain: string) => route(ZONE, domain, { configuration, families: [4] });
  assert.equal(await goes('other.example'), 'smtp://relay.internal > relay.internal 10.0.0.5 25');
  assert.match(await goes('example.net'), / > mx1\.example\.net 192\.0\.2\.1 25 /);
  // Together in one stanza, Routes counts.
  assert.match(await goes('hub.example'), /^smtp:\/\/backup\.internal > /);
  const nearer = 'Routes = "backup.internal" Domain example.net { Gateway = "10.0.0.6:587" }';
  assert.equal(
    await route(ZONE, 'example.net', { configuration: nearer }),
    'smtp://[10.0.0.6]:587 > 10.0.0.6 10.0.0.6 587',
  );
});

test('Prohibited_Hosts denies a domain that leads to one of them, and is left out of routes', async () => {
  const configuration = 'Prohibited_Hosts = ( "192.0.2.2" "10.0.0.0/8" "127.0.0.0/8" )';
  assert.equal(
    await route(ZONE, 'example.net', { configuration }),
    'permanent: 550 5.4.4 example.net leads where mail is never sent: mx2.example.net [192.0.2.2]',
  );
  // Before the policy that would put it off.
  assert.match(
    await route('trick.example MX 10 me.example\nme.example A 127.0.0.1', 'trick.example', { configuration }),
    /^permanent: 550 5\.4\.4 /,
  );
  const relayed = `${configuration} Routes = ( "relay.internal" )`;
  assert.match(
    await route(ZONE, 'example.net', { configuration: relayed }),
    / > relay\.internal fd00::5 25$/,
  );
  // A fault of a route is the operator's to mend.
  assert.match(
    await route(ZONE, 'example.net', { configuration: relayed, families: [4] }),
    /^transient: 451 4\.4\.4 every host of the routes of example\.net is prohibited: relay\.internal \[10\.0\.0\.5\]$/,
  );
  // Another way than its own mail hosts is not denied.
  const other = `${configuration} Domain example.net { Routes = ( "__mx__" "[fd00::5]" ) }`;
  assert.match(await route(ZONE, 'example.net', { configuration: other }), / > fd00::5 fd00::5 25$/);
});

test('the name that a domain is greeted with is a name of ours in its MX list', async () => {
  const zone = `loop.example MX 10 good.example
    loop.example MX 20 me.loop.example
    loop.example MX 30 late.example
    good.example A 192.0.2.1
    me.loop.example A 192.0.2.2
    late.example A 192.0.2.3`;
  const configuration = 'Domain loop.example { EHLO_Hostname = "Me.loop.example" }';
  assert.equal(
    await route(zone, 'loop.example', { configuration }),
    'good.example > good.example 192.0.2.1 25',
  );
});

test('LMTP has a port of its own', async () => {
  const configuration = 'LMTP_Port = 24 Domain example.net { Delivery_Method = "lmtp" }';
  assert.match(await route(ZONE, 'example.net', { configuration }), / > mx1\.example\.net 192\.0\.2\.1 24 /);
  assert.match(
    await route(ZONE, 'mx1.example.net', { configuration }),
    / > mx1\.example\.net 192\.0\.2\.1 25$/,
  );
});
