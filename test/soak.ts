// `npm run soak -- [--seed N] [--minutes N]`: rounds in which transfers, repeats, withdrawals, attempts and releases of
// one message go on at once, in an order drawn by the seed, with crashes and failures among them; and every race
// in many more orders than `npm test` tries. Prints its seed and its figures; exit status 1 when a guarantee broke.

import { parseArgs } from 'node:util';
import { everyOrder } from './journeys/port-orders.ts';
import { RACES, runRace } from './journeys/port-races.ts';
import { melee } from './soak/melee.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string', default: '10' },
  },
});
const seed = Number(values.seed);
const minutes = Number(values.minutes);
if (!Number.isSafeInteger(seed) || seed < 0 || !(minutes > 0)) {
  console.error('usage: npm run soak -- [--seed N] [--minutes N]: N whole and not negative, minutes over 0');
  process.exit(64);
}

const ORDERS_PER_RACE = 1_000;
const started = performance.now();
const overAt = started + minutes * 60_000;
let broken = 0;

console.log(`seed ${seed}, ${minutes} min`);
let orders = 0;
for (const race of RACES) {
  // Races take half of the time at most.
  if (performance.now() > started + (overAt - started) / 2) break;
  const { count } = await everyOrder(
    async (choose) => {
      const faults = await runRace(race, choose);
      for (const fault of faults) report(`${race.title}: ${fault}`);
    },
    { limit: ORDERS_PER_RACE, seed },
  );
  orders += count;
}
console.log(`${orders} orders of ${RACES.length} races`);

let rounds = 0;
for (; performance.now() < overAt; rounds += 1) {
  for (const fault of await melee(seed + rounds)) report(fault);
}
console.log(`${rounds} random rounds, seeds ${seed} to ${seed + rounds - 1}`);
console.log(broken === 0 ? 'every guarantee held' : `${broken} faults`);
process.exit(broken === 0 ? 0 : 1);

function report(fault: string): void {
  broken += 1;
  console.log(`BROKEN ${fault}`);
}
