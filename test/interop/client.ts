// The SMTP client by itself, as the delivery engine drives it: sessions opened to an address that the test names,
// transactions, and outcomes in words.

import { randomBytes } from 'node:crypto';
import type { Envelope } from '../../shared/message/envelope.ts';
import type {
  OpenOutcome,
  SmtpClient,
  SmtpContent,
  SmtpSession,
  SmtpTarget,
  TlsDemand,
  TransactionResult,
} from '../../shared/smtp/client.ts';
import { formatReply } from '../../shared/smtp/reply.ts';
import { createSmtpClient } from '../../shared/smtp/smtp-client.ts';

/** Far more than anything here takes, also on a slow machine. */
const LONG_MS = 60_000;

export const TIMEOUTS = {
  openingMs: LONG_MS,
  connectMs: LONG_MS,
  greetingMs: LONG_MS,
  ehloMs: LONG_MS,
  tlsMs: LONG_MS,
  mailMs: LONG_MS,
  rcptMs: LONG_MS,
  dataMs: LONG_MS,
  contentMs: LONG_MS,
  finalMs: LONG_MS,
  rsetMs: LONG_MS,
  quitMs: LONG_MS,
};

/** Takes what TLS there is. */
export const OPPORTUNISTIC: TlsDemand = { mode: 'ifavailable', verify: false };

/** It remembers nothing of any peer. */
export function createClient(): SmtpClient {
  return createSmtpClient({ memory: { recall: async () => new Set(), note: async () => {} } });
}

export function target(
  host: string,
  address: string,
  tls: TlsDemand,
  more: Partial<SmtpTarget> = {},
): SmtpTarget {
  const found = { port: 25, source: 'mx', mxAuthenticated: true } as const;
  return { host, address, ...found, ehloName: 'out.sender.test', tls, timeouts: TIMEOUTS, ...more };
}

/** Rejects when it does not open. */
export async function openSession(to: SmtpTarget): Promise<SmtpSession> {
  const outcome = await createClient().open(to);
  if (outcome.kind === 'failed') throw new Error(`${to.host}: ${toldOpening(outcome)}`);
  return outcome.session;
}

export function toldOpening(outcome: OpenOutcome): string {
  return outcome.kind === 'opened' ? 'opened' : `failed at ${outcome.stage}: ${formatReply(outcome.reply)}`;
}

/** An envelope that asks for nothing. */
export function envelope(
  sender: string,
  recipients: readonly string[],
  more: Partial<Envelope> = {},
): Envelope {
  return {
    sender,
    recipients: recipients.map((address) => ({ address })),
    body: '7BIT',
    smtputf8: false,
    requireTls: false,
    ...more,
  };
}

/** Content in pieces that end at these places, each within it and in order; in one piece without any. */
export function contentOf(octets: Buffer, ends: readonly number[] = []): SmtpContent {
  return {
    sizeBytes: octets.length,
    async open() {
      return (async function* () {
        let from = 0;
        for (const end of [...ends, octets.length]) {
          if (end > from) yield octets.subarray(from, end);
          from = end;
        }
      })();
    },
  };
}

/** Each recipient's outcome, `kind code stage`; throws when nobody judged the message. */
export function told(result: TransactionResult): readonly string[] {
  if (result.kind === 'unattempted') throw new Error(`unattempted: ${result.because}`);
  return result.outcomes.map(({ kind, stage, reply }) =>
    [kind, reply.code, reply.enhanced, stage].filter((part) => part !== undefined).join(' '),
  );
}

export function letter(sender: string, subject: string): Buffer {
  const nonce = randomBytes(8).toString('hex');
  return Buffer.from(`From: <${sender}>\r\nSubject: ${subject}\r\n\r\nHello.\r\n.\r\n..\r\n${nonce}\r\n`);
}
