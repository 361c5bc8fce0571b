// What the dialogue tests of the SMTP client share: a target on 127.0.0.1, a letter, its content, pieces of
// scripts, and outcomes told in one line each.

import { Readable } from 'node:stream';
import type { Envelope } from '../../shared/message/envelope.ts';
import type {
  RecipientOutcome,
  SmtpClient,
  SmtpContent,
  SmtpSession,
  SmtpTarget,
  SmtpTimeouts,
  TlsDemand,
  TransactionResult,
} from '../../shared/smtp/client.ts';
import { createPeerMemory } from '../../shared/smtp/peer-memory.ts';
import { formatReply } from '../../shared/smtp/reply.ts';
import { createSmtpClient, type SmtpClientOptions } from '../../shared/smtp/smtp-client.ts';
import type { ScriptedPeer } from './scripted-peer.ts';

const LONG_MS = 60_000;

/** Far beyond what a test may take: a timeout that matters is set by its test. */
export const TIMEOUTS: SmtpTimeouts = {
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
  quitMs: 3_000,
};

export const TLS = {
  no: { mode: 'no', verify: false },
  ifavailable: { mode: 'ifavailable', verify: false },
  required: { mode: 'required', verify: false },
} as const satisfies Readonly<Record<TlsDemand['mode'], TlsDemand>>;

export function target(port: number, more: Partial<SmtpTarget> = {}): SmtpTarget {
  return {
    host: 'mx.example.net',
    address: '127.0.0.1',
    port,
    source: 'mx',
    mxAuthenticated: true,
    ehloName: 'out.example.com',
    tls: TLS.no,
    timeouts: TIMEOUTS,
    ...more,
  };
}

/** A client that remembers nothing yet. */
export function client(options: Partial<SmtpClientOptions> = {}): SmtpClient {
  return createSmtpClient({ memory: createPeerMemory({ nowMs: () => 0 }), ...options });
}

/** Throws when the session does not open. */
export async function open(peer: ScriptedPeer, more: Partial<SmtpTarget> = {}): Promise<SmtpSession> {
  const outcome = await client().open(target(peer.port, more));
  if (outcome.kind !== 'opened') throw new Error(`${outcome.stage}: ${formatReply(outcome.reply)}`);
  return outcome.session;
}

/** The stage and reply of an opening that fails; throws when the session opens. */
export async function openFailing(peer: ScriptedPeer, more: Partial<SmtpTarget> = {}): Promise<string> {
  const outcome = await client().open(target(peer.port, more));
  if (outcome.kind !== 'failed') throw new Error('the session opened');
  return `${outcome.stage}: ${formatReply(outcome.reply)}`;
}

/** From alice@example.com, asking for nothing. */
export function letter(...recipients: readonly string[]): Envelope {
  return {
    sender: 'alice@example.com',
    recipients: recipients.map((address) => ({ address })),
    body: '7BIT',
    smtputf8: false,
    requireTls: false,
  };
}

/** Content that comes in these pieces. */
export function content(...pieces: readonly (string | Uint8Array)[]): SmtpContent {
  const octets = pieces.map((piece) => Buffer.from(piece));
  return {
    sizeBytes: octets.reduce((sum, piece) => sum + piece.length, 0),
    open: async () => Readable.from(octets, { objectMode: false }),
  };
}

export const HELLO = content('Subject: hello\r\n\r\nhello\r\n');

/** Throws when nobody judged the message. */
export function outcomesOf(result: TransactionResult): readonly RecipientOutcome[] {
  if (result.kind === 'unattempted') throw new Error(`unattempted: ${result.because}`);
  return result.outcomes;
}

export function told(result: TransactionResult): string[] {
  return outcomesOf(result).map(({ kind, stage, reply }) => `${kind} at ${stage}: ${formatReply(reply)}`);
}

/** One transaction on one session with the recipients bob and carol. */
export async function sendTo(peer: ScriptedPeer, more: Partial<SmtpTarget> = {}): Promise<string[]> {
  const session = await open(peer, more);
  const outcomes = await session.transact(letter('bob@example.net', 'carol@example.net'), HELLO);
  await session.quit();
  return told(outcomes);
}

/** An envelope that is accepted whole, without PIPELINING. */
export const ENVELOPE = `
  C: MAIL FROM:<alice@example.com>
  S: 250 2.1.0 Ok
  C: RCPT TO:<bob@example.net>
  S: 250 2.1.5 Ok
  C: RCPT TO:<carol@example.net>
  S: 250 2.1.5 Ok
`;

/** How a session goes on and ends after a message that was refused before its content. */
export const RESET_AND_QUIT = `
  C: RSET
  S: 250 2.0.0 Ok
  C: QUIT
  S: 221 2.0.0 Bye
`;

/** A stream that gives one piece and then nothing, ever. */
export function neverEnding(piece: string): Readable {
  let given = 0;
  // The second piece pushes the first one out; see how content is sent.
  return new Readable({
    read() {
      if (given++ < 2) this.push(Buffer.from(piece));
    },
  });
}

/** Waits until the peer has heard a line that begins so. */
export async function heard(peer: ScriptedPeer, beginning: string): Promise<void> {
  await until(() => peer.transcript.some((line) => line.startsWith(beginning)));
}

/** Looks again after each round of events. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
