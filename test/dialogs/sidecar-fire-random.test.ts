import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pushMelee } from '../soak/push-melee.ts';

for (const [mode, seed] of [
  ['delayed', 1],
  ['rerouted', 2],
] as const) {
  test(`of 500 ${mode} messages under random faults none is lost and none is in two hands untold`, async (t) => {
    const { faults, excused, offers, requests } = await pushMelee({ seed, mode, messages: 500 });
    t.diagnostic(`${offers} offers, ${requests} requests, ${excused} doubles that were told`);
    assert.deepEqual(faults, []);
    assert.ok(offers > 500 && requests > 100);
  });
}
