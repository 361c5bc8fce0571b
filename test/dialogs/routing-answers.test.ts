// The odd answers of DNS, each from a real name server over UDP and TCP: whatever comes, mail goes where it is
// meant, or waits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAddressPolicy } from '../../shared/routing/address-policy.ts';
import { ask, route } from './routing-question.ts';

const PLAIN = `
  example.net     MX  10 mx.example.net
  mx.example.net  A   192.0.2.1
`;
const PLAIN_ROUTE = 'mx.example.net > mx.example.net 192.0.2.1 25';

test('an answer that is too long for UDP is asked for again over TCP', async () => {
  const numbers = Array.from({ length: 100 }, (_, i) => i + 1);
  const zone = numbers
    .map((n) => `example.net MX ${n} m${n}.example.net\n m${n}.example.net A 192.0.2.${n}`)
    .join('\n');
  const { outcome, questions } = await ask(zone, 'example.net');
  assert.deepEqual(questions.slice(0, 2), ['example.net MX', 'example.net MX over TCP']);
  assert.equal(questions.length, 12);
  assert.ok(outcome.kind === 'hops');
  assert.deepEqual(
    outcome.hops.map(({ host, address }) => [host, address]),
    [1, 2, 3, 4, 5].map((n) => [`m${n}.example.net`, `192.0.2.${n}`]),
  );
  // A hundred hosts make a name too long: it is cut, and ends with a hash.
  assert.equal(outcome.site.length, 255);
});

test('a domain whose truncated answer cannot be had over TCP either is put off', async () => {
  const hosts = Array.from({ length: 40 }, (_, n) => `example.net MX 10 a-rather-long-name-${n}.example.net`);
  const { route: told, questions } = await ask(hosts.join('\n'), 'example.net', {
    habits: { isMuteOverTcp: true },
  });
  assert.equal(told, 'postpone: 451 4.4.3 DNS did not answer for the MX of example.net: ETIMEOUT');
  assert.deepEqual(new Set(questions), new Set(['example.net MX', 'example.net MX over TCP']));
});

test('chains of two and of eight aliases lead to the mail hosts at their end', async () => {
  for (const length of [2, 8]) {
    const chain = (name: string, last: string): string =>
      Array.from(
        { length },
        (_, n) => `${name}${n}.example CNAME ${n + 1 < length ? `${name}${n + 1}.example` : last}`,
      ).join('\n');
    const zone = `${PLAIN}\n${chain('c', 'example.net')}\n${chain('m', 'mx.example.net')}\nvia.example MX 10 m0.example`;
    assert.equal(await route(zone, 'c0.example'), PLAIN_ROUTE);
    // RFC 2181 §10.3 forbids an alias in an MX record, and the world has them.
    assert.equal(await route(zone, 'via.example'), 'm0.example > m0.example 192.0.2.1 25');
  }
});

test('a domain in a loop of aliases is transient, and a mail host in one is passed over', async () => {
  const loop = `
    one.example  CNAME  two.example
    two.example  CNAME  one.example
  `;
  assert.equal(
    await route(loop, 'one.example'),
    'transient: 451 4.4.4 one.example is an alias of two.example, which leads to no mail host',
  );
  assert.equal(
    await route(`${loop}\nexample.net MX 10 one.example`, 'example.net'),
    'transient: 451 4.4.4 no mail host of example.net has an address',
  );
  assert.equal(
    await route(`${loop}\n${PLAIN}\nexample.net MX 5 one.example`, 'example.net'),
    '(mx.example.net|one.example) > mx.example.net 192.0.2.1 25',
  );
});

test('an alias of nothing: a name that does not exist is permanent, one without records may be mended', async () => {
  assert.equal(
    await route('example.net CNAME gone.example', 'example.net'),
    'permanent: 550 5.1.2 example.net does not exist',
  );
  const zone = 'example.net CNAME empty.example\n empty.example TXT nothing';
  assert.equal(
    await route(zone, 'example.net'),
    'transient: 451 4.4.4 example.net is an alias of empty.example, which leads to no mail host',
  );
});

test('a domain whose address is in doubt is put off, whatever the MX said', async () => {
  assert.equal(
    await route('example.net A SERVFAIL', 'example.net'),
    'postpone: 451 4.4.3 DNS did not answer for the mail hosts of example.net: example.net: ESERVFAIL',
  );
});

test('mail hosts that do not exist, all of them, are transient', async () => {
  const zone = 'example.net MX 10 gone.example.org\n example.net MX 20 lost.example.org';
  assert.equal(
    await route(zone, 'example.net'),
    'transient: 451 4.4.4 no mail host of example.net has an address',
  );
});

test('when some mail hosts fail and none can be used, mail is put off', async () => {
  const zone = `
    example.net      MX  10 mx1.example.net
    example.net      MX  20 mx2.example.net
    example.net      MX  30 gone.example.net
    mx1.example.net  A   10.0.0.1
    mx2.example.net  A   REFUSED
  `;
  assert.equal(
    await route(zone, 'example.net'),
    'postpone: 451 4.4.3 DNS did not answer for the mail hosts of example.net: mx2.example.net: EREFUSED',
  );
});

test('an answer under another id is nobody’s, and what stands beside an answer is not believed', async () => {
  for (const habits of [{ isForged: true }, { chatters: true }] as const) {
    assert.equal(await route(PLAIN, 'example.net', { habits }), PLAIN_ROUTE);
  }
});

test('names that come back in capitals are the same names', async () => {
  const { outcome, route: told } = await ask(PLAIN, 'Example.NET', { habits: { shouts: true } });
  assert.equal(told, PLAIN_ROUTE);
  assert.ok(outcome.kind === 'hops');
  assert.deepEqual(outcome.hops, [{ host: 'mx.example.net', address: '192.0.2.1', port: 25, source: 'mx' }]);
});

test('of a host with fifty addresses a few are tried, of both families', async () => {
  const many = Array.from({ length: 50 }, (_, n) => `mx.example.net A 192.0.2.${n + 1}`).join('\n');
  const zone = `example.net MX 10 mx.example.net\n${many}\n mx.example.net AAAA 2001:db8::1`;
  assert.equal(
    await route(zone, 'example.net'),
    'mx.example.net > mx.example.net 192.0.2.1 25 > mx.example.net 2001:db8::1 25 > mx.example.net 192.0.2.2 25 > ' +
      'mx.example.net 192.0.2.3 25 > mx.example.net 192.0.2.4 25 > mx.example.net 192.0.2.5 25',
  );
  // With a second host, that one is to be reached while there is time.
  const second = `${zone}\n example.net MX 20 mx2.example.net\n mx2.example.net A 198.51.100.1`;
  assert.equal(
    await route(second, 'example.net'),
    '(mx|mx2).example.net > mx.example.net 192.0.2.1 25 > mx.example.net 2001:db8::1 25 > ' +
      'mx2.example.net 198.51.100.1 25',
  );
});

test('where one family has addresses alone, all tries are for it', async () => {
  const zone = `
    example.net     MX    10 mx.example.net
    mx.example.net  AAAA  2001:db8::1
    mx.example.net  AAAA  2001:db8::2
    mx.example.net  AAAA  2001:db8::3
  `;
  assert.equal(
    await route(zone, 'example.net'),
    'mx.example.net > mx.example.net 2001:db8::1 25 > mx.example.net 2001:db8::2 25 > mx.example.net 2001:db8::3 25',
  );
});

test('an IPv6 address in place of a mail host is taken for what is meant, and passes the policy', async () => {
  assert.equal(
    await route('example.net MX 10 2001:db8::25', 'example.net'),
    '[2001:db8::25] > 2001:db8::25 2001:db8::25 25',
  );
  assert.equal(
    await route('example.net MX 10 10.0.0.1', 'example.net'),
    'transient: 451 4.7.1 example.net has no address that mail may go to: 10.0.0.1 [10.0.0.1] is private',
  );
});

test('a null MX is one whatever its preference, and beside others it is none', async () => {
  const none = 'permanent: 556 5.1.10 example.net takes no mail (null MX)';
  assert.equal(await route('example.net MX 10 .', 'example.net'), none);
  assert.equal(await route('example.net MX 0 .\n example.net MX 10 .', 'example.net'), none);
  assert.equal(await route(`${PLAIN}\n example.net MX 0 .`, 'example.net'), PLAIN_ROUTE);
});

test('underscores are common and work, other odd letters in the name of a mail host do not', async () => {
  const zone = `
    my_domain.example  MX  10 mx_1.example.net
    mx_1.example.net   A   192.0.2.1
    odd.example        MX  10 mail\\032server.example.net
    odd.example        MX  20 mx_1.example.net
    worse.example      MX  10 mail;rm.example.net
  `;
  assert.equal(await route(zone, 'my_domain.example'), 'mx_1.example.net > mx_1.example.net 192.0.2.1 25');
  assert.equal(await route(zone, 'odd.example'), 'mx_1.example.net > mx_1.example.net 192.0.2.1 25');
  assert.equal(
    await route(zone, 'worse.example'),
    'transient: 451 4.4.4 no mail host of worse.example has a proper name',
  );
});

test('names that are too long are nobody’s, and are not asked for', async () => {
  const label = 'x'.repeat(62);
  const name = [label, label, label, label, 'example'].join('.');
  const { route: told, questions } = await ask(PLAIN, name);
  assert.equal(told, `permanent: 550 5.1.2 ${name} does not exist`);
  assert.deepEqual(questions, []);
});

test('a domain that leads nowhere but inside is told with a few of its addresses', async () => {
  const inside = Array.from({ length: 20 }, (_, n) => `mx.example.net A 10.0.0.${n}`).join('\n');
  assert.equal(
    await route(`example.net MX 10 mx.example.net\n${inside}`, 'example.net', {
      policy: createAddressPolicy({ allow: [] }),
    }),
    'transient: 451 4.7.1 example.net has no address that mail may go to: mx.example.net [10.0.0.0] is private, ' +
      'mx.example.net [10.0.0.1] is private, mx.example.net [10.0.0.2] is private, ' +
      'mx.example.net [10.0.0.3] is private, mx.example.net [10.0.0.4] is private and 15 more',
  );
});
