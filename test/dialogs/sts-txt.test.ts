// Asking DNS whether a domain has an MTA-STS policy: what a name server says, and how long it is waited for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DnsAnswer } from '../../shared/routing/dns.ts';
import { createTxtResolver } from '../../shared/routing/sts-txt.ts';
import { startScriptedDns } from './scripted-dns.ts';

const NAME = '_mta-sts.example.net';
const records = (...texts: readonly string[]): DnsAnswer<readonly string[]> => ({
  kind: 'records',
  records: texts.map((text) => [text]),
});

const ANSWERS: readonly (readonly [string, string, DnsAnswer<readonly string[]>])[] = [
  ['a record', `${NAME} TXT v=STSv1; id=1;`, records('v=STSv1; id=1;')],
  ['two records', `${NAME} TXT v=STSv1; id=1\n${NAME} TXT other`, records('v=STSv1; id=1', 'other')],
  [
    'an alias, as hosts of many domains publish it',
    `${NAME} CNAME _mta-sts.provider.example\n_mta-sts.provider.example TXT v=STSv1; id=2`,
    records('v=STSv1; id=2'),
  ],
  ['an alias to nowhere', `${NAME} CNAME gone.provider.example`, { kind: 'nxdomain' }],
  ['no such name', 'example.net A 192.0.2.1', { kind: 'nxdomain' }],
  ['no TXT', `${NAME} A 192.0.2.1`, { kind: 'nodata' }],
  ['SERVFAIL', `${NAME} TXT SERVFAIL`, { kind: 'failed', code: 'ESERVFAIL' }],
  ['REFUSED', `${NAME} TXT REFUSED`, { kind: 'failed', code: 'EREFUSED' }],
];

for (const [title, zone, expected] of ANSWERS) {
  test(`a name server that says ${title} is understood`, async () => {
    await using dns = await startScriptedDns(zone);
    const txt = createTxtResolver({ servers: [dns.server], timeoutMs: 5_000, tries: 1 });
    assert.deepEqual(await txt(NAME), expected);
    assert.equal(dns.questions[0], `${NAME} TXT`);
  });
}

test('a name server that is silent is waited for within the bound, whatever the resolver would do', async () => {
  await using dns = await startScriptedDns(`${NAME} TXT SILENT`);
  const asked = { servers: [dns.server], timeoutMs: 500, tries: 1 };
  const order: string[] = [];
  const ask = async (title: string, boundMs: number) => {
    assert.deepEqual(await createTxtResolver({ ...asked, boundMs })(NAME), {
      kind: 'failed',
      code: 'ETIMEOUT',
    });
    order.push(title);
  };
  await Promise.all([ask('the resolver gave up', 60_000), ask('the bound was reached', 50)]);
  assert.deepEqual(order, ['the bound was reached', 'the resolver gave up']);
});

test('a name that DNS cannot express does not exist', async () => {
  await using dns = await startScriptedDns('');
  const txt = createTxtResolver({ servers: [dns.server], timeoutMs: 5_000, tries: 1 });
  assert.deepEqual(await txt(`_mta-sts.${'x'.repeat(64)}.example`), { kind: 'nxdomain' });
});
