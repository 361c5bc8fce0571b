// The page on delivery says what is so: its example is a configuration without faults, and it tells of every
// option of the receiving side.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { deliverySettings } from '../../shared/config/delivery-settings.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { OPTIONS, type Option } from '../../shared/config/options.ts';
import { checkReceiving } from '../../shared/config/receiving.ts';
import { route } from '../dialogs/routing-question.ts';

const PAGE = readFileSync(new URL('../../docs/delivery.md', import.meta.url), 'utf8');
const EXAMPLE = /## Routes\n\n```\n([^`]+)```/.exec(PAGE)?.[1] ?? '';

test('the example of the page on delivery loads without a fault or a warning', () => {
  const result = loadConfiguration([{ path: 'delivery.md', text: EXAMPLE }]);
  assert.ok(result.ok);
  assert.deepEqual(result.warnings, []);
  assert.deepEqual(checkReceiving(result.configuration), { faults: [], warnings: [] });
  const bank = deliverySettings(result.configuration, { domain: 'bank.example' });
  assert.deepEqual([bank.tls, bank.tlsVerify, bank.skipHosts.length], ['required', 'host', 2]);
});

test('mail goes where the example of the page on delivery says', async () => {
  const zone = `
    partner.example     MX  10 mx.partner.example
    mx.partner.example  A   198.51.100.1
    relay.internal      A   10.0.0.9
    hub.example         MX  10 in.hub.example
    in.hub.example      A   198.51.100.2
    bank.example        MX  10 mx.bank.example
    mx.bank.example     A   192.0.2.7
    mx.bank.example     A   198.51.100.3
    smarthost.internal  A   10.0.0.4
  `;
  for (const [domain, told] of [
    ['elsewhere.example', /^smtp:\/\/smarthost\.internal:587 > smarthost\.internal 10\.0\.0\.4 587$/],
    ['example.com', / > 10\.0\.0\.5 10\.0\.0\.5 2525 > 10\.0\.0\.6 10\.0\.0\.6 2525$/],
    ['partner.example', / > mx\.partner\.example 198\.51\.100\.1 25 > relay\.internal 10\.0\.0\.9 25$/],
    ['gone.partner.example', /^smtp:\/\/smarthost/],
    ['a.customers.example', /^smtp:\/\/in\.hub\.example > in\.hub\.example 198\.51\.100\.2 25$/],
    ['bank.example', /^mx\.bank\.example-[0-9a-f]{8} > mx\.bank\.example 198\.51\.100\.3 25$/],
  ] as const) {
    assert.match(await route(zone, domain, { configuration: EXAMPLE }), told);
  }
});

test('the page on delivery tells of every option that deliveries have, and of what has no effect', () => {
  const deliveries = Object.values<Option<unknown>>(OPTIONS).filter(
    ({ side, scopes }) => side === 'receiving' && !scopes.every((scope) => scope === 'host'),
  );
  const untold = deliveries.filter(({ name }) => !PAGE.includes(`\`${name}`));
  assert.deepEqual(
    untold.map(({ name }) => name),
    [],
  );
  const [, idle = ''] = /### Options without effect\n\n([^#]+)/.exec(PAGE) ?? [];
  const told = [...idle.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  const withoutEffect = deliveries.filter((option) => option.withoutEffect !== undefined);
  assert.deepEqual(told.toSorted(), withoutEffect.map(({ name }) => name).toSorted());
});
