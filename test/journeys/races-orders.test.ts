// Runs that race each other, in every order of their calls, or in a sample where the orders are too many. The sample
// is drawn by a seed, which is printed: SEED=7 draws another. `npm run soak` tries many more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyOrder } from './port-orders.ts';
import { RACES, runRace } from './port-races.ts';

const SEED = Number(process.env['SEED'] ?? 1);
/** So many orders depth first, and as many drawn where these were not all. */
const LIMIT = 100;

for (const race of RACES) {
  test(`${race.title}: whatever the order of their calls, every guarantee holds`, async (t) => {
    const faults: string[] = [];
    const { count, all } = await everyOrder(
      async (choose) => {
        faults.push(...(await runRace(race, choose)));
      },
      { limit: LIMIT, seed: SEED },
    );
    t.diagnostic(all ? `all ${count} orders` : `${count} orders, seed ${SEED}`);
    assert.deepEqual(faults, []);
  });
}
