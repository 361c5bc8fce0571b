// Every call of receive, deliver and release failing once: refused or throttled, lost, applied but reported as
// failed, landing when the run is over, or slow past every patience. In memory; faults-points.test.ts shows the
// same over the emulators for the scenarios at the core.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaints, playAllInMemory } from './port-points.ts';
import { SCENARIOS } from './port-scenarios.ts';
import { FAULTS } from './port-strikes.ts';

for (const scenario of SCENARIOS) {
  test(`${scenario.title}: a call that fails, or seems to, loses nothing and doubles nothing`, async (t) => {
    const outcomes = await playAllInMemory(scenario, FAULTS);
    t.diagnostic(`${outcomes.length} trials`);
    assert.deepEqual(complaints(outcomes), []);
  });
}
