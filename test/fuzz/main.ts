// `npm run fuzz -- [--seconds N] [--seed N] [--case K]`: drawn SMTP dialogues, replies, routes, DNS packets and
// configurations against the real client, router and readers. Prints its seed first and its figures at the end; a case
// that breaks a promise is told with the command that plays it again; then the exit status is 1.

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { createCasePlayer } from './cases.ts';
import { failuresTold, fuzz } from './run.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '60' },
    case: { type: 'string' },
    jobs: { type: 'string', default: String(availableParallelism()) },
  },
});
const [seed, seconds, jobs] = [Number(values.seed), Number(values.seconds), Number(values.jobs)];
const single = values.case === undefined ? undefined : Number(values.case);
const isWhole = (number: number) => Number.isSafeInteger(number) && number >= 0;
if (!isWhole(seed) || !(seconds > 0) || !isWhole(single ?? 0) || !isWhole(jobs) || jobs === 0) {
  console.error(
    'usage: npm run fuzz -- [--seconds N] [--seed N] [--case K] [--jobs N]: whole numbers, seconds over 0',
  );
  process.exit(64);
}

console.log(`seed ${seed}`);
if (single === undefined) {
  const { cases, seconds: took, ends, failures } = await fuzz({ seed, seconds, jobs });
  for (const [end, count] of Object.entries(ends).sort()) console.log(`${String(count).padStart(9)} ${end}`);
  console.log(`${cases} cases in ${took.toFixed(0)} s, ${(cases / took).toFixed(0)} a second`);
  console.log(failures.length === 0 ? 'every promise held' : failuresTold(seed, failures));
  process.exit(failures.length === 0 && cases > 0 ? 0 : 1);
}
const player = await createCasePlayer();
const { kind, faults, story } = await player.play(seed, single);
console.log(`case ${single}, ${kind}\n${story()}`);
for (const fault of faults) console.log(`BROKEN ${fault}`);
process.exit(faults.length === 0 ? 0 : 1);
