// What the bench and the process that runs the functions say to each other. Events travel as text and are parsed
// on arrival, as Lambda's runtime does, so that this share of the CPU is measured too.

import * as z from 'zod/mini';

/** The process's only argument, as JSON. */
export const setupShape = z.object({
  s3Endpoint: z.string(),
  sqsEndpoint: z.string(),
  dynamodbEndpoint: z.string(),
  bucket: z.string(),
  table: z.string(),
  timersQueueUrl: z.string(),
  dnsServer: z.string(),
  smtpPort: z.number(),
  /** Count and price AWS calls, and let them take as long as AWS would. */
  metered: z.optional(z.object({ dynamodbMs: z.number(), s3Ms: z.number(), sqsMs: z.number() })),
  /** Instead of the default tempo's, so that a second attempt is measured soon. */
  tempo: z.optional(z.object({ retryIntervalMs: z.number(), bucketMs: z.number() })),
});

export const requestShape = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('invoke'),
    call: z.number(),
    functionName: z.enum(['receive', 'deliver']),
    event: z.string(),
    timeoutMs: z.number(),
  }),
  z.object({ kind: z.literal('measure'), call: z.number() }),
]);

const amount = z.object({ calls: z.number(), units: z.number() });

const measuredShape = z.object({
  /** User and system, of the whole process since the last measurement. */
  cpuMs: z.number(),
  /** In the order in which they ended; the CPU time of one is its own only when they came one at a time. */
  invocations: z.array(
    z.object({ functionName: z.enum(['receive', 'deliver']), durationMs: z.number(), cpuMs: z.number() }),
  ),
  logBytes: z.number(),
  /** Faults that the functions logged, as a sign that the run is not worth its figures. */
  faults: z.array(z.string()),
  usage: z.record(z.string(), amount),
  itemSizes: z.array(z.number()),
});

export const answerShape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('result'), call: z.number(), result: z.string() }),
  z.object({ kind: z.literal('failed'), call: z.number(), message: z.string() }),
  z.object({ kind: z.literal('measured'), call: z.number(), measured: measuredShape }),
]);

export type Setup = z.infer<typeof setupShape>;
export type Request = z.infer<typeof requestShape>;
export type Answer = z.infer<typeof answerShape>;
export type Measured = z.infer<typeof measuredShape>;
