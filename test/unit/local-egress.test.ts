import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEgress } from '../../functions/deliver/egress.ts';
import { sessionsPerSite } from '../../local/functions.ts';
import { systemClock, systemRandom } from '../../shared/aws/system.ts';
import { settingsByDomain } from '../../shared/config/delivery-settings.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { createPeerMemory } from '../../shared/smtp/peer-memory.ts';

test('batches that run at once share the connections that a site may have', () => {
  assert.equal(sessionsPerSite(32, 10), 3);
  assert.equal(sessionsPerSite(4, 4), 1);
  assert.equal(sessionsPerSite(19, 10), 1);
  assert.equal(sessionsPerSite(100, 10), 10);
});

test('an invocation on AWS opens five sessions to a site, or as few as the configuration allows', () => {
  const egressOf = (text: string) => {
    const result = loadConfiguration([{ path: 'x.conf', text }]);
    assert.ok(result.ok);
    const { configuration } = result;
    return createEgress(
      {
        ehloName: 'out.example.com',
        settingsFor: settingsByDomain(configuration),
        allowedNetworks: [],
      },
      {
        clock: systemClock,
        random: systemRandom,
        log: { record: () => {}, notice: () => {} },
        peers: createPeerMemory({ nowMs: () => 0 }),
        policies: {
          read: async () => undefined,
          claim: async () => false,
          keep: async () => {},
          fail: async () => {},
        },
      },
    );
  };
  assert.equal(egressOf('').sessionsFor('a.test'), 5);
  assert.equal(egressOf('Max_Outbound_Connections = 2').sessionsFor('a.test'), 2);
  const egress = egressOf('Max_Outbound_Connections = 100 Domain a.test { Max_Outbound_Connections = 1 }');
  assert.equal(egress.sessionsFor('a.test'), 1);
  assert.equal(egress.sessionsFor('b.test'), 5);
});
