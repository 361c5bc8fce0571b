// What a configuration says of a domain, as its route needs it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliverySettings } from '../../shared/config/delivery-settings.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { routeSettings } from '../../shared/routing/route-settings.ts';

function load(text: string) {
  const result = loadConfiguration([{ path: '/etc/x.conf', text }]);
  assert.ok(result.ok);
  return result.configuration;
}

function tlsOf(text: string): unknown {
  return routeSettings(deliverySettings(load(text)), new Map([['/etc/ca.pem', 'PEM']])).tls;
}

test('a certificate is checked, by name as well, where TLS is required and somebody asks for it', () => {
  for (const [text, tls] of [
    ['', { mode: 'ifavailable', verify: false }],
    ['TLS = no', { mode: 'no', verify: false }],
    ['TLS = required', { mode: 'required', verify: false }],
    ['TLS = required TLS_Verify = optional', { mode: 'required', verify: false }],
    ['TLS = required TLS_Verify = host', { mode: 'required', verify: true }],
    ['TLS = required TLS_Verify = ca TLS_CA = "ca.pem"', { mode: 'required', verify: true, ca: 'PEM' }],
    ['TLS = ifavailable TLS_Verify = host', { mode: 'ifavailable', verify: false }],
  ] as const) {
    assert.deepEqual(tlsOf(text), tls, text);
  }
});

test('without its file of authorities no domain is routed, rather than trusted to others', () => {
  assert.throws(() => tlsOf('TLS_CA = "other.pem"'), /\/etc\/other\.pem was not read/);
});

test('versions, ciphers and the way back to clear are what the configuration says', () => {
  assert.deepEqual(
    tlsOf(
      'TLS_Protocols = "+ALL:-TLSv1.0:-TLSv1.1:-TLSv1.2" TLS_Ciphers = "HIGH" TLS_Ifavailable_Fallback = no',
    ),
    {
      mode: 'ifavailable',
      verify: false,
      versions: { least: 'TLSv1.3', most: 'TLSv1.3' },
      ciphers: 'HIGH',
      fallsBack: false,
    },
  );
});

test('policies of MTA-STS are kept where both Use_MTA_STS and Enable_MTA_STS hold', () => {
  const { enableMtaSts: before } = deliverySettings(load(''));
  const configuration = load(
    'Use_MTA_STS = false Domain a.test { Use_MTA_STS = true Enable_MTA_STS = false }',
  );
  const kept = (domain: string) => deliverySettings(configuration, { domain }).enableMtaSts;
  assert.deepEqual([before, kept('a.test'), kept('b.test')], [true, false, false]);
});
