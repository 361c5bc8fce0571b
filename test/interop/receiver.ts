// The receiving side as a user starts it, `npm start`, in a process of its own: it delivers for real, to the
// addresses that a name server tells, on port 25, and retries after a second.

import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import type { Lifetime } from './directory.ts';
import { start } from './program.ts';
import { until } from './until.ts';

/** What the tests read of a log record. */
const RECORD = z.object({
  type: z.string(),
  event_id: z.string(),
  id: z.string(),
  recipient: z.string(),
  num_attempts: z.number(),
  response: z
    .object({
      code: z.number(),
      enhanced_code: z.string().nullable(),
      content: z.string(),
      command: z.string().nullable(),
    })
    .optional(),
  peer_address: z.object({ name: z.string(), addr: z.string() }).optional(),
  tls_protocol_version: z.string().optional(),
});

export type Told = z.infer<typeof RECORD>;

export interface ReceiverOptions {
  /** `address:port` of a name server; without one mail goes to the built-in destinations. */
  readonly dns?: string;
  /** Further arguments of `npm start`; the API is on port 8080 when they do not say otherwise. */
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Receiver {
  /** Where it takes transfers. */
  readonly url: string;
  /** In order, of one message or recipient when asked so; a repeated event once, as its readers take it. */
  records(of?: string): readonly Told[];
  /** The first record of one of these types about a recipient, as soon as there is one. */
  told(recipient: string, ...types: readonly string[]): Promise<Told>;
  /** A line of its log that matches, as soon as there is one. */
  logged(pattern: RegExp): Promise<string>;
  /** The record of its delivery, as soon as there is one; rejects when it has failed. */
  delivered(recipient: string): Promise<Told>;
  /** As SIGKILL ends it, stores and all. */
  destroy(): Promise<void>;
}

const SPEED = 20;
const QUICK_RETRIES = fileURLToPath(new URL('quick-retries.conf', import.meta.url));
const MAIN = fileURLToPath(new URL('../../local/main.ts', import.meta.url));

export async function startReceiver(lifetime: Lifetime, options: ReceiverOptions): Promise<Receiver> {
  const { dns, args = [], environment } = options;
  const toDns = dns === undefined ? [] : ['--dns', dns, '--allow-network', '127.0.0.0/8'];
  const records: Told[] = [];
  const program = await start(
    process.execPath,
    [MAIN, '--json', '--speed', String(SPEED), '--config', QUICK_RETRIES, ...toDns, ...args],
    (line) => {
      const parsed = RECORD.safeParse(JSON.parse(line));
      if (!parsed.success) return;
      const { event_id: eventId } = parsed.data;
      if (records.every((record) => record.event_id !== eventId)) records.push(parsed.data);
    },
    environment,
  );
  lifetime.defer(() => program.kill());
  const evidence = () => program.output().replaceAll(/^.*"release-summary".*\n?/gm, '');
  await until(
    'the receiver runs',
    () => {
      if (program.hasEnded()) throw new Error(`the receiver ended\n${program.output()}`);
      return program.output().includes('delay-xfer is running') || undefined;
    },
    program.output,
  );
  const [, api] = /API +(http:\S+)/.exec(program.output()) ?? [];
  const told: Receiver['told'] = (recipient, ...types) =>
    until(
      `the receiver tells ${types.join(' or ')} of ${recipient}`,
      () => records.find((record) => record.recipient === recipient && types.includes(record.type)),
      evidence,
    );
  return {
    url: `${api}/delay_message`,
    records: (of) => records.filter(({ id, recipient }) => of === undefined || id === of || recipient === of),
    told,
    logged: (pattern) =>
      until(`the receiver logs ${pattern}`, () => program.lines.find((line) => pattern.test(line)), evidence),
    async delivered(recipient) {
      const end = await told(recipient, 'Delivery', 'Bounce', 'Expiration');
      if (end.type !== 'Delivery') throw new Error(`${recipient}: ${JSON.stringify(end)}`);
      return end;
    },
    destroy: () => program.kill('SIGKILL'),
  };
}
