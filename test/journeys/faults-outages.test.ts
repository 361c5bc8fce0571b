// A store that is out of order for a while, one kind of call at a time: what was said stands, what was not said is
// done again, and when the store is back everything comes to its end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaints, playInMemory } from './port-points.ts';
import { scenarioOf } from './port-scenarios.ts';
import type { Outage } from './port-strikes.ts';

const CALLS = [
  'ledger.readMessage',
  'ledger.readItem',
  'ledger.write',
  'ledger.lease',
  'users.add',
  'users.remove',
  'users.forget',
  'due.entries',
  'due.readCursor',
  'due.writeCursor',
  'spool.put',
  'spool.open',
  'spool.remove',
  'timers.send',
  'timers.hide',
  'timers.delete',
  'timers.depth',
  'smtp.open',
];

const TITLES = [
  'recipients in two domains',
  'a deferral, then delivery',
  'due in twenty minutes, parked in the ledger',
  'an upload for two domains and a message beside it',
  'two domains, withdrawn before the first attempt',
  'repeated after the delivery, with a new recipient',
  'chunks without a commit',
];

const MINUTE = 60_000;
/** Shorter than a client tries, and long enough to end the patience of each of its requests. */
const AT_FIRST_MS = 4 * MINUTE;
const LATER_MS = 100 * MINUTE;

/** Out of order between two moments after the start. */
function between(call: string, code: 'not-applied' | 'in-doubt', fromMs: number, untilMs: number) {
  let startMs: number | undefined;
  return (nowMs: number): Outage => {
    startMs ??= nowMs;
    const passedMs = nowMs - startMs;
    return (name) => (name === call && passedMs >= fromMs && passedMs < untilMs ? code : undefined);
  };
}

for (const title of TITLES) {
  test(`${title}: a call that is out of order for a while is a delay and nothing else`, async (t) => {
    const scenario = scenarioOf(title);
    const outcomes = [];
    for (const call of CALLS) {
      for (const code of ['not-applied', 'in-doubt'] as const) {
        for (const [fromMs, untilMs] of [
          [0, AT_FIRST_MS],
          [1, LATER_MS],
        ] as const) {
          // The long outage begins with the first wait, when the client has what it wanted.
          const outage = between(call, code, fromMs, untilMs);
          const { faults } = await playInMemory(scenario, 'repeats', [], {
            outage,
            lookbackMs: 2 * LATER_MS,
          });
          outcomes.push({ title: `${call} ${code} until ${untilMs / MINUTE} min`, faults });
        }
      }
    }
    t.diagnostic(`${outcomes.length} trials`);
    assert.deepEqual(complaints(outcomes), []);
  });
}
