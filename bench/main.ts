// `npm run bench`: what a message costs in time and money, as tables of medians. It measures and tells; it never
// fails for a figure. Rejects, with exit status 1, when mail was not accepted or not delivered, since such a
// run says nothing. See docs/bench.md.

import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureBundles } from './bundles.ts';
import { dollarsPerMillion, formatAssumptions, formatCosts, measureCost } from './cost.ts';
import { format, formatFigures } from './figures.ts';
import { startFunctions } from './functions.ts';
import { mailFrom } from './mail.ts';
import { CLIENTS, measureSidecar, SIZE_BYTES, type SidecarPlan } from './sidecar/measure.ts';
import { formatSidecar } from './sidecar/report.ts';
import { measureSmtp, type SmtpPlan } from './smtp/measure.ts';
import { formatSmtp } from './smtp/report.ts';
import { startSurroundings } from './surroundings.ts';
import { batchingGain, measureWork, type Subject } from './work.ts';

const USAGE = `npm run bench -- [options]
  --quick         few rounds, about two minutes
  --only PARTS    of work, cost, bundles, smtp and sidecar, separated by commas
  --against DIR   another checkout, measured in turns with this one: work only
  --profile DIR   writes CPU profiles there: the functions of the work part, the clients of the smtp part
  --seed N        the mail's seed, as an earlier run printed it`;

/** Dollars per million, before egress. */
const MAX_DOLLARS = 7;
const PARTS = ['work', 'cost', 'bundles', 'smtp', 'sidecar'] as const;

const FULL = { rounds: 7, messages: 400, costMessages: 500, loads: 15 };
const QUICK = { rounds: 3, messages: 100, costMessages: 100, loads: 5 };
/** About a minute for each far round, or ten seconds. */
const FULL_SMTP: SmtpPlan = {
  rounds: 3,
  near: { ours: 1_000, nodemailer: 1_000, deliveries: 1_000, postfix: 1_000, exim: 200 },
  directPairs: 9,
  far: { ours: 1_000, nodemailer: 500, deliveries: 900, postfix: 320, exim: 350 },
  farToPostfix: { ours: 500, nodemailer: 250 },
  largeBytes: 25 * 2 ** 20,
};
const QUICK_SMTP: SmtpPlan = {
  rounds: 2,
  near: { ours: 1_000, nodemailer: 1_000, deliveries: 300, postfix: 300, exim: 60 },
  directPairs: 5,
  far: { ours: 200, nodemailer: 100, deliveries: 180, postfix: 60, exim: 70 },
  farToPostfix: { ours: 100, nodemailer: 50 },
  largeBytes: 25 * 2 ** 20,
};
const FULL_SIDECAR: SidecarPlan = {
  rounds: 5,
  messages: 4_000,
  latencyMessages: 4_000,
  memoryAfter: [10_000, 50_000, 100_000],
};
const QUICK_SIDECAR: SidecarPlan = {
  rounds: 2,
  messages: 1_000,
  latencyMessages: 1_000,
  memoryAfter: [5_000, 10_000],
};
/** Clients of the throughput measurement. */
const AT_ONCE = 8;

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: PARTS.join() },
    against: { type: 'string' },
    profile: { type: 'string' },
    seed: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) console.log(USAGE);
else await bench();

async function bench(): Promise<void> {
  const wanted = new Set(values.only.split(','));
  const unknown = [...wanted].filter((part) => !PARTS.some((known) => known === part));
  if (unknown.length > 0) throw new Error(`${unknown.join()} is no part; there are ${PARTS.join()}`);
  const plan = values.quick ? QUICK : FULL;
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const mail = mailFrom(seed);
  console.log(
    `Node ${process.version}, ${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ` +
      `${format(totalmem() / 2 ** 30, 0)} GB, load ${format(loadavg()[0] ?? 0, 1)}; seed ${seed}`,
  );

  if (wanted.has('bundles')) {
    console.log(`\nBundles, minified; ${plan.loads} loads in fresh processes\n`);
    console.log(formatFigures(measureBundles(plan.loads)));
  }
  if (wanted.has('smtp')) {
    const smtpPlan = values.quick ? QUICK_SMTP : FULL_SMTP;
    console.log(`\nSMTP, 10 KB messages over one connection each; ${smtpPlan.rounds} rounds\n`);
    const results = await measureSmtp(smtpPlan, {
      interrupted: interruption(),
      progress: (step) => console.error(step),
      ...(values.profile === undefined ? {} : { profileFolder: resolve(values.profile) }),
    });
    console.log(
      results === undefined
        ? 'SKIPPED: there is no smtp-sink; it comes with Postfix (test/interop/install.sh installs it)'
        : formatSmtp(results),
    );
  }
  if (wanted.has('sidecar')) {
    const sidecarPlan = values.quick ? QUICK_SIDECAR : FULL_SIDECAR;
    console.log(
      `\nThe sidecar beside Postfix: smtp-source -s ${CLIENTS} -l ${SIZE_BYTES}, ${sidecarPlan.messages} messages; ` +
        `${sidecarPlan.rounds} rounds\n`,
    );
    const results = await measureSidecar(sidecarPlan, {
      interrupted: interruption(),
      progress: (step) => console.error(step),
      ...(values.profile === undefined ? {} : { profileFolder: resolve(values.profile) }),
    });
    console.log(typeof results === 'string' ? `SKIPPED: ${results}` : formatSidecar(results));
  }
  if (!wanted.has('work') && !wanted.has('cost')) return;
  await using surroundings = await startDisposable();
  if (wanted.has('work')) {
    const subjects: Subject[] = [];
    for (const [name, folder] of [
      ['here', root],
      ['there', values.against],
    ] as const) {
      if (folder === undefined) continue;
      const functions = await startFunctions({
        root: resolve(folder),
        setup: surroundings.setup,
        ...(values.profile === undefined ? {} : { profileFolder: resolve(values.profile) }),
      });
      subjects.push({ name, functions });
    }
    const { figures, ratios } = await measureWork(surroundings, subjects, mail, { ...plan, atOnce: AT_ONCE });
    for (const { name } of subjects) {
      const own = figures.get(name) ?? [];
      const title = subjects.length === 1 ? '' : ` (${name})`;
      console.log(`\nWork for a message of 10 KB${title}; ${plan.rounds} rounds of ${plan.messages}\n`);
      console.log(formatFigures(own));
      console.log(
        `\nBatches of 25 take ${format(batchingGain(own), 1)} times less CPU a message than batches of 1. Messages per\n` +
          `second are through the local API front, ${AT_ONCE} requests at once, everything on this machine; CPU is that of\n` +
          'the functions alone, one request at a time.',
      );
    }
    if (ratios.length > 0) console.log(`\nHere over there, round by round\n\n${formatFigures(ratios)}`);
    for (const { functions } of subjects) await functions.close();
  }
  if (wanted.has('cost')) {
    const costs = [];
    for (const batch of [25, 1]) {
      costs.push(await measureCost(surroundings, root, mail, batch, plan.costMessages));
    }
    console.log(`\nAWS for a million messages, from ${plan.costMessages} by each way\n`);
    console.log(formatCosts(costs));
    for (const cost of costs) {
      const dollars = dollarsPerMillion(cost);
      const verdict = dollars < MAX_DOLLARS ? 'met' : 'MISSED';
      console.log(
        `\nBy ${cost.batch}: $${format(dollars, 2)} a million; target under $${MAX_DOLLARS}: ${verdict}`,
      );
    }
    console.log(`\n${formatAssumptions(costs)}`);
  }
}

/**
 * Mail servers do not end with the bench by themselves: whoever waits for this stops them. A signal that comes
 * again, as from timeout(1), changes nothing.
 */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        process.exitCode = 130;
        reject(new Error(`stopped by ${signal}`));
      });
    }
  });
}

async function startDisposable() {
  const surroundings = await startSurroundings();
  return { ...surroundings, [Symbol.asyncDispose]: () => surroundings.close() };
}
