// The stack's parameters, read from CDK context (`-c name=value`, or "context" in cdk.json). Promises a
// complete, frozen object or the list of every fault at once, each naming the parameter and the mend. A name
// that is nearly ours is a fault too: CDK itself ignores context that nobody asks for. Throws nothing.

import { z } from 'zod';
import { nearestName } from '../shared/config/nearest.ts';
import { type ConfigurationBundle, readConfigurationBundle } from './configuration.ts';

export interface StackParameters {
  /** Who may hand mail over: callers signed with AWS credentials, or Basic credentials kept in a secret. */
  readonly authentication: 'iam' | 'basic';
  /** `vpc`: deliver behind NAT with a fixed address. `none`: no VPC, and then port 25 is closed for good. */
  readonly network: 'vpc' | 'none';
  /** What deliver says in EHLO. Absent: the fixed address as a literal (RFC 5321 §4.1.3). */
  readonly ehloHostname: string | undefined;
  /** A configuration file for the receiving side, in the language of both sides. */
  readonly configuration: ConfigurationBundle | undefined;
  /** Our name in the Received header. Absent: as `ehloHostname`. */
  readonly traceHost: string | undefined;
  /** Concurrency set aside for receive (and 1 for release); `none` for accounts whose whole quota is small. */
  readonly reservedConcurrency: number | 'none';
  /** The most deliver functions that the timers queue runs at once (Lambda allows 2 to 1,000). */
  readonly maximumConcurrency: number;
  /** What happens to mail, ledger, logs and the fixed address when the stack is deleted. */
  readonly removalPolicy: 'retain' | 'destroy';
}

export type ParametersResult =
  | { readonly ok: true; readonly parameters: StackParameters }
  | { readonly ok: false; readonly faults: readonly string[] };

/** `context` is everything that CDK knows: ours, its own feature flags, and cached look-ups. */
export function readParameters(context: Readonly<Record<string, unknown>>): ParametersResult {
  const faults: string[] = [];
  const given: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(context)) {
    if (Object.hasOwn(schema.shape, name)) given[name] = value;
    else if (!belongsToCdk(name)) faults.push(unknownName(name));
  }
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = String(issue.path[0]);
      faults.push(`${name}: ${issue.message}, not ${JSON.stringify(given[name])}`);
    }
  }
  if (given['network'] === 'none' && given['ehloHostname'] === undefined) {
    faults.push('ehloHostname: required with network=none, which has no fixed address to say instead');
  }
  const file = given['configuration'];
  const read = typeof file === 'string' && file !== '' ? readConfigurationBundle(file) : undefined;
  if (read?.ok === false) faults.push(...read.faults.map((fault) => `configuration: ${fault}`));
  if (!parsed.success || read?.ok === false || faults.length > 0) return { ok: false, faults };
  const { ehloHostname, traceHost, ...rest } = parsed.data;
  return {
    ok: true,
    parameters: Object.freeze({
      ...rest,
      ehloHostname,
      traceHost: traceHost ?? ehloHostname,
      configuration: read?.bundle,
    }),
  };
}

function unknownName(name: string): string {
  const nearest = nearestName(name, NAMES);
  const mend = nearest === undefined ? `there are ${NAMES.join(', ')}` : `did you mean ${nearest}?`;
  return `${name}: no such parameter; ${mend}`;
}

/** Feature flags and cached look-ups carry a colon or a slash; the CLI's own settings are few. */
function belongsToCdk(name: string): boolean {
  return /[:/]/.test(name) || name === 'cli-telemetry';
}

/** A name with a dot, letters, digits and hyphens, as RFC 5321 §2.3.5 wants of EHLO. */
const hostname = z
  .string()
  .max(253)
  .regex(
    /^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))+$/i,
    'must be a fully qualified host name like mail.example.com',
  )
  .optional();

/** Context from the command line is text, from cdk.json a number. */
function wholeNumber(
  least: number,
  most: number,
  message = `must be a whole number from ${least} to ${most}`,
) {
  return z.preprocess(
    (value) => (typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : value),
    z.int(message).min(least, message).max(most, message),
  );
}

const RESERVED = 'must be none or a whole number from 1 to 1000';

const schema = z.object({
  authentication: z.enum(['iam', 'basic'], 'must be iam or basic').default('iam'),
  network: z.enum(['vpc', 'none'], 'must be vpc or none').default('vpc'),
  configuration: z.string().min(1, 'must be the path of a file').optional(),
  ehloHostname: hostname,
  traceHost: hostname,
  reservedConcurrency: z.union([z.literal('none'), wholeNumber(1, 1_000, RESERVED)], RESERVED).default(100),
  maximumConcurrency: wholeNumber(2, 1_000).default(50),
  removalPolicy: z.enum(['retain', 'destroy'], 'must be retain or destroy').default('retain'),
});

const NAMES = Object.keys(schema.shape);
