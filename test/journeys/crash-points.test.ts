// A crash between every two steps of receive, deliver and release, over the emulators and real sockets: the points
// are the calls that the scenario makes when nothing goes wrong.

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
  'one message',
  'a transfer of three messages',
  'recipients in two domains',
  'a deferral, then delivery',
  'due in twenty minutes, parked in the ledger',
  'deferred and parked in the ledger',
  'an upload',
  'two domains, withdrawn before the first attempt',
  'repeated after the delivery, with a new recipient',
  'a lost timer',
  'chunks without a commit that nobody comes back for',
];

for (const [index, title] of CORE.entries()) {
  test(`${title}: after a crash between any two steps nothing is lost, over the emulators`, async (t) => {
    const outcomes = await playAllOverEmulators(fleet, `c${index + 10}x`, scenarioOf(title), [
      'crash before',
    ]);
    t.diagnostic(`${outcomes.length} trials`);
    assert.deepEqual(complaints(outcomes), []);
  });
}
