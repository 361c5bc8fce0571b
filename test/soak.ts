// `npm run soak -- [--seed N] [--minutes N] [--fuzz N] [--kills N]`: rounds in which transfers, repeats, withdrawals, attempts and
// releases of one message go on at once, in an order drawn by the seed, with crashes and failures among them; every
// race in many more orders than `npm test` tries; hand-overs of a sidecar to receivers that fail at random; then cases
// of `npm run fuzz`, a million unless told otherwise. Zero minutes leave all but the last out, zero cases the last.
// Prints its seed and its figures; exit status 1 when a guarantee broke.

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { failuresTold, fuzz } from './fuzz/run.ts';
import { everyOrder } from './journeys/port-orders.ts';
import { RACES, runRace } from './journeys/port-races.ts';
import { melee } from './soak/melee.ts';
import { pushMelee } from './soak/push-melee.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string', default: '10' },
    fuzz: { type: 'string', default: '1000000' },
    kills: { type: 'string', default: '0' },
  },
});
const seed = Number(values.seed);
const minutes = Number(values.minutes);
const fuzzCases = Number(values.fuzz);
const kills = Number(values.kills);
const isWhole = (number: number) => Number.isSafeInteger(number) && number >= 0;
if (
  !isWhole(seed) ||
  !isWhole(fuzzCases) ||
  !isWhole(kills) ||
  !(minutes >= 0) ||
  minutes + fuzzCases === 0
) {
  console.error(
    'usage: npm run soak -- [--seed N] [--minutes N] [--fuzz N] [--kills N]: not negative, minutes or fuzz over 0',
  );
  process.exit(64);
}

if (kills > 0) process.exit(killUnderLoad());

const ORDERS_PER_RACE = 1_000;
const started = performance.now();
const overAt = started + minutes * 60_000;
let broken = 0;

console.log(`seed ${seed}, ${minutes} min, ${fuzzCases} fuzz cases`);
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

// A fifth of what is left goes to hand-overs.
const pushesUntil = performance.now() + (overAt - performance.now()) / 5;
let pushes = 0;
for (; performance.now() < pushesUntil; pushes += 1) {
  for (const mode of ['delayed', 'rerouted'] as const) {
    const { faults } = await pushMelee({ seed: seed + pushes, mode, messages: 500 });
    for (const fault of faults) report(`hand-over, ${mode}, seed ${seed + pushes}: ${fault}`);
  }
}
if (pushes > 0) console.log(`${pushes} times 500 messages handed over in each mode`);

let rounds = 0;
for (; performance.now() < overAt; rounds += 1) {
  for (const fault of await melee(seed + rounds)) report(fault);
}
if (rounds > 0) console.log(`${rounds} random rounds, seeds ${seed} to ${seed + rounds - 1}`);
if (fuzzCases > 0) await fuzzOn();
console.log(broken === 0 ? 'every guarantee held' : `${broken} faults`);
process.exit(broken === 0 ? 0 : 1);

/** The interop test of the same, with more kills; its exit status. */
function killUnderLoad(): number {
  const path = (name: string) => fileURLToPath(new URL(`interop/${name}`, import.meta.url));
  const file = path('kills-under-load.test.ts');
  const node = [process.execPath, '--test', '--test-timeout=3600000', file];
  const env = { ...process.env, INTEROP_KILLS: String(kills), INTEROP_SEED: String(seed) };
  const { status } = spawnSync(path('own-network.sh'), node, { stdio: 'inherit', env });
  return status ?? 1;
}

async function fuzzOn(): Promise<void> {
  let told = 0;
  const { cases, seconds, ends, failures } = await fuzz({
    seed,
    cases: fuzzCases,
    jobs: availableParallelism(),
    onProgress(played) {
      if (played < told + 100_000) return;
      told = played;
      console.log(`${played} fuzz cases`);
    },
  });
  for (const [end, count] of Object.entries(ends).sort()) console.log(`${String(count).padStart(9)} ${end}`);
  console.log(`${cases} fuzz cases in ${seconds.toFixed(0)} s, ${(cases / seconds).toFixed(0)} a second`);
  if (failures.length > 0) report(failuresTold(seed, failures));
  if (failures.length === 0 && cases < fuzzCases) report(`only ${cases} fuzz cases were played`);
}

function report(fault: string): void {
  broken += 1;
  console.log(`BROKEN ${fault}`);
}
