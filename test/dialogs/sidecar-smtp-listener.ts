// A listener of the sidecar by itself, with a reception that keeps what it is handed: for tests of what is said on
// the wire. Closed with the test.

import { networkInterfaces } from 'node:os';
import type { TestContext } from 'node:test';
import { createPasswordVerifier, hashPassword } from '../../shared/access/password.ts';
import type { Recipient } from '../../shared/message/envelope.ts';
import type { Reply } from '../../shared/smtp/reply.ts';
import { MemoryBudget } from '../../sidecar/intake/memory-budget.ts';
import type { RefusalReason } from '../../sidecar/intake/refusals.ts';
import type { Submission } from '../../sidecar/intake/submission.ts';
import type { Notice } from '../../sidecar/log.ts';
import { listenSmtp } from '../../sidecar/smtp/listener.ts';
import type { ListenerSettings } from '../../sidecar/smtp/settings.ts';
import { readListenerTls } from '../../sidecar/smtp/tls.ts';
import { SELF_SIGNED } from './self-signed.ts';

export interface Taken {
  readonly client: Submission['client'];
  readonly envelope: Submission['envelope'];
  readonly content: string;
  readonly bareNewlines: boolean;
}

export interface ListenerFixture {
  readonly port: number;
  readonly taken: readonly Taken[];
  /** Why clients or mail were turned away, one for each. */
  readonly refusals: readonly RefusalReason[];
  readonly notices: readonly Omit<Notice, 'type' | 'timestamp'>[];
  /** `client MAIL FROM:<>`, without the session's name. */
  readonly trace: readonly string[];
  /** From the next connection on, and for the reception from the next MAIL on. */
  change(settings: Partial<ListenerSettings>): void;
  close(graceMs: number): Promise<void>;
}

export interface ListenerFixtureOptions {
  readonly settings?: Partial<ListenerSettings>;
  readonly memory?: MemoryBudget;
  readonly lmtp?: boolean;
  /** What RCPT hears; undefined accepts. */
  readonly recipient?: (recipient: Recipient) => Reply | undefined;
  /** What a recipient hears of the content. */
  readonly verdict?: (address: string) => Reply;
  /** Instead of keeping the content. */
  readonly submit?: (submission: Submission, gone: AbortSignal) => Promise<void>;
  readonly failedAuthDelayMs?: number;
  readonly strangerTimeoutMs?: number;
}

export const ACCEPTED: Reply = { code: 250, enhanced: '2.0.0', text: 'taken' };

export async function listenerFor(
  context: Pick<TestContext, 'after'>,
  options: ListenerFixtureOptions = {},
): Promise<ListenerFixture> {
  const taken: Taken[] = [];
  const refusals: RefusalReason[] = [];
  const notices: Omit<Notice, 'type' | 'timestamp'>[] = [];
  const trace: string[] = [];
  const keep = async ({ client, envelope, content }: Submission): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of content.read()) pieces.push(piece);
    const { bareNewlines } = content;
    taken.push({ client, envelope, content: Buffer.concat(pieces).toString('latin1'), bareNewlines });
  };
  let settings: ListenerSettings = {
    hostName: 'sidecar.example.com',
    relayHosts: [],
    maxConnections: 100,
    idleTimeoutMs: 60_000,
    terms: { protocol: options.lmtp === true ? 'lmtp' : 'smtp', attemptFirst: false },
    reception: {
      begin: () => ({
        recipient: (recipient) => options.recipient?.(recipient),
        data: () => undefined,
        async submit(submission, gone) {
          await (options.submit ?? keep)(submission, gone);
          const addresses = submission.envelope.recipients.map(({ address }) => address);
          return new Map(addresses.map((address) => [address, options.verdict?.(address) ?? ACCEPTED]));
        },
      }),
    },
    notice: (notice) => void notices.push(notice),
    refused: (reason) => void refusals.push(reason),
    trace: ({ from, text }) => void trace.push(`${from} ${text}`),
    ...options.settings,
  };
  const listener = await listenSmtp({
    address: '127.0.0.1',
    port: 0,
    memory: options.memory ?? new MemoryBudget(64 * 1024 * 1024),
    settings: () => settings,
    failedAuthDelayMs: options.failedAuthDelayMs ?? 1,
    ...(options.strangerTimeoutMs !== undefined && { strangerTimeoutMs: options.strangerTimeoutMs }),
  });
  context.after(() => listener.close(0));
  return {
    port: listener.port,
    taken,
    notices,
    refusals,
    trace,
    change: (changes) => {
      settings = { ...settings, ...changes };
    },
    close: (graceMs) => listener.close(graceMs),
  };
}

export function selfSignedTls(required = false): NonNullable<ListenerSettings['tls']> {
  const result = readListenerTls(SELF_SIGNED.cert, SELF_SIGNED.key, Date.UTC(2027, 0, 1));
  if (!result.ok) throw new Error(result.message);
  return { context: result.context, required };
}

export async function usersWith(name: string, password: string): Promise<ListenerSettings['users']> {
  return createPasswordVerifier(new Map([[name, await hashPassword(password)]]));
}

/**
 * An address of this machine that is not the loopback interface's: a connection from it to 127.0.0.1 comes from a
 * stranger, as far as the listener sees.
 */
export function strangeAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
}
