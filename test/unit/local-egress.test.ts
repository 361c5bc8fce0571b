import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionsPerSite } from '../../local/functions.ts';
import { deliverySettings } from '../../shared/config/delivery-settings.ts';
import { loadConfiguration } from '../../shared/config/load.ts';

function sessionsOf(text: string, concurrentBatches: number) {
  const result = loadConfiguration([{ path: 'x.conf', text }]);
  assert.ok(result.ok);
  return sessionsPerSite(deliverySettings(result.configuration), concurrentBatches);
}

test('batches that run at once share the connections that a site may have', () => {
  assert.equal(sessionsOf('', 10), 3);
  assert.equal(sessionsOf('Max_Outbound_Connections = 4', 4), 1);
  assert.equal(sessionsOf('Max_Outbound_Connections = 19', 10), 1);
  assert.equal(sessionsOf('Max_Outbound_Connections = 100', 10), 10);
});
