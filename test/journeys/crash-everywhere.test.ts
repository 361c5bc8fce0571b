// A crash before, after and during every call of receive, deliver and release, in every scenario, with a client that
// repeats and with one that withdraws and returns. In memory; crash-points.test.ts shows the same over the emulators
// for the scenarios at the core, and `npm run soak` adds other manners of clients and more than one crash.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaints, playAllInMemory } from './port-points.ts';
import { SCENARIOS } from './port-scenarios.ts';
import { CRASHES } from './port-strikes.ts';

for (const scenario of SCENARIOS) {
  test(`${scenario.title}: a crash at any call loses nothing and doubles nothing without need`, async (t) => {
    const outcomes = await playAllInMemory(scenario, CRASHES);
    t.diagnostic(`${outcomes.length} trials`);
    assert.deepEqual(complaints(outcomes), []);
  });
}
