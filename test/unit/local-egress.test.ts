import assert from 'node:assert/strict';
import { test } from 'node:test';
import { egressSettings } from '../../local/functions.ts';
import { deliverySettings } from '../../shared/config/delivery-settings.ts';
import { loadConfiguration } from '../../shared/config/load.ts';

function egressOf(text: string, concurrentBatches: number) {
  const result = loadConfiguration([{ path: 'x.conf', text }]);
  assert.ok(result.ok);
  return egressSettings(deliverySettings(result.configuration), concurrentBatches);
}

test('TLS, the messages of a connection and its time to open are as configured', () => {
  const written = egressOf('TLS = "required" Max_Deliveries_Per_Connection = 7 Connect_Timeout = 11', 10);
  assert.equal(written.tls, 'required');
  assert.equal(written.deliveriesPerSession, 7);
  assert.equal(written.timeouts?.connectMs, 11_000);
  const unwritten = egressOf('', 10);
  assert.equal(unwritten.tls, 'ifavailable');
  assert.equal(unwritten.deliveriesPerSession, Number.POSITIVE_INFINITY);
  assert.equal(unwritten.timeouts?.connectMs, 30_000);
});

test('batches that run at once share the connections that a site may have', () => {
  assert.equal(egressOf('', 10).sessionsPerSite, 3);
  assert.equal(egressOf('Max_Outbound_Connections = 4', 4).sessionsPerSite, 1);
  assert.equal(egressOf('Max_Outbound_Connections = 19', 10).sessionsPerSite, 1);
  assert.equal(egressOf('Max_Outbound_Connections = 100', 10).sessionsPerSite, 10);
});
