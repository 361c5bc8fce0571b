// What AWS would ask for a million messages: the calls that the functions really made for some, in the units that
// are charged, and the time that Lambda would bill, at the prices of prices.ts.
// Assumed, and said with the figures: how long AWS and the destinations take to answer, and what share of a core a
// function's memory buys. Left out: storage, what is paid by the hour, egress, and polls that find nothing.

import { setTimeout as delay } from 'node:timers/promises';
import { format, formatTable, median } from './figures.ts';
import { type Functions, startFunctions } from './functions.ts';
import { type MailSource, transfersOf } from './mail.ts';
import type { StoreLatency } from './meter.ts';
import { EGRESS_PRICES, isUse, PRICES, USES, type Use } from './prices.ts';
import type { Measured } from './protocol.ts';
import { FAR_DOMAINS, ROUND_TRIP_MS, type Surroundings } from './surroundings.ts';

const SIZE_BYTES = 50 * 1_024;
/** Every tenth message is deferred once. */
const DEFER_EVERY = 10;
export const ATTEMPTS = 1 + 1 / DEFER_EVERY;
/** Instead of 300 s in buckets of 60 s: waits in the queue and moves to another bucket all the same. */
const TEMPO = { retryIntervalMs: 1_000, bucketMs: 500 };
/** Longer than the retry interval, jittered and rounded up to a second. */
const UNTIL_RETRY_MS = 2_500;
const GIVE_UP_MS = 120_000;

const LATENCY: StoreLatency = { dynamodbMs: 5, s3Ms: 40, sqsMs: 10 };
/** infra/constructs/receive.ts and deliver.ts. */
const MEMORY_MB = { receive: 1_024, deliver: 1_024 } as const;
/** Lambda developer guide, memory: one vCPU at 1,769 MB, and in proportion. */
const MEMORY_MB_PER_CPU = 1_769;
/** HTTP API: a request is metered for each begun 512 KB. */
const API_UNIT_BYTES = 512 * 1_024;
/** START, END and REPORT of an invocation; a line of the API's access log. */
const PLATFORM_LOG_BYTES = 400;
const ACCESS_LOG_BYTES = 450;

export interface Cost {
  readonly batch: number;
  readonly messages: number;
  readonly lines: ReadonlyMap<Use, { readonly calls: number; readonly units: number }>;
  /** Medians. */
  readonly itemBytes: number;
  readonly billedMs: Readonly<Record<keyof typeof MEMORY_MB, number>>;
  readonly timersPerInvocation: number;
}

export async function measureCost(
  surroundings: Surroundings,
  root: string,
  mail: MailSource,
  batch: number,
  count: number,
): Promise<Cost> {
  const functions = await startFunctions({
    root,
    setup: { ...surroundings.setup, metered: LATENCY, tempo: TEMPO },
  });
  try {
    // Warm containers: a first transfer and its delivery are not counted.
    await passThrough(surroundings, functions, mail, batch, DEFER_EVERY);
    await functions.measure();
    surroundings.pollingUnits();
    const transfers = await passThrough(surroundings, functions, mail, batch, count);
    return costOf(batch, count, transfers, await functions.measure(), surroundings.pollingUnits());
  } finally {
    await functions.close();
  }
}

/** Answers the sizes of the transfers, when all their messages are delivered. */
async function passThrough(
  surroundings: Surroundings,
  functions: Functions,
  mail: MailSource,
  batch: number,
  count: number,
): Promise<readonly number[]> {
  const options = { sizeBytes: SIZE_BYTES, domains: FAR_DOMAINS, deferEvery: DEFER_EVERY };
  const transfers = transfersOf(mail.make(count, options), batch);
  const wanted = surroundings.delivered() + count;
  await surroundings.post(functions, transfers, 1);
  const giveUpAtMs = performance.now() + GIVE_UP_MS;
  while (surroundings.delivered() < wanted) {
    if (performance.now() > giveUpAtMs) throw new Error('mail is still waiting after two minutes');
    await surroundings.deliverBatch(functions);
    // What was deferred shares the next batch, as in steady traffic.
    await delay(UNTIL_RETRY_MS);
  }
  return transfers.map(({ body }) => body.length);
}

function costOf(
  batch: number,
  messages: number,
  transferBytes: readonly number[],
  measured: Measured,
  polling: ReadonlyMap<string, number>,
): Cost {
  const lines = new Map<Use, { calls: number; units: number }>();
  for (const [name, amount] of Object.entries(measured.usage)) {
    if (!isUse(name)) throw new Error(`${name} has no price`);
    lines.set(name, amount);
  }
  for (const [name, units] of polling) {
    const use = `SQS ${name} (Lambda)`;
    if (!isUse(use)) throw new Error(`${use} has no price`);
    lines.set(use, { calls: units, units });
  }
  const apiUnits = transferBytes.reduce((sum, bytes) => sum + Math.ceil(bytes / API_UNIT_BYTES), 0);
  lines.set('API Gateway, 512 KB units', { calls: transferBytes.length, units: apiUnits });
  const billedMs = { receive: 0, deliver: 0 };
  for (const functionName of ['receive', 'deliver'] as const) {
    const billed = measured.invocations
      .filter((invocation) => invocation.functionName === functionName)
      .map(({ durationMs, cpuMs }) => billedMsOf(durationMs, cpuMs, MEMORY_MB[functionName]));
    const totalMs = billed.reduce((sum, ms) => sum + ms, 0);
    const gbSeconds = (totalMs / 1_000) * (MEMORY_MB[functionName] / 1_024);
    lines.set(`Lambda ${functionName}, requests`, { calls: billed.length, units: billed.length });
    lines.set(`Lambda ${functionName}, GB-seconds`, { calls: 0, units: gbSeconds });
    billedMs[functionName] = median(billed);
  }
  const invocations = measured.invocations.length;
  const logBytes =
    measured.logBytes + invocations * PLATFORM_LOG_BYTES + transferBytes.length * ACCESS_LOG_BYTES;
  lines.set('CloudWatch Logs, bytes', { calls: 0, units: logBytes });
  const delivers = measured.invocations.filter(({ functionName }) => functionName === 'deliver').length;
  return {
    batch,
    messages,
    lines,
    itemBytes: median(measured.itemSizes),
    billedMs,
    timersPerInvocation: (messages * ATTEMPTS) / delivers,
  };
}

/** Waiting takes as long on a share of a core, computing longer. */
function billedMsOf(durationMs: number, cpuMs: number, memoryMb: number): number {
  const share = Math.min(1, memoryMb / MEMORY_MB_PER_CPU);
  return Math.ceil(durationMs + cpuMs * (1 / share - 1));
}

export function dollarsPerMillion(cost: Cost): number {
  return [...cost.lines].reduce((sum, [use, { units }]) => sum + dollarsOf(use, units, cost.messages), 0);
}

function dollarsOf(use: Use, units: number, messages: number): number {
  return (units / messages) * PRICES[USES[use]] * 1e6;
}

export function formatCosts(costs: readonly Cost[]): string {
  const head = ['per message', ...costs.flatMap(({ batch }) => [`calls, by ${batch}`, 'units', '$/million'])];
  const rows = Object.keys(USES)
    .filter(isUse)
    .filter((use) => costs.some(({ lines }) => lines.has(use)))
    .map((use) => [
      use,
      ...costs.flatMap(({ lines, messages }) => {
        const { calls, units } = lines.get(use) ?? { calls: 0, units: 0 };
        return [
          calls === 0 ? '' : format(calls / messages, 3),
          format(units / messages, 3),
          format(dollarsOf(use, units, messages), 2),
        ];
      }),
    ]);
  const sum = [
    'sum, before egress',
    ...costs.flatMap((cost) => ['', '', format(dollarsPerMillion(cost), 2)]),
  ];
  return formatTable(head, [...rows, sum]);
}

export function formatAssumptions(costs: readonly Cost[]): string {
  const carriedBytes = SIZE_BYTES * ATTEMPTS * 1e6;
  const slow = 10 * PRICES.lambdaGbSecond * (MEMORY_MB.deliver / 1_024);
  const seen = costs.map(
    ({ batch, itemBytes, billedMs, timersPerInvocation }) =>
      `By ${batch}: receive bills ${format(billedMs.receive, 0)} ms and deliver ${format(billedMs.deliver, 0)} ms ` +
      `(medians), ${format(timersPerInvocation, 0)} timers an invocation, items of ${format(itemBytes, 0)} bytes.`,
  );
  return [
    `Assumed: ${SIZE_BYTES / 1_024} KB a message, one recipient, ${ATTEMPTS} attempts; destinations ${ROUND_TRIP_MS} ms away (mean round trip);`,
    `DynamoDB answers in ${LATENCY.dynamodbMs} ms, S3 in ${LATENCY.s3Ms} ms, SQS in ${LATENCY.sqsMs} ms; both functions have ${MEMORY_MB.deliver} MB, which is`,
    `${format(MEMORY_MB.deliver / MEMORY_MB_PER_CPU, 2)} of a core, and stay warm; ${PLATFORM_LOG_BYTES} bytes of log an invocation and ${ACCESS_LOG_BYTES} a request come on top of ours.`,
    ...seen,
    `Apart: egress $${format(carriedBytes * EGRESS_PRICES.internetByte, 2)} and NAT $${format(carriedBytes * EGRESS_PRICES.natByte, 2)} a million, if every attempt carries content;`,
    `$${format((slow / 100) * 1e6, 2)} a million for every 10 s that one slow destination holds up each batch of 100.`,
  ].join('\n');
}
