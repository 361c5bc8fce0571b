import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEgress } from '../../functions/deliver/egress.ts';
import { sessionsPerSite } from '../../local/functions.ts';
import { systemClock, systemRandom } from '../../shared/aws/system.ts';
import { connectionsByHost, settingsByDomain } from '../../shared/config/delivery-settings.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { createPeerMemory } from '../../shared/smtp/peer-memory.ts';

function egressOf(text: string, more: { readonly bindsAddress?: boolean } = {}) {
  const result = loadConfiguration([{ path: 'x.conf', text }]);
  assert.ok(result.ok);
  const { configuration } = result;
  return createEgress(
    {
      ehloName: 'out.example.com',
      ...more,
      settingsFor: settingsByDomain(configuration),
      connectionsTo: connectionsByHost(configuration),
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
}

test('batches that run at once share the connections that a site may have', () => {
  assert.equal(sessionsPerSite(32, 10), 3);
  assert.equal(sessionsPerSite(4, 4), 1);
  assert.equal(sessionsPerSite(19, 10), 1);
  assert.equal(sessionsPerSite(100, 10), 10);
});

test('an invocation on AWS opens five sessions to a site, or as few as the configuration allows', () => {
  assert.equal(egressOf('').sessionsFor('a.test', []), 5);
  assert.equal(egressOf('Max_Outbound_Connections = 2').sessionsFor('a.test', []), 2);
  const egress = egressOf('Max_Outbound_Connections = 100 Domain a.test { Max_Outbound_Connections = 1 }');
  assert.equal(egress.sessionsFor('a.test', []), 1);
  assert.equal(egress.sessionsFor('b.test', []), 5);
});

test('sessions for a domain are led as its stanza says', () => {
  const { sessionTermsFor } = egressOf(`
    EHLO_Hostname = "all.example.com"
    Bind_Address = "192.0.2.9"
    Max_Deliveries_Per_Connection = 7
    Domain a.test {
      Delivery_Method = "lmtp"
      EHLO_Hostname = "a.example.com"  Eight_Bit_Mail = "convert"
      Connect_Timeout = 1  EHLO_Timeout = 2  Mailfrom_Timeout = 3  Rcptto_Timeout = 4  Body_Timeout = 5  RSET_Timeout = 6
      Max_Deliveries_Per_Connection = 0  Max_Recipients_Per_Connection = 8  Max_Recipients_Per_Batch = 9
      Response_Transcode_Pattern = "gone"  Response_Transcode_Replace = "550 $0"
    }`);
  const { timeouts, ...opening } = sessionTermsFor('a.test').opening;
  assert.deepEqual(
    [
      timeouts.connectMs,
      timeouts.ehloMs,
      timeouts.mailMs,
      timeouts.rcptMs,
      timeouts.finalMs,
      timeouts.rsetMs,
    ],
    [1_000, 2_000, 3_000, 4_000, 5_000, 6_000],
  );
  assert.deepEqual(opening, {
    ehloName: 'a.example.com',
    protocol: 'lmtp',
    eightBit: 'convert',
    localAddress: '192.0.2.9',
    transcode: { pattern: 'gone', replacement: '550 $0' },
  });
  assert.deepEqual(
    { ...sessionTermsFor('a.test'), opening: undefined },
    {
      opening: undefined,
      deliveriesPerSession: Infinity,
      recipientsPerSession: 8,
      recipientsPerTransaction: 9,
    },
  );
  const other = sessionTermsFor('b.test');
  assert.deepEqual(
    [
      other.opening.ehloName,
      other.opening.eightBit,
      other.opening.timeouts.connectMs,
      other.deliveriesPerSession,
    ],
    ['all.example.com', 'refuse', 30_000, 7],
  );
});

test('a mail host has as few sessions as its Host stanza says, and the strictest of a site counts', () => {
  const { sessionsFor } = egressOf(`
    Host mx1.test { Max_Outbound_Connections = 2 }
    Host "/^mx[34][.]test$/" { Max_Outbound_Connections = 1 }
    Binding default { Host mx4.test { Max_Outbound_Connections = 3 } }
    Domain few.test { Max_Outbound_Connections = 1 }`);
  assert.equal(sessionsFor('a.test', ['mx2.test']), 5);
  assert.equal(sessionsFor('a.test', ['mx2.test', 'mx1.test']), 2);
  assert.equal(sessionsFor('a.test', ['mx1.test', 'mx3.test']), 1);
  assert.equal(sessionsFor('a.test', ['mx4.test']), 3);
  assert.equal(sessionsFor('few.test', ['mx4.test']), 1);
});

test('behind a NAT, connections leave from whatever address the function has', () => {
  const text = 'Bind_Address = "192.0.2.9"';
  assert.equal(egressOf(text).sessionTermsFor('a.test').opening.localAddress, '192.0.2.9');
  assert.equal(
    egressOf(text, { bindsAddress: false }).sessionTermsFor('a.test').opening.localAddress,
    undefined,
  );
});
