import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFault } from '../../shared/config/fault.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { readTargets, type Target, type Targets } from '../../sidecar/routing/targets.ts';

function read(text: string): ReturnType<typeof readTargets> {
  const loaded = loadConfiguration([{ path: 'x.conf', text }]);
  if (!loaded.ok) throw new Error(loaded.faults.map(formatFault).join('\n'));
  return readTargets(loaded.configuration);
}

function targetsOf(text: string): Targets {
  const result = read(text);
  if (!result.ok) throw new Error([...result.faults.map(formatFault), result.message].join('\n'));
  return result.targets;
}

/** `delayed to xfer.test` or what the MTA hears. */
function way(targets: Targets, address: string): string {
  const choice = targets.choose(address);
  return choice.kind === 'none'
    ? `${choice.reply.code} ${choice.reply.enhanced} ${choice.reply.text}`
    : `${choice.mode} to ${choice.target.domain}`;
}

function chainOf(target: Target | undefined): readonly string[] {
  return target === undefined ? [] : [target.domain, ...chainOf(target.next)];
}

const RECEIVER = 'Delivery_Method = delay_xfer Routes = "xfer://192.0.2.1?port=8080"';

test('a Reroute_Domain goes before Delayed_Reroute_Domain, and both are followed to their end', () => {
  const targets = targetsOf(`
    Delayed_Reroute_Domain = one.test
    Domain one.test { Reroute_Domain = two.test }
    Domain two.test { Reroute_Domain = later.test }
    Domain later.test { ${RECEIVER} Delayed_Reroute_Domain = disabled }
    Domain gmail.com { Reroute_Domain = first.test }
    Domain first.test { Reroute_Domain = all.test }
    Domain all.test { ${RECEIVER} Reroute_Domain = disabled Delayed_Reroute_Domain = disabled }
    Domain never.example { Delayed_Reroute_Domain = disabled }`);
  assert.equal(way(targets, 'a@gmail.com'), 'rerouted to all.test');
  assert.equal(way(targets, 'a@example.com'), 'delayed to later.test');
  assert.equal(
    way(targets, 'a@never.example'),
    '451 4.3.5 Delayed_Reroute_Domain is disabled for never.example',
  );
  assert.equal(way(targets, 'a@one.test'), 'rerouted to later.test', 'mail for a link goes on along it');
});

test('a domain that is itself a receiver needs no reroute', () => {
  const targets = targetsOf(`
    Domain partner.example { ${RECEIVER} }
    Domain "/[.]farm[.]example$/" { Delivery_Method = delay_xfer Routes = "xfer://192.0.2.2" }
    Domain special.farm.example { HTTP_URI = "/special" Routes = "xfer://192.0.2.3" }
    Domain out.farm.example { Delivery_Method = smtp }`);
  assert.equal(way(targets, 'a@partner.example'), 'rerouted to partner.example');
  assert.equal(way(targets, 'a@x.farm.example'), 'rerouted to /[.]farm[.]example$/');
  assert.equal(way(targets, 'a@y.farm.example'), 'rerouted to /[.]farm[.]example$/');
  assert.equal(way(targets, 'a@special.farm.example'), 'rerouted to special.farm.example');
  assert.equal(
    way(targets, 'a@out.farm.example'),
    '451 4.3.5 Delayed_Reroute_Domain is not set for out.farm.example',
  );
  assert.deepEqual(
    targets.all.map(({ domain, uri }) => `${domain} ${uri}`),
    [
      '/[.]farm[.]example$/ /delay_message',
      'partner.example /delay_message',
      'special.farm.example /special',
    ],
  );
});

test('Delivery_Method at the top of a file makes one receiver of all domains', () => {
  const targets = targetsOf(`${RECEIVER} Domain own.example { Delivery_Method = smtp }`);
  assert.equal(way(targets, 'a@example.com'), 'rerouted to *');
  assert.equal(way(targets, 'a@example.net'), 'rerouted to *');
  assert.match(way(targets, 'a@own.example'), /^451 4\.3\.5/);
  assert.equal(targets.all.length, 1);
});

test('an exact Domain goes before a regular expression, and those in the order of the file', () => {
  const targets = targetsOf(`
    Domain a.test { ${RECEIVER} }
    Domain b.test { ${RECEIVER} }
    Domain c.test { ${RECEIVER} }
    Domain "/^mail[.]/" { Reroute_Domain = a.test }
    Domain "/[.]example$/" { Reroute_Domain = b.test }
    Domain mail.own.example { Reroute_Domain = c.test }`);
  assert.equal(way(targets, 'x@mail.other.example'), 'rerouted to a.test');
  assert.equal(way(targets, 'x@other.example'), 'rerouted to b.test');
  assert.equal(way(targets, 'x@mail.own.example'), 'rerouted to c.test');
});

test('names are compared without regard to case, final dot, and A- or U-labels; literals as they stand', () => {
  const targets = targetsOf(`
    Delayed_Reroute_Domain = XFER.Test
    Domain xfer.test. { ${RECEIVER} }
    Domain Bücher.Example { Reroute_Domain = all.test }
    Domain "[192.0.2.9]" { Reroute_Domain = all.test }
    Domain "[IPv6:2001:db8::1]" { Reroute_Domain = all.test }
    Domain all.test { ${RECEIVER} }`);
  for (const address of [
    'a@bücher.example',
    'a@BÜCHER.EXAMPLE',
    'a@xn--bcher-kva.example',
    'a@XN--BCHER-KVA.Example.',
    'a@[192.0.2.9]',
    'a@[IPv6:2001:db8::1]',
    '"a@b"@bücher.example',
  ])
    assert.equal(way(targets, address), 'rerouted to all.test', address);
  assert.equal(way(targets, 'a@[192.0.2.8]'), 'delayed to xfer.test');
  assert.equal(way(targets, 'A@Books.Example'), 'delayed to xfer.test');
});

test("a target's own Delayed_Reroute_Domain is the next one, and that one's the next after it", () => {
  const targets = targetsOf(`
    Delayed_Reroute_Domain = near.test
    Domain near.test { ${RECEIVER} Delayed_Reroute_Domain = by-name.test }
    Domain by-name.test { Reroute_Domain = far.test }
    Domain far.test { ${RECEIVER} Delayed_Reroute_Domain = farther.test }
    Domain farther.test { ${RECEIVER} Delayed_Reroute_Domain = disabled }`);
  const choice = targets.choose('a@example.com');
  assert.equal(choice.kind, 'target');
  if (choice.kind === 'target')
    assert.deepEqual(chainOf(choice.target), ['near.test', 'far.test', 'farther.test']);
});

test('a target that inherits its own name has no next one', () => {
  const targets = targetsOf(`Delayed_Reroute_Domain = xfer.test Domain xfer.test { ${RECEIVER} }`);
  assert.deepEqual(targets.all.map(chainOf), [['xfer.test']]);
});

function faults(text: string): readonly string[] {
  const result = read(text);
  assert.ok(!result.ok, 'the configuration passed');
  return result.faults.map(formatFault);
}

test('reroutes that go round are refused once, with every link, its line and the mend', () => {
  assert.deepEqual(
    faults(`Domain example.com { Reroute_Domain = a.test }
Domain a.test { Reroute_Domain = b.test }
Domain b.test { Reroute_Domain = c.test }
Domain c.test { Reroute_Domain = a.test }`),
    [
      `x.conf:4:17: Reroute_Domain goes round in a circle: a.test → b.test (x.conf:2) → c.test (x.conf:3) → a.test (x.conf:4); write Reroute_Domain = "disabled" in Domain c.test
    Domain c.test { Reroute_Domain = a.test }
                    ^^^^^^^^^^^^^^`,
    ],
  );
});

test('targets that stand in for each other in a circle are refused, an inherited link as well', () => {
  assert.deepEqual(
    faults(`Delayed_Reroute_Domain = one.test
Domain one.test { ${RECEIVER} Delayed_Reroute_Domain = two.test }
Domain two.test { ${RECEIVER} }`).map((fault) => fault.split('\n')[0]),
    [
      'x.conf:1:1: Delayed_Reroute_Domain goes round in a circle: one.test → two.test (x.conf:2) → one.test (x.conf:1); write Delayed_Reroute_Domain = "disabled" in Domain two.test',
    ],
  );
  assert.deepEqual(
    faults(`Delayed_Reroute_Domain = one.test
Domain one.test { Reroute_Domain = two.test }
Domain two.test { ${RECEIVER} }`).map((fault) => fault.split('\n')[0]),
    [
      'x.conf:1:1: Delayed_Reroute_Domain goes round in a circle: two.test → one.test (x.conf:1) → two.test (x.conf:2); write Delayed_Reroute_Domain = "disabled" in Domain two.test',
    ],
  );
});

test('a receiver without a usable route is a fault, also where nothing is rerouted to it', () => {
  assert.deepEqual(
    faults(`Domain a.test { Delivery_Method = delay_xfer }
Domain "/b/" { Delivery_Method = delay_xfer Routes = "smtp://192.0.2.1" }
Domain gone.example { Reroute_Domain = a.test }`).map((fault) => fault.split('\n')[0]),
    [
      'x.conf:2:16: Domain /b/ needs Routes that all begin with xfer:// (x.conf:2)',
      'x.conf:1:17: Domain a.test needs Routes that all begin with xfer://',
    ],
  );
});

test('three thousand Domain stanzas are read, and a way is found, in little time', () => {
  const domains = Array.from(
    { length: 3_000 },
    (_, at) => `Domain d${at}.example { Reroute_Domain = t.test }`,
  );
  const startedAtMs = performance.now();
  const targets = targetsOf(`Domain t.test { ${RECEIVER} }\n${domains.join('\n')}`);
  assert.equal(targets.all.length, 1);
  for (let at = 0; at < 100_000; at += 1) way(targets, `u${at}@d2999.example`);
  assert.ok(performance.now() - startedAtMs < 15_000);
});
