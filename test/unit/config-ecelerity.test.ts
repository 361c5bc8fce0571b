// A file as a Momentum in production has it: most of it has no part here, and none of that is a fault.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { evaluate } from '../../shared/config/evaluate.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { OPTIONS } from '../../shared/config/options.ts';

const text = readFileSync(new URL('ecelerity.conf', import.meta.url), 'utf8');

test('an ecelerity.conf from production is read with warnings alone, and what counts here counts', () => {
  const result = loadConfiguration([{ path: 'ecelerity.conf', text }]);
  assert.ok(result.ok, JSON.stringify(result));
  const { configuration, warnings } = result;
  assert.equal(evaluate(configuration, OPTIONS.Max_Outbound_Connections, { domain: 'gmail.com' }), 20);
  assert.equal(evaluate(configuration, OPTIONS.Delayed_Reroute_Domain), 'xfer.example.com');
  const told = warnings.map(({ message }) => message);
  for (const message of [
    "Momentum's Datasource has no part here",
    "Momentum's engagement_tracker has no part here",
    "Momentum's Open_Relay has no part here",
    "Momentum's AuthLoginParameters has no part here",
    'Outbound_SMTP_Auth_Pass has no effect: the relay is not authenticated to',
    'TLS_Ciphers has no effect in a listener: it is about deliveries',
    "cache_size has no effect: it is the script's own",
    'acme_filter "acme1" is taken for a module, and has no part here',
  ]) {
    assert.ok(told.includes(message), `${message} in ${told.join(' | ')}`);
  }
  assert.doesNotMatch(JSON.stringify(warnings), /tell-nobody/);
});

test('a stanza that is near a known one stays a fault', () => {
  const result = loadConfiguration([{ path: 'a.conf', text: 'Domian "x.test" { TLS = no }\n' }]);
  assert.ok(!result.ok);
  assert.equal(result.faults[0]?.mend, 'did you mean Domain?');
});
