// Every call failing once over the emulators and real sockets: applied but reported as failed, and landing when the
// run is over, in the scenarios at the core. faults-everywhere.test.ts has every kind of failure.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Fleet, startFleet } from './port-fleet.ts';
import { complaints, playAllOverEmulators } from './port-points.ts';
import { scenarioOf } from './port-scenarios.ts';

let fleet: Fleet;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet[Symbol.asyncDispose]());

const CORE = [
  'recipients in two domains',
  'a deferral, then delivery',
  'an upload',
  'two domains, withdrawn before the first attempt',
  'a lost timer',
];

for (const [index, title] of CORE.entries()) {
  test(`${title}: a call that only seems to fail loses nothing, over the emulators`, async (t) => {
    const harms = ['unanswered', 'lands later'] as const;
    const outcomes = await playAllOverEmulators(fleet, `f${index + 10}x`, scenarioOf(title), harms);
    t.diagnostic(`${outcomes.length} trials`);
    assert.deepEqual(complaints(outcomes), []);
  });
}
