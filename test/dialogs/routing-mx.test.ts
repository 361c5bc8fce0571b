// Where mail goes, asked of a real name server over UDP.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAddressPolicy } from '../../shared/routing/address-policy.ts';
import { ask, route } from './routing-question.ts';

const TWO_HOSTS = `
  example.net      MX    20 mx2.example.net
  example.net      MX    10 mx1.example.net
  mx1.example.net  A     192.0.2.1
  mx1.example.net  AAAA  2001:db8::1
  mx2.example.net  A     192.0.2.2
`;

test('hosts are tried in order of preference, IPv4 before IPv6 of each', async () => {
  assert.equal(
    await route(TWO_HOSTS, 'example.net'),
    '(mx1|mx2).example.net > mx1.example.net 192.0.2.1 25 > mx1.example.net 2001:db8::1 25 > mx2.example.net 192.0.2.2 25',
  );
});

test('IPv6 goes first, or not at all, where it is configured so', async () => {
  assert.equal(
    await route(TWO_HOSTS, 'example.net', { families: [6, 4], maxHosts: 1 }),
    '(mx1|mx2).example.net > mx1.example.net 2001:db8::1 25 > mx1.example.net 192.0.2.1 25',
  );
  const { route: told, questions } = await ask(TWO_HOSTS, 'example.net', { families: [4] });
  assert.equal(told, '(mx1|mx2).example.net > mx1.example.net 192.0.2.1 25 > mx2.example.net 192.0.2.2 25');
  assert.deepEqual(questions, ['example.net MX', 'mx1.example.net A', 'mx2.example.net A']);
});

test('hosts of equal preference are shuffled, and the site keeps its name', async () => {
  const zone = `
    example.net      MX  10 mx1.example.net
    example.net      MX  10 mx2.example.net
    example.net      MX  10 mx3.example.net
    example.net      MX  5  mx4.example.net
    mx1.example.net  A   192.0.2.1
    mx2.example.net  A   192.0.2.2
    mx3.example.net  A   192.0.2.3
    mx4.example.net  A   192.0.2.4
  `;
  const orders = new Set<string>();
  for (const draws of [
    [0, 0, 0, 0],
    [0, 0, 0.9, 0],
    [0, 0.5, 0, 0],
    [0.5, 0, 0, 0],
    [0.5, 0.99, 0.99, 0],
    [0.3, 0.99, 0, 0],
  ]) {
    let drawn = 0;
    // Draws beyond the hosts are for the addresses of each host, which has but one.
    const told = await route(zone, 'example.net', { random: () => draws[drawn++] ?? 0 });
    const [site, first, ...rest] = told.split(' > ');
    assert.equal(site, '(mx1|mx2|mx3|mx4).example.net');
    assert.equal(first, 'mx4.example.net 192.0.2.4 25');
    assert.deepEqual(rest.toSorted(), [
      'mx1.example.net 192.0.2.1 25',
      'mx2.example.net 192.0.2.2 25',
      'mx3.example.net 192.0.2.3 25',
    ]);
    orders.add(rest.join());
  }
  assert.ok(orders.size >= 4, `only ${orders.size} orders of six draws`);
});

test('a domain without MX is its own mail host', async () => {
  const zone = `
    example.net  A     192.0.2.1
    example.net  AAAA  2001:db8::1
  `;
  assert.equal(
    await route(zone, 'example.net'),
    'example.net > example.net 192.0.2.1 25 > example.net 2001:db8::1 25',
  );
});

test('a domain without MX and without an address takes no mail', async () => {
  assert.equal(
    await route('example.net  TXT  v=spf1', 'example.net'),
    'permanent: 550 5.1.2 example.net has neither mail hosts nor an address',
  );
  // Where nobody asks for IPv6, nobody can say that there is none.
  assert.equal(
    await route('example.net  AAAA  2001:db8::1', 'example.net', { families: [4] }),
    'transient: 451 4.4.4 no mail host of example.net has an address',
  );
});

test('a domain that does not exist is a permanent failure', async () => {
  const { route: told, questions } = await ask('example.org  A  192.0.2.1', 'example.net');
  assert.equal(told, 'permanent: 550 5.1.2 example.net does not exist');
  assert.deepEqual(questions, ['example.net MX']);
});

test('a null MX is a permanent failure, and the address of the domain is not asked for', async () => {
  const { route: told, questions } = await ask(
    'example.net  MX  0 .\n example.net  A  192.0.2.1',
    'example.net',
  );
  assert.equal(told, 'permanent: 556 5.1.10 example.net takes no mail (null MX)');
  assert.deepEqual(questions, ['example.net MX']);
});

test('an empty exchange beside real ones is passed over', async () => {
  const zone = `
    example.net     MX  0 .
    example.net     MX  10 mx.example.net
    mx.example.net  A   192.0.2.1
  `;
  assert.equal(await route(zone, 'example.net'), 'mx.example.net > mx.example.net 192.0.2.1 25');
});

test('a name server that fails, refuses or says nothing postpones', async () => {
  for (const [word, code] of [
    ['SERVFAIL', 'ESERVFAIL'],
    ['REFUSED', 'EREFUSED'],
    ['SILENT', 'ETIMEOUT'],
  ]) {
    const { route: told, questions } = await ask(
      `example.net MX ${word}\n example.net A 192.0.2.1`,
      'example.net',
    );
    assert.equal(told, `postpone: 451 4.4.3 DNS did not answer for the MX of example.net: ${code}`);
    // The domain's own address is no substitute for an answer.
    assert.deepEqual(new Set(questions), new Set(['example.net MX']));
  }
});

test('an unanswered address postpones only when no other is known', async () => {
  const zone = `
    example.net      MX    10 mx1.example.net
    example.net      MX    20 mx2.example.net
    mx1.example.net  A     SERVFAIL
    mx1.example.net  AAAA  SILENT
    mx2.example.net  A     192.0.2.2
    mx2.example.net  AAAA  SERVFAIL
  `;
  assert.equal(await route(zone, 'example.net'), '(mx1|mx2).example.net > mx2.example.net 192.0.2.2 25');
  assert.equal(
    await route(
      zone.replace('mx2.example.net  A     192.0.2.2', 'mx2.example.net  A  SERVFAIL'),
      'example.net',
    ),
    'postpone: 451 4.4.3 DNS did not answer for the mail hosts of example.net: mx1.example.net: ESERVFAIL, mx2.example.net: ESERVFAIL',
  );
});

test('a refused address does not answer for the one that DNS keeps to itself', async () => {
  const zone = `
    example.net     MX    10 mx.example.net
    mx.example.net  A     10.0.0.1
    mx.example.net  AAAA  SERVFAIL
  `;
  assert.equal(
    await route(zone, 'example.net'),
    'postpone: 451 4.4.3 DNS did not answer for the mail hosts of example.net: mx.example.net: ESERVFAIL',
  );
});

test('a mail host without an address is passed over; when none has one, that is transient', async () => {
  const zone = `
    example.net      MX  10 gone.example.net
    example.net      MX  20 mx2.example.net
    mx2.example.net  A   192.0.2.2
  `;
  assert.equal(await route(zone, 'example.net'), '(gone|mx2).example.net > mx2.example.net 192.0.2.2 25');
  assert.equal(
    await route('example.net  MX  10 gone.example.net', 'example.net'),
    'transient: 451 4.4.4 no mail host of example.net has an address',
  );
});

test('an address-less host does not use up a place among the hosts tried', async () => {
  const zone = `
    example.net      MX  10 gone.example.net
    example.net      MX  20 mx2.example.net
    example.net      MX  30 mx3.example.net
    example.net      MX  40 mx4.example.net
    mx2.example.net  A   192.0.2.2
    mx3.example.net  A   192.0.2.3
    mx4.example.net  A   192.0.2.4
  `;
  assert.equal(
    await route(zone, 'example.net', { maxHosts: 2 }),
    '(gone|mx2|mx3|mx4).example.net > mx2.example.net 192.0.2.2 25 > mx3.example.net 192.0.2.3 25',
  );
});

test('aliases are followed, of the domain and of its mail hosts', async () => {
  const zone = `
    example.net         CNAME  example.org
    example.org         MX     10 mx.example.org
    mx.example.org      CNAME  mx.provider.example
    mx.provider.example A      192.0.2.1
  `;
  assert.equal(await route(zone, 'example.net'), 'mx.example.org > mx.example.org 192.0.2.1 25');
});

test('an address in place of a mail host is taken for what is meant', async () => {
  assert.equal(
    await route('example.net  MX  10 192.0.2.1', 'example.net'),
    '[192.0.2.1] > 192.0.2.1 192.0.2.1 25',
  );
});

test('an address that two hosts share is tried once', async () => {
  const zone = `
    example.net      MX  10 mx1.example.net
    example.net      MX  20 mx2.example.net
    mx1.example.net  A   192.0.2.1
    mx2.example.net  A   192.0.2.1
    mx2.example.net  A   192.0.2.2
  `;
  assert.equal(
    await route(zone, 'example.net'),
    '(mx1|mx2).example.net > mx1.example.net 192.0.2.1 25 > mx2.example.net 192.0.2.2 25',
  );
  // Nor does it take the place of another address of the second host.
  const more = `${zone}\n mx1.example.net A 192.0.2.2\n mx2.example.net A 192.0.2.3`;
  assert.equal(
    await route(more, 'example.net'),
    '(mx1|mx2).example.net > mx1.example.net 192.0.2.1 25 > mx1.example.net 192.0.2.2 25 > mx2.example.net 192.0.2.3 25',
  );
});

test('of many mail hosts only as many are asked for as are tried', async () => {
  const numbers = Array.from({ length: 20 }, (_, i) => i + 1);
  const zone = numbers
    .map((n) => `example.net MX ${n} m${n}.example.net\n m${n}.example.net A 192.0.2.${n}`)
    .join('\n');
  const { route: told, questions } = await ask(zone, 'example.net', { maxHosts: 3 });
  assert.deepEqual(told.split(' > ').slice(1), [
    'm1.example.net 192.0.2.1 25',
    'm2.example.net 192.0.2.2 25',
    'm3.example.net 192.0.2.3 25',
  ]);
  // The list is too long for UDP and is asked for again over TCP.
  assert.equal(questions.length, 8);
});

test('who finds itself in the list passes mail only to the hosts before it', async () => {
  const zone = `
    example.net        MX  10 mx1.example.net
    example.net        MX  20 Relay.Example.com
    example.net        MX  20 mx2.example.net
    example.net        MX  30 mx3.example.net
    mx1.example.net    A   192.0.2.1
    mx2.example.net    A   192.0.2.2
    mx3.example.net    A   192.0.2.3
    relay.example.com  A   192.0.2.9
  `;
  assert.equal(await route(zone, 'example.net'), 'mx1.example.net > mx1.example.net 192.0.2.1 25');
  assert.equal(
    await route('example.net  MX  10 relay.example.com\n example.net  MX  20 mx.example.net', 'example.net'),
    'permanent: 554 5.4.6 mail for example.net comes back to this host',
  );
});

test('addresses that the policy refuses are passed over; when all are, that is transient', async () => {
  const zone = `
    example.net      MX    10 mx1.example.net
    example.net      MX    20 mx2.example.net
    mx1.example.net  A     127.0.0.1
    mx1.example.net  AAAA  ::1
    mx2.example.net  A     10.0.0.1
    mx2.example.net  A     192.0.2.2
  `;
  assert.equal(await route(zone, 'example.net'), '(mx1|mx2).example.net > mx2.example.net 192.0.2.2 25');
  assert.equal(
    await route(zone, 'example.net', { policy: createAddressPolicy({ allow: [] }) }),
    'transient: 451 4.7.1 example.net has no address that mail may go to: mx1.example.net [127.0.0.1] is loopback, ' +
      'mx1.example.net [::1] is loopback, mx2.example.net [10.0.0.1] is private, mx2.example.net [192.0.2.2] is reserved',
  );
});

test("a domain in U-labels is asked for in A-labels, by today's rules", async () => {
  const zone = `
    xn--bcher-kva.example  MX  10 mx.example.net
    xn--strae-oqa.example  MX  20 mx.example.net
    mx.example.net         A   192.0.2.1
  `;
  assert.equal(await route(zone, 'bücher.example'), 'mx.example.net > mx.example.net 192.0.2.1 25');
  // UTS 46 keeps the sharp s that IDNA 2003 made into ss.
  assert.equal(await route(zone, 'straße.example'), 'mx.example.net > mx.example.net 192.0.2.1 25');
  assert.equal(await route(zone, 'BÜCHER.example.'), 'mx.example.net > mx.example.net 192.0.2.1 25');
});

test('what looks like a number is a name all the same', async () => {
  const { route: told, questions } = await ask('example.net A 192.0.2.1', '0x7f.1');
  assert.equal(told, 'permanent: 550 5.1.2 0x7f.1 does not exist');
  assert.deepEqual(questions, ['0x7f.1 MX']);
});

test("names that DNS cannot express are nobody's", async () => {
  const label = 'x'.repeat(64);
  assert.equal(await route('', `${label}.example`), `permanent: 550 5.1.2 ${label}.example does not exist`);
  assert.equal(
    await route('', 'ex ample\u00ad..\u2028'),
    'permanent: 550 5.1.2 ex ample\u00ad..\u2028 is not a domain name',
  );
});

test('address literals are routed without DNS, and pass the policy', async () => {
  for (const [literal, told] of [
    ['[192.0.2.1]', '[192.0.2.1] > 192.0.2.1 192.0.2.1 25'],
    ['[IPv6:2001:DB8::1]', '[2001:db8::1] > 2001:db8::1 2001:db8::1 25'],
    [
      '[127.0.0.1]',
      'transient: 451 4.7.1 [127.0.0.1] has no address that mail may go to: 127.0.0.1 [127.0.0.1] is loopback',
    ],
    ['[2001:db8::1]', 'permanent: 550 5.1.2 [2001:db8::1] is not an address'],
    ['[IPv6:192.0.2.1]', 'permanent: 550 5.1.2 [IPv6:192.0.2.1] is not an address'],
    ['[127.1]', 'permanent: 550 5.1.2 [127.1] is not an address'],
    ['[]', 'permanent: 550 5.1.2 [] is not an address'],
    ['[192.0.2.1', 'permanent: 550 5.1.2 [192.0.2.1 is not an address'],
  ] as const) {
    const asked = await ask('', literal);
    assert.equal(asked.route, told);
    assert.deepEqual(asked.questions, []);
  }
});
